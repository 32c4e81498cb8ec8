"""A plan: how many numbers a pool needs, what fewer would do, and how well arithmetic alone would have known.

Puts formula, search and measurement together; knows no command line and draws nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import msgspec

from callrouter.pool.planning import erlang
from callrouter.pool.planning.demand import Demand, Target, checked
from callrouter.pool.planning.drift import Promise
from callrouter.pool.planning.kept import Kept, kept, other_seeds
from callrouter.pool.planning.measure import Found, Trial, measure
from callrouter.pool.planning.reuse import Formula
from callrouter.pool.planning.search import Search, Size
from callrouter.pool.simulation.judges import engine
from callrouter.pool.simulation.world import DAY, World
from callrouter.pool.store import Lifetimes

TRIAL_VISITS_PER_HOUR = 60.0
"""More traffic is planned for at this scale: how soon a number is leased again depends on numbers per lease alone."""
TRIAL_VISITS = 12_000
"""Of a run, about."""
SKETCHED_VISITS = 6_000
"""The same where only a curve is drawn."""
THINNEST = 15.0
TRIED_VISITS = 1500
MOST_WEEKS = 8
"""Of a few visits an hour, many weeks are needed."""
ROUNDS = 1.5
"""Times that a trial's numbers might have been leased before its visits are tried."""
TRIED_CALLERS = 24_000
FEWEST_EACH, MOST_EACH = 4, 16
"""Callers drawn for a visit: more where a trial has few visits."""
BRIGHT = 1.6
"""As many times the numbers of the formula, which is too bright and in no doubt, are measured first."""
LONGEST_WINDOWS = (timedelta(days=2), timedelta(days=3), timedelta(days=7), timedelta(days=14), timedelta(days=30))
WEEK = 7
CHECKED_WORLDS = 2
CURVE = (0.25, 0.5, 0.75)
"""Sizes between Erlang's and the answer, as shares of their ratio's logarithm, that the curve shows too."""
OTHER_HOLD = 4
"""Sizes that are measured with another hold."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule of thumb says, and what it would come to."""

    rule: str
    numbers: int
    right: float
    right_low: float
    right_high: float
    overflow: float


class Point(msgspec.Struct, frozen=True, kw_only=True):
    numbers: int
    hold: float
    """Seconds."""
    right: float
    right_low: float
    right_high: float
    overflow: float


