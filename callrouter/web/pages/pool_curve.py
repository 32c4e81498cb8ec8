"""A pool's planner's curve as a picture: how good a pool is by how many numbers it has, and where it stands now. Pure.

Works out places in a drawing; `pool_curve.html` draws it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from callrouter.pool.planning.standing import Reckoned, StoredPlan

WIDTH, HEIGHT = 640.0, 280.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 18.0, 16.0, 40.0
STEPS = (1, 2, 5)
MOST_TICKS = 9
FEWEST_POINTS = 2


class Tick(NamedTuple):
    at: float
    value: float


class Mark(NamedTuple):
    x: float
    y: float | None
    """None: beyond what was measured."""
    value: int


class Curve(NamedTuple):
    """`line`: points of a polyline. `now`: the numbers in use; `planned`: the size that the plan names."""

    line: str
    points: tuple[tuple[int, float], ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    now: Mark | None
    planned: Mark | None
    target: float | None
    """Where the line of the target is drawn."""


def planned_curve(plan: StoredPlan, numbers: int) -> Curve | None:
    """Share of calls credited rightly, as it was measured when the pool was planned."""
    points = sorted({point.numbers: point.right for point in plan.curve if point.hold == plan.hold}.items())
    return _curve(points, numbers, planned=plan.numbers, target=plan.target.right)


def reckoned_curve(reckoned: Reckoned, numbers: int) -> Curve | None:
    """Share of visitors who find a number, by arithmetic alone."""
    return _curve([(size, 1.0 - lost) for size, lost in reckoned.points], numbers, planned=reckoned.enough, target=0.99)


def _curve(points: Sequence[tuple[int, float]], numbers: int, *, planned: int, target: float) -> Curve | None:
    if len(points) < FEWEST_POINTS:
        return None
    sizes = [size for size, _ in points] + ([numbers] if numbers > 0 else [])
    low, high = max(1, min(sizes)), max(sizes)
    bottom = min(math.floor(min(share for _, share in points) * 20) / 20, 0.95)

    def x(size: float) -> float:
        share = (math.log(size) - math.log(low)) / max(1e-9, math.log(high) - math.log(low))
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(share: float) -> float:
        return round(TOP + (1.0 - share) / (1.0 - bottom) * (HEIGHT - TOP - BOTTOM), 1)

    return Curve(
        line=" ".join(f"{x(size)},{y(share)}" for size, share in points), points=tuple(points),
        x_ticks=tuple(_sizes(low, high, x)), y_ticks=tuple(_shares(bottom, y)),
        now=_mark(numbers, points, x, y) if numbers > 0 else None, planned=_mark(planned, points, x, y),
        target=y(target) if target >= bottom else None,
    )  # fmt: skip


def _mark(
    size: int, points: Sequence[tuple[int, float]], x: Callable[[float], float], y: Callable[[float], float]
) -> Mark:
    """On the line, between the points that were measured."""
    for (lower, below), (upper, above) in pairwise(points):
        if lower <= size <= upper:
            share = (math.log(size) - math.log(lower)) / max(1e-9, math.log(upper) - math.log(lower))
            return Mark(x(size), y(below + share * (above - below)), size)
    return Mark(x(size), None, size)


def _sizes(low: int, high: int, x: Callable[[float], float]) -> list[Tick]:
    decades = range(int(math.log10(low)), int(math.log10(high)) + 1)
    sizes = [step * 10**decade for decade in decades for step in STEPS if low <= step * 10**decade <= high]
    if len(sizes) > MOST_TICKS:
        sizes = [size for size in sizes if str(size)[0] == "1"]
    return [Tick(x(size), size) for size in sizes or [low, high]]


def _shares(bottom: float, y: Callable[[float], float]) -> list[Tick]:
    span = 1.0 - bottom
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 1.0) if span / step <= 5.01)  # noqa: PLR2004
    count = int(span / step + 1e-9)
    return [Tick(y(1.0 - place * step), 1.0 - place * step) for place in range(count + 1)]
