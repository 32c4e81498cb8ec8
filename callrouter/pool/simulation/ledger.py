"""What a run counts beside its calls: visits, overflow, numbers in use, how long numbers rested. Pure."""

from __future__ import annotations

import math
from collections import Counter

import msgspec

from callrouter.numbers import Number
from callrouter.pool.simulation.world import HOUR

BINS_PER_OCTAVE = 4
"""Rests are kept by their logarithm: a quarter octave is within nine percent."""


class Ledger:
    """Counts what happens from `counted_from` on, in seconds of the world."""

    def __init__(self, counted_from: float) -> None:
        self._from = counted_from
        self.visits = 0
        self.bots = 0
        self.wanted: Counter[int] = Counter()
        """Visits that wanted a number, by the hour of the world … """
        self.overflowed: Counter[int] = Counter()
        """… and those of them that were told at any time that there is none."""
        self.in_use: list[int] = []
        """At equal intervals."""
        self.rests: Counter[int] = Counter()
        self._expires: dict[Number, float] = {}

    def visit(self, at: float, *, bot: bool) -> None:
        if at >= self._from:
            self.visits += 1
            self.bots += bot

    def wants(self, at: float) -> None:
        """A visit wants a number."""
        if at >= self._from:
            self.wanted[int(at // HOUR)] += 1

    def overflows(self, at: float) -> None:
        """A visit that came `at` was told for the first time that there is none."""
        if at >= self._from:
            self.overflowed[int(at // HOUR)] += 1

    def leased(self, at: float, number: Number, expires: float, *, new: bool) -> None:
        """A lease runs until `expires`; a `new` one ends the number's rest."""
        if new and number in self._expires and at >= self._from:
            self.rests[_bin(at - self._expires[number])] += 1
        self._expires[number] = expires

    def sample(self, at: float) -> None:
        """How many numbers are leased now?"""
        if at >= self._from:
            self.in_use.append(sum(expires > at for expires in self._expires.values()))

    def rest(self, share: float) -> float | None:
        """Seconds that this share of numbers rested at most before somebody got them."""
        left = share * self.rests.total()
        for place in sorted(self.rests):
            left -= self.rests[place]
            if left <= 0:
                return float(math.pow(2, place / BINS_PER_OCTAVE))
        return None


class Use(msgspec.Struct, frozen=True):
    mean: float
    most: int


def use(ledger: Ledger) -> Use:
    return Use(sum(ledger.in_use) / max(1, len(ledger.in_use)), max(ledger.in_use, default=0))


def _bin(seconds: float) -> int:
    return math.floor(math.log2(max(1.0, seconds)) * BINS_PER_OCTAVE)
