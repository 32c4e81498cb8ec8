"""How long something takes: distributions that are none of the engine's own, drawn from named streams. Pure."""

from __future__ import annotations

import hashlib
import math
from random import Random
from typing import Literal

import msgspec

LN2 = math.log(2)


class Spread(msgspec.Struct, frozen=True):
    """A positive time in seconds, by its median and one shape.

    lognormal: `shape` is the standard deviation of the logarithm; heavy-tailed from about 1.
    weibull: `shape` 1 is the exponential; below 1 its tail is longer, above 1 shorter.
    """

    family: Literal["lognormal", "weibull"]
    median: float
    shape: float

    def draw(self, stream: Random) -> float:
        if self.family == "lognormal":
            return self.median * math.exp(self.shape * stream.gauss(0.0, 1.0))
        return self._scale * math.pow(-math.log(1.0 - stream.random()), 1.0 / self.shape)

    def density(self, seconds: float) -> float:
        """Probability density, per second."""
        if seconds <= 0:
            return 0.0
        if self.family == "lognormal":
            z = math.log(seconds / self.median) / self.shape
            return math.exp(-z * z / 2) / (seconds * self.shape * math.sqrt(2 * math.pi))
        x = seconds / self._scale
        return self.shape / self._scale * math.pow(x, self.shape - 1) * math.exp(-math.pow(x, self.shape))

    def beyond(self, seconds: float) -> float:
        """The share that takes longer."""
        if seconds <= 0:
            return 1.0
        if self.family == "lognormal":
            return 0.5 * math.erfc(math.log(seconds / self.median) / self.shape / math.sqrt(2))
        return math.exp(-math.pow(seconds / self._scale, self.shape))

    @property
    def mean(self) -> float:
        if self.family == "lognormal":
            return self.median * math.exp(self.shape**2 / 2)
        return self._scale * math.gamma(1 + 1 / self.shape)

    @property
    def _scale(self) -> float:
        return self.median / math.pow(LN2, 1 / self.shape)


def stream(*names: int | str) -> Random:
    """A stream of its own for whatever is named, so that drawing more in one place shifts nothing in another."""
    return Random(_hashed(names))  # noqa: S311 - nothing is secret here, and all must be repeatable


def chance(*names: int | str) -> float:
    """One draw in [0, 1) that belongs to whatever is named; far cheaper than a stream."""
    return (_hashed(names) >> 11) / (1 << 53)


def _hashed(names: tuple[int | str, ...]) -> int:
    text = "/".join(map(str, names)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
