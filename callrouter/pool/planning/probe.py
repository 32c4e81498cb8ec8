"""Calls that might have come: thousands of them, credited against the leases of one small run. Pure.

A run of the simulation has few calls, and its share of right ones is uncertain by half a percent. Each of its visits
might as well have led to a call; so callers are drawn for all of them, from the same truth and on streams of their
own, and credited by the real rules with the leases as they were. What a call would have changed (a visitor who stays
longer because he is calling, a number that is pinned for its hold) is left out: the plan is confirmed by whole runs.

Calls that would come after the end of the record are worth what the caller's call before them was; a first call that
comes so late is taken for unattributed: choose a record that outlasts hold and attribution window.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from random import Random

import msgspec

from callrouter.numbers import Number
from callrouter.pool.attribution import Evidence
from callrouter.pool.model import CallerMemory
from callrouter.pool.planning.recording import Record, Showing
from callrouter.pool.simulation.calling import PlannedCall, Reason, calls_of, waiting_for_morning
from callrouter.pool.simulation.judges import Judge
from callrouter.pool.simulation.spread import stream
from callrouter.pool.simulation.visitors import PlannedVisit
from callrouter.pool.simulation.world import Delay, World

FOR_EVER = 400.0
"""Days: a caller's later calls are not cut off where the world ends."""


class Tried(msgspec.Struct, frozen=True, gc=False):
    """The calls of one caller drawn for a visit."""

    visit: str
    calls: int
    right: int
    shown: bool
    """The visit had a number of its own."""


class Prober:
    """Draws callers for the visits of a run, and credits them."""

    def __init__(self, world: World, record: Record, judge: Judge, *, begins: datetime) -> None:
        self._world = msgspec.structs.replace(world, days=FOR_EVER)
        self._ends = begins + timedelta(seconds=world.length)
        self._begins = begins
        self._record = record
        self._judge = judge
        self._shown: dict[str, dict[Number, list[Showing]]] = {}
        for name, pages in record.pages.items():
            person = name.rpartition("-")[0]
            for page in pages:
                if page.number is not None:
                    self._shown.setdefault(person, {}).setdefault(page.number, []).append(page)

    def probe(self, visits: Iterable[PlannedVisit], seed: int, *, each: int) -> Iterator[Tried]:
        """`each` callers for each visit that wanted a number."""
        for visit in visits:
            pages = self._record.pages.get(visit.id)
            if not pages or not visit.wants_number:
                continue
            for turn in range(each):
                draws = stream(seed, "probe", visit.id, turn)
                calls = self._calls(visit, draws, seed * 1000 + turn, (turn + draws.random()) / each)
                number = self._dialled(pages, self._moment(calls[0].at)) if calls else None
                right = self._right(calls, number) if number else 0
                yield Tried(visit.id, len(calls), right, shown=number is not None)

    def _moment(self, at: float) -> datetime:
        return self._begins + timedelta(milliseconds=int(at * 1000))

    def _calls(self, visit: PlannedVisit, draws: Random, seed: int, rank: float) -> list[PlannedCall]:
        """`rank`: where among all callers this one stands by how long his kind takes. Each visit has some of each rank,
        for late callers are few and decide."""
        delay = _by_rank(self._world.calling.delays, rank)
        after = delay.after.draw(draws)
        at = min(visit.at + after, visit.left) if delay.name == "in_visit" else visit.left + after
        if delay.awake:
            at = waiting_for_morning(self._world, at, draws.random())
        reason = Reason(visit=visit.id, person=visit.person, account=visit.account, delay=delay.name)
        return [call for call in calls_of(self._world, seed, reason, at) if call.attributable]

    def _dialled(self, pages: list[Showing], at: datetime) -> Number | None:
        """What the page showed when the call was placed."""
        shown = [page for page in pages if page.at <= at] or pages[:1]
        return shown[-1].number

    def _right(self, calls: list[PlannedCall], number: Number) -> int:
        """How many of one caller's calls are credited to his visit."""
        memories: dict[Number, CallerMemory] = {}
        count = 0
        right = False
        for call in calls:
            at = self._moment(call.at)
            if at < self._ends:
                memory = memories.get(call.phone) if call.phone else None
                right = self._credit(call, number, at, memory, memories)
            elif call.kind == "first":
                right = False
            count += right
        return count

    def _credit(
        self, call: PlannedCall, number: Number, at: datetime, memory: CallerMemory | None,
        memories: dict[Number, CallerMemory],
    ) -> bool:  # fmt: skip
        said = self._judge(
            Evidence(
                number=number,
                caller=call.phone,
                at=at,
                leases=self._record.leases(number, at),
                same_number=memory,
                newest=memory,
            )
        )
        visit = self._record.sessions.get(said.session) if said.session else None
        if visit is not None and call.phone is not None:
            memories[call.phone] = CallerMemory(visit=visit, called_at=at, number=number)
        return said.session is not None and said.session == self._true_session(call.person, number, at)

    def _true_session(self, person: str, number: Number, at: datetime) -> str | None:
        """The latest visit before the call in which this person was shown the number."""
        pages = self._shown.get(person, {}).get(number, [])
        return next((page.session for page in reversed(pages) if page.at <= at), None)


def _by_rank(delays: tuple[Delay, ...], rank: float) -> Delay:
    left = rank * sum(delay.share for delay in delays)
    for delay in delays:
        left -= delay.share
        if left < 0:
            return delay
    return delays[-1]
