"""Who comes to which site when, what he does there and whether he calls: drawn from a world. Pure and seeded.

`visits` yields every visit of a world in the order of their beginning, each with all signs of life that its page sends
and with all calls that it leads to. Which number is shown is not known here: a call names the visit whose number it
dials. Times are seconds from the world's beginning, which is a Monday at midnight.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from callrouter.numbers import Number
from callrouter.pool.simulation.world import DelayClass, World

SignKind = Literal["page", "alive", "closed"]
CallKind = Literal["first", "redial", "again", "friend", "wrong", "robocall"]


class Sign(msgspec.Struct, frozen=True, gc=False):
    """A page's signal: another page was opened, the page is still looked at, the page was closed."""

    at: float
    kind: SignKind


class PlannedCall(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`phone` is what the PBX sees (None: withheld). `line` in [0, 1) chooses a number of the pool where no visit showed
    one: strangers, and people whose visit was before the world began."""

    at: float
    kind: CallKind
    phone: Number | None
    talk: float
    delay: DelayClass | None = None
    """Of the first call that began it."""
    person: str = ""
    line: float = 0.0
    account: int | None = None
    """Whom the caller means to call; None: nobody of this pool."""

    @property
    def attributable(self) -> bool:
        """The caller himself saw a substitute number on a tracked visit (or would have, had there been one left)."""
        return self.kind in ("first", "redial", "again")


class PlannedVisit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One visit as its page tells it: asked for at `at`, then `signs` in order. `left` is when the person turned away."""

    id: str
    person: str
    visitor: str
    account: int
    site: int
    at: float
    left: float
    campaign: str = ""
    wants_number: bool = True
    signs: tuple[Sign, ...] = ()
    calls: tuple[PlannedCall, ...] = ()


def visits(world: World, seed: int, *, hold: float) -> Iterator[PlannedVisit]:
    """All visits of `world`, by `at`. `hold` in seconds decides how often pages say that they are alive.

    The same seed brings the same people, whatever the pool does with them and however many numbers it has.
    """
    raise NotImplementedError


def strangers(world: World, seed: int, *, numbers: int) -> Iterator[PlannedCall]:
    """Calls on the pool's numbers that no visit of the world leads to, by `at`."""
    raise NotImplementedError
