"""Leases and visits on their way from Valkey to Postgres, and attribution from there."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import asyncpg
import pytest
from structlog.testing import capture_logs

from callrouter.db.connect import open_pool
from callrouter.numbers import Number
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.history import History
from callrouter.pool.keys import log_key, pool_slot, site_slot
from callrouter.pool.store import LeaseStore
from tests.integration.pool.history_bench import POOL, SLOT, bench, until
from tests.integration.pool.visitors import CALLER, NOON, visit

MINUTE = timedelta(minutes=1)


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


def test_entries_wait_for_a_postgres_that_cannot_write_now(valkey_url: str, database: str) -> None:
    """A standby that is not promoted yet, a disk that is full: no entry is at fault, so none is set aside."""

    async def scenario() -> None:
        async with bench(valkey_url, database) as here:
            await here.leases.allocate(SLOT, visit("s1", "ann"), now=NOON)
            await here.postgres.execute("ALTER TABLE visits RENAME TO visits_away")
            with pytest.raises(asyncpg.PostgresError):
                await here.drained()
            await here.postgres.execute("ALTER TABLE visits_away RENAME TO visits")
            assert not await here.client.execute_command("XLEN", SLOT + "refused")
            await here.drained()
            assert await here.postgres.fetchval("SELECT session FROM visits") == "s1"

    asyncio.run(scenario())


def test_why_an_entry_was_refused_is_told_without_the_visitors_data(valkey_url: str, database: str) -> None:
    async def scenario() -> None:
        async with bench(valkey_url, database) as here:
            await here.postgres.execute("ALTER TABLE visitors ADD CONSTRAINT none_like_her CHECK (id <> 'ann')")
            await here.leases.allocate(SLOT, visit("s1", "ann"), now=NOON)
            with capture_logs() as logs:
                await here.drained()
            (told,) = [each for each in logs if each["event"] == "HISTORY-REFUSED"]
            assert "none_like_her" in told["reason"]
            assert "ann" not in told["reason"]

    asyncio.run(scenario())


def test_late_attribution_of_numbers_that_are_not_leased(valkey_url: str, database: str) -> None:
    async def scenario() -> None:
        async with bench(valkey_url, database) as here, here.postgres.acquire() as connection:
            own = await here.late.attribute(connection, Number("74952222222"), CALLER, NOON)
            assert own
            assert (own.attribution.method, own.attribution.site, own.route) == ("unattributed", 1, "sales")
            never = await here.late.attribute(connection, POOL[1], CALLER, NOON)
            assert never
            assert (never.attribution.method, never.attribution.account) == ("unattributed", None)

    asyncio.run(scenario())


def test_signs_of_life_and_time_on_each_page_are_kept(valkey_url: str, database: str) -> None:
    async def scenario() -> None:
        async with bench(valkey_url, database) as here:
            await here.leases.allocate(SLOT, visit("s1", "ann"), now=NOON)
            for drained, minutes, page in ((True, 1, None), (False, 2, "/two"), (True, 5, "/three"), (False, 9, None)):
                await here.leases.renew(SLOT, "s1", page=page, request=str(minutes), now=NOON + minutes * MINUTE)
                if drained:
                    await here.drained()
            await here.leases.sweep(SLOT, now=NOON + timedelta(hours=1))
            await here.drained()
            lease = await here.postgres.fetchrow("SELECT signs, seen_at FROM leases")
            assert lease
            assert lease["signs"][-4:] == [60_000, 120_000, 300_000, 540_000]
            assert lease["seen_at"] == NOON + 9 * MINUTE
            pages = await here.postgres.fetch("SELECT url, seconds FROM visit_pages ORDER BY sequence")
            assert [tuple(page) for page in pages] == [
                ("https://shop.example/", 120.0), ("/two", 180.0), ("/three", 240.0),
            ]  # fmt: skip
            assert await here.postgres.fetchval("SELECT pages FROM visits") == 3

    asyncio.run(scenario())


def test_a_worker_that_dies_at_any_moment_leaves_each_lease_once_and_in_order(valkey_url: str, database: str) -> None:
    async def scenario() -> None:
        async with bench(valkey_url, database) as here:
            for place in range(120):
                at = NOON + place * 7 * MINUTE
                await here.leases.allocate(SLOT, visit(f"s{place}", f"v{place}"), now=at)
                await here.leases.renew(SLOT, f"s{place}", page="/two", request="p", now=at + MINUTE)
            await here.leases.sweep(SLOT, limit=1000, now=NOON + timedelta(days=2))
            chance = random.Random(5)
            for _ in range(40):
                worker = History(here.client, here.postgres, here.directory.slots, batch=chance.randrange(1, 30))
                task = asyncio.create_task(worker.drain_all())
                await asyncio.sleep(chance.random() * 0.02)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await here.drained()
            told = await here.postgres.fetchrow(
                """SELECT count(*) AS leases, count(DISTINCT session) AS sessions, count(ended_at) AS ended,
                          (SELECT count(*) FROM visits WHERE pages = 2 AND ended_at IS NOT NULL) AS visits,
                          (SELECT count(*) FROM visit_pages WHERE seconds IS NOT NULL) AS pages FROM leases"""
            )
            assert told
            leased = told["leases"]
            assert (told["sessions"], told["ended"], told["visits"], told["pages"]) == (leased, leased, 120, 240)
            shown = await here.postgres.fetchval("SELECT count(*) FROM visits WHERE number IS NOT NULL")
            assert shown == leased
            assert not await here.client.execute_command("XLEN", SLOT + "refused")

    asyncio.run(scenario())


def test_visits_of_a_site_without_a_pool_reach_postgres_too(valkey_url: str, database: str) -> None:
    async def scenario() -> None:
        async with bench(valkey_url, database) as here:
            got = await here.leases.allocate(site_slot(1), visit("s1", "ann"), wants_number=False, now=NOON)
            assert (got.outcome, got.number) == ("none", None)
            await here.drained()
            assert await here.postgres.fetchval("SELECT session FROM visits") == "s1"

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
