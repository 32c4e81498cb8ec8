"""One size of a pool, measured: a small run of the simulation, and many calls tried on what it leaves behind.

Knows the simulation and its store; which sizes are worth measuring is `search`'s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import groupby
from typing import cast

import msgspec

from callrouter.pool.planning.probe import Prober, Tried
from callrouter.pool.planning.recording import Record, RecordingStore
from callrouter.pool.simulation.judges import ENGINE, Judge
from callrouter.pool.simulation.premises import premises
from callrouter.pool.simulation.runner import MONDAY, Runner, Setting
from callrouter.pool.simulation.visitors import PlannedVisit, visits
from callrouter.pool.simulation.world import World
from callrouter.pool.store import LeaseStore, Lifetimes

Z = 1.96


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured: a world, of whose counted days the last `tail` seconds are only there for late calls."""

    world: World
    hold: timedelta
    lifetimes: Lifetimes
    tail: float
    each: int = 1
    """Callers drawn for each visit."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Calls tried on visits that had a number: how many there were, how many went right, and the variance of the share.

    `spread`: of the share that some hundred calls would show, the variance times their number: callers' own chance.
    `rests`: how long numbers rested before they were leased again, by share of those leases.
    """

    calls: int
    right: int
    variance: float
    spread: float
    rests: dict[float, float]

    @property
    def share(self) -> float:
        return self.right / self.calls if self.calls else 0.0

    @property
    def deviation(self) -> float:
        return math.sqrt(self.variance)

    def __add__(self, other: Found) -> Found:
        """Both runs together."""
        calls = self.calls + other.calls
        variance = (self.variance * self.calls**2 + other.variance * other.calls**2) / max(1, calls) ** 2
        spread = (self.spread * self.calls + other.spread * other.calls) / max(1, calls)
        return Found(
            calls=calls, right=self.right + other.right, variance=variance, spread=spread,
            rests=self.rests or other.rests,
        )  # fmt: skip


async def measure(
    url: str, trial: Trial, judge: Judge, *, numbers: int, seed: int, progress: Callable[[float], None]
) -> Found:
    """Let the trial's world happen to a pool of so many numbers, and try calls on its visits."""
    async with premises(url, lifetimes=trial.lifetimes) as place:
        recording = RecordingStore(place.store)
        place.store = cast(LeaseStore, recording)
        runner = Runner(place, trial.world, Setting(numbers=numbers, hold=trial.hold), {ENGINE: judge})
        await runner.run(seed, progress=lambda share: progress(0.9 * share))
    found = counted_probes(trial, Record(recording.answers, trial.hold), judge, seed=seed)
    progress(1.0)
    return found


def counted_probes(trial: Trial, record: Record, judge: Judge, *, seed: int) -> Found:
    """Calls tried on the visits of a run with that seed."""
    prober = Prober(trial.world, record, judge, begins=MONDAY)
    return _counted(prober.probe(_tried_visits(trial, seed), seed + 1, each=trial.each), _rests(trial, record))


def _tried_visits(trial: Trial, seed: int) -> Iterable[PlannedVisit]:
    last = trial.world.length - trial.tail
    for visit in visits(trial.world, seed, hold=trial.hold.total_seconds()):
        if visit.at >= last:
            return
        if visit.at >= trial.world.counted_from:
            yield visit


def _counted(tried: Iterable[Tried], rests: dict[float, float]) -> Found:
    """How sure the share is, by visits: what befalls a number befalls all callers drawn for it. What calls that come
    show of it, by callers: each is of another visit, and his own calls go right or wrong together."""
    callers, visits = _Sums(), _Sums()
    for _visit, of_visit in groupby((each for each in tried if each.shown), key=lambda each: each.visit):
        together = [(each.calls, each.right) for each in of_visit]
        visits.add(sum(calls for calls, _ in together), sum(right for _, right in together))
        for calls, right in together:
            callers.add(calls, right)
    return Found(
        calls=callers.calls, right=callers.right, variance=visits.variance,
        spread=callers.variance * callers.calls, rests=rests,
    )  # fmt: skip


class _Sums:
    """Of a ratio over clusters."""

    def __init__(self) -> None:
        self.calls = self.right = 0
        self._squares = self._products = self._rights = 0

    def add(self, calls: int, right: int) -> None:
        self.calls, self.right = self.calls + calls, self.right + right
        self._squares += calls**2
        self._products += calls * right
        self._rights += right**2

    @property
    def variance(self) -> float:
        share = self.right / max(1, self.calls)
        spread = self._rights - 2 * share * self._products + share**2 * self._squares
        return max(0.0, spread) / max(1, self.calls) ** 2


def _rests(trial: Trial, record: Record) -> dict[float, float]:
    begins = MONDAY + timedelta(seconds=trial.world.counted_from)
    rests = record.rests(begins, MONDAY + timedelta(seconds=trial.world.length))
    return {share: rests[int(share * (len(rests) - 1))] for share in (0.05, 0.25, 0.5, 0.75)} if rests else {}
