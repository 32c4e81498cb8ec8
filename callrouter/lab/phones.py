"""The people of a lab call: callers who wait, press digits or give up, and employees who answer, refuse or transfer.

Knows behaviour and keeps what really happened on each leg; which employee acts how is decided by the call's plan. Does
not know the dialplan: it sees only what rings.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from callrouter.lab import company
from callrouter.lab.plan import CallPlan, Outcome
from callrouter.lab.sip import BUSY_HERE, DECLINED, Dialog, UserAgent, first_of, user_of

REFUSE = {Outcome.BUSY: BUSY_HERE, Outcome.OUTBOUND_BUSY: BUSY_HERE, Outcome.REJECTED: DECLINED}
NEVER_ANSWERED = (Outcome.ABANDONED_IN_QUEUE, Outcome.NO_ANSWER, Outcome.ABANDONED_RINGING, Outcome.QUEUE_TIMEOUT)
TRANSFERS = {Outcome.BLIND_TRANSFER: "802", Outcome.ATTENDED_TRANSFER: "802"}
RING_GROUPS = (Outcome.RING_GROUP, Outcome.RING_GROUP_BY_CONTEXT)
PATIENCE = 60.0
CONSULTED = 10.0


@dataclass
class Talk:
    """One employee on the line with the customer."""

    employee: str
    began: float
    ended: float | None = None


@dataclass
class PlayedCall:
    """What the phones did in one call; times are of the monotonic clock."""

    plan: CallPlan
    began: float = 0.0
    ended: float = 0.0
    failure: int = 0
    rang: list[str] = field(default_factory=list)
    talks: list[Talk] = field(default_factory=list)
    talks_wanted: int = 1
    """With whom the customer talks before he is content: two when he is transferred."""
    legs: set[asyncio.Task[None]] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How one phone takes calls that no plan announced, as those of callback orders."""

    refuses: int = 0
    """SIP status; 0: it rings."""
    answers: bool = True
    ring_s: float = 0.1
    talk_s: float = PATIENCE
    """It hangs up after so long, if nobody did before."""


