"""Each lease reaches Postgres exactly once and in order, whatever dies in between: compared with the log itself."""

from __future__ import annotations

import asyncio
import random
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

import asyncpg

from callrouter.db.connect import Pool, open_pool
from callrouter.db.migrate import migrate
from callrouter.lab.servers import EmbeddedPostgres
from callrouter.pool.coalesce import RedisClient
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.entries import Entry, parse_entries
from callrouter.pool.history import History
from callrouter.pool.keys import log_key, pool_slot
from callrouter.pool.live import milliseconds
from callrouter.pool.store import LeaseStore
from tests.integration.conftest import administer
from tests.integration.pool.faulty import faulty_way
from tests.integration.pool.visitors import NOON, numbers, visit
from tests.waiting import until

POOL = 75
SLOT = pool_slot(POOL)
LEASES = 150

TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND client_port > 0"

Lease = tuple[str, str, int, int, int, str]
"""Id, number, begun, expired, ended, why."""


async def written(client: RedisClient) -> list[Lease]:
    """A log full of leases that have begun, were renewed and have ended; returns what it tells."""
    store, chance = LeaseStore(client), random.Random(5)
    await store.load_numbers(SLOT, dict.fromkeys(numbers(5), True), now=NOON)
    at = NOON
    for place in range(LEASES):
        at += timedelta(minutes=chance.choice([3, 7, 11]))
        got = await store.allocate(SLOT, visit(f"s{place}", f"v{place}"), hold=timedelta(minutes=5), now=at)
        assert got.number
        at += timedelta(minutes=chance.choice([0, 1, 4]))
        await store.renew(SLOT, f"s{place}", page="/b", hold=timedelta(minutes=5), now=at)
        if chance.random() < 0.3:
            await store.release(SLOT, f"s{place}", now=at)
    await store.sweep(SLOT, limit=1000, now=at + timedelta(days=1))
    log = await client.execute_command("XRANGE", log_key(SLOT), "-", "+")
    ended = [entry for name, fields in log for entry in parse_entries(name, fields) if entry.kind == "lease_ended"]
    assert len(ended) == LEASES
    return sorted(map(_ended, ended), key=lambda lease: lease[2])


def _ended(entry: Entry) -> Lease:
    begun, expired, at = (entry.number_of(field) for field in ("b", "e", "x"))
    return (entry["l"], entry["n"], begun, expired, at, entry["r"])


async def in_history(postgres: Pool) -> list[Lease]:
    rows = await postgres.fetch("SELECT * FROM leases ORDER BY started_at")
    assert await postgres.fetchval("SELECT count(*) FROM visits WHERE pages = 2") == LEASES
    assert await postgres.fetchval("SELECT count(*) FROM visit_pages") == 2 * LEASES
    return [_row(row) for row in rows]


def _row(row: asyncpg.Record) -> Lease:
    begun, expired, ended = (milliseconds(row[field]) for field in ("started_at", "expires_at", "ended_at"))
    return (row["id"], row["number"], begun, expired, ended, row["end_reason"])


async def backlog(client: RedisClient) -> int:
    return (await LeaseStore(client).occupancy(SLOT)).backlog


async def reached(client: RedisClient, goal: int) -> bool:
    return await backlog(client) <= goal


async def refused(client: RedisClient) -> int:
    return int(await client.execute_command("XLEN", SLOT + "refused"))


def test_processes_that_are_killed_while_they_drain_lose_and_double_nothing(valkey_url: str, database: str) -> None:
    async def drainer() -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.integration.pool.draining", valkey_url, database, str(POOL),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout
        assert await process.stdout.readline() == b"draining\n"
        return process

    async def scenario() -> None:
        client, postgres = open_client(valkey_url), await open_pool(database)
        expected = await written(client)
        left = await backlog(client)
        chance, killed = random.Random(3), 0
        while await backlog(client):
            two = await asyncio.gather(drainer(), drainer())
            goal = max(0, await backlog(client) - left // 3)
            await until(partial(reached, client, goal))
            await asyncio.sleep(chance.random() * 0.01)  # not to wait for anything: to die somewhere else each time
            for process in two:
                process.kill()
                await process.wait()
                killed += 1
        assert await in_history(postgres) == expected
        assert await refused(client) == 0
        assert killed >= 6
        await close_client(client)
        await postgres.close()

    asyncio.run(scenario())


def test_a_drain_that_is_broken_off_anywhere_loses_and_doubles_nothing(valkey_url: str, database: str) -> None:
    async def scenario() -> None:
        client, postgres = open_client(valkey_url), await open_pool(database)
        expected = await written(client)
        chance, patience, broken_off = random.Random(4), 0.02, 0
        while left := await backlog(client):
            history = History(client, postgres, lambda: [SLOT], batch=10)
            draining = asyncio.create_task(history.drain_all())
            await asyncio.wait({draining}, timeout=chance.random() * patience)
            broken_off += draining.cancel()
            await asyncio.gather(draining, return_exceptions=True)
            patience *= 1.3 if await backlog(client) == left else 0.9
        assert await in_history(postgres) == expected
        assert await refused(client) == 0
        assert broken_off > 5
        await close_client(client)
        await postgres.close()

    asyncio.run(scenario())


def test_history_goes_on_when_postgres_is_restarted_and_connections_break(valkey_url: str, tmp_path: Path) -> None:
    async def scenario(server: EmbeddedPostgres, url: str) -> None:
        await migrate(url, lambda _line: None)
        client = open_client(valkey_url)
        expected = await written(client)
        async with faulty_way(url, seed=1, often=0.0) as (way, by_way):
            postgres = await open_pool(by_way)
            workers = [History(client, postgres, lambda: [SLOT], batch=20, idle_seconds=0.01) for _ in range(2)]
            running = [asyncio.create_task(worker.run()) for worker in workers]
            for part in (0.8, 0.5):
                goal = int(part * (await backlog(client)))
                await until(partial(reached, client, goal))
                if part == 0.8:
                    await asyncio.to_thread(administer, url, TERMINATE)
                else:
                    await asyncio.to_thread(server.stop)
                    url = await asyncio.to_thread(server.start)
                    way.lead_to(server.port)
            await asyncio.wait([*running, asyncio.create_task(until(partial(reached, client, 0), seconds=60))],
                               return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
            for worker in workers:
                worker.stop()
            await asyncio.gather(*running)
            assert await in_history(postgres) == expected
            assert await refused(client) == 0
            await postgres.close()
        await close_client(client)

    server = EmbeddedPostgres(tmp_path / "postgres")
    try:
        asyncio.run(scenario(server, server.start()))
    finally:
        server.stop()
