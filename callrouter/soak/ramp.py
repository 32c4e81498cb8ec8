"""Which rate is held: faster and faster until it is not, then closer and closer. Pure: who calls it tries."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from callrouter.lab.load import Noted

FASTER = 1.3
CLOSE = 1.05
"""The lowest rate that was not held, in parts of the highest that was, at which the search ends."""
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
    """Ask for the `next` rate, tell what came of it; `held` is the highest that was."""

    def __init__(self, first: float) -> None:
        self.tries: list[Try] = []
        self._first = first

    @property
    def held(self) -> float:
        return max((one.rate for one in self.tries if one.held), default=0.0)

    @property
    def next(self) -> float | None:
        """None: it is known closely enough."""
        failed = [one.rate for one in self.tries if not one.held]
        if not failed:
            return round(self.held * FASTER or self._first, 1)
        if not self.held:
            return round(min(failed) / FASTER**2, 1) if min(failed) > 1 else None
        return round((self.held + min(failed)) / 2, 1) if min(failed) > self.held * CLOSE else None


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
