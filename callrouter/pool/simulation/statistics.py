"""How sure a share is: Wilson's interval where trials are independent, else the bootstrap over people. Pure.

One person's calls stand or fall together (who is not known at his first call is not at his second), so that calls are
drawn again person by person.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Z = 1.959964
"""Of 95 %."""
DRAWS = 1000
AT_ONCE = 100
GROUPS = 2000
"""People beyond so many are drawn in groups: as many again would make no interval truer, only slower."""
Table = NDArray[np.float64]


class Estimate(msgspec.Struct, frozen=True):
    value: float
    low: float
    high: float

    @property
    def interval(self) -> list[float]:
        return [round(self.low, 5), round(self.high, 5)]


def wilson(hits: float, trials: float) -> Estimate:
    """A share of independent trials."""
    if trials <= 0:
        return Estimate(0.0, 0.0, 1.0)
    share = hits / trials
    scale = 1 + Z * Z / trials
    middle = (share + Z * Z / (2 * trials)) / scale
    half = Z * math.sqrt(share * (1 - share) / trials + Z * Z / (4 * trials * trials)) / scale
    return Estimate(share, max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share)))


ANYTHING = (0.0, 1.0)


def bootstrap(
    table: Table, figure: Callable[[Table], Table], *, seed: int = 0, within: tuple[float, float] = ANYTHING
) -> Estimate:
    """`table` has a row of sums per person; `figure` makes of rows of such sums a figure each, which lies `within`."""
    value = float(figure(table.sum(axis=0, keepdims=True))[0])
    if len(table) < 2:  # noqa: PLR2004 - of one person nothing can be drawn, so nothing is known
        return Estimate(value, *within)
    if len(table) > GROUPS:
        table = np.add.reduceat(table, np.arange(GROUPS) * len(table) // GROUPS, axis=0)
    draws = np.random.default_rng(seed)
    found = []
    for _ in range(DRAWS // AT_ONCE):
        weights = draws.multinomial(len(table), np.full(len(table), 1 / len(table)), size=AT_ONCE)
        found.append(figure(weights @ table))
    low, high = np.nanquantile(np.concatenate(found), [0.025, 0.975])
    return Estimate(value, float(min(low, value)), float(max(high, value)))


def mean(table: Table) -> Estimate:
    """Of a sum per person and how many it is of, two columns: the mean of the whole, by its linear error."""
    total = float(table[:, 1].sum())
    value = float(table[:, 0].sum()) / total
    apart = table[:, 0] - value * table[:, 1]
    half = Z * math.sqrt(float((apart**2).sum())) / total
    return Estimate(value, value - half, value + half)


def ratio(top: int, bottom: int) -> Callable[[Table], Table]:
    """Of two columns' sums."""

    def figure(sums: Table) -> Table:
        below = sums[:, bottom]
        return np.where(below > 0, sums[:, top] / np.where(below > 0, below, 1), 0.0)

    return figure


def by_person(names: Sequence[str], columns: Sequence[Sequence[Any]]) -> Table:
    """Sums of each column's values per name."""
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    rows = np.array([places[name] for name in names], dtype=np.int64)
    table = np.zeros((len(places), len(columns)))
    for place, values in enumerate(columns):
        np.add.at(table[:, place], rows, np.asarray(values, dtype=np.float64))
    return table
