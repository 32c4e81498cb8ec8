"""Keeps the pools' numbers in the lease store as the inventory has them, and notices when the store has lost them.

Loads when the inventory changes, now and then, and at once when a pool is seen empty that has numbers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from callrouter.db.connect import TROUBLE, Pool
from callrouter.pool import metrics
from callrouter.pool.coalesce import RedisClient
from callrouter.pool.directory import Directory
from callrouter.pool.sight import has_numbers
from callrouter.pool.store import LeaseStore, StoreUnavailable
from callrouter.pool.sweeper import load_pools

log = structlog.get_logger()

RETRY_SECONDS = 2.0
RELOAD_SECONDS = 60.0


class PoolLoader:
    """Several may run at once: loading twice changes nothing."""

    def __init__(
        self, client: RedisClient, store: LeaseStore, postgres: Pool, directory: Callable[[], Directory]
    ) -> None:
        self._client = client
        self._store = store
        self._postgres = postgres
        self._directory = directory
        self._due = asyncio.Event()
        self._loaded: set[int] = set()
        """Pools whose numbers were loaded."""

    def load_soon(self) -> None:
        self._due.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            self._due.clear()
            try:
                changed = await self.load()
            except StoreUnavailable as error:
                log.warning("POOLS-NOT-LOADED", reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if changed:
                log.info("pools loaded", numbers_changed=changed)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RELOAD_SECONDS):
                    await self._due.wait()

    async def load(self) -> int:
        """Bring the inventory into the lease store; returns how many numbers changed."""
        directory = self._directory()
        numbers = {pool: count for pool in directory.pools if (count := len(directory.pool_numbers(pool)))}
        missing = [pool for pool in numbers if not await has_numbers(self._client, directory.slot_of_pool(pool))]
        changed = await load_pools(self._store, directory)
        if missing:
            await self._tell_lost({pool: numbers[pool] for pool in missing})
        self._loaded = set(numbers)
        return changed

    async def _tell_lost(self, pools: dict[int, int]) -> None:
        """Of pools that the store did not know: those that it had known before, as we or the history remember."""
        running: dict[int, int] = {}
        try:
            running = {row["pool_id"]: row["leases"] for row in await self._postgres.fetch(RUNNING, list(pools))}
        except TROUBLE as error:
            log.info("the history cannot say what the lease store lost", reason=str(error) or type(error).__name__)
        for pool, numbers in pools.items():
            if pool in self._loaded or pool in running:
                metrics.LIVE_STATE_LOST.inc()
                log.warning("LIVE-STATE-LOST", pool=pool, numbers=numbers, leases=running.get(pool, 0))


RUNNING = """
SELECT pool_id, count(*) AS leases FROM leases WHERE ended_at IS NULL AND pool_id = ANY ($1::bigint[]) GROUP BY 1"""