class Help(msgspec.Struct, frozen=True, kw_only=True):
    """What would make the target possible."""

    window_hours: float
    numbers: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`numbers` is None where no size reaches the target; `limit` is the share of right calls that numbers without end
    would reach."""

    numbers: int | None
    target: Target
    erlang_b: int
    formula: int | None
    limit: float
    rules_of_thumb: list[Rule]
    curve: list[Point]
    helps: list[Help]
    visits_per_hour: float
    leases_per_hour: float
    leases_in_peak_hour: float
    leased_at_peak: float
    hold: float
    window: float
    rest: float | None
    """Seconds that a number of the planned pool rests in the busiest hours before it is leased again."""
    checks: list[Kept] = []
    """Whole worlds of other people, if any were asked for."""

    @property
    def planned(self) -> Point | None:
        """What was measured of the size that is named."""
        return next((point for point in self.curve if (point.numbers, point.hold) == (self.numbers, self.hold)), None)

    @property
    def promise(self) -> Promise | None:
        if self.numbers is None or self.rest is None:
            return None
        return Promise(
            numbers=self.numbers, leased_peak=self.leased_at_peak, rest=self.rest, overflow=self.target.overflow
        )


Tell = Callable[[str, float, int], None]
"""What is done now, how many runs are over, how many there may be."""


class Planner:
    """Makes the plan for one demand, on a plain Redis or Valkey server at `url`."""

    def __init__(self, url: str, demand: Demand, *, seed: int = 1, tell: Tell = lambda *_: None) -> None:
        self._url = url
        self._demand = checked(demand)
        self._formula = demand.formula
        self._seed = seed
        self._tell = tell
        self._over = 0
        self._expected = 12

    async def plan(self, *, curve: bool = True, holds: tuple[timedelta, ...] = ()) -> Plan:
        """`holds`: further holds whose curves are drawn."""
        demand, formula = self._demand, self._formula
        target = demand.target
        self._expected = 4 + (6 if curve else 0) + OTHER_HOLD * len(holds)
        erlang_b = erlang.numbers_for(formula.load, target.overflow)
        first = formula.numbers_for(target.right, target.overflow)
        search = self._search(demand)
        most = max(erlang_b, self._most())
        numbers = await search.smallest(erlang_b, round(BRIGHT * first) if first else most, most)
        limit = await search.measured(self._most() if numbers is None else numbers)
        sketch = self._search(demand, visits=SKETCHED_VISITS)
        rules = await self._rules(sketch, erlang_b) if curve else []
        if curve:
            await self._between(sketch, erlang_b, numbers or most)
        points = _points(demand.hold, search, sketch)
        for hold in holds:
            points += await self._other_hold(hold, sorted({point.numbers for point in points}))
        return Plan(
            numbers=numbers, target=target, erlang_b=erlang_b, formula=first, limit=self._limit(limit),
            rules_of_thumb=rules, curve=points, helps=[] if numbers else self._helps(limit),
            visits_per_hour=demand.world.visits_per_hour, leases_per_hour=demand.leases_per_hour,
            leases_in_peak_hour=max(formula.leases), leased_at_peak=formula.load,
            hold=demand.hold.total_seconds(), window=demand.window.total_seconds(),
            rest=formula.shortest_rest(numbers) if numbers else None,
        )  # fmt: skip

    async def checked(self, plan: Plan, *, worlds: int = CHECKED_WORLDS) -> Plan:
        """The plan, and what it comes to in whole worlds of other people."""
        if plan.numbers is None:
            return plan
        checks: list[Kept] = []
        for place, seed in enumerate(other_seeds(self._seed, worlds)):
            name = f"a whole world, {place + 1} of {worlds}"
            checks.append(
                await kept(
                    self._url, self._demand, plan.numbers, seed=seed,
                    progress=partial(self._whole_world, name, place, worlds),
                )
            )  # fmt: skip
        return msgspec.structs.replace(plan, checks=checks)

    def _whole_world(self, name: str, over: int, worlds: int, share: float) -> None:
        self._tell(name, over + share, worlds)

    def _most(self) -> int:
        """So many that no number is leased again while a call on it could still be attributed."""
        waits = (self._demand.window + self._demand.hold).total_seconds() / DAY
        busiest = max(sum(self._formula.leases[start : start + 24]) for start in range(0, 168, 24))
        return math.ceil(self._formula.load + busiest * (waits + 0.5))

    def _search(self, demand: Demand, *, visits: int = TRIAL_VISITS) -> Search[Found]:
        judge = engine(msgspec.structs.replace(demand.model, window=demand.window))

        async def run(numbers: int, turn: int) -> Found:
            self._expected = max(self._expected, self._over + 1)
            name = f"{numbers:,} numbers"
            trial = trial_for(demand, numbers, visits=visits)
            scale = trial.world.visits_per_hour / demand.world.visits_per_hour
            found = await measure(
                self._url, trial, judge, numbers=max(1, round(numbers * scale)), seed=self._seed + 1000 * turn,
                progress=lambda share: self._tell(name, self._over + share, self._expected),
            )  # fmt: skip
            self._over += 1
            self._tell(name, self._over, self._expected)
            return found

        calls = demand.leases_per_hour * 24 * 14 * demand.world.calling.share
        return Search(demand.formula, demand.target, run, calls=calls)

    async def _rules(self, search: Search[Found], erlang_b: int) -> list[Rule]:
        peak = max(self._formula.leases)
        sizes = {
            "erlang_b": erlang_b,
            "visitors_per_hour_div_4": erlang.per_hour_rule(peak),
            "one_per_20_daily_visitors": erlang.per_day_rule(self._formula.leases_per_day),
        }
        return [_rule(name, await search.measured(numbers)) for name, numbers in sizes.items()]

    async def _between(self, search: Search[Found], least: int, most: int) -> None:
        for share in CURVE:
            await search.measured(round(least * (most / least) ** share))

    async def _other_hold(self, hold: timedelta, sizes: list[int]) -> list[Point]:
        demand = msgspec.structs.replace(self._demand, hold=hold)
        sketch = self._search(demand, visits=SKETCHED_VISITS)
        smallest, largest = sizes[0], sizes[-1]
        knee = erlang.numbers_for(demand.formula.load, demand.target.overflow)
        for numbers in {smallest, knee, round(math.sqrt(max(knee, smallest) * largest)), largest}:
            await sketch.measured(numbers)
        return _points(hold, sketch)

    def _limit(self, size: Size) -> float:
        """The share that numbers without end would reach: the formula's, worse by as much as it was at this size."""
        if size.numbers >= self._most():
            return size.right
        loss = 1 - self._formula.right(self._most())
        return 1 - loss * _worse(self._formula, size)

    def _helps(self, size: Size) -> list[Help]:
        """A longer attribution window, if one is long enough."""
        target = self._demand.target
        wrong = max(0.0, 1 - target.right - size.doubt)
        for window in LONGEST_WINDOWS:
            if window <= self._demand.window:
                continue
            formula = msgspec.structs.replace(self._demand, window=window).formula
            asked = 1 - wrong / _worse(self._formula, size)
            if numbers := formula.numbers_for(asked, target.overflow):
                return [Help(window_hours=window.total_seconds() / 3600, numbers=numbers)]
        return []


