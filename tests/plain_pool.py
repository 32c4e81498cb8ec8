"""A pool in a few lines of Python, for the arithmetic of attribution: who held what, and who called, in a world.

No server: what matters is the evidence. The longest-free number is leased, a returning visitor gets his own if free.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache

import msgspec

from callrouter.numbers import Number
from callrouter.pool.attribution import Evidence
from callrouter.pool.branching import PastCall, PastLease
from callrouter.pool.model import Attribution, CallerMemory, Lease
from callrouter.pool.simulation.calling import KnownRobot, PlannedCall, robots_before, strangers
from callrouter.pool.simulation.exchange import DOUBTFUL
from callrouter.pool.simulation.runner import MONDAY
from callrouter.pool.simulation.visitors import PlannedVisit, visits
from callrouter.pool.simulation.world import World
from callrouter.sessions.model import TrafficSource, Visit

HOLD = 1800.0
BEAT = HOLD / 4
SIGN_EVERY = 15.0
SIGN_AFTER = 4.0
"""About when the number is asked for."""
DIRECT = TrafficSource(channel="direct", source="(direct)", medium="(none)")
Judge = Callable[[Evidence], Attribution]


class Verdict(msgspec.Struct, frozen=True):
    """`right`: the session credited is the latest in which this person was shown the number."""

    attributable: bool
    said: Attribution
    right: bool


class _Held(msgspec.Struct):
    number: int
    visit: PlannedVisit
    lease: Lease


class PlainPool:
    """One world's visits on so many numbers; `judged` asks judges about its calls."""

    def __init__(self, world: World, seed: int, numbers: int) -> None:
        self.world = world
        self.numbers = [Number(f"7495{place:07d}") for place in range(numbers)]
        self._free = [(0.0, place, place) for place in range(numbers)]
        self._free_since = {place: (0.0, place) for place in range(numbers)}
        self._running: list[tuple[float, int, str]] = []
        self._last: dict[tuple[str, int], int] = {}
        self._lines: list[list[_Held]] = [[] for _ in range(numbers)]
        self._calls: list[tuple[float, int, PlannedCall, int]] = []
        for call in strangers(world, seed, numbers=numbers):
            self._calls.append((call.at, len(self._calls), call, int(call.line * numbers)))
        self._known = list(robots_before(world, seed, numbers=numbers))
        for visit in _planned(world, seed):
            self._visit(visit)
        self._calls.sort()

    def judged(self, judge: Judge) -> Iterator[Verdict]:
        """Each counted call with what the judge says; what he says is what is remembered."""
        same: dict[tuple[Number | None, int], CallerMemory] = {}
        newest: dict[Number | None, CallerMemory] = {}
        for robot in self._known:
            newest[robot.phone] = self._before(robot)
        started = [[held.lease.started_at for held in line] for line in self._lines]
        for at, _, call, place in self._calls:
            if place < 0:
                continue
            moment, phone = _moment(at), call.phone
            line = self._lines[place][: bisect_right(started[place], moment)]
            evidence = Evidence(
                number=self.numbers[place], caller=phone, at=moment,
                leases=tuple(held.lease for held in reversed(line[-9:])),
                same_number=same.get((phone, place)) if phone else None, newest=newest.get(phone) if phone else None,
            )  # fmt: skip
            said = judge(evidence)
            if phone and said.session:
                held = next((each for each in line if each.lease.session == said.session), None)
                visit = _visit_of(held.lease) if held else same.get((phone, place), newest[phone]).visit
                memory = CallerMemory(
                    visit=visit, called_at=moment, number=self.numbers[place], confidence=said.confidence,
                    rivals=said.rivals,
                )  # fmt: skip
                same[phone, place] = newest[phone] = memory
            if at >= self.world.counted_from:
                true = next((each for each in reversed(line) if each.visit.person == call.person), None)
                right = call.attributable and true is not None and true.lease.session == said.session
                yield Verdict(call.attributable, said, right)

    def _before(self, robot: KnownRobot) -> CallerMemory:
        at = MONDAY + timedelta(seconds=robot.at)
        session = f"before-{robot.phone}"
        visit = Visit(
            session=session, visitor=session, account=1, site=1, traffic=DIRECT, landing_page="", referrer="",
            started_at=at, seen_at=at,
        )  # fmt: skip
        number = self.numbers[int(robot.line * len(self.numbers))]
        return CallerMemory(visit=visit, called_at=at, number=number, confidence=DOUBTFUL, rivals=0.0)

    def past_leases(self) -> list[PastLease]:
        return [_past_lease(held) for line in self._lines for held in line]

    def past_calls(self) -> list[PastCall]:
        """What appeals would tell of them, but for the credits, which only calls again would need."""
        found, before, callers = [], dict[tuple[Number, int], float](), {robot.phone for robot in self._known}
        for at, _, call, place in self._calls:
            if place < 0:
                continue
            since = before.get((call.phone, place)) if call.phone else None
            elsewhere = since is None and call.phone in callers
            found.append(PastCall(self.numbers[place], MONDAY.timestamp() + at, since, elsewhere=elsewhere))
            if call.phone:
                callers.add(call.phone)
                before[call.phone, place] = MONDAY.timestamp() + at
        return found

    def _visit(self, visit: PlannedVisit) -> None:
        now = visit.at + SIGN_AFTER
        while self._running and self._running[0][0] <= now:
            ended, place, session = heapq.heappop(self._running)
            if self._lines[place][-1].lease.session == session and place not in self._free_since:
                self._offer(place, ended)
        chosen = self._choose((visit.visitor, visit.site), _moment(now))
        for call in visit.calls:
            self._calls.append((call.at, len(self._calls), call, -1 if chosen is None else chosen))
        if chosen is None:
            return
        self._last[visit.visitor, visit.site] = chosen
        lease = _lease(visit, self.numbers[chosen], now)
        self._lines[chosen].append(_Held(chosen, visit, lease))
        heapq.heappush(self._running, ((lease.expires_at - MONDAY).total_seconds(), chosen, visit.id))

    def _offer(self, place: int, at: float) -> None:
        self._free_since[place] = (at, place)
        heapq.heappush(self._free, (at, place, place))

    def _choose(self, who: tuple[str, int], now: datetime) -> int | None:
        own = self._last.get(who)
        if own is not None and own in self._free_since:
            del self._free_since[own]
            return own
        held = self._lines[own][-1] if own is not None else None
        if held is not None and (held.lease.visitor, held.lease.site) == who:
            held.lease = msgspec.structs.replace(held.lease, ended_at=now, end="released")
            return own
        while self._free:
            at, turn, place = heapq.heappop(self._free)
            if self._free_since.get(place) == (at, turn):
                del self._free_since[place]
                return place
        return None


