"""Leases and visits on their way from Valkey to Postgres, and attribution from there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg

from callrouter.clock import SystemClock
from callrouter.db.connect import Pool, connect, open_pool
from callrouter.numbers import Number
from callrouter.pool.coalesce import RedisClient
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.directory import Directory
from callrouter.pool.directory_source import DirectorySource, read_directory
from callrouter.pool.history import History
from callrouter.pool.keys import log_key, pool_slot, site_slot
from callrouter.pool.late import LateAttribution
from callrouter.pool.model import Resolution
from callrouter.pool.resolver import Resolver
from callrouter.pool.store import LeaseStore
from callrouter.pool.sweeper import load_pools
from tests.integration.pool.visitors import CALLER, NOON, numbers, visit

SLOT = pool_slot(1)
POOL = numbers(2)
INVENTORY = f"""
INSERT INTO accounts (id, name, default_route) VALUES (2, 'Окна', 'two');
INSERT INTO sites (account_id, id, name, own_numbers, route) VALUES (2, 1, 'Окна', '{{74952222222}}', 'sales');
INSERT INTO pools (id, name) VALUES (1, 'Москва');
INSERT INTO site_pools (account_id, site_id, pool_id) VALUES (2, 1, 1);
INSERT INTO numbers (number, pool_id) VALUES ('{POOL[0]}', 1), ('{POOL[1]}', 1);
"""


class Bench:
    """The servers of one test, with an inventory."""

    def __init__(self, client: RedisClient, postgres: Pool, directory: Directory) -> None:
        self.client = client
        self.postgres = postgres
        self.directory = directory
        self.leases = LeaseStore(client)
        self.history = History(client, postgres, directory.slots)
        self.resolver = Resolver(self.leases, lambda: directory)

    async def backlog(self) -> int:
        return (await self.leases.occupancy(SLOT)).backlog

    async def drained(self) -> None:
        while await self.history.drain_all():
            pass


async def until(look: Callable[[], Awaitable[object]], wanted: object) -> None:
    """Look until it is as wanted; fails after ten seconds."""
    for _ in range(500):
        if await look() == wanted:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"it never became {wanted!r}")


@asynccontextmanager
async def bench(valkey_url: str, database: str) -> AsyncIterator[Bench]:
    client, postgres = open_client(valkey_url), await open_pool(database)
    try:
        async with postgres.acquire() as connection:
            await connection.execute(INVENTORY)
            directory = await read_directory(connection)
        here = Bench(client, postgres, directory)
        await load_pools(here.leases, directory)
        yield here
    finally:
        await close_client(client)
        await postgres.close()


def test_a_visit_and_its_lease_reach_postgres_whole(valkey_url: str, database: str) -> None:
    async def scenario() -> None:
        async with bench(valkey_url, database) as here:
            leased = await here.leases.allocate(SLOT, visit("s1", "ann"), now=NOON)
            await here.drained()
            running = await here.postgres.fetchrow("SELECT * FROM leases")
            assert running
            assert (running["number"], running["ended_at"], running["pool_id"]) == (leased.number, None, 1)
            await here.leases.renew(SLOT, "s1", page="/два", title="Два", now=NOON + timedelta(minutes=3))
            await here.leases.sweep(SLOT, now=NOON + timedelta(hours=1))
            await here.drained()
            ended = await here.postgres.fetchrow("SELECT * FROM leases")
            assert ended
            assert ended["ended_at"] == NOON + timedelta(minutes=33)
            assert (ended["seen_at"], ended["end_reason"]) == (NOON + timedelta(minutes=3), "expired")
            seen = await here.postgres.fetchrow("SELECT * FROM visits")
            assert seen
            assert (seen["started_at"], seen["ended_at"]) == (NOON, NOON + timedelta(minutes=3))
            assert (seen["pages"], seen["page"], seen["title"], seen["keyword"]) == (2, "/два", "Два", "купить окна")
            assert (seen["number"], seen["overflow"]) == (leased.number, False)
            pages = await here.postgres.fetch("SELECT sequence, url FROM visit_pages ORDER BY sequence")
            assert [tuple(page) for page in pages] == [(1, "https://shop.example/"), (2, "/два")]
            assert await here.postgres.fetchval("SELECT last_seen_at FROM visitors") == NOON + timedelta(minutes=3)
            assert (await here.leases.occupancy(SLOT)).backlog == 0

    asyncio.run(scenario())


def test_a_worker_that_dies_after_writing_writes_nothing_twice(valkey_url: str, database: str) -> None:
    async def scenario() -> None:
        async with bench(valkey_url, database) as here:
            for place in range(20):
                at = NOON + place * timedelta(hours=1)
                await here.leases.allocate(SLOT, visit(f"s{place}", f"v{place}"), now=at)
            await here.leases.sweep(SLOT, now=NOON + timedelta(days=1))
            entries = await here.client.execute_command("XRANGE", log_key(SLOT), "-", "+")
            await here.drained()
            once = await here.postgres.fetch("SELECT * FROM leases ORDER BY started_at")
            for name, fields in entries:  # as if they had never been forgotten
                pairs = fields.items() if isinstance(fields, dict) else zip(fields[::2], fields[1::2], strict=True)
                words = [word for pair in pairs for word in pair]
                await here.client.execute_command("XADD", SLOT + "again", name, *words)
            await here.client.execute_command("RENAME", SLOT + "again", log_key(SLOT))
            await here.drained()
            assert await here.postgres.fetch("SELECT * FROM leases ORDER BY started_at") == once
            assert len(once) == 20
            assert await here.postgres.fetchval("SELECT count(*) FROM visits") == 20

    asyncio.run(scenario())


def test_two_workers_share_the_log_and_keep_its_order(valkey_url: str, database: str) -> None:
    async def scenario() -> None:
        async with bench(valkey_url, database) as here:
            for place in range(300):
                at = NOON + place * timedelta(minutes=7)
                await here.leases.allocate(SLOT, visit(f"s{place}", f"v{place}"), now=at)
            workers = [History(here.client, here.postgres, here.directory.slots, batch=20) for _ in range(3)]
            running = [asyncio.create_task(worker.run()) for worker in workers]
            await until(here.backlog, 0)
            for worker in workers:
                worker.stop()
            await asyncio.gather(*running)
            assert await here.postgres.fetchval("SELECT count(*) FROM visits") == 300
            assert not await here.client.execute_command("XLEN", SLOT + "refused")

    asyncio.run(scenario())


def test_an_entry_that_postgres_refuses_does_not_block_those_behind_it(valkey_url: str, database: str) -> None:
    async def scenario() -> None:
        async with bench(valkey_url, database) as here:
            await here.client.execute_command("XADD", log_key(SLOT), "*", "t", "L", "l", "broken")
            await here.client.execute_command("XADD", log_key(SLOT), "*", "nonsense", b"\xff\x00")
            hostile = visit("s1", "ann", page="https://shop.example/\x00'; DROP TABLE visits; --")
            await here.leases.allocate(SLOT, hostile, now=NOON)
            await here.drained()
            assert await here.client.execute_command("XLEN", SLOT + "refused") == 2
            assert "DROP TABLE" in await here.postgres.fetchval("SELECT page FROM visits")

    asyncio.run(scenario())


async def late_answer(here: Bench, number: Number, at: datetime) -> Resolution:
    late = LateAttribution(here.client, here.leases, lambda: here.directory, SystemClock())
    async with here.postgres.acquire() as connection:
        found = await late.attribute(connection, number, CALLER, at)
    assert found
    return found


def test_late_attribution_answers_as_live_did(valkey_url: str, database: str) -> None:
    async def scenario() -> None:
        async with bench(valkey_url, database) as here:
            leased = await here.leases.allocate(SLOT, visit("s1", "ann"), now=NOON)
            assert leased.number
            for minutes in (0, 20, 90):
                at = NOON + timedelta(minutes=minutes)
                live = await here.resolver.resolve(leased.number, CALLER, at, live=False)
                await here.leases.sweep(SLOT, now=at + timedelta(minutes=1))
                await here.drained()
                late = await late_answer(here, leased.number, at)
                assert late.late
                assert late.attribution == live.attribution
                assert late.visit
                assert live.visit
                assert (late.visit.session, late.visit.traffic) == (live.visit.session, live.visit.traffic)
                assert late.route == "sales"

    asyncio.run(scenario())


def test_late_attribution_of_numbers_that_are_not_leased(valkey_url: str, database: str) -> None:
    async def scenario() -> None:
        async with bench(valkey_url, database) as here:
            own = await late_answer(here, Number("74952222222"), NOON)
            assert (own.attribution.method, own.attribution.site) == ("unattributed", 1)
            never = await late_answer(here, POOL[1], NOON)
            assert (never.attribution.method, never.attribution.account) == ("unattributed", None)

    asyncio.run(scenario())


def test_visits_of_a_site_without_a_pool_reach_postgres_too(valkey_url: str, database: str) -> None:
    async def scenario() -> None:
        async with bench(valkey_url, database) as here:
            got = await here.leases.allocate(site_slot(1), visit("s1", "ann"), wants_number=False, now=NOON)
            assert (got.outcome, got.number) == ("none", None)
            await here.drained()
            assert await here.postgres.fetchval("SELECT session FROM visits") == "s1"

    asyncio.run(scenario())


def test_the_directory_follows_postgres_and_outlives_it(database: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        snapshot = tmp_path / "directory.json"

        async def link() -> asyncpg.Connection[asyncpg.Record]:
            return await connect(database)

        async def nobody() -> asyncpg.Connection[asyncpg.Record]:
            raise ConnectionRefusedError("no server")

        async def used() -> bool:
            return source.directory.pool_numbers(1)[POOL[0]] or b'"active":false' not in snapshot.read_bytes()

        editor = await connect(database)
        await editor.execute(INVENTORY)
        source = DirectorySource(link, snapshot=snapshot)
        assert (await source.start()).pool_numbers(1) == dict.fromkeys(POOL, True)
        await editor.execute(f"UPDATE numbers SET state = 'disabled' WHERE number = '{POOL[0]}'")
        await until(used, False)
        await source.stop()
        await editor.close()
        alone = DirectorySource(nobody, snapshot=snapshot)
        started = await alone.start()
        assert started.pool_numbers(1) == {POOL[0]: False, POOL[1]: True}
        assert started.route("74952222222", 1, 2) == "sales"
        await alone.stop()
        ignorant = DirectorySource(nobody, snapshot=tmp_path / "none.json")
        assert not (await ignorant.start()).known
        await ignorant.stop()

    asyncio.run(scenario())


def test_history_is_drained_from_all_nodes_of_a_cluster(cluster_url: str, database: str) -> None:
    async def scenario() -> None:
        client, postgres = open_client(cluster_url, cluster=True), await open_pool(database)
        leases, slots = LeaseStore(client), [pool_slot(pool) for pool in range(41, 47)]
        for place, slot in enumerate(slots):
            await leases.load_numbers(slot, {Number(str(74970000000 + place)): True}, now=NOON)
            await leases.allocate(slot, visit(f"s{place}", f"v{place}"), now=NOON)
            await leases.sweep(slot, now=NOON + timedelta(hours=1))
        history = History(client, postgres, lambda: slots)
        while await history.drain_all():
            pass
        assert await postgres.fetchval("SELECT count(DISTINCT pool_id) FROM leases WHERE ended_at IS NOT NULL") == 6
        await close_client(client)
        await postgres.close()

    asyncio.run(scenario())
