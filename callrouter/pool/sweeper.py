"""Ends leases and visits that have run out and that nobody touches, a few at a time, and measures the pools."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

import structlog

from callrouter.numbers import Number
from callrouter.pool import metrics
from callrouter.pool.directory import Directory
from callrouter.pool.keys import Slot, pool_of
from callrouter.pool.planning.watch import PlanWatch
from callrouter.pool.store import Change, LeaseStore, StaleInventory, StoreUnavailable

log = structlog.get_logger()

LIMIT = 100
ROUNDS = 20
"""A pool that has more to end waits for the next time: the server has others to serve."""


class Sweeper:
    """Several may run at once: each step is one script."""

    def __init__(
        self,
        store: LeaseStore,
        directory: Callable[[], Directory],
        *,
        interval_seconds: float = 10.0,
        watch: PlanWatch | None = None,
        on_missing: Callable[[], None] | None = None,
    ) -> None:
        """`on_missing` is called where a pool that has numbers is seen without any: the store lost them."""
        self._store = store
        self._on_missing = on_missing
        self._directory = directory
        self._watch = watch
        self._interval_seconds = interval_seconds
        self._stopping = asyncio.Event()
        self._failing = False
        self._empty: set[int] = set()
        self._removed: set[int] = set()

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Sweep until stopped."""
        while not self._stopping.is_set():
            away, directory = "", self._directory()
            self._forget(set(directory.removed_pools))
            for slot in directory.slots():
                try:
                    await self.sweep(slot)
                except StoreUnavailable as error:  # of a cluster perhaps one node: the others' pools are swept
                    away = str(error)
                if self._stopping.is_set():
                    break
            if away and not self._failing:
                log.warning("SWEEPER-WAITS", reason=away)
            self._failing = bool(away)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_seconds):
                    await self._stopping.wait()

    def _forget(self, removed: set[int]) -> None:
        for pool in removed - self._removed:
            metrics.forget_pool(pool)
            self._empty.discard(pool)
        self._removed = removed

    async def sweep(self, slot: Slot) -> None:
        for _ in range(ROUNDS):
            leases, visits, more = await self._store.sweep_some(slot, limit=LIMIT)
            metrics.SWEPT.labels(kind="lease").inc(leases)
            metrics.SWEPT.labels(kind="visit").inc(visits)
            if not more:
                break
        pool = pool_of(slot)
        if not pool or pool in self._removed:
            return
        occupancy = await self._store.occupancy(slot)
        if self._on_missing and not occupancy.numbers and self._directory().pool_numbers(pool):
            self._on_missing()
        aside = max(0, occupancy.numbers - occupancy.leased - occupancy.free)
        for state, count in (("leased", occupancy.leased), ("free", occupancy.free), ("disabled", aside)):
            metrics.POOL_NUMBERS.labels(pool=str(pool), state=state).set(count)
        metrics.POOL_BACKLOG.labels(pool=str(pool)).set(occupancy.backlog)
        rested = None
        if occupancy.longest_free is not None:
            rested = max(0.0, (datetime.now(UTC) - occupancy.longest_free).total_seconds())
        metrics.POOL_FREE_SECONDS.labels(pool=str(pool)).set(rested or 0.0)
        if self._watch is not None:
            in_use = occupancy.leased + occupancy.free
            self._watch.seen(pool, numbers=in_use, leased=occupancy.leased, rest=rested)
        if occupancy.free or not occupancy.numbers:
            self._empty.discard(pool)
        elif pool not in self._empty:
            self._empty.add(pool)
            log.warning("POOL-EMPTY", pool=pool, numbers=occupancy.numbers)


async def load_pools(store: LeaseStore, directory: Directory, *, now: datetime | None = None) -> int:
    """Bring the inventory into the lease store; returns how many numbers changed. Repeating it changes nothing.

    A number that moved is let go by its old pool before the new one takes it, so that it is never leased in both. Pools
    may be on different servers and several processes may load at once, one of them with an older directory: each pool
    first takes note of the inventory's version, and refuses all older ones from then on.
    """
    try:
        return await _load_pools(store, directory, now)
    except StaleInventory as error:
        log.warning("INVENTORY-STALE", reason=str(error))
        return 0


async def _load_pools(store: LeaseStore, directory: Directory, now: datetime | None) -> int:
    changed, members = 0, {}
    departed: dict[Number, tuple[float, Slot]] = {}
    slots = {pool: directory.slot_of_pool(pool) for pool in directory.pools}
    for slot in slots.values():
        await store.change_numbers(slot, (), version=directory.version, now=now)
    for pool, slot in slots.items():
        wanted = directory.pool_numbers(pool)
        members[pool] = {number async for number in store.members(slot)}
        gone = [Change(number, _whither(directory, number)) for number in members[pool] if number not in wanted]
        if gone:
            changed += await store.change_numbers(slot, gone, version=directory.version, now=now)
        for number, at in (await store.departed(slot)).items():
            departed[number] = max(departed.get(number, (0.0, slot)), (at, slot))
    for pool, slot in slots.items():
        changes = []
        for number, used in directory.pool_numbers(pool).items():
            into: Literal["1", "0"] = "1" if used else "0"
            _, there = departed.get(number, (0.0, slot))
            if number in members[pool] or there == slot:
                changes.append(Change(number, into))
            else:
                changes.append(await store.takeover(there, number, into))
        if changes:
            changed += await store.change_numbers(slot, changes, version=directory.version, now=now)
    return changed


def _whither(directory: Directory, number: Number) -> Literal["-", ">"]:
    entry = directory.number(number)
    return ">" if entry is not None and entry.pool is not None else "-"
