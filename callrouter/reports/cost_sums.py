"""What advertising cost, added up: by day or month and one level of source; of whom it was told. Knows SQL.

Currencies are apart, but for those that a rate of the day makes the account's own.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal, get_args

import asyncpg
import msgspec

from callrouter.db.connect import Connection
from callrouter.journal.conditions import Values
from callrouter.pool.inventory import Refused
from callrouter.reports.costs import ADD, FOREIGN, LOCK, Cost, row_of

Level = Literal["channel", "source", "medium", "campaign", "keyword", "content", "site", "origin"]
LEVELS: tuple[Level, ...] = get_args(Level)
Grain = Literal["", "day", "month"]
GRAINS: tuple[Grain, ...] = get_args(Grain)
COLUMN: dict[Level, str] = {
    **{level: f"c.{level}" for level in LEVELS}, "site": "c.site_id::text", "origin": "c.imported_from",
}  # fmt: skip
DAYS: dict[Grain, str] = {"": "NULL::date", "day": "c.day", "month": "date_trunc('month', c.day)::date"}
MOST_ROWS = 2_000

SUMS = """
SELECT day, level, currency, sum(amount) AS amount, sum(clicks)::bigint AS clicks,
    sum(impressions)::bigint AS impressions, count(*) AS rows, bool_or(converted) AS converted
FROM (
    SELECT {day} AS day, coalesce({level}, '') AS level, c.clicks, c.impressions,
        c.amount * coalesce(x.rate, 1) AS amount, x.rate IS NOT NULL AS converted,
        CASE WHEN x.rate IS NULL THEN c.currency ELSE {base} END AS currency
    FROM costs c LEFT JOIN LATERAL (
        SELECT e.rate FROM exchange_rates e
        WHERE c.currency <> {base} AND e.account_id = c.account_id AND e.currency = c.currency AND e.day <= c.day
        ORDER BY e.day DESC LIMIT 1) x ON true
    WHERE c.account_id = {account} AND c.day BETWEEN {first} AND {last}
) told GROUP BY day, level, currency ORDER BY day, amount DESC, level LIMIT {limit}"""
ORIGINS = """
SELECT imported_from AS origin, count(*) AS rows, min(day) AS first, max(day) AS last FROM costs
WHERE account_id = $1 AND day BETWEEN $2 AND $3 GROUP BY imported_from ORDER BY imported_from LIMIT 100"""
DELETE_PERIOD = """
DELETE FROM costs WHERE account_id = $1 AND day BETWEEN $2 AND $3 AND ($4::text IS NULL OR imported_from = $4)"""
COUNT_PERIOD = """
SELECT currency, count(*) AS rows, sum(amount) AS amount FROM costs
WHERE account_id = $1 AND day BETWEEN $2 AND $3 AND ($4::text IS NULL OR imported_from = $4)
GROUP BY currency ORDER BY currency"""
DELETE_ONE = "DELETE FROM costs WHERE account_id = $1 AND id = $2"
DELETE_RATE = "DELETE FROM exchange_rates WHERE account_id = $1 AND currency = $2 AND day = $3"
BASE = "SELECT currency FROM accounts WHERE id = $1"


class CostSum(msgspec.Struct, frozen=True, kw_only=True):
    """`day`: of a month its first; None: of the whole time. `converted`: by a rate, at least in part."""

    day: date | None
    level: str
    currency: str
    amount: Decimal
    clicks: int | None
    impressions: int | None
    rows: int
    converted: bool


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    origin: str
    rows: int
    first: date
    last: date


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    currency: str
    rows: int
    amount: Decimal


async def sum_costs(
    connection: Connection, account: int, first: date, last: date, *, level: Level, grain: Grain
) -> list[CostSum]:
    """Of these days, both included; by time, then the dearest first."""
    values = Values()
    base = await connection.fetchval(BASE, account)
    query = SUMS.format(
        day=DAYS[grain], level=COLUMN[level], base=values.add(base, "text"), account=values.add(account, "bigint"),
        first=values.add(first, "date"), last=values.add(last, "date"), limit=values.add(MOST_ROWS + 1, "bigint"),
    )  # fmt: skip
    return [_sum(row) for row in await connection.fetch(query, *values.all)]


async def origins(connection: Connection, account: int, first: date, last: date) -> list[Origin]:
    """Who told of these days."""
    return [Origin(**dict(row)) for row in await connection.fetch(ORIGINS, account, first, last)]


async def add_cost(connection: Connection, account: int, origin: str, cost: Cost) -> None:
    """Beside what the origin told before. In a transaction."""
    if cost.site is not None and await connection.fetch(FOREIGN, account, [cost.site]):
        raise Refused("there is no site {site}", site=cost.site)
    base = await connection.fetchval(BASE, account)
    await connection.execute(LOCK, account, origin)
    await connection.execute(ADD, *row_of(account, origin, cost, base))


async def in_period(connection: Connection, account: int, first: date, last: date, origin: str | None) -> list[Deleted]:
    """What `delete_period` would delete."""
    return [Deleted(**dict(row)) for row in await connection.fetch(COUNT_PERIOD, account, first, last, origin)]


async def delete_period(connection: Connection, account: int, first: date, last: date, origin: str | None) -> int:
    """Both days included; `origin` None: whoever told of it."""
    return int((await connection.execute(DELETE_PERIOD, account, first, last, origin)).rpartition(" ")[2])


async def delete_cost(connection: Connection, account: int, cost: int) -> bool:
    """One row; False: there is none."""
    return str(await connection.execute(DELETE_ONE, account, cost)).endswith(" 1")


async def delete_rate(connection: Connection, account: int, currency: str, day: date) -> bool:
    return str(await connection.execute(DELETE_RATE, account, currency, day)).endswith(" 1")


def _sum(row: asyncpg.Record) -> CostSum:
    return CostSum(**dict(row))
