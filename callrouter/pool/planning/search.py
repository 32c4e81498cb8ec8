"""Which size reaches the target? Few sizes are measured, for each measurement is a run. Knows no simulation.

Two sizes are closed in on: the largest that fails and the smallest that passes. The next one to measure is where the
share of wrong calls, as the formula makes it fall between those two, meets the target. A measurement is repeated with
another seed until it is clear what it says: a size that seems to fail for no more than its measurement's doubt would
keep all smaller ones from being tried.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

import msgspec

from callrouter.pool.planning.demand import Target

SURE = 2.326
"""Standard deviations: of a hundred plans that were measured to be just good enough, 99 are."""
PRECISE = 1.05
"""Sizes that differ by less are the same."""
RUNS = 14
"""Afterwards what passes is good enough, and what fails is followed by something clearly larger."""
LATE_STEP = 1.15
FEWEST_SEEDS, MOST_SEEDS = 2, 5
"""Of a size that is named; of one that is not clear."""
BOLDEST = 4
"""A size is never followed by one that is more times larger or smaller."""
APART = 1.3
"""Two sizes that both fail tell how the share falls if one is so many times larger: else it is their chance."""
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
    fails: bool
    """Even if it were measured for ever, unless the runs so far had much bad luck."""
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
        chance = (together.spread + overflow) / self._calls
        doubt, least = SURE * math.sqrt(together.variance + chance), self._target.right + SURE * math.sqrt(chance)
        enough = overflow <= self._target.overflow
        size = Size(
            numbers=numbers, right=right, low=max(0.0, right - 1.96 * deviation),
            high=min(1.0, right + 1.96 * deviation), overflow=overflow, seeds=len(found), doubt=doubt,
            passes=enough and right - doubt >= self._target.right, fails=not enough or right + deviation < least,
        )  # fmt: skip
        self.sizes[numbers] = size
        return size

    async def smallest(self, least: int, guess: int, most: int) -> int | None:
        """The fewest numbers between `least` and `most` that pass with two seeds. None: even `most` do not."""
        failed, passed = least - 1, None
        numbers = min(max(guess, least), most)
        while True:
            size = await self._clear(numbers)
            if size.passes:
                passed = numbers
            elif numbers >= most:
                return None
            else:
                failed = numbers
            if passed is not None and (passed <= max(least, PRECISE * failed) or self._runs >= RUNS):
                return passed
            numbers = self._next(failed, passed, most)
            if passed is not None and passed <= PRECISE * numbers:
                return passed

    async def _clear(self, numbers: int) -> Size:
        size = await self.measured(numbers)
        while size.seeds < MOST_SEEDS and not size.fails and not (size.passes and size.seeds >= FEWEST_SEEDS):
            size = await self.measured(numbers, seeds=size.seeds + 1)
        return size

    @property
    def _runs(self) -> int:
        return sum(map(len, self._measured.values()))

    def _next(self, failed: int, passed: int | None, most: int) -> int:
        """Where the share of wrong calls just meets the target, within what is known."""
        nearest = min(self.sizes.values(), key=lambda size: abs(size.right - self._target.right))
        allowed = self._by_formula(1.0 - self._target.right - nearest.doubt, failed, passed)
        low, high = failed + 1, passed if passed is not None else most
        while low < high:
            middle = (low + high) // 2
            fits = 1.0 - self._curve.right(middle) <= allowed and self._curve.overflow(middle) <= self._target.overflow
            low, high = (low, middle) if fits else (middle + 1, high)
        if passed is None:
            step = PRECISE if self._runs < RUNS else LATE_STEP
            return min(most, max(math.ceil(failed * step), min(low, failed * BOLDEST)))
        return max(low, math.ceil(failed * math.sqrt(PRECISE)), passed // BOLDEST)

    def _by_formula(self, wrong: float, failed: int, passed: int | None) -> float:
        """The formula's share of wrong calls at which `wrong` are to be expected. By two sizes: some are lost at any
        size, and the others are more than the formula says; by one size, the others alone."""
        known = [(1.0 - self._curve.right(size.numbers), 1.0 - size.right) for size in self._telling(failed, passed)]
        (formula, truth), *others = known
        for other_formula, other_truth in others:
            if (truth - other_truth) * (formula - other_formula) > 0:
                return formula + (wrong - truth) * (formula - other_formula) / (truth - other_truth)
        return wrong * formula / max(truth, 1e-6)

    def _telling(self, failed: int, passed: int | None) -> list[Size]:
        """The size that is nearest to the answer, and another one, if the two tell how the share falls."""
        if passed is None:
            others = [size for size in self.sizes if size * APART <= failed]
            return [self.sizes[size] for size in (failed, *sorted(others)[-1:])]
        if failed in self.sizes:
            return [self.sizes[passed], self.sizes[failed]]
        others = [size for size in self.sizes if size >= passed * APART]
        return [self.sizes[size] for size in (passed, *sorted(others)[:1])]
