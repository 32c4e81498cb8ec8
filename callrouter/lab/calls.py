"""Placing calls on the real PBX: a plan goes in, the truth of what the phones did comes out.

`AsteriskLab` is an AsteriskInstance with its phones; any number of calls may be played at once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from callrouter.calls.record import Direction, LostReason
from callrouter.lab import company
from callrouter.lab.asterisk import AsteriskInstance, Attachment
from callrouter.lab.obtain import PbxSoftware
from callrouter.lab.phones import Phones, PlayedCall, Talk, group_of
from callrouter.lab.plan import CallPlan, Outcome, Truth

DESTINATION: dict[Outcome, str] = {
    Outcome.ANSWERED_IN_QUEUE: "sales",
    Outcome.ABANDONED_IN_QUEUE: "service",
    Outcome.IVR_THEN_QUEUE: "ivr",
    Outcome.RING_GROUP: "shop",
    Outcome.RING_GROUP_BY_CONTEXT: "depot",
    Outcome.DIRECT: "direct",
    Outcome.BUSY: "direct",
    Outcome.NO_ANSWER: "brief",
    Outcome.BLIND_TRANSFER: "sales",
    Outcome.ABANDONED_IN_IVR: "ivr",
    Outcome.ABANDONED_RINGING: "direct",
    Outcome.NO_AGENTS: "empty",
    Outcome.REJECTED: "direct",
    Outcome.ATTENDED_TRANSFER: "sales",
    Outcome.LOCAL_MEMBERS: "local",
    Outcome.QUEUE_TIMEOUT: "impatient",
    Outcome.HELD: "direct",
}
LOST: dict[Outcome, LostReason] = {
    Outcome.ABANDONED_IN_QUEUE: "abandoned_queue",
    Outcome.BUSY: "busy",
    Outcome.NO_ANSWER: "no_answer",
    Outcome.ABANDONED_IN_IVR: "abandoned_ivr",
    Outcome.ABANDONED_RINGING: "abandoned_ringing",
    Outcome.NO_AGENTS: "no_agents",
    Outcome.REJECTED: "rejected",
    Outcome.QUEUE_TIMEOUT: "no_answer",
    Outcome.OUTBOUND_BUSY: "busy",
}
DIRECTION: dict[Outcome, Direction] = {
    Outcome.OUTBOUND: "outbound", Outcome.OUTBOUND_BUSY: "outbound", Outcome.INTERNAL: "internal",
}  # fmt: skip
NO_GROUP = ("direct", "brief", "ivr")


class UnexpectedCall(AssertionError):
    """The phones did something else than the plan wanted."""


class AsteriskLab(AsteriskInstance):
    """A real Asterisk with its phones. `async with AsteriskLab(obtain(), folder) as pbx: await pbx.place(plan)`."""

    def __init__(
        self, software: PbxSoftware, folder: Path, *, name: str = "pbx1", attachment: Attachment | None = None
    ) -> None:
        super().__init__(software, folder, name=name, attachment=attachment)
        self.phones = Phones()

    @property
    def description(self) -> str:
        return f"asterisk {self.software.version}"

    async def start(self) -> None:
        self.phones_port = await self.phones.open(self.sip_port)
        await super().start()

    async def stop(self) -> None:
        await super().stop()
        self.phones.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.kill()  # nobody reads its files any more, and an orderly stop takes a second
        self.phones.close()

    async def map_number(self, did: str, destination: str) -> None:
        """Where a call to this number goes when callrouter names no route."""
        await self.rx(f"database put destination {did} {destination}")

    async def place(self, plan: CallPlan) -> Truth:
        """Play one call to its end; raises UnexpectedCall when the phones could not do what was planned."""
        destination = DESTINATION.get(plan.outcome) if plan.destination is None else plan.destination
        started = datetime.now(UTC)
        played = await self.phones.play(plan, destination)
        return truth_of(played, destination, started)


def truth_of(played: PlayedCall, destination: str | None, started: datetime) -> Truth:
    """What happened, from the phones' own notes."""
    plan = played.plan
    wants_answer = plan.outcome not in LOST
    if wants_answer != bool(played.talks):
        raise UnexpectedCall(f"{plan}: rang {played.rang}, talked {played.talks}, refused with {played.failure}")
    first = played.talks[0].began if played.talks else None
    return Truth(
        outcome=plan.outcome,
        direction=DIRECTION.get(plan.outcome, "inbound"),
        caller=plan.caller,
        caller_sent=plan.caller if plan.caller_sent is None else plan.caller_sent,
        did=plan.did,
        status="answered" if played.talks else "lost",
        lost_reason=LOST.get(plan.outcome),
        group=_group(played, destination),
        employee=_employee(played),
        employees=tuple(talk.employee for talk in played.talks),
        talk_s=round(sum(_length(talk, played.ended) for talk in played.talks), 3),
        wait_s=round((first or played.ended) - played.began, 3),
        started_at=started,
        answered_at=started + timedelta(seconds=first - played.began) if first else None,
        ended_at=started + timedelta(seconds=played.ended - played.began),
    )


def _length(talk: Talk, ended: float) -> float:
    return min(talk.ended or ended, ended) - talk.began


def _employee(played: PlayedCall) -> str | None:
    if not played.talks:
        return None
    return played.plan.caller if played.plan.outcome in DIRECTION else played.talks[-1].employee


def _group(played: PlayedCall, destination: str | None) -> str | None:
    return group_of(played.rang) or company.GROUP_OF_DESTINATION.get(destination or "")
