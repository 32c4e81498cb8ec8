"""A look at one number in the lease store, for people who ask. Changes nothing there: no pin, no sign of life."""

from __future__ import annotations

from typing import Any, cast

from callrouter.numbers import Number
from callrouter.pool.coalesce import RedisClient
from callrouter.pool.holding import CallInProgress, Sight
from callrouter.pool.keys import NAMESPACE, Slot, pool_of, pool_slot
from callrouter.pool.store import FAILURES, Ask, LeaseStore, StoreUnavailable

SCAN_AT_ONCE = 5000


async def look(store: LeaseStore, slot: Slot, number: Number) -> Sight:
    """How the number stands. Raises StoreUnavailable."""
    pool = pool_of(slot)
    standing = await store.standing(slot, number)
    known = await store.resolve(Ask(slot, pool, number, None))
    pinned_until = standing.pinned_until if standing else None
    return Sight(
        at=known.at, pool=pool, known=known.known, leases=known.leases, visit=known.visit,
        disabled=standing is not None and standing.state == "disabled",
        calls=tuple(CallInProgress(call, begun) for call, begun in standing.calls.items()) if standing else (),
        pinned_until=pinned_until if pinned_until and pinned_until > known.at else None,
        free_from=standing.free_from if standing else None,
    )  # fmt: skip


async def has_numbers(client: RedisClient, slot: Slot) -> bool:
    """Whether the pool has numbers in the store: not before they were loaded, nor after the store lost its data."""
    try:
        return bool(await client.execute_command("EXISTS", slot + "all"))
    except FAILURES as error:
        raise _unavailable(error) from error


async def find_slot(client: RedisClient, number: Number, namespace: str = NAMESPACE) -> Slot | None:
    """The pool that knows `number`, found by walking the store's keys: for when the inventory cannot be asked."""
    pattern = f"{namespace}:{{p*}}:n:{number}"
    pattern = pattern.replace("{", r"\{").replace("}", r"\}")
    try:
        async for key in cast(Any, client).scan_iter(match=pattern, count=SCAN_AT_ONCE):
            pool = pool_of(Slot(key.decode()))
            return pool_slot(pool, namespace)
    except FAILURES as error:
        raise _unavailable(error) from error
    return None


def _unavailable(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(f"the lease store did not answer: {str(error) or type(error).__name__}")
