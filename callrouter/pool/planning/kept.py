"""Does a plan keep its word? A whole simulated world of other people, at full scale, with as many numbers as it names.

Nothing of how the plan was found is used: no trial's scale, no calls drawn afterwards. What counts is what
`callrouter pool simulate` counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from callrouter.pool.planning.demand import Demand
from callrouter.pool.planning.search import NOTICEABLE
from callrouter.pool.simulation.cases import Case, simulate
from callrouter.pool.simulation.policies import OURS

WEEK = 7
LONGEST = 52
"""Weeks."""
FURTHER_CALLS = 1.25
"""Attributable calls for each first one, about."""
APART = 7919
"""From the planner's seeds, and from one another."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the calls of one world. `holds`: of both targets."""

    seed: int
    numbers: int
    days: float
    visits: int
    calls: int
    """Attributable ones."""
    right: float
    right_low: float
    right_high: float
    misrouted: float
    overflow: float
    holds: bool


async def kept(
    url: str, demand: Demand, numbers: int, *, seed: int, calls: float = NOTICEABLE,
    progress: Callable[[float], None] = lambda _share: None,
) -> Kept:  # fmt: skip
    """Whole weeks, until there are about so many `calls`."""
    world = msgspec.structs.replace(demand.world, days=float(days_for(demand, calls)))
    case = Case(
        world=world, numbers=numbers, seed=seed, hold=demand.hold, window=demand.window, model=demand.model
    )  # fmt: skip
    report = (await simulate(url, case, lambda _name, share: progress(share)))[OURS].report
    right, overflow = report.engine.shares["right"], report.overflow.value
    return Kept(
        seed=seed, numbers=numbers, days=world.days, visits=report.visits, calls=report.attributable,
        right=right.value, right_low=right.low, right_high=right.high,
        misrouted=report.engine.shares["misrouted"].value, overflow=overflow,
        holds=right.value >= demand.target.right and overflow <= demand.target.overflow,
    )  # fmt: skip


def days_for(demand: Demand, calls: float) -> int:
    """Whole weeks: each of their days counts as often as the others."""
    weekly = demand.formula.leases_per_day * WEEK * demand.world.calling.share * FURTHER_CALLS
    return WEEK * min(LONGEST, max(1, math.ceil(calls / weekly)))


def other_seeds(seed: int, count: int) -> list[int]:
    """Those of people whom the planner that was given `seed` has not seen."""
    return [seed + APART * turn for turn in range(1, count + 1)]
