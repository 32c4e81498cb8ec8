"""Which size reaches the target? Few sizes are measured, for each measurement is a run. Knows no simulation.

The formula says how the share of wrong calls falls with the number of numbers; a measurement says by how much the truth
is worse at one size. The next size to measure is where the formula, worse by as much, meets the target. What passes is
tried again with another seed, and only sizes that pass together with it count.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

import msgspec

from callrouter.pool.planning.demand import Target

SURE = 2.326
"""Standard deviations: of a hundred plans that were measured to be just good enough, 99 are."""
PRECISE = 1.06
"""Sizes that differ by less are the same."""
RUNS = 7
BOLDEST = 4
"""A size is never followed by one that is more times larger or smaller."""
CAUTION = 1.05
NOTICEABLE = 4000
"""Calls among which a plan has to keep its word: by their chance, too, the share may not fall below the target."""


M = TypeVar("M", bound="Measured")


class Measured(Protocol):
    """What a run tells of a size."""

    @property
    def share(self) -> float: ...
    @property
    def variance(self) -> float: ...
    @property
    def spread(self) -> float: ...
    def __add__(self: M, other: M, /) -> M: ...


class Curve(Protocol):
    """The formula's answers."""

    def right(self, numbers: int) -> float: ...
    def overflow(self, numbers: int) -> float: ...


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """A size that was measured: the share of right calls, and between which bounds it is by 95 %."""

    numbers: int
    right: float
    low: float
    high: float
    overflow: float
    passes: bool
    doubt: float
    """By so much a plan of this size has to be better than its target."""
    seeds: int = 1


class Search(Generic[M]):
    """`measure` is told numbers and which seed of several; it tells of visitors who have a number. How many have none
    is Erlang's."""

    def __init__(
        self, curve: Curve, target: Target, measure: Callable[[int, int], Awaitable[M]], *, calls: float
    ) -> None:
        self._curve = curve
        self._target = target
        self._measure = measure
        self._calls = max(NOTICEABLE, calls)
        self._measured: dict[int, list[M]] = {}
        self.sizes: dict[int, Size] = {}

    async def measured(self, numbers: int, *, seeds: int = 1) -> Size:
        found = self._measured.setdefault(numbers, [])
        while len(found) < seeds:
            found.append(await self._measure(numbers, len(found)))
        together = found[0]
        for other in found[1:]:
            together = together + other
        overflow = self._curve.overflow(numbers)
        right = together.share * (1 - overflow)
        deviation = math.sqrt(together.variance)
        doubt = SURE * math.sqrt(together.variance + (together.spread + overflow) / self._calls)
        passes = right - doubt >= self._target.right and overflow <= self._target.overflow
        size = Size(
            numbers=numbers, right=right, low=max(0.0, right - 1.96 * deviation),
            high=min(1.0, right + 1.96 * deviation), overflow=overflow, passes=passes, seeds=len(found), doubt=doubt,
        )  # fmt: skip
        self.sizes[numbers] = size
        return size

    async def smallest(self, least: int, guess: int, most: int) -> int | None:
        """The fewest numbers between `least` and `most` that pass with two seeds. None: even `most` do not."""
        failed, passed = least - 1, None
        numbers = min(max(guess, least), most)
        for _ in range(RUNS):
            size = await self.measured(numbers)
            if size.passes or numbers >= most:
                size = await self.measured(numbers, seeds=2)
            if size.passes:
                passed = numbers
            elif numbers >= most:
                return None
            else:
                failed = max(failed, numbers)
            numbers = self._next(failed, passed, most)
            if passed is not None and (passed <= least or passed <= PRECISE * max(failed, numbers)):
                return passed
        return passed if passed is not None else await self._upwards(failed, most)

    async def _upwards(self, failed: int, most: int) -> int | None:
        numbers = failed
        while numbers < most:
            numbers = min(most, math.ceil(numbers * 1.15))
            size = await self.measured(numbers, seeds=2)
            if size.passes:
                return numbers
        return None

    def _next(self, failed: int, passed: int | None, most: int) -> int:
        """Where the share of wrong calls, as it went so far, just meets the target; within what is known."""
        nearest = min(self.sizes.values(), key=lambda size: abs(size.right - self._target.right))
        allowed = self._by_formula(1.0 - self._target.right - nearest.doubt * CAUTION)
        low, high = failed + 1, passed if passed is not None else most
        while low < high:
            middle = (low + high) // 2
            fits = 1.0 - self._curve.right(middle) <= allowed and self._curve.overflow(middle) <= self._target.overflow
            low, high = (low, middle) if fits else (middle + 1, high)
        if passed is None:
            return min(most, max(math.ceil(failed * PRECISE), min(low, failed * BOLDEST)))
        return max(low, failed + 1, passed // BOLDEST)

    def _by_formula(self, wrong: float) -> float:
        """The formula's share of wrong calls at which `wrong` are to be expected. By two sizes, those nearest: some are
        lost at any size, and the others are more than the formula says; by one size, the others alone."""
        known = [(1.0 - self._curve.right(size.numbers), 1.0 - size.right) for size in self.sizes.values()]
        known.sort(key=lambda each: abs(each[1] - wrong))
        (formula, truth), *others = known
        for other_formula, other_truth in others[:1]:
            if (truth - other_truth) * (formula - other_formula) > 0:
                return formula + (wrong - truth) * (formula - other_formula) / (truth - other_truth)
        return wrong * formula / max(truth, 1e-6)
