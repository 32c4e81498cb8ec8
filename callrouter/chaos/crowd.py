"""Visitors who come to the sites and call the numbers that they see: all day, whatever happens to the product.

Knows what callers and employees do, by a plan that is a function of the seed, and keeps what they then did. A visitor
who gets no page, or no number of his own, calls the number that the site has printed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import ceil

import httpx

from callrouter.chaos.stage import Stage
from callrouter.chaos.verdict import Played
from callrouter.demo import FALLBACK, STATIC_NUMBER, STATIC_SOURCE
from callrouter.lab.calls import DESTINATION, AsteriskLab, UnexpectedCall, truth_of
from callrouter.lab.load import Behaviour, Customer, placed_by_sipp
from callrouter.lab.phones import PlayedCall
from callrouter.lab.plan import CallPlan, Outcome
from callrouter.lab.visitors import Visitor, visitors

WAVE_S = 2.0
"""Callers of so long come in one file for SIPp."""
PAGE_S = 2.0
"""So long a visitor waits for his page."""
MEDIA_S = 1.0
"""Twice as long as Asterisk waits for the media of a phone that sends none."""
PATIENCE_S = {Outcome.ABANDONED_IN_QUEUE: 0.5, Outcome.ABANDONED_RINGING: 2.0}
"""A caller who gives up has got as far as his plan says by then, though the dialplan may wait for its watchdog."""
SIMPLE = (
    (Outcome.ANSWERED_IN_QUEUE, "sales"), (Outcome.DIRECT, None), (Outcome.RING_GROUP, None),
    (Outcome.ANSWERED_IN_QUEUE, "support"), (Outcome.BUSY, None), (Outcome.DIRECT, None),
    (Outcome.ABANDONED_RINGING, None), (Outcome.ANSWERED_IN_QUEUE, "service"), (Outcome.RING_GROUP_BY_CONTEXT, None),
    (Outcome.DIRECT, None), (Outcome.IVR_THEN_QUEUE, None), (Outcome.LOCAL_MEMBERS, None), (Outcome.REJECTED, None),
    (Outcome.DIRECT, None), (Outcome.BLIND_TRANSFER, None), (Outcome.ABANDONED_IN_IVR, None), (Outcome.OUTBOUND, None),
    (Outcome.NO_ANSWER, None), (Outcome.ABANDONED_IN_QUEUE, None), (Outcome.ATTENDED_TRANSFER, None),
)  # fmt: skip
"""What calls become, in turn, and where they lead if not where the outcome has it."""
STAYS = (
    Outcome.ANSWERED_IN_QUEUE, Outcome.IVR_THEN_QUEUE, Outcome.LOCAL_MEMBERS, Outcome.BLIND_TRANSFER,
    Outcome.ATTENDED_TRANSFER,
)  # fmt: skip
"""The employee ends these: how long a queue lets its caller wait is nobody's plan."""
BY_HAND = (Outcome.OUTBOUND, Outcome.ABANDONED_RINGING)
"""Placed by the lab's own phones: an employee's call, and one that SIPp cannot give up at the right time."""
HEARS_THE_END = (*STAYS, Outcome.BUSY, Outcome.REJECTED, Outcome.NO_ANSWER)


def plans(seed: int) -> Iterator[CallPlan]:
    """Calls without end, each with a customer of its own, the same for the same seed."""
    chance = random.Random(seed)
    for n in itertools.count():
        outcome, destination = SIMPLE[n % len(SIMPLE)]
        customer, outbound = f"7916{n:07}", outcome is Outcome.OUTBOUND
        yield CallPlan(
            outcome=outcome, destination=destination,
            caller="242" if outbound else customer, did=customer if outbound else "",
            talk_s=round(chance.uniform(0.3, 1.2) + (MEDIA_S if outcome is Outcome.ATTENDED_TRANSFER else 0.0), 2),
            wait_s=round(chance.uniform(0.6, 1.2) + PATIENCE_S.get(outcome, 0.0), 2),
            hangup_by="employee" if outcome in STAYS else "caller",
        )  # fmt: skip


