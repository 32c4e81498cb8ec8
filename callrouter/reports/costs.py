"""What advertising cost, by day and whatever levels of source are known, and what currencies were worth. Knows SQL.

Costs have an origin: a file, or a program that tells them. Told again for the same day, an origin's costs replace what
it told before; other origins' stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from urllib.parse import urlencode

import asyncpg
import msgspec

from callrouter.db.connect import Connection
from callrouter.pool.inventory import Refused
from callrouter.reports import money
from callrouter.reports.figures import plain
from callrouter.reports.table_file import FOUND_OUT, Layout, Table, all_told, read_table
from callrouter.sessions.source import classify

LEVELS = ("channel", "source", "medium", "campaign", "keyword", "content")
NEEDED = ("day", "amount")
COLUMNS = ("day", "site", *LEVELS, "amount", "currency", "clicks", "impressions")

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('callrouter.costs ' || $2, $1))"
REPLACED = "DELETE FROM costs WHERE account_id = $1 AND imported_from = $2 AND day = ANY($3::date[])"
FOREIGN = """
SELECT DISTINCT site FROM unnest($2::bigint[]) AS site
WHERE NOT EXISTS (SELECT FROM sites s WHERE s.account_id = $1 AND s.id = site)"""
READ = """
SELECT id, day, site_id AS site, channel, source, medium, campaign, keyword, content, amount, currency, clicks,
    impressions, imported_from AS origin
FROM costs WHERE account_id = $1 AND day >= $2 AND day <= $3 AND ($4 = '' OR imported_from = $4)
    AND (day, id) > ($5, $6) ORDER BY day, id LIMIT $7"""
SET_RATE = """
INSERT INTO exchange_rates (account_id, currency, day, rate) VALUES ($1, $2, $3, $4)
ON CONFLICT (account_id, currency, day) DO UPDATE SET rate = excluded.rate"""
RATES = "SELECT currency, day, rate FROM exchange_rates WHERE account_id = $1 ORDER BY currency, day DESC"


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Levels that are not known are empty."""

    day: date
    amount: Decimal
    currency: str = ""
    """Empty: the account's."""
    site: int | None = None
    channel: str = ""
    source: str = ""
    medium: str = ""
    campaign: str = ""
    keyword: str = ""
    content: str = ""
    clicks: int | None = None
    impressions: int | None = None


class CostTold(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    day: date
    site: int | None
    channel: str
    source: str
    medium: str
    campaign: str
    keyword: str
    content: str
    amount: str
    currency: str
    clicks: int | None
    impressions: int | None
    origin: str


OF_ROW = tuple(name for name in CostTold.__struct_fields__ if name != "amount")


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """One `currency` was worth `rate` of the account's from `day` on."""

    currency: str
    day: date
    rate: str


async def replace_costs(
    connection: Connection, account: int, origin: str, days: Sequence[date], costs: Sequence[Cost]
) -> None:
    """What `origin` told of these days is now this. In a transaction."""
    sites = [cost.site for cost in costs if cost.site is not None]
    foreign = [row[0] for row in await connection.fetch(FOREIGN, account, sites)]
    if foreign:
        raise Refused("there is no site {site}", site=foreign[0])
    base = await connection.fetchval("SELECT currency FROM accounts WHERE id = $1", account)
    await connection.execute(LOCK, account, origin)
    await connection.execute(REPLACED, account, origin, sorted(set(days)))
    await connection.executemany(ADD, [row_of(account, origin, cost, base) for cost in costs])


ADD = """
INSERT INTO costs (account_id, imported_from, day, site_id, channel, source, medium, campaign, keyword, content, amount,
    currency, clicks, impressions) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"""


def row_of(account: int, origin: str, cost: Cost, base: str) -> tuple[object, ...]:
    source = classed(cost)
    return (
        account, origin, cost.day, cost.site, *(getattr(source, level) for level in LEVELS), cost.amount,
        cost.currency or base, cost.clicks, cost.impressions,
    )  # fmt: skip


def classed(cost: Cost) -> Cost:
    """With the channel, source and medium that a visit with these utm parameters has, so that the two meet."""
    if cost.channel or not (cost.source or cost.medium):
        return cost
    given = {"utm_source": cost.source, "utm_medium": cost.medium}
    found = classify("https://site.invalid/?" + urlencode({name: text for name, text in given.items() if text}))
    return msgspec.structs.replace(cost, channel=found.channel, source=found.source, medium=found.medium)


async def read_costs(
    connection: Connection, account: int, since: date, until: date, *, origin: str = "",
    behind: tuple[date, int] = (date(1, 1, 1), 0), limit: int = 100,
) -> list[CostTold]:  # fmt: skip
    """Of these days, both included."""
    return [cost_of(row) for row in await connection.fetch(READ, account, since, until, origin, *behind, limit)]


def cost_of(row: asyncpg.Record) -> CostTold:
    return CostTold(**{name: row[name] for name in OF_ROW}, amount=plain(row["amount"]))


async def set_rate(connection: Connection, account: int, currency: str, day: date, rate: Decimal) -> None:
    base = await connection.fetchval("SELECT currency FROM accounts WHERE id = $1", account)
    if currency == base:
        raise Refused("{currency} is the account's own currency", currency=currency)
    await connection.execute(SET_RATE, account, currency, day, rate)


async def read_rates(connection: Connection, account: int) -> list[Rate]:
    return [
        Rate(currency=row["currency"], day=row["day"], rate=plain(row["rate"]))
        for row in await connection.fetch(RATES, account)
    ]


def read_file(content: bytes, layout: Layout = FOUND_OUT, *, most: int | None = None) -> Table[Cost]:
    """Costs of a CSV file with a header; all its faults at once."""
    return read_table(content, COLUMNS, NEEDED, cost_in, layout, most=most)


async def import_costs(
    connection: Connection, account: int, origin: str, table: Table[Cost], *, whole_span: bool = False
) -> int:
    """All of them, or none: what the origin told before of the days in the file is replaced.

    `whole_span`: of the days between them, too.
    """
    if table.faults:
        raise Refused("the file has faults:{faults}", faults=all_told(table))
    costs = [cost for _, cost in table.rows]
    days = {cost.day for cost in costs}
    if whole_span:
        first, last = min(days), max(days)
        days |= {first + timedelta(days=n) for n in range((last - first).days)}
    await replace_costs(connection, account, origin, sorted(days), costs)
    return len(costs)


def cost_in(cells: Mapping[str, str]) -> Cost:
    """Texts → a cost. Raises NoSense, with all that makes none."""
    read = {
        "day": money.day, "amount": money.amount, "currency": money.currency, "site": money.count,
        "clicks": money.count, "impressions": money.count,
    }  # fmt: skip
    return Cost(**money.values_of(cells, read, needed=NEEDED))