@lru_cache(maxsize=1)
def _planned(world: World, seed: int) -> list[PlannedVisit]:
    """Who asks for a number: the same people, however many numbers there are."""
    return [visit for visit in visits(world, seed, hold=HOLD) if not visit.bot and visit.wants_number]


def _moment(seconds: float) -> datetime:
    return MONDAY + timedelta(milliseconds=int(seconds * 1000))


def _lease(visit: PlannedVisit, number: Number, now: float) -> Lease:
    signs, last = [0.0], now
    for sign in visit.signs:
        if sign.at <= now:
            continue
        if sign.at - last > HOLD:
            break
        last = sign.at
        if last - now - signs[-1] >= SIGN_EVERY:
            signs.append(last - now)
    return Lease(
        id=visit.id, pool=1, number=number, account=visit.account, site=visit.site, session=visit.id,
        visitor=visit.visitor, started_at=_moment(now), seen_at=_moment(last), expires_at=_moment(last + HOLD),
        ended_at=_moment(last + HOLD), end="expired", closed=bool(visit.signs and visit.signs[-1].kind == "closed"),
        signs=tuple(int(sign * 1000) for sign in signs[-64:]),
    )  # fmt: skip


def _visit_of(lease: Lease) -> Visit:
    return Visit(
        session=lease.session, visitor=lease.visitor, account=lease.account, site=lease.site, traffic=DIRECT,
        landing_page="", referrer="", started_at=lease.started_at, seen_at=lease.started_at,
    )  # fmt: skip


def _past_lease(held: _Held) -> PastLease:
    lease = held.lease
    began = lease.started_at.timestamp()
    signs = tuple(began + sign / 1000 for sign in lease.signs)
    return PastLease(lease.number, lease.account, f"{lease.site}:{lease.visitor}", began, signs)
