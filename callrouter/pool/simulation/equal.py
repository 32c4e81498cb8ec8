"""With how many numbers callrouter's way is as good as another way with more: found by trying."""

from __future__ import annotations

from functools import partial

import msgspec

from callrouter.pool.simulation.cases import Case, Progress, simulate
from callrouter.pool.simulation.policies import OURS
from callrouter.pool.simulation.report import Report

CLOSE = 1.05
"""As near as it is looked for: within five percent of the numbers."""


async def numbers_for_the_same(url: str, case: Case, other: Report, progress: Progress) -> int:
    """The fewest numbers with which `ours` credits as large a share rightly as `other` did, on the same people.

    Where even the smallest pool tried is as good, that one; where ours is not as good with as many, more is not tried.
    """
    wanted = other.engine.shares["right"].value
    low, high = 1, case.numbers
    while high > low * CLOSE and high - low > 1:
        middle = max(low + 1, min(high - 1, round((low * high) ** 0.5)))
        tried = msgspec.structs.replace(case, numbers=middle, policies=(OURS,), judges={})
        name = f"as good as {other.policy}: {middle:,}"
        result = await simulate(url, tried, partial(_told, progress, name))
        if result[OURS].report.engine.shares["right"].value >= wanted:
            high = middle
        else:
            low = middle
    return high


def _told(progress: Progress, name: str, _policy: str, share: float) -> None:
    progress(name, share)
