"""Which fault comes when, and for how long. Pure: the same seed, seconds and faults give the same schedule."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec

LEAD_S, TAIL_S = 3.0, 3.0
"""Calm before the first fault, and after the last."""
SHORTEST_S, LONGEST_S = 1.5, 4.0
PAUSE_S = 2.0
"""Between two faults at least, so that each meets a product that works."""
SLOT_S = LONGEST_S + PAUSE_S


class Injection(msgspec.Struct, frozen=True):
    """One fault: when it begins, in seconds from the first call, and how long it lasts."""

    fault: str
    at: float
    lasts: float


def schedule(seed: int, seconds: float, faults: Sequence[str]) -> tuple[Injection, ...]:
    """Each fault once in some order, then each again in another, as long as there is time."""
    chance = random.Random(seed)
    slots = max(1, int((seconds - LEAD_S - TAIL_S) // SLOT_S))
    order: list[str] = []
    while len(order) < slots:
        order += chance.sample(sorted(faults), len(faults))
    return tuple(
        Injection(fault, round(LEAD_S + n * SLOT_S, 2), round(chance.uniform(SHORTEST_S, LONGEST_S), 2))
        for n, fault in enumerate(order[:slots])
    )
