"""Asks reports, and holds them against what all rows add up to."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from callrouter.appeals.credit import MODELS, WHOLE
from callrouter.db.connect import Pool
from callrouter.journal.filters import Filters, Ids, Match
from callrouter.reports.asking import Answer, Question, Row, answer
from callrouter.reports.facts import Scope
from callrouter.reports.figures import DIMENSIONS, Figures
from tests.integration.publishing import shop
from tests.plain_reports import NOW, ZONE, PlainSums, moment

SCOPE = Scope(7, ZONE)


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