def trial_for(demand: Demand, numbers: int, *, visits: int = TRIAL_VISITS) -> Trial:
    """A world small enough for many runs: warmed up until numbers are leased again, or cannot be in time; then whole
    weeks whose visits are tried, then as long as a call may come late. What has to be long is thinner."""
    formula, whole = demand.formula, demand.world.visits_per_hour
    late = (demand.window + demand.hold).total_seconds() / DAY
    warm_up = min(max(0.6, ROUNDS * numbers / formula.leases_per_day), late + 0.6)
    rate = min(whole, max(THINNEST, min(TRIAL_VISITS_PER_HOUR, visits / 24 / (warm_up + late + WEEK))))
    weeks = min(MOST_WEEKS, math.ceil(TRIED_VISITS * whole / (WEEK * formula.leases_per_day * rate)))
    world: World = msgspec.structs.replace(
        demand.world, visits_per_hour=rate, warm_up=warm_up, days=WEEK * weeks + late
    )  # fmt: skip
    tried = WEEK * weeks * formula.leases_per_day * rate / whole
    return Trial(
        world=world, hold=demand.hold, lifetimes=Lifetimes(window=demand.window), tail=late * DAY,
        each=min(MOST_EACH, max(FEWEST_EACH, math.ceil(TRIED_CALLERS / tried))),
    )  # fmt: skip


def _worse(formula: Formula, size: Size) -> float:
    return max(1.0, (1 - size.right) / max(1e-6, 1 - formula.right(size.numbers)))


def _rule(name: str, size: Size) -> Rule:
    return Rule(
        rule=name, numbers=size.numbers, right=size.right, right_low=size.low, right_high=size.high,
        overflow=size.overflow,
    )  # fmt: skip


def _points(hold: timedelta, *searches: Search[Found]) -> list[Point]:
    """Of all sizes that were measured, as well as one of the searches did."""
    sizes = {size.numbers: size for search in reversed(searches) for size in search.sizes.values()}
    return [
        Point(
            numbers=size.numbers, hold=hold.total_seconds(), right=size.right, right_low=size.low,
            right_high=size.high, overflow=size.overflow,
        )
        for _, size in sorted(sizes.items())
    ]  # fmt: skip
