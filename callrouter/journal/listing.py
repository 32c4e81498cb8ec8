"""The journal page by page: rows that pass the filters, in an order, each once, whatever is written meanwhile.

Paging is by keyset: a page begins behind the last row of the one before, so that rows that come in between neither
repeat nor hide any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import asyncpg
import msgspec

from callrouter.db.connect import Connection
from callrouter.journal.conditions import Values, appeal_conditions
from callrouter.journal.filters import Filters
from callrouter.journal.keyset import cursor_of, cursor_text
from callrouter.journal.row import LISTED, AppealTold, joined, selected, told
from callrouter.wording import Worded

Sort = Literal[
    "-started_at", "started_at", "-wait_s", "wait_s", "-talk_s", "talk_s", "-confidence", "confidence",
    "-time_on_site_s", "time_on_site_s", "-pages", "pages",
]  # fmt: skip
SORTS: tuple[Sort, ...] = get_args(Sort)
UTC_ZONE = ZoneInfo("UTC")
LONGEST_PAGE = 500
MOST_COUNTED = 10_000
"""Beyond it a list says "more than": to count a whole history takes as long as to read it."""


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Behind which row the next page begins, in which order."""

    sort: str
    value: float | None
    at: datetime
    id: UUID

    def text(self) -> str:
        return cursor_text(self)

    @staticmethod
    def at_row(row: AppealTold, sort: Sort) -> Cursor:
        """Where this row stands; it must have the field that rows are sorted by."""
        name = sort.removeprefix("-")
        value = None if name == "started_at" else getattr(row, name)
        return Cursor(sort, None if value is None else float(value), row.started_at, row.id)

    @staticmethod
    def of(text: str, sort: str) -> Cursor:
        """Raises Worded for what is no cursor of ours, or one of another order."""
        cursor = cursor_of(text, Cursor)
        if cursor.sort != sort or cursor.at.tzinfo is None:
            raise Worded("a cursor of another order")
        return cursor


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A page of an account's journal. `zone`: the account's."""

    account: int
    zone: ZoneInfo
    filters: Filters = Filters()
    fields: tuple[str, ...] = LISTED
    sort: Sort = "-started_at"
    cursor: Cursor | None = None
    limit: int = 100


class Page(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[AppealTold, ...]
    next: str | None
    """The cursor of the next page; null: this is the last."""


def turned(sort: Sort) -> Sort:
    """The same order from its other end: a page before a row is one behind it in that order, read backwards."""
    other = sort.removeprefix("-") if sort.startswith("-") else f"-{sort}"
    return next(each for each in SORTS if each == other)


async def read_page(conn: Connection, asked: Asked) -> Page:
    """The rows of one page: first which they are, then what is told of them."""
    found = await _found(conn, asked)
    rows = {row["id"]: row for row in await _told(conn, asked, [row["started_at"] for row in found[: asked.limit]])}
    last = found[asked.limit - 1] if len(found) > asked.limit else None
    following = None
    if last is not None:
        following = Cursor(asked.sort, last["value"], last["started_at"], last["id"]).text()
    items = tuple(told(rows[key["id"]], asked.account) for key in found[: asked.limit] if key["id"] in rows)
    return Page(items=items, next=following)


async def _found(conn: Connection, asked: Asked) -> list[asyncpg.Record]:
    """Where the page's rows stand, and whether there is one more. Most questions are answered from an index alone."""
    values = Values()
    key, descends = _key(asked.sort)
    order = ", ".join(f"{part}{' DESC' if descends else ''}" for part in key)
    where = appeal_conditions(asked.filters, asked.account, asked.zone, values)
    if asked.cursor is not None:
        where += f" AND {_behind(key, asked.cursor, values, descends=descends)}"
    value = "NULL" if len(key) == len(BY_TIME) else key[0]
    sql = f"""
        SELECT a.started_at, a.id, {value} AS value FROM appeals a WHERE {where}
        ORDER BY {order} LIMIT {values.add(asked.limit + 1, "int")}"""  # noqa: S608 - made of constants; values are parameters
    return await conn.fetch(sql, *values.all)


async def _told(conn: Connection, asked: Asked, at: Sequence[datetime]) -> list[asyncpg.Record]:
    """By a list of times, not by a join with what was found: so the planner sees which months are concerned."""
    if not at:
        return []
    sql = f"""
        SELECT {selected(asked.fields)} FROM appeals a{joined(asked.fields)}
        WHERE a.account_id = $1 AND a.started_at = ANY ($2::timestamptz[])"""  # noqa: S608 - made of constants; values are parameters
    return await conn.fetch(sql, asked.account, at)


BY_TIME = ("a.started_at", "a.id")


def _key(sort: str) -> tuple[tuple[str, ...], bool]:
    """What rows are in order of, all parts in one direction; and whether that is downwards."""
    name = sort.removeprefix("-")
    key = BY_TIME if name == "started_at" else (f"coalesce(a.{name}, -1)::double precision", *BY_TIME)
    return key, sort.startswith("-")


def _behind(key: tuple[str, ...], cursor: Cursor, values: Values, *, descends: bool) -> str:
    sign = "<" if descends else ">"
    at, last = values.add(cursor.at, "timestamptz"), values.add(cursor.id, "uuid")
    if len(key) == len(BY_TIME):
        return f"a.started_at {sign}= {at} AND ({', '.join(key)}) {sign} ({at}, {last})"
    value = values.add(-1.0 if cursor.value is None else cursor.value, "double precision")
    return f"({', '.join(key)}) {sign} ({value}, {at}, {last})"


async def count(conn: Connection, account: int, zone: ZoneInfo, filters: Filters, most: int = MOST_COUNTED) -> int:
    """How many rows pass, up to one more than `most`."""
    values = Values()
    where = appeal_conditions(filters, account, zone, values)
    sql = f"""
        SELECT count(*) FROM (
            SELECT FROM appeals a WHERE {where} LIMIT {values.add(most + 1, "int")}) passed"""  # noqa: S608 - made of constants; values are parameters
    found: int = await conn.fetchval(sql, *values.all)
    return found


class Clock(msgspec.Struct, frozen=True):
    """Whose clock and whose national numbers an account goes by."""

    zone: ZoneInfo
    country: str


async def clock_of(conn: Connection, account: int) -> Clock | None:
    """None: there is no such account."""
    row = await conn.fetchrow(CLOCK, account)
    if row is None:
        return None
    try:
        zone = ZoneInfo(row["time_zone"])
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone = UTC_ZONE
    return Clock(zone, row["country"] or "RU")


CLOCK = """
SELECT time_zone, (SELECT country FROM sites s WHERE s.account_id = a.id ORDER BY s.id LIMIT 1) AS country
FROM accounts a WHERE id = $1"""
