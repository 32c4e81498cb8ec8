"""Multichannel verdicts in Postgres: in whatever order facts arrive, they are what the rules say of them all."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest
from prometheus_client import REGISTRY

from callrouter.appeals import publish, touching
from callrouter.appeals.credit import credits_of
from callrouter.appeals.merging import merge, undo_merge
from callrouter.appeals.multichannel import Rule, Touch, stories
from callrouter.appeals.touching import judge_marked
from callrouter.db.connect import Connection, Pool, open_pool
from tests.call_samples import a_call, a_resolution, an_appeal
from tests.integration.publishing import publishing, shop
from tests.waiting import until

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SOURCES = [("paid_search", "yandex"), ("paid_search", "google"), ("direct", "(direct)"), ("social", "vk")]

Deed = Callable[[Connection], Awaitable[object]]


def visit(number: int, visitor: str, hour: int, source: int = 0) -> Deed:
    channel, name = SOURCES[source]
    return lambda connection: connection.execute(
        """INSERT INTO visits (account_id, started_at, session, visitor, site_id, seen_at, channel, source, medium)
           VALUES (7, $1, $2, $3, 70, $1, $4, $5, '')""",
        NOON + hour * HOUR, f"s{number}", visitor, channel, name,
    )  # fmt: skip


def call(number: int, client: int, hour: int, visitor: str | None = None, confidence: float = 0.9) -> Deed:
    return lambda connection: connection.execute(
        """INSERT INTO appeals (account_id, started_at, id, kind, direction, site_id, client_id, visitor, confidence)
           VALUES (7, $1, $2, 'call', 'inbound', 70, $3, $4, $5)""",
        NOON + hour * HOUR, UUID(int=number), client, visitor, confidence,
    )  # fmt: skip


def told_visitor(client: int, visitor: str) -> Deed:
    return lambda connection: connection.execute(
        """INSERT INTO client_identities (account_id, kind, value, client_id, first_seen_at, last_seen_at)
           VALUES (7, 'visitor', $1, $2, $3, $3)""",
        visitor, client, NOON,
    )  # fmt: skip


async def add_clients(pool: Pool, *clients: int) -> None:
    await pool.executemany(
        "INSERT INTO clients (account_id, id, first_touch_at) VALUES (7, $1, $2)", [(each, NOON) for each in clients]
    )
    await pool.execute("UPDATE accounts SET multichannel = true WHERE id = 7")


def test_a_client_whom_it_takes_too_long_to_judge_keeps_nobody_waiting(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        monkeypatch.setattr(touching, "EVERY_SECONDS", 0.01)
        async with shop(database) as pool, await open_pool(database, command_seconds=0.5) as hurried:
            await add_clients(pool, *range(1, 12))
            await pool.execute("""
                CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN IF NEW.client_id = 1 THEN PERFORM pg_sleep(2); END IF; RETURN NEW; END $$;
                CREATE TRIGGER slow BEFORE INSERT ON client_visitors FOR EACH ROW EXECUTE FUNCTION slow()""")
            async with pool.acquire() as connection:
                for client in range(1, 12):
                    await told_visitor(client, f"visitor{client}")(connection)
            judging = asyncio.create_task(touching.keep_judging(hurried))
            await until_marked(pool, {1})
            judging.cancel()

    asyncio.run(run())


def test_a_publisher_that_judges_too_long_leaves_it_to_the_worker_for_a_while(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        monkeypatch.setattr(publish, "JUDGE_SECONDS", 0.1)
        monkeypatch.setattr(publish, "GATHER_SECONDS", 0.01)
        async with shop(database) as pool:
            await add_clients(pool, 100)
            async with pool.acquire() as connection:
                await told_visitor(100, "slow")(connection)
            await pool.execute("""
                CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_sleep(1); RETURN NEW; END $$;
                CREATE TRIGGER slow BEFORE INSERT ON client_visitors FOR EACH ROW EXECUTE FUNCTION slow()""")
            before = judging_failed()
            async with publishing(pool, tmp_path) as journal:
                for number in range(5):
                    await journal.append(an_appeal(a_call(f"1.{number}", NOON + number * HOUR), a_resolution(7, 70)))
                    await until(lambda: journal.backlog_bytes() == 0)
            assert judging_failed() == before + 1

    asyncio.run(run())


def judging_failed() -> float:
    return REGISTRY.get_sample_value("callrouter_appeals_publish_failures_total", {"kind": "judge"}) or 0.0


async def until_marked(pool: Pool, clients: set[int]) -> None:
    async def only_they() -> bool:
        return {row["client_id"] for row in await pool.fetch("SELECT client_id FROM touch_marks")} == clients

    await until(only_they)


async def judge_all(pool: Pool) -> None:
    async with pool.acquire() as connection:
        while await judge_marked(connection, step=3):
            pass


async def stands(pool: Pool) -> dict[UUID, tuple[Any, Any, Any]]:
    rows = await pool.fetch("SELECT id, multichannel, touches, credits FROM appeals")
    return {row["id"]: (row["multichannel"], row["touches"], row["credits"]) for row in rows}


async def plainly(pool: Pool) -> dict[UUID, tuple[Any, Any, Any]]:
    """The same, worked out from all that is in Postgres, without any increment."""
    visitors: dict[int, set[str]] = defaultdict(set)
    for row in await pool.fetch("SELECT client_id, value FROM client_identities WHERE kind = 'visitor'"):
        visitors[row["client_id"]].add(row["value"])
    appeals: dict[int, dict[UUID, datetime]] = defaultdict(dict)
    for row in await pool.fetch("SELECT id, client_id, started_at, visitor, confidence FROM appeals"):
        appeals[row["client_id"]][row["id"]] = row["started_at"]
        if row["visitor"] and row["confidence"] > 0.5:
            visitors[row["client_id"]].add(row["visitor"])
    visits = await pool.fetch("SELECT * FROM visits")
    expected = {}
    for client, theirs in appeals.items():
        touches = [
            Touch(at=v["started_at"], session=v["session"], visitor=v["visitor"], channel=v["channel"],
                  source=v["source"])
            for v in visits if v["visitor"] in visitors[client]
        ]  # fmt: skip
        for appeal, story in stories(touches, theirs, Rule()).items():
            shares = credits_of(theirs[appeal], story)
            expected[appeal] = (
                story.multichannel, msgspec.to_builtins(list(story.chain)) if story.multichannel else None,
                msgspec.to_builtins(list(shares)) if shares else None,
            )  # fmt: skip
    return expected


def a_world(chance: random.Random) -> list[Deed]:
    deeds: list[Deed] = [
        visit(number, f"v{chance.randrange(4)}", chance.randrange(-3000, 100), chance.randrange(4))
        for number in range(14)
    ]
    for number in range(8):
        visitor = chance.choice([None, "v0", "v1", "v2", "v3"])
        deeds.append(
            call(number, chance.randrange(1, 4), chance.randrange(-3000, 120), visitor, chance.choice([0.4, 0.9]))
        )
    deeds += [told_visitor(chance.randrange(1, 4), f"v{each}") for each in range(2)]
    return deeds


@pytest.mark.parametrize("seed", range(3))
def test_verdicts_are_the_same_in_whatever_order_visits_calls_and_identities_arrive(database: str, seed: int) -> None:
    async def run() -> None:
        chance = random.Random(seed)
        async with shop(database) as pool:
            await add_clients(pool, 1, 2, 3)
            deeds = a_world(chance)
            chance.shuffle(deeds)
            for deed in deeds:
                async with pool.acquire() as connection:
                    await deed(connection)
                    if chance.random() < 0.4:
                        await judge_marked(connection, step=2)
            await judge_all(pool)
            assert await stands(pool) == await plainly(pool)
            async with pool.acquire() as connection, connection.transaction():
                await merge(connection, 7, 1, 2, kind="email", value="i@example")
            await judge_all(pool)
            assert await stands(pool) == await plainly(pool)
            async with pool.acquire() as connection:
                assert await undo_merge(connection, 7, await connection.fetchval("SELECT id FROM client_merges"))
                await connection.execute("DELETE FROM appeals WHERE id = $1", UUID(int=3))
            await judge_all(pool)
            assert await stands(pool) == await plainly(pool)

    asyncio.run(run())


def test_visit_that_reaches_postgres_late_makes_the_appeal_multichannel(database: str) -> None:
    async def run() -> None:
        async with shop(database) as pool:
            await add_clients(pool, 1)
            async with pool.acquire() as connection:
                await visit(1, "v1", 1)(connection)
                await call(1, 1, 2, "v1")(connection)
                await judge_all(pool)
                assert (await stands(pool))[UUID(int=1)][0] is False
                await visit(2, "v1", 0, 1)(connection)
                await judge_all(pool)
                multichannel, chain, _ = (await stands(pool))[UUID(int=1)]
                assert multichannel
                assert [each["source"] for each in chain] == ["google", "yandex"]

    asyncio.run(run())


def test_chain_outlives_the_visits_that_retention_removes(database: str) -> None:
    async def run() -> None:
        async with shop(database) as pool:
            await add_clients(pool, 1)
            async with pool.acquire() as connection:
                for deed in (visit(1, "v1", 0), visit(2, "v1", 1, 1), call(1, 1, 2, "v1")):
                    await deed(connection)
                await judge_all(pool)
                before = await stands(pool)
                await connection.execute("DELETE FROM visits")
                await connection.execute("UPDATE accounts SET multichannel_days = 30 WHERE id = 7")
            await judge_all(pool)
            assert await stands(pool) == before

    asyncio.run(run())


def test_account_without_multichannel_analytics_has_the_mark_and_no_chain(database: str) -> None:
    async def run() -> None:
        async with shop(database) as pool:
            await add_clients(pool, 1)
            async with pool.acquire() as connection:
                for deed in (visit(1, "v1", 0), visit(2, "v1", 1, 1), call(1, 1, 2, "v1")):
                    await deed(connection)
            await judge_all(pool)
            await pool.execute("UPDATE accounts SET multichannel = false WHERE id = 7")
            await judge_all(pool)
            multichannel, chain, shares = (await stands(pool))[UUID(int=1)]
            assert (multichannel, chain) == (True, None)
            assert shares

    asyncio.run(run())


def test_who_judges_gives_way_to_a_publisher_and_comes_back(database: str) -> None:
    async def run() -> None:
        async with shop(database) as pool:
            await add_clients(pool, 1)
            async with pool.acquire() as publisher, pool.acquire() as judge:
                for deed in (visit(1, "v1", 0), call(1, 1, 2, "v1")):
                    await deed(publisher)
                async with publisher.transaction():
                    await publisher.execute("SELECT FROM appeals FOR UPDATE")
                    with pytest.raises(asyncpg.LockNotAvailableError):
                        await judge_marked(judge)
                assert await judge_marked(judge) == 1
            assert (await stands(pool))[UUID(int=1)][0] is False

    asyncio.run(run())
