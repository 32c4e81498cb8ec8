"""What a lab call shall be and what it was: the plan, the outcomes, and the truth as the phones know it.

Knows nothing of Asterisk: the real and the simulated PBX play the same plans. The truth is what caller and employees
did, never what events said, so that the software under test cannot agree with itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from callrouter.calls.record import Direction, LostReason, Status


class Outcome(StrEnum):
    """How a lab call ends; each is one path through the dialplan."""

    ANSWERED_IN_QUEUE = "answered_in_queue"
    ABANDONED_IN_QUEUE = "abandoned_in_queue"
    IVR_THEN_QUEUE = "ivr_then_queue"
    RING_GROUP = "ring_group"
    RING_GROUP_BY_CONTEXT = "ring_group_by_context"
    DIRECT = "direct"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    BLIND_TRANSFER = "blind_transfer"
    OUTBOUND = "outbound"
    ABANDONED_IN_IVR = "abandoned_in_ivr"
    ABANDONED_RINGING = "abandoned_ringing"
    NO_AGENTS = "no_agents"
    REJECTED = "rejected"
    ATTENDED_TRANSFER = "attended_transfer"
    LOCAL_MEMBERS = "local_members"
    QUEUE_TIMEOUT = "queue_timeout"
    HELD = "held"
    OUTBOUND_BUSY = "outbound_busy"
    INTERNAL = "internal"


BY_ROUTE = ""
"""As a plan's destination: where CALLROUTER_ROUTE, else the number dialled, leads."""


@dataclass(frozen=True, kw_only=True)
class CallPlan:
    """One call to place. `destination` None means the one that suits the outcome."""

    outcome: Outcome
    caller: str
    did: str
    destination: str | None = None
    talk_s: float = 1.0
    ring_s: float = 0.1
    wait_s: float = 1.0
    """How long a caller waits who will give up."""
    hangup_by: str = "caller"
    caller_sent: str | None = None
    """The caller id as the trunk writes it, when that is not `caller`; empty when withheld."""
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What the phones did. Times are the phones' own, a few milliseconds beside the PBX's."""

    outcome: Outcome
    direction: Direction
    caller: str
    caller_sent: str
    did: str
    status: Status
    lost_reason: LostReason | None
    group: str | None
    employee: str | None
    employees: tuple[str, ...]
    talk_s: float
    wait_s: float
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime


class LabPbx(Protocol):
    """A PBX of the lab, real or simulated: where to attach, and how to place calls."""

    name: str

    @property
    def ami_port(self) -> int: ...

    @property
    def ami_user(self) -> str: ...

    @property
    def ami_secret(self) -> str: ...

    @property
    def cel_file(self) -> Path | None:
        """Where it writes CEL; None if it does not."""

    @property
    def description(self) -> str:
        """As `asterisk 22.10` or `simulated`."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def place(self, plan: CallPlan) -> Truth: ...
