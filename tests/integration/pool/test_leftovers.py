"""What visitors leave behind goes by itself: a store that has seen many is no larger than after a few."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from callrouter.numbers import Number
from callrouter.pool.coalesce import RedisClient
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.keys import Slot, log_key, pool_slot
from callrouter.pool.store import LeaseStore
from tests.integration.pool.visitors import NOON, numbers, visit

SLOT = pool_slot(77)
VISITORS = 50
HOLD = timedelta(minutes=5)
DAYS, UNTIL_FULL = 6, 3
"""By then each number remembers as many leases as it ever will."""


async def lasting(client: RedisClient, slot: Slot) -> dict[bytes, int]:
    """Keys of a pool that no time-out ends, with their size in bytes."""
    found: dict[bytes, int] = {}
    for key in await client.execute_command("KEYS", slot.replace("{", "\\{") + "*"):
        if await client.execute_command("PTTL", key) == -1:
            found[key] = await client.execute_command("MEMORY", "USAGE", key, "SAMPLES", 0)
    return found


async def a_day(store: LeaseStore, name: str, at: datetime) -> None:
    """Visitors of all sorts: who stay, who leave, who find no number, who call and whose number is switched."""
    for place in range(VISITORS):
        session = f"{name}-s{place}"
        now = at + timedelta(minutes=place)
        got = await store.allocate(SLOT, visit(session, f"{name}-v{place}", account=2 + place % 3), hold=HOLD, now=now)
        if place % 3 == 0:
            await store.release(SLOT, session, now=now)
        if place % 4 == 0:
            await store.renew(SLOT, session, page="/2", closed=True, hold=HOLD, now=now)
        if got.number and place % 5 == 0:
            await store.call_started(SLOT, got.number, f"{name}-c{place}", now=now)
            await store.call_ended(SLOT, got.number, f"{name}-c{place}", hold=HOLD, now=now)
            await store.remember(
                SLOT, Number(f"7916{abs(hash((name, place))) % 10**7:07}"), account=2, at=now, number=got.number,
                visit=visit(session, f"{name}-v{place}"),
            )  # fmt: skip
        if place % 20 == 0:
            await store.load_numbers(SLOT, {number: number != numbers(1)[0] for number in numbers(4)}, now=now)
            await store.load_numbers(SLOT, dict.fromkeys(numbers(4), True), now=now)


def test_a_pool_does_not_grow_with_the_visitors_it_has_seen(valkey_url: str) -> None:
    async def scenario() -> None:
        client = open_client(valkey_url)
        store = LeaseStore(client)
        await store.load_numbers(SLOT, dict.fromkeys(numbers(4), True), now=NOON)
        sizes = []
        for day in range(DAYS):
            at = NOON + timedelta(days=2 * day)
            await a_day(store, f"d{day}", at)
            while (await store.sweep_some(SLOT, limit=500, now=at + timedelta(days=1)))[2]:
                pass
            await client.execute_command("DEL", log_key(SLOT))  # history has drained it
            kept = await lasting(client, SLOT)
            assert not [key for key in kept if b"-s" in key or b"-v" in key or b":7916" in key], (
                "of a visitor, for ever"
            )
            sizes.append((len(kept), sum(kept.values())))
        assert max(count for count, _ in sizes) == sizes[0][0]
        assert max(size for _, size in sizes[UNTIL_FULL:]) <= 1.1 * max(size for _, size in sizes[:UNTIL_FULL])
        occupancy = await store.occupancy(SLOT)
        assert (occupancy.leased, occupancy.free, occupancy.visits) == (0, 4, 0)
        await close_client(client)

    asyncio.run(scenario())
