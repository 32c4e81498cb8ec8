"""Has a live pool left its plan? Judges what was measured, with hysteresis. Pure: measures nothing, says nothing."""

from __future__ import annotations

from typing import Literal

import msgspec

Deviation = Literal["numbers", "occupancy", "rest", "overflow"]

OCCUPANCY_ENTER, OCCUPANCY_LEAVE = 1.2, 1.05
"""Of the planned peak: so many times as many leases at once is more traffic than was planned for."""
REST_ENTER, REST_LEAVE = 0.75, 0.9
"""Of the planned rest: numbers come round sooner, and more callers reach the wrong visit."""
OVERFLOW_ENTER, OVERFLOW_LEAVE = 2.0, 1.0
"""Of the overflow share that was planned for."""
FEWEST_VISITS = 200
"""Of so many visits, a share of overflow says something."""


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan expects of a pool."""

    numbers: int
    leased_peak: float
    """Leases at once in the busiest hour."""
    rest: float
    """Seconds that a number rests in the busiest hours before it is leased again."""
    overflow: float
    """Share of visitors who may find the pool empty."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of it."""

    numbers: int
    leased: int
    rest: float | None
    """Seconds for which the number that is leased next has rested; None: it was never leased, or all are leased."""
    visits: int = 0
    """That wanted a number lately, and how many of them found none."""
    overflowed: int = 0


def judge(promise: Promise, seen: Seen, before: frozenset[Deviation] = frozenset()) -> frozenset[Deviation]:
    """In what the pool deviates from its plan. What deviated `before` has to be well within it again to be in order."""
    found: set[Deviation] = set()
    if seen.numbers < promise.numbers:
        found.add("numbers")
    if seen.leased > promise.leased_peak * _limit("occupancy", before, OCCUPANCY_ENTER, OCCUPANCY_LEAVE):
        found.add("occupancy")
    if seen.rest is not None and seen.rest < promise.rest * _limit("rest", before, REST_ENTER, REST_LEAVE):
        found.add("rest")
    if _overflows(promise, seen, before):
        found.add("overflow")
    return frozenset(found)


def _overflows(promise: Promise, seen: Seen, before: frozenset[Deviation]) -> bool:
    if seen.visits < FEWEST_VISITS:
        return "overflow" in before and seen.overflowed > 0
    limit = promise.overflow * _limit("overflow", before, OVERFLOW_ENTER, OVERFLOW_LEAVE)
    return seen.overflowed > limit * seen.visits


def _limit(what: Deviation, before: frozenset[Deviation], enter: float, leave: float) -> float:
    return leave if what in before else enter
