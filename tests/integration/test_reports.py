"""Reports against a plain reading of all rows, and against the journal: always equal, whatever happened in between."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest

from callrouter.appeals.credit import MODELS, WHOLE
from callrouter.appeals.merging import merge
from callrouter.appeals.touching import judge_marked
from callrouter.db.connect import Connection, Pool
from callrouter.journal.conditions import Values, appeal_conditions
from callrouter.journal.filters import Filters, Ids, Match
from callrouter.journal.query import parse
from callrouter.reports.asking import Answer, Question, answer
from callrouter.reports.facts import Scope
from callrouter.reports.figures import DIMENSIONS, JOURNAL_ROWS, TRAFFIC, Dimension, Figures
from callrouter.reports.sums import add_up_stale
from tests.integration.publishing import shop

ZONE = ZoneInfo("Asia/Kolkata")
NOW = datetime.now(UTC)
FIRST = NOW - timedelta(days=12)
SOURCES = [("paid_search", "yandex", "cpc", "windows"), ("paid_search", "google", "cpc", ""), ("direct", "(direct)", "(none)", ""),
           ("social", "vk", "social", "doors")]  # fmt: skip
SCOPE = Scope(7, ZONE)


def moment(chance: random.Random) -> datetime:
    return FIRST + timedelta(seconds=chance.randrange(12 * 86400))


@asynccontextmanager
async def indian_shop(database: str) -> AsyncIterator[Pool]:
    """Half an hour beside other clocks, and far from UTC's midnight."""
    async with shop(database) as pool:
        await pool.execute("UPDATE accounts SET time_zone = 'Asia/Kolkata' WHERE id = 7")
        yield pool


