"""Compares live pools with their plans and says when one has left it. What deviation is, `drift` decides.

The sweeper tells what it measured of a pool; plans and overflow are read from Postgres now and then.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from callrouter.clock import Clock, SystemClock
from callrouter.db.connect import TROUBLE, Pool
from callrouter.pool import metrics
from callrouter.pool.planning.drift import Deviation, Promise, Seen, judge
from callrouter.pool.planning.plans import overflow_since, promises

log = structlog.get_logger()

READ_SECONDS = 60.0
LATELY = timedelta(hours=1)
IN_A_ROW = 3
"""A pool has left its plan when it was out of it so many times one after another: a burst of visits is no drift."""
KINDS: tuple[Deviation, ...] = ("numbers", "occupancy", "rest", "overflow")


class PlanWatch:
    def __init__(self, postgres: Pool, *, clock: Clock | None = None, read_seconds: float = READ_SECONDS) -> None:
        self._postgres = postgres
        self._clock = clock or SystemClock()
        self._read_seconds = read_seconds
        self._promises: dict[int, Promise] = {}
        self._overflow: dict[int, tuple[int, int]] = {}
        self._told: dict[int, frozenset[Deviation]] = {}
        self._in_a_row: dict[tuple[int, Deviation], int] = {}

    async def run(self) -> None:
        """Keep plans and overflow current. Without Postgres those last read stay in force."""
        while True:
            await self.read()
            await asyncio.sleep(self._read_seconds)

    async def read(self) -> None:
        try:
            self._promises = await promises(self._postgres)
            since = self._clock.now() - LATELY
            self._overflow = await overflow_since(self._postgres, list(self._promises), since)
        except TROUBLE as error:
            log.info("plans of pools cannot be read", reason=str(error) or type(error).__name__)
        for pool, promise in self._promises.items():
            metrics.POOL_PLANNED.labels(pool=str(pool)).set(promise.numbers)
            visits, overflowed = self._overflow.get(pool, (0, 0))
            metrics.POOL_OVERFLOW_SHARE.labels(pool=str(pool)).set(overflowed / visits if visits else 0.0)

    def seen(self, pool: int, *, numbers: int, leased: int, rest: float | None) -> None:
        """What the sweeper measured: numbers in use, leased ones, and how long the next one has rested."""
        promise = self._promises.get(pool)
        if promise is None:
            return
        visits, overflowed = self._overflow.get(pool, (0, 0))
        seen = Seen(numbers=numbers, leased=leased, rest=rest, visits=visits, overflowed=overflowed)
        before = self._told.get(pool, frozenset())
        now = self._lasting(pool, judge(promise, seen, before)) | (judge(promise, seen, before) & before)
        self._told[pool] = now
        for kind in KINDS:
            metrics.POOL_DRIFT.labels(pool=str(pool), kind=kind).set(kind in now)
        if now - before:
            _tell(pool, promise, seen, now)
        elif before and not now:
            log.info("the pool is as planned again", pool=pool)

    def _lasting(self, pool: int, found: frozenset[Deviation]) -> frozenset[Deviation]:
        for kind in KINDS:
            key = (pool, kind)
            self._in_a_row[key] = self._in_a_row.get(key, 0) + 1 if kind in found else 0
        return frozenset(kind for kind in KINDS if self._in_a_row[pool, kind] >= IN_A_ROW)


def _tell(pool: int, promise: Promise, seen: Seen, deviations: frozenset[Deviation]) -> None:
    log.warning(
        "POOL-DRIFT", pool=pool, deviations=sorted(deviations),
        numbers=seen.numbers, planned_numbers=promise.numbers,
        leased=seen.leased, planned_leased_at_peak=round(promise.leased_peak),
        rest_s=None if seen.rest is None else round(seen.rest), planned_rest_s=round(promise.rest),
        visits=seen.visits, overflowed=seen.overflowed, planned_overflow=promise.overflow,
    )  # fmt: skip
