"""What history forgets, when its time has come: leases, visits, whom an order was to call."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from callrouter.db.connect import connect, open_pool
from callrouter.pool.retention import FORGET, forget_leases, forget_orders, forget_visits
from tests.integration.pool.history_bench import INVENTORY


def test_leases_that_ended_long_ago_are_forgotten_step_by_step_and_no_others(database: str) -> None:
    async def scenario() -> None:
        postgres = await open_pool(database)
        await postgres.execute(
            """INSERT INTO leases (account_id, number, id, pool_id, site_id, session, visitor, started_at, seen_at,
                   expires_at, ended_at, end_reason)
               SELECT 2, (74950000000 + n % 7)::text, n::text, 1, 1, n::text, 'v', at, at, at, at + interval '1 hour',
                   'expired'
               FROM generate_series(1, 100) AS n, LATERAL (SELECT now() - n * interval '10 days' AS at) AS a;
               INSERT INTO leases (account_id, number, id, pool_id, site_id, session, visitor, started_at, seen_at,
                   expires_at)
               VALUES (2, '74990000000', 'open', 1, 1, 's', 'v', now() - interval '3 years', now(), now())"""
        )
        assert await forget_leases(postgres, timedelta(days=730), step=10) == 27
        assert await forget_leases(postgres, timedelta(days=730), step=10) == 0
        assert await postgres.fetchval("SELECT count(*) FROM leases WHERE ended_at IS NULL") == 1
        assert await postgres.fetchval("SELECT count(*) FROM leases") == 74
        await postgres.close()

    asyncio.run(scenario())


def test_a_sites_visits_are_kept_as_long_as_it_says_and_anothers_are_kept(database: str) -> None:
    async def scenario() -> None:
        postgres = await open_pool(database, size=2)
        await postgres.execute(INVENTORY)
        await postgres.execute("INSERT INTO sites (account_id, id, name) VALUES (2, 7, 'other')")
        await postgres.execute("UPDATE sites SET retention_days = 30 WHERE id = 1")
        await postgres.execute("SELECT ensure_partitions(3, now() - interval '40 days')")
        await postgres.execute(
            """INSERT INTO visits (account_id, started_at, seen_at, session, visitor, site_id, channel, source, medium)
               SELECT 2, at, at, 's' || site || '-' || day, 'v' || day, site, 'direct', '(direct)', '(none)'
               FROM generate_series(1, 60) day, unnest(ARRAY[1, 7]) site,
                    LATERAL (SELECT now() - make_interval(days => day) + interval '1 hour' AS at) times"""
        )
        await postgres.execute(
            "INSERT INTO visit_pages (account_id, at, session, sequence, url) "
            "SELECT account_id, started_at, session, 1, '/' FROM visits"
        )
        await postgres.execute(
            "INSERT INTO visitors SELECT account_id, visitor, min(started_at), max(seen_at) FROM visits "
            "WHERE site_id = 1 GROUP BY 1, 2"
        )
        await postgres.execute("DELETE FROM visits WHERE site_id = 7 AND session > 's7-4'")
        await postgres.execute(
            """INSERT INTO leases (account_id, number, id, pool_id, site_id, session, visitor, started_at, seen_at,
                   expires_at, ended_at, end_reason)
               SELECT 2, '7499000000' || site, 'l' || day, 1, site, 's', 'v', at, at, at, at, 'expired'
               FROM generate_series(1, 60) day, unnest(ARRAY[1, 7]) site,
                    LATERAL (SELECT now() - make_interval(days => day) + interval '1 hour' AS at) times"""
        )
        assert await forget_visits(postgres, step=7) == 30
        assert await forget_visits(postgres, step=7) == 0
        assert await forget_leases(postgres, timedelta(days=50)) == 30 + 10
        left = await postgres.fetch("SELECT site_id, count(*) AS count FROM visits GROUP BY 1 ORDER BY 1")
        others = await postgres.fetchval("SELECT count(*) FROM visits WHERE site_id = 7")
        assert [tuple(row) for row in left] == [(1, 30), (7, others)]
        assert await postgres.fetchval("SELECT count(*) FROM visit_pages WHERE session LIKE 's1-%'") == 30
        kept = {row["id"] for row in await postgres.fetch("SELECT id FROM visitors")}
        seen = {row["visitor"] for row in await postgres.fetch("SELECT visitor FROM visits")}
        assert kept == seen, "who has another site's visit is still a visitor"
        await postgres.close()

    asyncio.run(scenario())


def test_whom_an_order_was_to_call_is_forgotten_with_the_visits_of_its_site_and_the_order_is_not(database: str) -> None:
    async def scenario() -> None:
        postgres = await open_pool(database, size=2)
        await postgres.execute(INVENTORY)
        await postgres.execute("INSERT INTO sites (account_id, id, name) VALUES (2, 7, 'other')")
        await postgres.execute("UPDATE sites SET retention_days = 30 WHERE id = 1")
        await postgres.execute(
            """INSERT INTO callback_orders
                   (account_id, id, site_id, ordered_at, phone, due_at, latest_at, next_at, state, settled_at)
               SELECT 2, gen_random_uuid(), site, at, '79161234567', at, at, at, state,
                   CASE WHEN state IN ('called', 'missed') THEN at END
               FROM generate_series(1, 60) day, unnest(ARRAY[1, 7]) site,
                    unnest(ARRAY['waiting', 'called', 'missed']) state,
                    LATERAL (SELECT now() - make_interval(days => day) + interval '1 hour' AS at) times"""
        )
        assert await forget_orders(postgres, step=7) == 2 * 30
        assert await forget_orders(postgres, step=7) == 0
        known = (
            "SELECT site_id, state, count(phone) AS known, count(*) FROM callback_orders GROUP BY 1, 2 ORDER BY 1, 2"
        )
        assert [tuple(row) for row in await postgres.fetch(known)] == [
            (1, "called", 30, 60), (1, "missed", 30, 60), (1, "waiting", 60, 60),
            (7, "called", 60, 60), (7, "missed", 60, 60), (7, "waiting", 60, 60),
        ]  # fmt: skip
        await postgres.close()

    asyncio.run(scenario())


def test_old_leases_are_found_by_their_age_not_by_reading_all_of_them(database: str) -> None:
    async def scenario() -> None:
        connection = await connect(database)
        await connection.execute("SET enable_seqscan = off")  # of few, reading all is cheapest
        await connection.execute("SET enable_indexscan = off")
        plan = [row[0] for row in await connection.fetch(f"EXPLAIN {FORGET}", timedelta(days=730), 5000)]
        await connection.close()
        assert any("Index Cond: (started_at < (now() - LEAST(" in line for line in plan), plan

    asyncio.run(scenario())
