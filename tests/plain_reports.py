"""A world of visits, appeals, deals and costs that changes in every way, and what all its rows add up to, one by one.

The model that reports are held against: no sums beforehand, no SQL that counts, no shared code but the rows.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from callrouter.appeals.credit import WHOLE
from callrouter.appeals.merging import merge
from callrouter.appeals.touching import judge_marked
from callrouter.db.connect import Connection, Pool
from callrouter.reports.asking import Question
from callrouter.reports.figures import DIMENSIONS, TRAFFIC
from callrouter.reports.sums import add_up_stale
from callrouter.reports.today import add_up_again, add_up_further

ZONE = ZoneInfo("Asia/Kolkata")
NOW = datetime.now(UTC)
FIRST = NOW - timedelta(days=12)
SOURCES = [
    ("paid_search", "yandex", "cpc", "windows"), ("paid_search", "google", "cpc", ""),
    ("direct", "(direct)", "(none)", ""), ("social", "vk", "social", "doors"),
]  # fmt: skip
CHANGES = [
    ("appeals", "UPDATE appeals SET is_unique = NOT is_unique WHERE id = SOME"),
    ("appeals", "DELETE FROM appeals WHERE id = SOME"),
    (
        "appeals",
        """INSERT INTO appeal_notes (account_id, appeal_id, spam) SELECT 7, id, true FROM appeals WHERE id = SOME
           ON CONFLICT (account_id, appeal_id) DO UPDATE SET spam = NOT appeal_notes.spam""",
    ),
    ("deals", "UPDATE deals SET revenue = revenue + 1 WHERE id = SOME"),
    ("deals", "DELETE FROM deals WHERE id = SOME"),
    ("costs", "UPDATE costs SET amount = amount * 2 WHERE id = SOME"),
    (
        "costs",
        "UPDATE visits SET number = '74950000002' WHERE account_id = 7 AND md5(session || $1) < '2' AND SOME > 0",
    ),
]
Measures: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[Any, ...]


def moment(chance: random.Random, now: datetime = NOW) -> datetime:
    """Of the last twelve days, every third of the last one."""
    days = chance.choice([12, 12, 1])
    return now - timedelta(seconds=chance.randrange(days * 86400))


class World:
    """Changes of every kind, told to Postgres as daemons and people tell them."""

    def __init__(self, seed: int, now: datetime = NOW) -> None:
        self.chance = random.Random(seed)
        self.serial = 0
        self.now = now

    def moment(self) -> datetime:
        return moment(self.chance, self.now)

    async def visit(self, connection: Connection) -> None:
        channel, source, medium, campaign = self.chance.choice(SOURCES)
        number = self.chance.choice([None, "74950000001"])
        self.serial += 1
        await connection.execute(
            """INSERT INTO visits (account_id, started_at, session, visitor, site_id, seen_at, channel, source, medium,
                   campaign, keyword, landing_page, location, device, number, overflow, content)
               VALUES ($11, $1, $2, $3, $4, $1, $5, $6, $7, $8, $9, 'https://s/', 'Москва', 'phone',
                   $10, $10::text IS NULL, $12)""",
            self.moment(), f"s{self.serial}", f"v{self.chance.randrange(5)}", self.chance.choice([70, 71]),
            channel, source, medium, campaign, self.chance.choice(["", "окна"]), number,
            self.chance.choice([7, 7, 7, 8]), self.chance.choice(["", "banner"]),
        )  # fmt: skip

    async def appeal(self, connection: Connection) -> None:
        chance = self.chance
        channel, source, medium, campaign = chance.choice([*SOURCES, (None,) * 4])
        self.serial += 1
        status = chance.choice(["answered", "lost"])
        appeal = {
            "account_id": chance.choice([7, 7, 7, 8]), "started_at": self.moment(), "id": UUID(int=self.serial),
            "kind": chance.choice(["call", "call", "call", "form", "email"]), "site_id": chance.choice([70, 71, None]),
            "direction": chance.choice(["inbound", "inbound", "outbound"]), "client_id": chance.choice([1, 2, 3, None]),
            "visitor": chance.choice(["v0", "v1", "v2", None]), "confidence": 0.9,
            "session": chance.choice([None, "s1"]), "status": status, "wait_s": chance.random() * 60,
            "talk_s": chance.random() * 200, "is_unique": chance.random() < 0.5,
            "quality": chance.random() < 0.5 and status == "answered", "final_group": chance.choice([None, "sales"]),
            "employee": chance.choice([None, "Anna"]), "channel": channel, "source": source, "medium": medium,
            "campaign": campaign, "content": chance.choice([None, "banner"]),
            "method": chance.choice(["holder", "static"]),
        }  # fmt: skip
        await connection.copy_records_to_table("appeals", columns=list(appeal), records=[tuple(appeal.values())])

    async def deal(self, connection: Connection) -> None:
        await connection.execute(
            """INSERT INTO deals (account_id, client_id, revenue, currency, opened_at, won)
               VALUES (7, $1, $2, $3, $4, $5)""",
            self.chance.choice([1, 2, 3, None]), Decimal(self.chance.randrange(10**7)) / 10000,
            self.chance.choice(["RUB", "EUR", "USD"]), self.moment(), self.chance.choice([True, False, None]),
        )  # fmt: skip

    async def cost(self, connection: Connection) -> None:
        channel, source, medium, campaign = self.chance.choice(SOURCES)
        await connection.execute(
            """INSERT INTO costs (account_id, day, site_id, channel, source, medium, campaign, amount, currency, clicks,
                   content)
               VALUES (7, $1, $2, $3, $4, $5, $6, $7, $8, 3, $9)""",
            self.moment().date(), self.chance.choice([None, 70]), channel, source, medium, campaign,
            Decimal(self.chance.randrange(10**6)) / 10000, self.chance.choice(["RUB", "USD"]),
            self.chance.choice(["", "banner"]),
        )  # fmt: skip

    async def change(self, connection: Connection) -> None:
        """Flags that move, spam, merges, erasure, a deal or a cost that is changed, a visit that goes on."""
        if self.chance.random() < 0.15:
            one, other = self.chance.sample([1, 2, 3], 2)
            async with connection.transaction():
                await merge(connection, 7, one, other, kind="email", value="x")
            return
        table, change = self.chance.choice(CHANGES)
        some = f"(SELECT id FROM {table} WHERE account_id = 7 ORDER BY md5(id::text || $1) LIMIT 1)"
        await connection.execute(change.replace("SOME", some), str(self.chance.random()))

    async def go_on(self, pool: Pool, steps: int) -> None:
        deeds = [self.visit, self.appeal, self.deal, self.cost, self.change]
        for _ in range(steps):
            async with pool.acquire() as connection:
                (deed,) = self.chance.choices(deeds, [5, 6, 2, 2, 2])
                await deed(connection)
                if self.chance.random() < 0.1:
                    await judge_marked(connection)
                if self.chance.random() < 0.1:
                    await add_up_stale(connection, limit=4, now=self.now)
                if self.chance.random() < 0.3:
                    await self.add_up_present_day(connection)

    async def add_up_present_day(self, connection: Connection) -> None:
        """As it is at some time of it."""
        now = self.now - timedelta(hours=self.chance.choice([0, 0, 1, 4]))
        await add_up_again(connection, self.now, rest=timedelta(0))
        await add_up_further(connection, now, enough=self.chance.choice([1, 3]))


class PlainSums:
    """`of`: key → measures; the key () is the total."""

    def __init__(self, question: Question, zone: ZoneInfo = ZONE) -> None:
        self.question = question
        self.zone = zone
        self.of: dict[Key, Measures] = defaultdict(lambda: defaultdict(Decimal))

    async def read(self, pool: Pool) -> dict[Key, Measures]:
        spam = await pool.fetch("SELECT appeal_id FROM appeal_notes WHERE spam AND account_id = 7")
        appeals = {row["id"]: row for row in await pool.fetch("SELECT * FROM appeals WHERE account_id = 7")}
        for row in appeals.values():
            self._appeal(row, is_spam=row["id"] in {note["appeal_id"] for note in spam})
        for deal in await pool.fetch("SELECT * FROM deals WHERE account_id = 7"):
            self._deal(deal, appeals.get(deal["appeal_id"]))
        by = set(self.question.by)
        if not by & {"group", "employee"}:
            self._visits(await pool.fetch("SELECT * FROM visits WHERE account_id = 7 ORDER BY started_at, session"))
        if not by & {"group", "employee", "hour"}:
            for row in await pool.fetch("SELECT * FROM costs WHERE account_id = 7"):
                self._cost(row)
        return self.of

    def _add(self, at: datetime, dims: dict[str, Any], **measures: Any) -> None:
        local = at.astimezone(self.zone)
        day = local.date()
        week, month = day - timedelta(days=day.weekday()), day.replace(day=1)
        dims = {
            **dict.fromkeys(DIMENSIONS, ""), "site": None, "hour": local.hour, **dims, "day": day,
            "weekday": day.isoweekday(), "week": week, "month": month,
        }  # fmt: skip
        filters = self.question.filters
        assert filters.since
        assert filters.until
        asked = [(dims[name], getattr(filters, name).any_of) for name in filters.asked - {"since", "until"}]
        if filters.since <= at < filters.until and all(value in wanted for value, wanted in asked):
            for key in ((), tuple(dims[name] for name in self.question.by)):
                for name, value in measures.items():
                    self.of[key][name] += Decimal(value)

    def _shares(self, row: Any) -> Iterable[tuple[dict[str, Any], int]]:
        if self.question.model == "last_click" or row["credits"] is None or row["method"] == "static":
            yield {name: row[name] or "" for name in TRAFFIC}, WHOLE
            return
        for each in row["credits"]:
            if weight := each.get(self.question.model, 0):
                yield {name: each.get("region" if name == "location" else name, "") for name in TRAFFIC}, weight

    def _appeal(self, row: Any, *, is_spam: bool) -> None:
        call = row["kind"] == "call" and row["direction"] == "inbound"
        counted = {
            "appeals": True, "calls": call, "outgoing": row["kind"] == "call" and not call,
            "forms": row["kind"] == "form", "emails": row["kind"] == "email", "lost": call and row["status"] == "lost",
            "visit_calls": call and row["session"] is not None,
            "answered": call and row["status"] == "answered", "unique_calls": call and row["is_unique"],
            "quality": call and row["quality"], "unique_quality": call and row["quality"] and row["is_unique"],
            "multichannel": row["multichannel"], "spam": False,
        }  # fmt: skip
        if is_spam:
            counted = {**dict.fromkeys(counted, False), "spam": True}
        for source, weight in self._shares(row):
            told = {name: weight if is_so else 0 for name, is_so in counted.items()}
            self._add(row["started_at"], {**_place(row), **source}, **told)

    def _deal(self, deal: Any, owed: Any) -> None:
        amount = deal["revenue"] if deal["won"] is not False else Decimal(0)
        amount, currency = _worth(amount, deal["currency"])
        if owed is None and self.question.filters.asked > {"since", "until"}:
            return
        for source, weight in self._shares(owed) if owed else [({}, WHOLE)]:
            told = {f"deals {currency}": weight, f"revenue {currency}": amount * weight / WHOLE}
            self._add(deal["appeal_at"] if owed else deal["opened_at"], {**_place(owed), **source}, **told)

    def _visits(self, visits: Iterable[Any]) -> None:
        known = set()
        for row in visits:
            day = row["visitor"], row["site_id"], row["started_at"].astimezone(self.zone).date()
            dims = {**{name: row[name] for name in (*TRAFFIC, "content")}, "site": row["site_id"]}
            self._add(
                row["started_at"], dims, visits=1, shown=row["number"] is not None, visitors=day not in known,
                overflow=row["overflow"],
            )  # fmt: skip
            known.add(day)

    def _cost(self, row: Any) -> None:
        amount, currency = _worth(row["amount"], row["currency"])
        told = ("channel", "source", "medium", "campaign", "content")
        dims = {**{name: row[name] for name in told}, "site": row["site_id"]}
        begins = datetime.combine(row["day"], datetime.min.time(), tzinfo=self.zone)
        self._add(begins, dims, **{f"cost {currency}": amount, "clicks": row["clicks"]})


def _place(appeal: Any) -> dict[str, Any]:
    if appeal is None:
        return {}
    return {
        "site": appeal["site_id"], "group": appeal["final_group"] or "", "employee": appeal["employee"] or "",
        "content": appeal["content"] or "",
    }  # fmt: skip


def _worth(amount: Decimal, currency: str) -> tuple[Decimal, str]:
    return (amount * 90, "RUB") if currency == "USD" else (amount, currency)
