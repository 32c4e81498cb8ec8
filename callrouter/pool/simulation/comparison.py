"""How much better one policy is than another, with the same people: person by person; and in numbers saved. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from callrouter.pool.simulation.report import verdict_table
from callrouter.pool.simulation.statistics import Estimate, Table, bootstrap
from callrouter.pool.simulation.truth import VERDICTS, Heard

RIGHT, MISROUTED, ALL = VERDICTS.index("right"), VERDICTS.index("misrouted"), len(VERDICTS)


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Of two shares of attributable calls: the first policy's less the second's."""

    right: Estimate
    misrouted: Estimate


class Judgement(msgspec.Struct, frozen=True):
    """Attributable calls, and the name of the judge who counts."""

    calls: Sequence[Heard]
    judge: str


def difference(first: Judgement, second: Judgement) -> Difference:
    """The calls of both have to be the same: the same world, the same seed."""
    if [_who(heard) for heard in first.calls] != [_who(heard) for heard in second.calls]:
        raise ValueError("the policies were not tried on the same calls")
    both = np.hstack([verdict_table(each.calls, each.judge) for each in (first, second)])
    return Difference(right=_of_column(both, RIGHT), misrouted=_of_column(both, MISROUTED))


def _who(heard: Heard) -> tuple[str, float]:
    return heard.call.person, heard.call.at


def _of_column(both: Table, place: int) -> Estimate:
    width = both.shape[1] // 2

    def figure(sums: Table) -> Table:
        calls = np.maximum(sums[:, ALL], 1)
        return (sums[:, place] - sums[:, width + place]) / calls

    return bootstrap(both, figure, within=(-1.0, 1.0))


class Needed(msgspec.Struct, frozen=True):
    """The numbers with which ours credits as many calls rightly. `high` None: perhaps more than were compared with."""

    numbers: int
    low: int
    high: int | None


def read_off(better: Mapping[int, Estimate]) -> Needed:
    """Where ours is neither better nor worse, from how much better it is with each number of numbers."""
    found = _crossing(better, lambda each: each.value)
    high = _crossing(better, lambda each: each.low)
    return Needed(numbers=found or max(better), low=_crossing(better, lambda each: each.high) or max(better), high=high)


def _crossing(better: Mapping[int, Estimate], bound: Callable[[Estimate], float]) -> int | None:
    """The fewest numbers from which on it is not below 0, as far as it was tried; None: it always is."""
    sizes = sorted(better)
    if bound(better[sizes[-1]]) < 0:
        return None
    for low, high in zip(reversed(sizes[:-1]), reversed(sizes[1:]), strict=True):
        below, above = bound(better[low]), bound(better[high])
        if below < 0:
            return round(math.exp(zero(math.log(low), below, math.log(high), above)))
    return sizes[0]


def zero(start: float, below: float, end: float, above: float) -> float:
    """Where the line from `below` at the start to `above` at the end crosses 0."""
    return start + (end - start) * -below / (above - below) if above > below else end