@dataclass
class Crowd:
    """Everybody outside. `call` them for a while; then `played` has what happened."""

    stage: Stage
    browser: httpx.AsyncClient
    seed: int
    rate: float
    played: list[Played] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._plans = plans(self.seed)
        self._arriving = visitors(self.stage.sites, self.seed)

    async def call(self, seconds: float) -> None:
        """Wave after wave, for so long; returns when the last call has ended."""
        began, waves = time.monotonic(), ceil(seconds / WAVE_S)
        async with asyncio.TaskGroup() as calling:
            for n in range(1, waves + 1):
                calling.create_task(self._wave([next(self._plans) for _ in range(round(self.rate * WAVE_S))]))
                await asyncio.sleep(began + n * WAVE_S - time.monotonic())

    async def _wave(self, wave: Sequence[CallPlan]) -> None:
        calls = await asyncio.gather(*(self._of_visitor(plan) for plan in wave))
        self.played += calls
        by_sipp = [call for call in calls if call.plan.outcome not in BY_HAND]
        others = [call for call in calls if call.plan.outcome in BY_HAND]
        await asyncio.gather(play(self.stage.pbx, by_sipp, self.rate), *(self._by_hand(call) for call in others))

    async def _of_visitor(self, plan: CallPlan) -> Played:
        if plan.outcome is Outcome.OUTBOUND:
            return Played(plan)
        visitor = await self._visitor()
        if visitor is None or visitor.number == FALLBACK:
            return Played(replace(plan, did=STATIC_NUMBER), None, STATIC_SOURCE)
        return Played(replace(plan, did=visitor.number), visitor.session, visitor.arrival.source)

    async def _visitor(self) -> Visitor | None:
        visitor = next(self._arriving)
        try:
            async with asyncio.timeout(PAGE_S):
                await visitor.open(self.browser)
        except (httpx.HTTPError, TimeoutError):
            return None
        return visitor

    async def _by_hand(self, call: Played) -> None:
        call.began = time.time()
        try:
            call.truth = await self.stage.pbx.place(call.plan)
        except UnexpectedCall as error:
            call.trouble = str(error)
        call.ended = time.time()


async def play(pbx: AsteriskLab, calls: Sequence[Played], rate: float) -> None:
    """Let them call, so many a second, and note what happens."""
    if not calls:
        return
    async with contextlib.AsyncExitStack() as stack:
        seen = [await stack.enter_async_context(pbx.phones.expecting(call.plan)) for call in calls]
        notes = await placed_by_sipp(pbx, [_customer(call.plan) for call in calls], rate=rate)
    for call, played in zip(calls, seen, strict=True):
        note = notes[call.plan.caller]
        call.began, call.heard, call.ended = note.began, note.heard, note.ended
        if note.trouble or not note.ended:
            call.trouble = f"{call.plan.outcome} of {call.customer}: {note.trouble or 'it did not end'}"
        _judge(call, played)


def _customer(plan: CallPlan) -> Customer:
    does: Behaviour = "stays" if plan.outcome in HEARS_THE_END else "hangs_up"
    if plan.outcome is Outcome.IVR_THEN_QUEUE:
        does = "presses"
    seconds = plan.talk_s if does == "hangs_up" and not plan.outcome.startswith("abandoned") else plan.wait_s
    destination = plan.destination or DESTINATION[plan.outcome]
    return Customer(plan.caller, plan.did, destination, int(seconds * 1000), does)


def _judge(call: Played, played: PlayedCall) -> None:
    if not call.ended:
        return
    ahead = time.time() - time.monotonic()
    played.began, played.ended = call.began - ahead, call.ended - ahead
    try:
        destination = call.plan.destination or DESTINATION[call.plan.outcome]
        call.truth = truth_of(played, destination, datetime.fromtimestamp(call.began, UTC))
    except UnexpectedCall as error:
        call.trouble = str(error)