class World:
    """Changes of every kind, told to Postgres as daemons and people tell them."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.serial = 0

    async def visit(self, connection: Connection) -> None:
        channel, source, medium, campaign = self.chance.choice(SOURCES)
        self.serial += 1
        await connection.execute(
            """INSERT INTO visits (account_id, started_at, session, visitor, site_id, seen_at, channel, source, medium,
                   campaign, keyword, landing_page, location, device, number, overflow)
               VALUES ($11, $1, $2, $3, $4, $1, $5, $6, $7, $8, $9, 'https://s/', 'Москва', 'phone', $10, $10::text IS NULL)""",
            moment(self.chance), f"s{self.serial}", f"v{self.chance.randrange(5)}", self.chance.choice([70, 71]), channel,
            source, medium, campaign, self.chance.choice(["", "окна"]), self.chance.choice([None, "74950000001"]),
            self.chance.choice([7, 7, 7, 8]),
        )  # fmt: skip

    async def appeal(self, connection: Connection) -> None:
        chance = self.chance
        channel, source, medium, campaign = chance.choice([*SOURCES, (None,) * 4])
        self.serial += 1
        status = chance.choice(["answered", "lost"])
        await connection.execute(
            """INSERT INTO appeals (account_id, started_at, id, kind, direction, site_id, client_id, visitor, confidence,
                   session, status, wait_s, talk_s, is_unique, quality, final_group, employee, channel, source, medium,
                   campaign, method)
               VALUES ($20, $1, $2, $3, $4, $5, $6, $7, 0.9, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
                   $21)""",
            moment(chance), UUID(int=self.serial), chance.choice(["call", "call", "call", "form", "email"]),
            chance.choice(["inbound", "inbound", "outbound"]), chance.choice([70, 71, None]), chance.choice([1, 2, 3, None]),
            chance.choice(["v0", "v1", "v2", None]), chance.choice([None, "s1"]), status, chance.random() * 60,
            chance.random() * 200, chance.random() < 0.5, chance.random() < 0.5 and status == "answered",
            chance.choice([None, "sales"]), chance.choice([None, "Anna"]), channel, source, medium, campaign,
            chance.choice([7, 7, 7, 8]), chance.choice(["holder", "static"]),
        )  # fmt: skip

    async def deal(self, connection: Connection) -> None:
        await connection.execute(
            """INSERT INTO deals (account_id, client_id, revenue, currency, opened_at, won) VALUES (7, $1, $2, $3, $4, $5)""",
            self.chance.choice([1, 2, 3, None]), Decimal(self.chance.randrange(10**7)) / 10000,
            self.chance.choice(["RUB", "EUR", "USD"]), moment(self.chance), self.chance.choice([True, False, None]),
        )  # fmt: skip

    async def cost(self, connection: Connection) -> None:
        channel, source, medium, campaign = self.chance.choice(SOURCES)
        await connection.execute(
            """INSERT INTO costs (account_id, day, site_id, channel, source, medium, campaign, amount, currency, clicks)
               VALUES (7, $1, $2, $3, $4, $5, $6, $7, $8, 3)""",
            moment(self.chance).date(), self.chance.choice([None, 70]), channel, source, medium, campaign,
            Decimal(self.chance.randrange(10**6)) / 10000, self.chance.choice(["RUB", "USD"]),
        )  # fmt: skip

    async def change(self, connection: Connection) -> None:
        """Flags that move, spam, merges, erasure, a deal that is changed, a visit that goes on."""
        some = "(SELECT id FROM {} WHERE account_id = 7 ORDER BY md5(id::text || $1) LIMIT 1)"
        seed = str(self.chance.random())
        kind = self.chance.randrange(8)
        if kind == 0:
            await connection.execute(
                f"UPDATE appeals SET is_unique = NOT is_unique WHERE id = {some.format('appeals')}", seed
            )
        elif kind == 1:
            await connection.execute(
                f"""INSERT INTO appeal_notes (account_id, appeal_id, spam) SELECT 7, id, true FROM appeals
                    WHERE account_id = 7 AND id = {some.format("appeals")}
                    ON CONFLICT (account_id, appeal_id) DO UPDATE SET spam = NOT appeal_notes.spam""", seed,
            )  # fmt: skip
        elif kind == 2:
            await connection.execute(
                f"DELETE FROM appeals WHERE account_id = 7 AND id = {some.format('appeals')}", seed
            )
        elif kind == 3:
            async with connection.transaction():
                one, other = self.chance.sample([1, 2, 3], 2)
                await merge(connection, 7, one, other, kind="email", value="x")
        elif kind == 4:
            await connection.execute(f"UPDATE deals SET revenue = revenue + 1 WHERE id = {some.format('deals')}", seed)
        elif kind == 5:
            await connection.execute(f"DELETE FROM deals WHERE account_id = 7 AND id = {some.format('deals')}", seed)
        elif kind == 6:
            await connection.execute(
                "UPDATE visits SET number = '74950000002' WHERE session = (SELECT session FROM visits ORDER BY md5(session || $1) LIMIT 1)",
                seed,
            )
        else:
            await connection.execute(f"UPDATE costs SET amount = amount * 2 WHERE id = {some.format('costs')}", seed)

    async def go_on(self, pool: Pool, steps: int) -> None:
        deeds = [self.visit, self.appeal, self.deal, self.cost, self.change]
        for _ in range(steps):
            async with pool.acquire() as connection:
                (deed,) = self.chance.choices(deeds, [5, 6, 2, 2, 2])
                await deed(connection)
                if self.chance.random() < 0.1:
                    await judge_marked(connection)
                if self.chance.random() < 0.1:
                    await add_up_stale(connection, limit=4)


async def plainly(pool: Pool, question: Question) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The measures of every key, from all rows, one by one; the key () is the total."""
    sums: dict[tuple[Any, ...], dict[str, Any]] = defaultdict(lambda: defaultdict(Decimal))
    filters = question.filters
    assert filters.since
    assert filters.until

    def add(at: datetime, dims: dict[str, Any], **measures: Any) -> None:
        local = at.astimezone(ZONE)
        day = local.date()
        dims = {**dict.fromkeys(DIMENSIONS, ""), "site": None, "hour": local.hour, **dims, "day": day, "weekday": day.isoweekday(),
                "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}  # fmt: skip
        if not (filters.since <= at < filters.until):  # type: ignore[operator]
            return
        for name in filters.asked - {"since", "until"}:
            asked = getattr(filters, name)
            if asked.any_of and dims[name] not in asked.any_of:
                return
        for key in ((), tuple(dims[name] for name in question.by)):
            for name, value in measures.items():
                sums[key][name] += Decimal(value)

    def worth(amount: Decimal, currency: str) -> tuple[Decimal, str]:
        return (amount * 90, "RUB") if currency == "USD" else (amount, currency)

    def shares(row: Any) -> Iterable[tuple[dict[str, Any], int]]:
        if question.model == "last_click" or row["credits"] is None or row["method"] == "static":
            yield {name: row[name] or "" for name in TRAFFIC}, WHOLE
            return
        for each in row["credits"]:
            if weight := each.get(question.model, 0):
                yield {name: each.get("region" if name == "location" else name, "") for name in TRAFFIC}, weight

    spam = {
        row["appeal_id"] for row in await pool.fetch("SELECT appeal_id FROM appeal_notes WHERE spam AND account_id = 7")
    }
    appeals = {row["id"]: row for row in await pool.fetch("SELECT * FROM appeals WHERE account_id = 7")}
    for row in appeals.values():
        own = {"site": row["site_id"], "group": row["final_group"] or "", "employee": row["employee"] or ""}
        call = row["kind"] == "call" and row["direction"] == "inbound"
        counted = {
            "appeals": True, "calls": call, "outgoing": row["kind"] == "call" and not call, "forms": row["kind"] == "form",
            "emails": row["kind"] == "email", "lost": call and row["status"] == "lost",
            "answered": call and row["status"] == "answered", "unique_calls": call and row["is_unique"],
            "quality": call and row["quality"], "unique_quality": call and row["quality"] and row["is_unique"],
            "multichannel": row["multichannel"], "spam": False,
        }  # fmt: skip
        if row["id"] in spam:
            counted = {**dict.fromkeys(counted, False), "spam": True}
        for source, weight in shares(row):
            add(
                row["started_at"],
                {**own, **source},
                **{name: weight if is_so else 0 for name, is_so in counted.items()},
            )
    for deal in await pool.fetch("SELECT * FROM deals WHERE account_id = 7"):
        amount, currency = worth(deal["revenue"] if deal["won"] is not False else Decimal(0), deal["currency"])
        owed = appeals.get(deal["appeal_id"])
        if owed is None and filters.asked > {"since", "until"}:
            continue
        own = (
            {"site": owed["site_id"], "group": owed["final_group"] or "", "employee": owed["employee"] or ""}
            if owed
            else {}
        )
        for source, weight in shares(owed) if owed else [({}, WHOLE)]:
            add(deal["appeal_at"] if owed else deal["opened_at"], {**own, **source},
                **{f"deals {currency}": weight, f"revenue {currency}": amount * weight / WHOLE})  # fmt: skip
    if not set(question.by) & {"group", "employee"}:
        visits = await pool.fetch("SELECT * FROM visits WHERE account_id = 7 ORDER BY started_at, session")
        known = set()
        for row in visits:
            day = row["visitor"], row["site_id"], row["started_at"].astimezone(ZONE).date()
            add(row["started_at"], {**{name: row[name] for name in TRAFFIC}, "site": row["site_id"]}, visits=1,
                shown=row["number"] is not None, visitors=day not in known, overflow=row["overflow"])  # fmt: skip
            known.add(day)
    if not set(question.by) & {"group", "employee", "hour"}:
        for row in await pool.fetch("SELECT * FROM costs WHERE account_id = 7"):
            amount, currency = worth(row["amount"], row["currency"])
            add(datetime.combine(row["day"], datetime.min.time(), tzinfo=ZONE),
                {**{name: row[name] for name in ("channel", "source", "medium", "campaign")}, "site": row["site_id"]},
                **{f"cost {currency}": amount, "clicks": row["clicks"]})  # fmt: skip
    return sums


COUNTS = ("appeals", "calls", "outgoing", "forms", "emails", "lost", "answered", "unique_calls", "quality", "unique_quality",
          "multichannel", "spam")  # fmt: skip


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


async def asked(pool: Pool, question: Question) -> Answer:
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        return await answer(connection, SCOPE, question)


def questions(chance: random.Random) -> Iterable[Question]:
    for by in [(name,) for name in DIMENSIONS] + [("channel", "campaign"), ("day", "channel"), ("weekday", "hour")]:
        since, until = sorted((moment(chance), moment(chance)))
        since = chance.choice([FIRST - timedelta(days=400), since])
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
                    told, expected = await asked(pool, question), await plainly(pool, question)
                    same(told.total, expected.pop((), {}))
                    assert {tuple(row.key.values()) for row in told.rows} == set(expected), question
                    for row in told.rows:
                        same(row.figures, expected[tuple(row.key.values())])

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
            by: tuple[Dimension, ...]
            for by in [
                ("channel", "campaign"),
                ("site",),
                ("group",),
                ("weekday", "hour"),
                ("month",),
                ("week", "location"),
            ]:
                told = await asked(pool, Question(filters=Filters(since=FIRST, until=NOW), by=by))
                for row in told.rows:
                    for figure, narrower in JOURNAL_ROWS.items():
                        query = [*parse_qsl(row.filter or "", keep_blank_values=True), *narrower.items()]
                        values = Values()
                        where = appeal_conditions(parse(query, zone=ZONE, now=NOW), 7, ZONE, values)
                        opened = await pool.fetchval(f"SELECT count(*) FROM appeals a WHERE {where}", *values.all)
                        if figure != "visit_calls":
                            assert opened == getattr(row.figures, figure), (row.key, figure)

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
            yesterday = (NOW - timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
            question = Question(filters=Filters(since=FIRST - timedelta(days=40), until=yesterday), by=("channel",))
            before = await asked(pool, question)
            assert before.total.visits
            await pool.execute("DELETE FROM visits")
            assert await asked(pool, question) == before

    asyncio.run(run())
