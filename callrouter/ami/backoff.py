"""How long to wait before the next attempt. Knows nothing of what is attempted."""

from __future__ import annotations

import random

_dice = random.SystemRandom()


class Backoff:
    """Doubles from `first` to `longest`, each wait shortened at random by up to half: peers do not return in step."""

    def __init__(self, first: float = 0.5, longest: float = 30.0) -> None:
        self.first = first
        self.longest = longest
        self._attempts = 0

    def next(self) -> float:
        wait = min(self.longest, self.first * 2.0**self._attempts)
        self._attempts = min(self._attempts + 1, 32)
        return float(wait * _dice.uniform(0.5, 1.0))

    def succeeded(self) -> None:
        self._attempts = 0
