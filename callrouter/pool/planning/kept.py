"""Does a plan keep its word? A whole simulated world of other people, at full scale, with as many numbers as it names.

Nothing of how the plan was found is used: other people, no trial's scale. What counts is what `callrouter pool
simulate` counts: calls that came. A few weeks have too few of them to tell 97 % from 98 %, so that calls are also tried
on the same world's visits: whether a world fell short by chance, they tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import msgspec

from callrouter.pool.planning.demand import Demand
from callrouter.pool.planning.measure import Trial, counted_probes
from callrouter.pool.planning.recording import Record, RecordingStore
from callrouter.pool.planning.search import NOTICEABLE
from callrouter.pool.simulation.judges import ENGINE, engine
from callrouter.pool.simulation.policies import OURS
from callrouter.pool.simulation.premises import premises
from callrouter.pool.simulation.report import Circumstances, Report, report
from callrouter.pool.simulation.runner import Runner, Setting
from callrouter.pool.simulation.world import DAY, World
from callrouter.pool.store import LeaseStore, Lifetimes

WEEK = 7
LONGEST = 52
"""Weeks."""
FURTHER_CALLS = 1.25
"""Attributable calls for each first one, about."""
APART = 7919
"""From the planner's seeds, and from one another."""
Z = 1.96


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the calls of one world."""

    seed: int
    numbers: int
    days: float
    visits: int
    calls: int
    """Attributable ones that came."""
    right: float
    right_low: float
    right_high: float
    misrouted: float
    overflow: float
    tried: int
    """Calls tried on this world's visits, and how many of them were right."""
    tried_right: float
    tried_low: float
    tried_high: float
    holds: bool
    """The calls that were tried reach the target, those that came do or fall short by no more than chance, and few
    enough visitors found no number."""


async def kept(
    url: str, demand: Demand, numbers: int, *, seed: int, calls: float = NOTICEABLE,
    progress: Callable[[float], None] = lambda _share: None,
) -> Kept:  # fmt: skip
    """Whole weeks, until there are about so many `calls`, and as long after them as a call may come late."""
    late = (demand.window + demand.hold).total_seconds()
    world = msgspec.structs.replace(demand.world, days=days_for(demand, calls) + late / DAY).settled(numbers)
    trial = Trial(world=world, hold=demand.hold, lifetimes=Lifetimes(window=demand.window), tail=late)
    judge = engine(msgspec.structs.replace(demand.model, window=demand.window))
    async with premises(url, lifetimes=trial.lifetimes) as place:
        recording = RecordingStore(place.store)
        place.store = cast(LeaseStore, recording)
        runner = Runner(place, world, Setting(numbers=numbers, hold=demand.hold), {ENGINE: judge})
        outcome = await runner.run(seed, progress=progress)
    found = counted_probes(trial, Record(recording.answers, demand.hold), judge, seed=seed)
    return _judged(
        demand, report(_circumstances(demand, world, numbers, seed), outcome.calls, outcome.ledger),
        tried=found.calls, share=found.share, deviation=found.deviation,
    )  # fmt: skip


def _judged(demand: Demand, seen: Report, *, tried: int, share: float, deviation: float) -> Kept:
    came, target = seen.engine.shares["right"], demand.target
    overflow = seen.overflow.value if seen.overflow.low > 0 else 0.0
    reached = share * (1 - overflow)
    return Kept(
        seed=seen.seed, numbers=seen.numbers, days=seen.days, visits=seen.visits, calls=seen.attributable,
        right=came.value, right_low=came.low, right_high=came.high, misrouted=seen.engine.shares["misrouted"].value,
        overflow=overflow, tried=tried, tried_right=reached, tried_low=reached - Z * deviation,
        tried_high=min(1.0, reached + Z * deviation),
        holds=reached >= target.right and came.high >= target.right and overflow <= target.overflow,
    )  # fmt: skip


def _circumstances(demand: Demand, world: World, numbers: int, seed: int) -> Circumstances:
    return Circumstances(
        policy=OURS, world=world.name, seed=seed, numbers=numbers, hold_s=demand.hold.total_seconds(),
        window_s=demand.window.total_seconds(), days=world.days,
    )  # fmt: skip


def days_for(demand: Demand, calls: float) -> int:
    """Whole weeks: each of their days counts as often as the others."""
    weekly = demand.formula.leases_per_day * WEEK * demand.world.calling.share * FURTHER_CALLS
    return WEEK * min(LONGEST, max(1, math.ceil(calls / weekly)))


def other_seeds(seed: int, count: int) -> list[int]:
    """Those of people whom the planner that was given `seed` has not seen."""
    return [seed + APART * turn for turn in range(1, count + 1)]
