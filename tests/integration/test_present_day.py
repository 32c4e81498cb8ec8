"""The present day in reports: the sum of its stretches and its rows, at any time of it and whatever happens in it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from callrouter.journal.filters import Filters
from callrouter.reports.asking import Question
from callrouter.reports.facts import Scope
from callrouter.reports.figures import PARTS
from callrouter.reports.pieces import pieces
from callrouter.reports.span import span
from callrouter.reports.sums import LOCK, UNLOCK, add_up_stale
from callrouter.reports.today import add_up_again, add_up_further
from tests.integration.publishing import shop
from tests.plain_reports import World
from tests.report_questions import asked, holds, indian_shop, questions

PRESENT_DAYS = [
    ("Europe/Berlin", "2025-10-26T22:40:00Z"), ("Europe/Berlin", "2026-03-29T21:50:00Z"),
    ("Africa/Cairo", "2026-04-24T19:31:00Z"), ("America/Havana", "2025-11-03T03:20:00Z"),
    ("Asia/Kathmandu", "2026-06-01T17:59:00Z"),
]  # fmt: skip
"""Late in days of 25 hours and of 23, after two midnights, after none, and by a clock three quarters beside others."""


@pytest.mark.parametrize(("name", "at"), PRESENT_DAYS)
def test_present_day_is_the_sum_of_its_stretches_and_rows_at_any_time_of_it(database: str, name: str, at: str) -> None:
    zone, now = ZoneInfo(name), datetime.fromisoformat(at)

    async def run() -> None:
        world = World(12, now)
        async with shop(database) as pool, pool.acquire() as connection:
            await pool.execute("UPDATE accounts SET time_zone = $1 WHERE id = 7", name)
            await pool.execute("INSERT INTO exchange_rates VALUES (7, 'USD', '2020-01-01', 90)")
            await pool.executemany(
                "INSERT INTO clients (account_id, id, first_touch_at) VALUES (7, $1, $2)",
                [(n, now - timedelta(days=12)) for n in (1, 2, 3)],
            )
            used = by_hour = 0
            for _ in range(3):
                await world.go_on(pool, 25)
                for question in questions(world.chance, now):
                    await holds(pool, question, zone)
                    every = await pieces(connection, Scope(7, zone), span(question.filters), PARTS, by_hour=True)
                    used += sum(len(each.stretches) for each in every.values())
                    by_hour += sum(len(each.hours) for each in every.values())
            assert used > 20
            assert by_hour > 5
            while await add_up_stale(connection, now=now + timedelta(days=1)):
                pass
            assert not await pool.fetchval("SELECT count(*) FROM report_stretches")
            for question in questions(world.chance, now):
                await holds(pool, question, zone)

    asyncio.run(run())


def test_stretches_of_the_present_day_are_read_until_something_in_them_changes(database: str) -> None:
    now = datetime(2026, 5, 6, 12, 0, tzinfo=UTC)

    async def run() -> None:
        world = World(13, now)
        async with indian_shop(database) as pool, pool.acquire() as connection:
            for _ in range(60):
                await world.appeal(connection)
                await world.visit(connection)
            while await add_up_stale(connection, now=now):
                pass
            question = Question(filters=Filters(since=now - timedelta(days=30), until=now), by=("channel",))
            before = await asked(pool, question)
            assert await add_up_further(connection, now, enough=5)
            assert await asked(pool, question) == before
            await pool.execute(
                "UPDATE report_sums SET appeals = appeals * 2, visits = visits * 2 WHERE since > '-infinity'"
            )
            doubled = await asked(pool, question)
            assert doubled.total.appeals > before.total.appeals
            assert doubled.total.visits != before.total.visits
            await pool.execute("UPDATE visits SET seen_at = seen_at + interval '1 minute'")
            assert (await asked(pool, question)).total.visits == doubled.total.visits
            await pool.execute("UPDATE appeals SET quality = quality")
            await pool.execute("UPDATE visits SET overflow = NOT overflow")
            await pool.execute("UPDATE visits SET overflow = NOT overflow")
            assert await asked(pool, question) == before
            assert not await add_up_again(connection, now)
            assert await add_up_again(connection, now + timedelta(minutes=1))
            assert not await add_up_again(connection, now + timedelta(hours=1))
            assert await asked(pool, question) == before

    asyncio.run(run())


def test_stretch_in_which_a_row_is_written_while_it_is_added_up_does_not_hold(database: str) -> None:
    async def run() -> None:
        now = datetime(2026, 5, 6, 12, 0, tzinfo=UTC)
        world = World(14, now)
        async with indian_shop(database) as pool, pool.acquire() as connection, pool.acquire() as writer:
            for _ in range(60):
                await world.appeal(connection)
            question = Question(filters=Filters(since=now - timedelta(days=30), until=now), by=("channel",))
            before = await asked(pool, question)
            writing = writer.transaction()
            await writing.start()
            await writer.execute("UPDATE appeals SET status = 'lost'")
            assert await add_up_further(connection, now, enough=3)
            await add_up_stale(connection, now=now)
            assert await asked(pool, question) == before
            await writing.commit()
            after = await asked(pool, question)
            assert after.total.answered == 0
            assert after.total.lost == before.total.lost + before.total.answered

    asyncio.run(run())


def test_marks_are_told_apart_only_while_nobody_adds_up(database: str) -> None:
    async def run() -> None:
        async with indian_shop(database) as pool, pool.acquire() as connection, pool.acquire() as other:
            for _ in range(3):
                await pool.execute(
                    "INSERT INTO report_marks (account_id, part, day) VALUES (7, 'visits', '2026-05-05')"
                )
            await other.execute(LOCK, 7)
            assert not await add_up_stale(connection)
            assert await pool.fetchval("SELECT count(*) FROM report_marks WHERE day = '2026-05-05'") == 3
            await other.execute(UNLOCK, 7)
            assert await add_up_stale(connection)

    asyncio.run(run())
