"""How far a figure is from the one before, and whether chance alone explains it. Pure.

Counts vary as counts of independent events do (Poisson), shares by their own intervals (Newcombe's). What is not sure
is told as such: a call more than last week is no news.
"""

from __future__ import annotations

import math

import msgspec

from callrouter.reports.figures import Share, Z

FEWEST_FOR_PERCENT = 10
"""Of less than that no percentage is told: 2 instead of 1 is no growth by 100 %."""
WIDEST = 0.3
"""An interval that is wider says next to nothing."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """`share`: of the figure before; None where that is too small. `sure`: it is more than chance explains."""

    by: float
    share: float | None
    sure: bool


def of_counts(now: float, before: float) -> Change:
    by = now - before
    share = by / before if before >= FEWEST_FOR_PERCENT else None
    return Change(by=by, share=share, sure=abs(by) > Z * math.sqrt(now + before))


def of_means(now: float, before: float, counted: tuple[float, float]) -> Change:
    """Of times, which vary as much as they are long (as those of exponential waits do)."""
    by = now - before
    spread = math.sqrt(sum(mean * mean / max(1, count) for mean, count in zip((now, before), counted, strict=True)))
    return Change(by=by, share=None, sure=abs(by) > Z * spread)


def of_amounts(now: float, before: float, counted: float) -> Change:
    """Of money, of which nobody knows how it varies: sure if it is `counted` of enough."""
    by = now - before
    return Change(by=by, share=by / before if before > 0 else None, sure=counted >= FEWEST_FOR_PERCENT)


def of_shares(now: Share, before: Share) -> Change:
    """In points: no share of a share."""
    by = now.value - before.value
    down = math.hypot(now.value - now.low, before.high - before.value)
    up = math.hypot(now.high - now.value, before.value - before.low)
    return Change(by=by, share=None, sure=by - down > 0 or by + up < 0)


def is_vague(share: Share) -> bool:
    """Too small a sample to say."""
    return share.high - share.low > WIDEST
