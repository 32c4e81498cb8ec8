"""Many clients, in several processes, on a way that loses requests and replies: what they were promised is kept.

Time is the server's own, or runs so fast that leases expire all the time and repeated requests come with an old clock.
History is drained meanwhile by two workers over the same bad way, and is what is judged.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import structlog

from callrouter.db.connect import Pool, open_pool
from callrouter.pool.coalesce import RedisClient
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.history import History
from callrouter.pool.keys import Slot, pool_slot
from callrouter.pool.store import LeaseStore
from tests.integration.pool.faulty import FAULTS, faulty_way
from tests.integration.pool.judge import broken, overlaps, rows_of
from tests.integration.pool.visiting import HOLD, Promise, Storm, clock_of, in_processes, together, visit_at_random
from tests.integration.pool.visitors import numbers

log = structlog.get_logger()

NUMBERS = numbers(16)
SLOT = pool_slot(71)
PATIENCE = 0.25
"""Less than the slowest fault takes."""


async def meddle(url: str, storm: Storm, slot: Slot, over: asyncio.Event) -> None:
    """Whatever else goes on: sweeps, calls, numbers set aside and taken back, emptied script caches."""
    client = open_client(url)
    store, chance, now = LeaseStore(client), random.Random(storm.seed), clock_of(storm)
    aside = set(NUMBERS[:2])
    while not over.is_set():
        await store.sweep(slot, limit=3, now=now())
        if storm.speed:  # in real time a pin would outlast the test
            number = chance.choice(NUMBERS)
            await store.call_started(slot, number, "call", now=now())
            await store.call_ended(slot, number, "call", hold=HOLD, now=now())
        if chance.random() < 0.1:
            aside ^= {chance.choice(NUMBERS)}
            await store.load_numbers(slot, {number: number not in aside for number in NUMBERS}, now=now())
        if chance.random() < 0.1:
            await client.execute_command("SCRIPT", "FLUSH")
        await asyncio.sleep(0.02)
    await close_client(client)


async def all_ended(client: RedisClient, slots: list[Slot]) -> None:
    """Long after: every lease has run out."""
    store = LeaseStore(client)
    for slot in slots:
        while max(await store.sweep(slot, now=datetime.now(UTC) + timedelta(days=30))):
            pass
        occupancy = await store.occupancy(slot)
        assert (occupancy.leased, occupancy.visits) == (0, 0)


async def storm(url: str, postgres: Pool, seed: int, speed: float) -> tuple[list[Promise], Counter[str]]:
    async with faulty_way(url, seed=seed) as (way, faulty_url):
        client = open_client(url)
        await LeaseStore(client).load_numbers(SLOT, dict.fromkeys(NUMBERS, True))
        bad_client = open_client(faulty_url, timeout=PATIENCE)
        workers = [History(bad_client, postgres, lambda: [SLOT], batch=40, idle_seconds=0.05) for _ in range(2)]
        draining = [asyncio.create_task(worker.run()) for worker in workers]
        base = Storm(
            url=faulty_url, slots=(SLOT,), name="here", seed=seed, speed=speed, began=time.time(), patience=PATIENCE
        )
        over = asyncio.Event()
        meddling = asyncio.create_task(meddle(url, base, SLOT, over))
        away = [msgspec.structs.replace(base, name=name) for name in ("p1", "p2")]
        told = together(await asyncio.gather(visit_at_random(base), in_processes(away)))
        over.set()
        await meddling
        way.calm()
        await all_ended(client, [SLOT])
        for worker in workers:
            worker.stop()
        await asyncio.gather(*draining)
        history = History(client, postgres, lambda: [SLOT])
        while await history.drain_all():
            pass
        assert not await client.execute_command("XLEN", SLOT + "refused")
        await close_client(bad_client)
        await close_client(client)
        return told.promises, way.met


@pytest.mark.parametrize("speed", [0.0, 2000.0], ids=["the server's own time", "leases that run out"])
def test_what_visitors_are_promised_is_kept_over_lost_requests_and_replies(
    valkey_url: str, database: str, speed: float
) -> None:
    async def scenario() -> None:
        postgres = await open_pool(database)
        promises, met = await storm(valkey_url, postgres, seed=7, speed=speed)
        rows = await rows_of(postgres)
        await postgres.close()
        assert overlaps(rows, old_clocks=speed > 0) == []
        assert broken(promises, rows) == []
        ends = dict(Counter(row.reason for row in rows))
        log.info("stormy", promises=len(promises), leases=len(rows), ends=ends, faults=dict(met))
        assert len(promises) > 100
        assert all(met[fault] for fault in FAULTS)
        assert len({row.id for row in rows}) == len(rows)

    asyncio.run(scenario())
