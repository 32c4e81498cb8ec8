"""What a script may do, and its notes: who called, who talked with whom from when to when, who hung up.

The notes are the phones' own. They know no event of the PBX: the records are compared with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from callrouter.calls.record import Direction, HangupBy, LostReason
from callrouter.lab.sip import ACCEPTED, OK, Dialog, first_of
from tests.shapes.pbx import PATIENCE, PHONES, ShapesPbx, phone

TALK = 0.8
"""Seconds that each part of a talk lasts, unless a script says otherwise."""


@dataclass
class Call:
    """A customer's call in the script's own words. Times are of the wall clock."""

    direction: Direction
    caller: str | None
    did: str
    leg: Dialog | None = None
    """The customer's phone."""
    began: float = field(default_factory=time.time)
    answered: float | None = None
    ended: float = 0.0
    talked: float = 0.0
    employee: str | None = None
    group: str | None = None
    lost_reason: LostReason | None = None
    hangup_by: HangupBy = "caller"
    recorded: bool = False
    steps: tuple[tuple[str | None, ...], ...] = ()
    """Some of the steps that must be told, in this order: kind, group or who, to or reason."""
    _since: float | None = None

    def talks(self, employee: str) -> None:
        """From now on the customer hears this employee."""
        now = time.time()
        self.answered = self.answered or now
        self._since = self._since or now
        self.employee = employee

    def silence(self) -> None:
        """From now on the customer hears nobody."""
        if self._since is not None:
            self.talked += time.time() - self._since
            self._since = None

    async def hang_up(self) -> None:
        """The customer has had enough."""
        self._end("caller")
        if self.leg is not None:
            await self.leg.hang_up()

    async def over(self, by: HangupBy = "pbx") -> None:
        """Wait until somebody else has ended the call."""
        assert self.leg is not None
        await asyncio.wait_for(self.leg.ended.wait(), PATIENCE)
        self._end(by)

    def _end(self, by: HangupBy) -> None:
        self.silence()
        self.ended = time.time()
        self.hangup_by = by

    def truth(self) -> dict[str, object]:
        """As it is kept beside a capture."""

        def told(at: float) -> str:
            return datetime.fromtimestamp(at, UTC).isoformat()

        return {
            "direction": self.direction, "caller": self.caller, "did": self.did,
            "status": "lost" if self.answered is None else "answered", "lost_reason": self.lost_reason,
            "group": self.group, "employee": self.employee, "employees": [],
            "talk_s": round(self.talked, 3), "wait_s": round((self.answered or self.ended) - self.began, 3),
            "started_at": told(self.began), "answered_at": told(self.answered) if self.answered else None,
            "ended_at": told(self.ended), "hangup_by": self.hangup_by, "recorded": self.recorded,
            "steps": [list(step) for step in self.steps],
        }  # fmt: skip


class Stage:
    """One shape's lane on a PBX: its numbers, its phones, and the calls noted so far."""

    def __init__(self, pbx: ShapesPbx, lane: int, other: ShapesPbx | None = None) -> None:
        self.pbx = pbx
        self.lane = lane
        self._other = Stage(other, lane) if other is not None else None
        self.did = f"749522230{lane:02}"
        self.mobile = f"7926555{lane:02}01"
        self.calls: list[Call] = []
        pbx.phones.forget(self.mobile, *map(self.phone, PHONES))

    @property
    def other(self) -> Stage:
        """The same lane on the other PBX."""
        assert self._other is not None
        return self._other

    def group(self, name: str) -> str:
        """Of this lane, as `sales07`."""
        return f"{name}{self.lane:02}"

    def phone(self, n: int) -> str:
        return phone(self.lane, n)

    def short(self, service: int) -> str:
        """A service number of the lane: 70 parks, 71 takes out, 72 confers, 73 and 74 are the dynamic queue's …"""
        return f"{service}{self.lane:02}"

    def customer(self, n: int = 1) -> str:
        return f"79165558{self.lane:02}{n}"

    def inbound(self, goal: str, *, n: int = 1, did: str = "") -> Call:
        """A customer calls the lane's number; the dialplan leads him to the goal."""
        number = did or self.did
        leg = self.pbx.phones.agent.start_call(self.customer(n), number, ("X-Lab-Destination", goal))
        return self._noted(Call("inbound", self.customer(n), number, leg))

    def outbound(self, caller: str | None, leg: Dialog) -> Call:
        """The customer's phone rings: an employee called it."""
        return self._noted(Call("outbound", caller, leg.user, leg, began=self.pbx.phones.rang_at[leg.call_id]))

    def dial(self, n: int, number: str) -> Dialog:
        """An employee dials; what becomes of it shows at the dialog."""
        return self.pbx.phones.agent.start_call(self.phone(n), number)

    async def connected(self, leg: Dialog) -> Dialog:
        """Once the call that somebody dialled is taken."""
        await asyncio.wait_for(first_of(leg.established, leg.ended), PATIENCE)
        assert not leg.ended.is_set(), f"{leg.user}'s call was refused: {leg.failure}"
        return leg

    async def joined(self, leg: Dialog) -> Dialog:
        """As `connected`, where Asterisk waits half a second for sound before one may talk: our phones send none."""
        await self.connected(leg)
        await self.pause(0.5)
        return leg

    async def rings(self, who: int | str) -> Dialog:
        """The phone of an employee, or of an outside number, rings."""
        return await self.pbx.phones.rings(self.phone(who) if isinstance(who, int) else who)

    async def answers(self, who: int | str) -> Dialog:
        """It rings, and is answered after a moment."""
        leg = await self.rings(who)
        await self.pause(0.2)
        return await self.take(leg)

    async def take(self, leg: Dialog) -> Dialog:
        leg.answer()
        return await self.connected(leg)

    async def talk(self, call: Call, who: int | str, seconds: float = TALK) -> Dialog:
        """The employee answers and talks with the customer for a while."""
        leg = await self.answers(who)
        call.talks(leg.user)
        await self.pause(seconds)
        return leg

    async def pause(self, seconds: float = TALK) -> None:
        await asyncio.sleep(seconds)

    async def gone(self, leg: Dialog) -> None:
        """Somebody else ended this leg."""
        await asyncio.wait_for(leg.ended.wait(), PATIENCE)

    async def digits(self, leg: Dialog, digits: str) -> None:
        for digit in digits:
            await leg.send_digit(digit)

    async def redirected_by_phone(self, leg: Dialog, n: int) -> None:
        """302: the phone says that its owner is to be found elsewhere."""
        leg.agent.respond(leg.invite, 302, to=leg.local, user=self.phone(n))
        leg.failure = 302
        leg.ended.set()

    async def transferred(self, leg: Dialog, to: str, replaces: Dialog | None = None) -> None:
        """REFER, accepted and carried out, as far as the phone is told."""
        status = await leg.transfer(to, replaces)
        assert status in (OK, ACCEPTED), status
        if replaces is None:  # who hangs up sooner spoils it
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(leg.refer_done.wait(), 0.5)

    def _noted(self, call: Call) -> Call:
        self.calls.append(call)
        return call
