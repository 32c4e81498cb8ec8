"""The call record: what one call was, from its first channel to its last. Knows nothing of how it was observed."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

Direction = Literal["inbound", "outbound", "internal"]
Status = Literal["answered", "lost"]
LostReason = Literal[
    "abandoned_ivr", "abandoned_queue", "abandoned_ringing", "no_answer", "busy", "no_agents", "rejected", "failed"
]
HangupBy = Literal["caller", "employee", "pbx"]
StepKind = Literal[
    "started", "ivr", "group_entered", "group_left", "rang", "answered", "missed",
    "transfer_blind", "transfer_attended", "hold", "unhold", "ended",
]  # fmt: skip


class Step(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One thing that happened to the customer. `who` is an employee, `group` a queue or ring group, `to` a target."""

    at: datetime
    kind: StepKind
    group: str | None = None
    who: str | None = None
    to: str | None = None
    reason: str | None = None


class CallRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One conversation attempt as the outside party sees it; fields as defined in rules §1. Times are aware UTC."""

    pbx: str
    linkedid: str
    """Of the customer's first channel. (pbx, linkedid) is the call's key."""
    direction: Direction
    caller: str | None
    called: str | None
    caller_raw: str
    called_raw: str
    customer: str | None
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime
    status: Status
    lost_reason: LostReason | None
    wait_s: float
    talk_s: float
    group: str | None
    employee: str | None
    steps: tuple[Step, ...]
    hangup_cause: int | None
    hangup_by: HangupBy | None
    recording: str | None
    agi_ms: float | None
    complete: bool
