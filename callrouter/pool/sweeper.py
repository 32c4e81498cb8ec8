"""Ends leases and visits that have run out and that nobody touches, a few at a time, and measures the pools."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from callrouter.pool import metrics
from callrouter.pool.directory import Directory
from callrouter.pool.keys import Slot, pool_of
from callrouter.pool.store import LeaseStore, StoreUnavailable

log = structlog.get_logger()

LIMIT = 100
ROUNDS = 20
"""A pool that has more to end waits for the next time: the server has others to serve."""


class Sweeper:
    """Several may run at once: each step is one script."""

    def __init__(
        self, store: LeaseStore, directory: Callable[[], Directory], *, interval_seconds: float = 10.0
    ) -> None:
        self._store = store
        self._directory = directory
        self._interval_seconds = interval_seconds
        self._stopping = asyncio.Event()
        self._failing = False
        self._empty: set[int] = set()

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Sweep until stopped."""
        while not self._stopping.is_set():
            try:
                for slot in self._directory().slots():
                    await self.sweep(slot)
                self._failing = False
            except StoreUnavailable as error:
                if not self._failing:
                    log.warning("SWEEPER-WAITS", reason=str(error))
                self._failing = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._interval_seconds)

    async def sweep(self, slot: Slot) -> None:
        for _ in range(ROUNDS):
            leases, visits = await self._store.sweep(slot, limit=LIMIT)
            metrics.SWEPT.labels(kind="lease").inc(leases)
            metrics.SWEPT.labels(kind="visit").inc(visits)
            if max(leases, visits) < LIMIT:
                break
        pool = pool_of(slot)
        if not pool:
            return
        occupancy = await self._store.occupancy(slot)
        aside = max(0, occupancy.numbers - occupancy.leased - occupancy.free)
        for state, count in (("leased", occupancy.leased), ("free", occupancy.free), ("disabled", aside)):
            metrics.POOL_NUMBERS.labels(pool=str(pool), state=state).set(count)
        metrics.POOL_BACKLOG.labels(pool=str(pool)).set(occupancy.backlog)
        if occupancy.free or not occupancy.numbers:
            self._empty.discard(pool)
        elif pool not in self._empty:
            self._empty.add(pool)
            log.warning("POOL-EMPTY", pool=pool, numbers=occupancy.numbers)


async def load_pools(store: LeaseStore, directory: Directory) -> int:
    """Bring the inventory into the lease store; returns how many numbers changed. Repeating it changes nothing."""
    changed = 0
    for pool in directory.pools:
        changed += await store.load_numbers(directory.slot_of_pool(pool), directory.pool_numbers(pool))
    return changed
