"""How much better one policy is than another, with the same people: person by person. Pure."""

from __future__ import annotations

from collections.abc import Sequence

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

    return bootstrap(both, figure)
