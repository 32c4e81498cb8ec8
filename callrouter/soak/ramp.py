"""Which rate is held: faster and faster until one is not, then up and down around it. Pure: who calls it tries."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import geometric_mean

import msgspec

from callrouter.lab.load import Noted

FASTER = 1.3
STEP = 1.05
TURNS = 10
"""Tries from the first that ends otherwise than all before."""
AVERAGED = 8
"""The last rates of a search, of which the mean is taken: by then it is where it goes up and down."""
LEAST_RATE = 1.0
LATE_S = 0.5
"""In a try of 20 s they wait so long who are a fortieth more than it holds."""
LAG = 1.05
"""Callers who come so much slower than wanted were kept back: as many as may call at once did."""
FEW = 0.01
"""This share of callers may hear nothing for longer than LATE_S, or be let down."""


class Try(msgspec.Struct, frozen=True):
    """What came of one rate."""

    rate: float
    held: bool
    slowest_s: float
    """What 99 of 100 callers waited at most until they heard anything."""
    failed: int
    asterisk_ms: float
    """CPU a call of Asterisk alone."""


class Ramp:
    """Ask for the `next` rate, `note` what came of it; `held` is in the end the rate that every other try holds.

    A rate near the limit is held in one minute and not in the next, so the highest that was once held says little.
    From halfway between the last that was held and the first that was not, the search goes one step up after each that
    is held and one down after each that is not; the mean of the last rates is what is sought, the one to which the last
    try leads included (the up-and-down method of Dixon and Mood, 1948, as in Brownlee, Hodges and Rosenblatt, J. Am.
    Stat. Assoc. 48, 1953).
    """

    def __init__(self, first: float) -> None:
        self.tries: list[Try] = []
        self._rates = [first]
        """Those tried, and the next."""
        self._turns = 0

    @property
    def next(self) -> float | None:
        """None: the search is over."""
        return None if self._turns == TURNS or self._rates[-1] < LEAST_RATE else round(self._rates[-1], 1)

    @property
    def held(self) -> float:
        """0 as long as it is not known."""
        return round(geometric_mean(self._rates[-AVERAGED:]), 1) if self._turns == TURNS else 0.0

    def note(self, one: Try) -> None:
        """What came of the `next` rate."""
        rate, held = self._rates[-1], one.held
        self.tries.append(one)
        self._turns += bool(self._turns) or held != self.tries[0].held
        if self._turns > 1:
            self._rates.append(rate * STEP if held else rate / STEP)
        elif self._turns:
            self._rates.append((rate * self._rates[-2]) ** 0.5)
        else:
            self._rates.append(rate * FASTER if held else rate / FASTER**2)


def tried(rate: float, notes: Sequence[Noted], asterisk_ms: float) -> Try:
    """Was it held? Callers came as fast as wanted, heard something soon, and were served."""
    waits = sorted(note.heard - note.began if note.heard else float("inf") for note in notes)
    slowest = waits[int(len(waits) * (1 - FEW)) - 1]
    failed = sum(bool(note.trouble) or not note.ended for note in notes)
    began = [note.began for note in notes if note.began]
    in_time = max(began) - min(began) < len(notes) / rate * LAG + 1
    held = in_time and slowest <= LATE_S and failed <= len(notes) * FEW
    return Try(rate, held, round(slowest, 3), failed, round(asterisk_ms, 2))


def rate_of(notes: Sequence[Noted]) -> float:
    """Calls a second, from the first that began to the last."""
    began = [note.began for note in notes if note.began]
    seconds = max(began, default=0.0) - min(began, default=0.0)
    return round(len(began) / seconds, 1) if seconds else 0.0