class Phones:
    """All phones of the lab on one socket. A call is known by the numbers of its outside party."""

    def __init__(self) -> None:
        self.agent = UserAgent(self._on_invite)
        self._playing: dict[str, PlayedCall] = {}
        self.strangers = PlayedCall(CallPlan(outcome=Outcome.ANSWERED_IN_QUEUE, caller="", did=""))
        """Calls that no plan announced (SIPp's, or those made by hand) are answered too; the caller ends them."""
        self.manners: dict[str, Manner] = {}
        """Of phones, by the number dialled: they act by these, whatever is planned."""
        self.usual: Manner | None = None
        """Of phones that no plan and no manner speaks of."""
        self.rung: list[tuple[str, str]] = []
        """Who of them was called, and by whom as he saw it."""

    async def open(self, pbx_port: int) -> int:
        """Returns the port on which the phones ring."""
        self.agent.peer = ("127.0.0.1", pbx_port)
        await self.agent.open()
        return self.agent.address[1]

    def close(self) -> None:
        self.agent.close()

    async def play(self, plan: CallPlan, destination: str | None) -> PlayedCall:
        """Play one call to its end on both sides."""
        async with self.expecting(plan) as played:
            played.began = time.monotonic()
            await self._caller(played, destination)
            played.ended = time.monotonic()
        return played

    @contextlib.asynccontextmanager
    async def expecting(self, plan: CallPlan) -> AsyncIterator[PlayedCall]:
        """Whoever places the call meanwhile, employees act on it as this plan says; ends when all of them are done."""
        outside = plan.did if plan.outcome in (Outcome.OUTBOUND, Outcome.OUTBOUND_BUSY) else plan.caller
        known = {outside, plan.caller_sent or outside}
        if known & self._playing.keys():
            raise ValueError(f"{outside} is in a lab call already")
        played = PlayedCall(plan, talks_wanted=1 + (plan.outcome in TRANSFERS))
        self._playing |= dict.fromkeys(known, played)
        try:
            yield played
            if played.legs:
                await asyncio.wait(played.legs, timeout=PATIENCE)
        finally:
            for number in known:
                del self._playing[number]

    async def _caller(self, played: PlayedCall, destination: str | None) -> None:
        plan = played.plan
        sent = plan.caller if plan.caller_sent is None else plan.caller_sent
        extra = [("X-Lab-Destination", destination)] if destination else []
        leg = self.agent.start_call(sent or "anonymous", plan.did, *extra, name=plan.name)
        if plan.outcome in (Outcome.ABANDONED_IN_QUEUE, Outcome.ABANDONED_RINGING, Outcome.ABANDONED_IN_IVR):
            await _wait(leg.ended, plan.wait_s)
            await leg.hang_up()
            return
        await first_of(leg.established, leg.ended)
        played.failure = leg.failure
        if plan.outcome is Outcome.IVR_THEN_QUEUE:
            await _wait(leg.ended, plan.wait_s / 2)
            await leg.send_digit("1")
        await self._until_talked(played, leg)
        await leg.hang_up()

    async def _until_talked(self, played: PlayedCall, leg: Dialog) -> None:
        """The caller stays until his last wanted talk has lasted, or until the PBX or the employee ends the call."""
        deadline = time.monotonic() + PATIENCE
        while not leg.ended.is_set() and time.monotonic() < deadline:
            if len(played.talks) >= played.talks_wanted and played.plan.hangup_by == "caller":
                left = played.talks[-1].began + played.plan.talk_s - time.monotonic()
                if left <= 0:
                    return
                await _wait(leg.ended, left)
            else:
                await _wait(leg.ended, 0.02)

    def _on_invite(self, leg: Dialog) -> None:
        played = self._playing.get(leg.user) or self._playing.get(user_of(leg.invite.get("from"))) or self.strangers
        manner = self.manners.get(leg.user) or (self.usual if played is self.strangers else None)
        callee = self._mannered(leg, manner) if manner else self._callee(leg, played)
        task = asyncio.get_running_loop().create_task(callee)
        played.legs.add(task)
        task.add_done_callback(played.legs.discard)

    async def _mannered(self, leg: Dialog, manner: Manner) -> None:
        self.rung.append((leg.user, user_of(leg.invite.get("from"))))
        if manner.refuses:
            leg.refuse(manner.refuses)
            return
        leg.ring()
        await _wait(leg.ended, manner.ring_s if manner.answers else PATIENCE)
        if not leg.ended.is_set():
            leg.answer()
            await first_of(leg.established, leg.ended)
            await _wait(leg.ended, manner.talk_s)
        await leg.hang_up()

    async def _callee(self, leg: Dialog, played: PlayedCall) -> None:
        plan = played.plan
        played.rang.append(leg.user)
        if plan.outcome in REFUSE:
            await _wait(leg.ended, plan.ring_s)
            leg.refuse(REFUSE[plan.outcome])
            return
        leg.ring()
        if plan.outcome in NEVER_ANSWERED:
            await _wait(leg.ended, PATIENCE)
            return
        others = played.rang.index(leg.user) if plan.outcome in RING_GROUPS else 0
        await _wait(leg.ended, plan.ring_s + others * 0.5)  # the first of a ring group is the fastest
        if not leg.ended.is_set():
            await self._talk(leg, played)

    async def _talk(self, leg: Dialog, played: PlayedCall) -> None:
        leg.answer()
        await first_of(leg.established, leg.ended)
        if leg.ended.is_set():
            return
        talk = Talk(leg.user, time.monotonic())
        played.talks.append(talk)
        if len(played.talks) < played.talks_wanted:
            await _wait(leg.ended, played.plan.talk_s)
            await self._transfer(leg, played)
        else:
            await self._converse(leg, played.plan)
        talk.ended = talk.ended or time.monotonic()
        await leg.hang_up()

    async def _converse(self, leg: Dialog, plan: CallPlan) -> None:
        if plan.outcome is Outcome.HELD:
            await _wait(leg.ended, plan.talk_s / 3)
            await leg.hold()
            await _wait(leg.ended, plan.talk_s / 3)
            await leg.hold(on=False)
        await _wait(leg.ended, plan.talk_s if plan.hangup_by == "employee" else PATIENCE)

    async def _transfer(self, leg: Dialog, played: PlayedCall) -> None:
        target, first = TRANSFERS[played.plan.outcome], played.talks[-1]
        if played.plan.outcome is Outcome.BLIND_TRANSFER:
            await leg.transfer(target)
            first.ended = time.monotonic()
            await _wait(leg.refer_done, 0.5)
            return
        await leg.hold()
        first.ended = time.monotonic()  # a consultation is no talk with the customer
        other = await self._consulted(leg, played, target)
        if other.established.is_set():
            await _wait(leg.ended, played.plan.talk_s / 2)
            await leg.transfer(target, replaces=other)
            played.talks[-1].began = time.monotonic()
            await _wait(leg.refer_done, 1)
        await other.hang_up()

    async def _consulted(self, leg: Dialog, played: PlayedCall, target: str) -> Dialog:
        """The employee's call to a colleague, once he answers it; or as it is, when the PBX has gone meanwhile."""
        self._playing[leg.user] = played  # it rings with the employee's own number
        try:
            other = self.agent.start_call(leg.user, target)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONSULTED):
                    await first_of(other.established, other.ended, leg.ended)
        finally:
            del self._playing[leg.user]
        return other


def group_of(employees: list[str]) -> str | None:
    """The queue or ring group of the last employee who rang and has one."""
    groups = [company.GROUP_OF[name] for name in employees if name in company.GROUP_OF]
    return groups[-1] if groups else None


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Until the event, at most so long."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
