"""Reports against a plain reading of all rows, and against the journal: always equal, whatever happened in between."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from urllib.parse import parse_qsl

import msgspec
import pytest

from callrouter.appeals.touching import judge_marked
from callrouter.db.connect import Pool
from callrouter.db.migrate import packaged_migrations
from callrouter.journal.conditions import Values, appeal_conditions
from callrouter.journal.filters import Filters
from callrouter.journal.period import day_start
from callrouter.journal.query import parse
from callrouter.reports.asking import Question, compared
from callrouter.reports.figures import JOURNAL_ROWS, Dimension, rows_behind
from callrouter.reports.sums import add_up_stale
from tests.plain_reports import FIRST, NOW, ZONE, World
from tests.report_questions import SCOPE, asked, holds, indian_shop, key_of, questions

ALONE: tuple[tuple[Dimension, ...], ...] = (("channel",), ("day",))
FILTERED: tuple[tuple[Dimension, ...], ...] = (
    ("channel", "campaign"), ("site",), ("group", "employee"), ("content",), ("weekday", "hour"), ("month",),
    ("week", "location"),
)  # fmt: skip


@pytest.mark.parametrize("seed", range(2))
def test_every_figure_is_the_sum_of_the_rows_that_are_there(database: str, seed: int) -> None:
    async def run() -> None:
        world = World(seed)
        async with indian_shop(database) as pool:
            await pool.execute("INSERT INTO exchange_rates VALUES (7, 'USD', '2020-01-01', 90)")
            await pool.executemany(
                "INSERT INTO clients (account_id, id, first_touch_at) VALUES (7, $1, $2)",
                [(n, FIRST) for n in (1, 2, 3)],
            )
            for _ in range(2):
                for zone in ("UTC", "Asia/Kolkata"):
                    await pool.execute("UPDATE accounts SET time_zone = $1 WHERE id = 7", zone)
                    await world.go_on(pool, 30)
                for question in questions(world.chance):
                    await holds(pool, question)

    asyncio.run(run())


async def settled(pool: Pool) -> None:
    async with pool.acquire() as connection:
        while await judge_marked(connection):
            pass
        while await add_up_stale(connection):
            pass


def test_every_figure_opens_the_journal_rows_that_it_counts(database: str) -> None:
    async def run() -> None:
        world = World(5)
        async with indian_shop(database) as pool:
            await world.go_on(pool, 120)
            await settled(pool)
            for by in FILTERED:
                told = await asked(pool, Question(filters=Filters(since=FIRST, until=NOW), by=by))
                for counted, row_filter in [
                    (told.total, told.filter),
                    *((row.figures, row.filter) for row in told.rows),
                ]:
                    for figure in JOURNAL_ROWS:
                        query = parse_qsl(rows_behind(row_filter or "", figure), keep_blank_values=True)
                        values = Values()
                        where = appeal_conditions(parse(query, zone=ZONE, now=NOW), 7, ZONE, values)
                        opened = await pool.fetchval(f"SELECT count(*) FROM appeals a WHERE {where}", *values.all)
                        assert opened == getattr(counted, figure), (row_filter, figure)

    asyncio.run(run())


def test_days_that_are_over_are_read_from_their_sums_and_marked_ones_from_their_rows(database: str) -> None:
    async def run() -> None:
        world = World(6)
        async with indian_shop(database) as pool:
            await world.go_on(pool, 100)
            await settled(pool)
            question = Question(filters=Filters(since=FIRST - timedelta(days=40), until=NOW), by=("channel",))
            before = await asked(pool, question)
            days = await pool.fetch("SELECT DISTINCT day FROM report_marks")
            assert {row["day"] for row in days} <= {NOW.astimezone(ZONE).date(), NOW.date()}
            await pool.execute("UPDATE report_sums SET appeals = appeals * 2")
            told = await asked(pool, question)
            assert told.total.appeals > before.total.appeals
            await pool.execute("UPDATE appeals SET quality = quality")
            assert await asked(pool, question) == before
            await settled(pool)
            assert await asked(pool, question) == before

    asyncio.run(run())


def test_row_that_is_written_while_its_day_is_added_up_is_not_forgotten(database: str) -> None:
    async def run() -> None:
        world = World(7)
        async with indian_shop(database) as pool:
            await world.go_on(pool, 60)
            await settled(pool)
            question = Question(filters=Filters(since=FIRST - timedelta(days=1), until=NOW), by=("channel",))
            before = await asked(pool, question)
            async with pool.acquire() as writer:
                await pool.execute("UPDATE appeals SET quality = quality")
                writing = writer.transaction()
                await writing.start()
                await writer.execute("UPDATE appeals SET status = 'lost'")
                await settled(pool)
                assert await asked(pool, question) == before
                await writing.commit()
            after = await asked(pool, question)
            assert after.total.answered == 0
            assert after.total.lost == before.total.lost + before.total.answered

    asyncio.run(run())


def test_removed_old_visits_stay_counted(database: str) -> None:
    async def run() -> None:
        world = World(8)
        async with indian_shop(database) as pool:
            await world.go_on(pool, 80)
            await settled(pool)
            yesterday = day_start(NOW.astimezone(ZONE).date() - timedelta(days=1), ZONE)
            question = Question(
                filters=Filters(since=day_start(FIRST.date() - timedelta(days=40), ZONE), until=yesterday),
                by=("channel",),
            )
            before = await asked(pool, question)
            assert before.total.visits
            await pool.execute("DELETE FROM visits")
            assert await asked(pool, question) == before

    asyncio.run(run())


def test_period_before_stands_beside_its_rows(database: str) -> None:
    async def run() -> None:
        async with indian_shop(database) as pool:
            await World(9).go_on(pool, 60)
            middle = FIRST + timedelta(days=6)
            for by in ALONE:
                question = Question(filters=Filters(since=middle, until=NOW), by=by)
                async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
                    told, before = await compared(connection, SCOPE, question)
                earlier = msgspec.structs.replace(question, filters=Filters(since=FIRST, until=middle))
                alone = await asked(pool, earlier)
                assert (before.since, before.until, before.total) == (FIRST, middle, alone.total)
                assert told.rows
                known = [row.figures for row in alone.rows]
                assert all(row.previous is None or row.previous in known for row in told.rows)
                assert any(row.previous for row in told.rows)

    asyncio.run(run())


def test_period_that_is_not_over_stands_beside_as_much_of_the_one_before(database: str) -> None:
    async def run() -> None:
        async with indian_shop(database) as pool:
            await World(10).go_on(pool, 60)
            today = NOW.astimezone(ZONE).date()
            first, days = today - timedelta(days=4), timedelta(days=5)
            whole = Filters(since=day_start(first, ZONE), until=day_start(today + timedelta(days=1), ZONE))
            question = Question(filters=whole, by=("weekday", "hour"))
            async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
                told, before = await compared(connection, SCOPE, question, NOW)
            assert (before.since, before.until) == (day_start(first - days, ZONE), NOW - days)
            alone = await asked(
                pool, msgspec.structs.replace(question, filters=Filters(since=before.since, until=before.until))
            )
            assert before.total == alone.total
            known = {key_of(row): row.figures for row in alone.rows}
            assert {key_of(row): row.previous for row in told.rows} == {
                key_of(row): known.get(key_of(row)) for row in told.rows
            }

    asyncio.run(run())


def test_rows_come_in_the_order_that_is_asked_for(database: str) -> None:
    async def run() -> None:
        async with indian_shop(database) as pool:
            await World(11).go_on(pool, 80)
            filters = Filters(since=FIRST - timedelta(days=400), until=NOW)
            for order in ("visits", "lost", "unique_calls", "quality"):
                told = await asked(pool, Question(filters=filters, by=("campaign",), order=order, limit=2))
                every = await asked(pool, Question(filters=filters, by=("campaign",)))
                most = sorted((getattr(row.figures, order) for row in every.rows), reverse=True)
                assert [getattr(row.figures, order) for row in told.rows] == most[:2]
                assert told.left_off == len(every.rows) - 2
                assert told.total == every.total

    asyncio.run(run())


def test_sums_of_the_version_before_are_carried_over(database: str) -> None:
    every = "SELECT to_jsonb(s) - 'id' AS sum FROM report_sums s WHERE cube = 'source' ORDER BY 1"
    [migration] = [each.sql for each in packaged_migrations() if each.name == "present_day"]
    carry_over = migration[migration.index("INSERT INTO report_sums") : migration.index("-- A worker of")]

    async def run() -> None:
        async with indian_shop(database) as pool:
            await World(15).go_on(pool, 80)
            await settled(pool)
            await pool.execute("DELETE FROM report_sums WHERE since > '-infinity'")
            before = await pool.fetch(every)
            assert len(before) > 20
            await pool.execute("DELETE FROM report_sums WHERE cube = 'source'")
            await pool.execute("ALTER TABLE report_sums ALTER since SET DEFAULT '-infinity'")
            await pool.execute(carry_over)
            assert await pool.fetch(every) == before

    asyncio.run(run())
