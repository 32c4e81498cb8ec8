"""A history that was drawn is one that the product could have written: nothing that it derives comes out otherwise."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

import pytest

from callrouter.appeals.touching import judge_marked
from callrouter.db.connect import Pool, open_pool
from callrouter.lab.crowd import Crowd
from callrouter.lab.volume import fill, settle
from callrouter.reports.sums import add_up_stale
from tests.integration.conftest import administer, database_url

CROWD = Crowd(appeals=900, clients=150, visits=2500, last=date(2026, 3, 31), days=45, accounts=3)
"""So few clients that many come often, by several channels; each account has its regulars."""


def fresh_database(postgres_url: str, template: str, name: str) -> str:
    administer(postgres_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    return database_url(postgres_url, name)


@pytest.fixture(scope="module")
def history(postgres_url: str, migrated_template: str) -> str:
    url = fresh_database(postgres_url, migrated_template, "volume")
    asyncio.run(fill(url, CROWD))
    asyncio.run(settle(url))
    return url


async def _derived(pool: Pool) -> dict[str, list[Any]]:
    """Whatever the product works out from what happened."""
    return {name: [dict(row) for row in await pool.fetch(sql)] for name, sql in DERIVED.items()}


DERIVED = {
    "verdicts": "SELECT id, multichannel, touches, credits FROM appeals ORDER BY id",
    "visitors": "SELECT account_id, visitor, client_id FROM client_visitors ORDER BY 1, 2, 3",
    "owed": "SELECT account_id, client_id, appeal_id, appeal_at FROM deals ORDER BY 1, 2",
    "sums": "SELECT to_jsonb(s) - 'id' AS sum FROM report_sums s ORDER BY 1",
}


def test_what_the_product_judges_and_adds_up_again_is_what_was_drawn(history: str) -> None:
    async def run() -> None:
        async with await open_pool(history, size=2) as pool:
            drawn = await _derived(pool)
            assert {row["multichannel"] for row in drawn["verdicts"]} == {True, False}
            assert max(len(row["credits"] or ()) for row in drawn["verdicts"]) > 3
            await pool.execute("DELETE FROM client_visitors")
            await pool.execute("UPDATE appeals SET multichannel = NULL, touches = NULL, credits = NULL")
            await pool.execute("UPDATE deals SET appeal_id = NULL, appeal_at = NULL, client_id = client_id")
            await pool.execute(
                "INSERT INTO touch_marks (account_id, client_id, since) SELECT account_id, id, '-infinity' FROM clients"
            )
            async with pool.acquire() as connection:
                while await judge_marked(connection):
                    pass
                while await add_up_stale(connection):
                    pass
            judged = await _derived(pool)
            for name, rows in drawn.items():
                assert judged[name] == rows, name

    asyncio.run(run())


def test_calls_that_were_drawn_as_unique_are_the_first_of_their_caller(history: str) -> None:
    async def run() -> None:
        async with await open_pool(history, size=1) as pool:
            assert await pool.fetchval("SELECT count(*) FROM appeals WHERE is_unique") > 30
            wrong = await pool.fetchval(
                """SELECT count(*) FROM appeals a WHERE a.is_unique IS DISTINCT FROM (
                       a.direction IS NOT DISTINCT FROM 'inbound' AND NOT EXISTS (
                           SELECT FROM appeals b
                           WHERE b.account_id = a.account_id AND b.customer = a.customer AND b.direction = 'inbound'
                             AND (b.started_at, b.id) < (a.started_at, a.id)))
                   OR a.quality IS DISTINCT FROM (a.status IS NOT DISTINCT FROM 'answered' AND a.talk_s >= 60)"""
            )
            assert wrong == 0

    asyncio.run(run())


def test_a_filled_database_has_the_indexes_and_triggers_of_the_schema(
    history: str, postgres_url: str, migrated_template: str
) -> None:
    async def schema(url: str) -> list[Any]:
        async with await open_pool(url, size=1) as pool:
            rows = await pool.fetch(
                """SELECT c.relname::text AS tab, pg_get_indexdef(i.indexrelid) AS what
                   FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
                   WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
                   UNION ALL SELECT tgrelid::regclass::text, tgname || tgenabled::text FROM pg_trigger
                   WHERE NOT tgisinternal
                   ORDER BY 1, 2"""
            )
            return [tuple(row) for row in rows]

    plain = fresh_database(postgres_url, migrated_template, "volume_plain")
    assert asyncio.run(schema(history)) == asyncio.run(schema(plain))
