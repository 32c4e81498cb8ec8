"""With how many numbers callrouter's way is as good as another way with more: found by trying, with its interval.

Each size that is tried is compared with the other way call by call, on the same people; what lies between two sizes is
read off the line between them, by the logarithm of the numbers. Sizes tried for one policy serve the next.
"""

from __future__ import annotations

import math
from functools import partial

import msgspec

from callrouter.pool.simulation.cases import Case, Progress, Result, simulate
from callrouter.pool.simulation.comparison import Judgement, Needed, difference, read_off, zero
from callrouter.pool.simulation.policies import OURS
from callrouter.pool.simulation.statistics import Estimate

CLOSE = 1.05
"""As near as it is looked for: within five percent of the numbers."""
STEP = 2.0
"""So much fewer is tried until ours is worse."""
INSIDE = 0.15
"""A size between two is at least that part of the way from either."""


class Equals:
    """Ours with fewer and fewer numbers, against others that have `case.numbers`."""

    def __init__(self, url: str, case: Case, ours: Result, progress: Progress) -> None:
        self._url = url
        world = case.world.settled(case.numbers)  # the same days for every size: the same calls
        self._case = msgspec.structs.replace(case, world=world, policies=(OURS,), judges={})
        self._progress = progress
        self._tried: dict[int, Judgement] = {case.numbers: ours.judgement}

    async def of(self, other: Result) -> Needed:
        """Where ours is not as good with as many, more is not tried."""
        better = {size: self._better(size, other) for size in self._tried}
        most = self._case.numbers
        if better[most].value >= 0:
            await self._narrow(other, better)
        return read_off(better)

    def _better(self, size: int, other: Result) -> Estimate:
        return difference(self._tried[size], other.judgement).right

    async def _narrow(self, other: Result, better: dict[int, Estimate]) -> None:
        """Try sizes until two have the other's accuracy between them that are close, or no worse and no better than
        chance may make them."""
        while True:
            high = min(size for size in better if better[size].value >= 0)
            low = max((size for size in better if size < high), default=0)
            size = _between(low, better[low].value, high, better[high].value) if low else max(1, round(high / STEP))
            if high <= max(1, low) * CLOSE or size in better:
                return
            if low and better[low].high >= 0 >= better[high].low:
                return
            await self._try(size, f"as good as {other.report.policy}: {size:,}")
            better[size] = self._better(size, other)

    async def _try(self, size: int, name: str) -> None:
        case = msgspec.structs.replace(self._case, numbers=size)
        result = await simulate(self._url, case, partial(_told, self._progress, name))
        self._tried[size] = result[OURS].judgement


def _between(low: int, below: float, high: int, above: float) -> int:
    """Where the line between both crosses 0, but well away from either."""
    start, end = math.log(low), math.log(high)
    part = (zero(start, below, end, above) - start) / (end - start)
    return round(math.exp(start + (end - start) * min(1 - INSIDE, max(INSIDE, part))))


def _told(progress: Progress, name: str, _policy: str, share: float) -> None:
    progress(name, share)
