"""Reports against a plain reading of all rows, and against the journal: always equal, whatever happened in between."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import msgspec
import pytest

from callrouter.appeals.credit import MODELS, WHOLE
from callrouter.appeals.touching import judge_marked
from callrouter.db.connect import Pool
from callrouter.db.migrate import packaged_migrations
from callrouter.journal.conditions import Values, appeal_conditions
from callrouter.journal.filters import Filters, Ids, Match
from callrouter.journal.period import day_start
from callrouter.journal.query import parse
from callrouter.reports.asking import Answer, Question, Row, answer, compared
from callrouter.reports.facts import Scope
from callrouter.reports.figures import DIMENSIONS, JOURNAL_ROWS, PARTS, Dimension, Figures, rows_behind
from callrouter.reports.pieces import pieces
from callrouter.reports.span import span
from callrouter.reports.sums import LOCK, UNLOCK, add_up_stale
from callrouter.reports.today import add_up_again, add_up_further
from tests.integration.publishing import shop
from tests.plain_reports import FIRST, NOW, ZONE, PlainSums, World, moment

SCOPE = Scope(7, ZONE)
ALONE: tuple[tuple[Dimension, ...], ...] = (("channel",), ("day",))
FILTERED: tuple[tuple[Dimension, ...], ...] = (
    ("channel", "campaign"), ("site",), ("group", "employee"), ("content",), ("weekday", "hour"), ("month",),
    ("week", "location"),
)  # fmt: skip


@asynccontextmanager
async def indian_shop(database: str) -> AsyncIterator[Pool]:
    """Half an hour beside other clocks, and far from UTC's midnight."""
    async with shop(database) as pool:
        await pool.execute("UPDATE accounts SET time_zone = 'Asia/Kolkata' WHERE id = 7")
        yield pool


COUNTS = (
    "appeals", "calls", "outgoing", "forms", "emails", "lost", "answered", "unique_calls", "quality", "unique_quality",
    "multichannel", "spam", "visit_calls",
)  # fmt: skip


def same(told: Figures, expected: dict[str, Any]) -> None:
    for name in COUNTS:
        assert round(getattr(told, name) * WHOLE) == expected.get(name, 0), name
    for name in ("visits", "visitors", "shown", "overflow", "clicks"):
        if getattr(told, name) is not None:
            assert getattr(told, name) == expected.get(name, 0), name
    money = {each.currency: each for each in told.money}
    for currency in ("RUB", "EUR", "USD"):
        of = money.get(currency)
        assert Decimal(of.revenue if of else 0) == expected.get(f"revenue {currency}", 0)
        assert Decimal(of.cost if of else 0) == expected.get(f"cost {currency}", 0)
        assert round((of.deals if of else 0) * WHOLE) == expected.get(f"deals {currency}", 0)


def key_of(row: Row) -> tuple[str, ...]:
    return tuple(str(part) for part in row.key.values())


async def asked(pool: Pool, question: Question, scope: Scope = SCOPE) -> Answer:
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        return await answer(connection, scope, question)


async def holds(pool: Pool, question: Question, zone: ZoneInfo = ZONE) -> None:
    """The report tells what all rows add up to, one by one."""
    told, expected = await asked(pool, question, Scope(7, zone)), await PlainSums(question, zone).read(pool)
    same(told.total, expected.pop((), {}))
    plain = {tuple(str(part) for part in key): sums for key, sums in expected.items()}
    assert {key_of(row) for row in told.rows} == set(plain), question
    for row in told.rows:
        same(row.figures, plain[key_of(row)])


def questions(chance: random.Random, now: datetime = NOW) -> Iterable[Question]:
    first = now - timedelta(days=12)
    every = [(name,) for name in DIMENSIONS] + [("channel", "campaign"), ("day", "channel"), ("weekday", "hour")]
    for by in chance.sample(every, 9):
        since, until = sorted((moment(chance, now), moment(chance, now)))
        since = chance.choice([first - timedelta(days=400), since])
        until = chance.choice([now + timedelta(days=1), until])
        filters = Filters(since=since, until=until)
        if chance.random() < 0.4:
            filters = msgspec.structs.replace(filters, channel=Match(any_of=("paid_search",)))
        if chance.random() < 0.2:
            filters = msgspec.structs.replace(filters, site=Ids(any_of=(70,)))
        yield Question(filters=filters, by=by, model=chance.choice(MODELS))  # type: ignore[arg-type]


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
            used = 0
            for _ in range(3):
                await world.go_on(pool, 25)
                for question in questions(world.chance, now):
                    await holds(pool, question, zone)
                    every = await pieces(connection, Scope(7, zone), *span(question.filters), PARTS)
                    used += sum(len(each.stretches) for each in every.values())
            assert used > 20
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
