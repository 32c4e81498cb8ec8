"""Erlang's loss formula and the market's rules of thumb: how many numbers, by arithmetic alone. Pure: no traffic model.

A lease is a call in Erlang's terms and a number a line: visitors who come while all numbers are leased get none. The
formula holds for any distribution of how long a lease lasts, only its mean counts. It knows nothing of calls: it says
how many visitors see a number of their own, and nothing about whether late callers still reach the right visit.
"""

from __future__ import annotations

import math

BEYOND = 1e15
LARGEST = 10_000_000
"""A load that needs more numbers than that is a mistake in the input."""


def blocking(load: float, numbers: int) -> float:
    """The share of visitors who find every number leased: Erlang-B.

    One over it is 1 + N/A + N(N-1)/A² + …, of which few terms count: they shrink soon, or grow beyond all measure.
    """
    if load <= 0:
        return 0.0 if numbers else 1.0
    inverse = term = 1.0
    for n in range(numbers, 0, -1):
        term *= n / load
        inverse += term
        if inverse > BEYOND:
            return 0.0
        if term < inverse / BEYOND:
            break
    return 1.0 / inverse


def numbers_for(load: float, target: float) -> int:
    """The fewest numbers at which at most `target` of the visitors find none."""
    if not 0 < target < 1:
        raise ValueError(f"a share of visitors without a number is between 0 and 1, not {target}")
    if not 0 <= load < LARGEST:
        raise ValueError(f"{load} leases at once are no load to plan for")
    inverse, n = 1.0, 0
    while inverse * target < 1.0:
        n += 1
        inverse = 1.0 + inverse * n / load if load else math.inf
    return n


def offered_load(leases_per_hour: float, visit_seconds: float, hold_seconds: float) -> float:
    """Leases at once: as many as begin in the time that one lasts, which is the visit and the hold after it."""
    return leases_per_hour * (visit_seconds + hold_seconds) / 3600.0


def per_hour_rule(visitors_in_peak_hour: float) -> int:
    """ "Visitors per hour ÷ 4". It silently assumes that a number is needed for a quarter of an hour."""
    return math.ceil(visitors_in_peak_hour / 4)


def per_day_rule(daily_visitors: float) -> int:
    """ "One number per 20 daily visitors"."""
    return math.ceil(daily_visitors / 20)
