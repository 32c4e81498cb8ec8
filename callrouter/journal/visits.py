"""Visits as people read them: page by page by the same filters as appeals, and one in full with its pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import msgspec

from callrouter.db.connect import Connection
from callrouter.journal.conditions import Values, visit_conditions
from callrouter.journal.filters import Filters
from callrouter.journal.keyset import Behind

MOST_PAGES = 500
Sort = Literal["-started_at", "started_at"]


class VisitTold(msgspec.Struct, frozen=True, kw_only=True):
    """One visit; `number`: the substitute number shown first, null if none was leased."""

    session: str
    visitor: str
    site: int
    started_at: datetime
    seen_at: datetime
    ended_at: datetime | None
    time_on_site_s: float
    bounce: bool
    channel: str
    source: str
    medium: str
    campaign: str
    keyword: str
    content: str
    click_id: str
    landing_page: str
    referrer: str
    page: str
    title: str
    pages: int
    device: str
    os: str
    browser: str
    location: str
    ga_client_id: str
    ga_session_id: str
    ym_client_id: str
    ym_counter: str
    overflow: bool
    number: str | None


class PageSeen(msgspec.Struct, frozen=True, kw_only=True):
    at: datetime
    url: str
    title: str
    seconds: float | None


class VisitInFull(msgspec.Struct, frozen=True, kw_only=True):
    """`client`: whose visitor it was, if he is known; `appeals`: what came of it. `cut`: there were more pages."""

    visit: VisitTold
    client: int | None
    pages: tuple[PageSeen, ...]
    appeals: tuple[UUID, ...]
    cut: bool = False


class VisitPage(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[VisitTold, ...]
    next: str | None


async def read_visits(
    conn: Connection, account: int, zone: ZoneInfo, filters: Filters, *, sort: Sort = "-started_at",
    behind: Behind | None, limit: int,
) -> VisitPage:  # fmt: skip
    """`filters` are those that `concerns_visits` allows."""
    values = Values()
    where = visit_conditions(filters, account, zone, values)
    sign, way = ("<", "DESC") if sort.startswith("-") else (">", "ASC")
    if behind is not None:
        at, last = values.add(behind.at, "timestamptz"), values.add(behind.id, "text")
        where += f" AND v.started_at {sign}= {at} AND (v.started_at, v.session) {sign} ({at}, {last})"
    sql = f"""
        SELECT {COLUMNS} FROM visits v {BOUNCE} WHERE {where}
        ORDER BY v.started_at {way}, v.session {way} LIMIT {values.add(limit + 1, "int")}"""  # noqa: S608 - made of constants; values are parameters
    rows = [visit_told(row) for row in await conn.fetch(sql, *values.all)]
    following = Behind(rows[limit - 1].started_at, rows[limit - 1].session).text() if len(rows) > limit else None
    return VisitPage(items=tuple(rows[:limit]), next=following)


async def read_visit(conn: Connection, account: int, session: str) -> VisitInFull | None:
    """None: the account has none of this id."""
    row = await conn.fetchrow(ONE, account, session)
    if row is None:
        return None
    visit = visit_told(row)
    pages = await pages_of(conn, account, session, visit.started_at, MOST_PAGES + 1)
    client = await conn.fetchval(CLIENT, account, visit.visitor)
    appeals = await conn.fetch(APPEALS, account, session, visit.started_at, client)
    return VisitInFull(
        visit=visit, client=client, pages=pages[:MOST_PAGES],
        appeals=tuple(appeal["id"] for appeal in appeals), cut=len(pages) > MOST_PAGES,
    )  # fmt: skip


async def pages_of(
    conn: Connection, account: int, session: str, started_at: datetime, most: int = MOST_PAGES
) -> tuple[PageSeen, ...]:
    return tuple(PageSeen(**dict(page)) for page in await conn.fetch(PAGES, account, session, started_at, most))


async def pages_of_each(
    conn: Connection, account: int, visits: Sequence[VisitTold], most: int
) -> dict[str, tuple[PageSeen, ...]]:
    """The first pages of several visits, by session."""
    found: dict[str, list[PageSeen]] = {}
    keys = [visit.session for visit in visits], [visit.started_at for visit in visits]
    for row in await conn.fetch(PAGES_OF_EACH, account, *keys, most) if visits else ():
        told = dict(row)
        found.setdefault(told.pop("session"), []).append(PageSeen(**told))
    return {session: tuple(pages) for session, pages in found.items()}


def visit_told(row: asyncpg.Record) -> VisitTold:
    return VisitTold(**{name: row[name] for name in VisitTold.__struct_fields__})


_DERIVED = {
    "site": "v.site_id",
    "time_on_site_s": "extract(epoch FROM v.seen_at - v.started_at)::double precision",
    "bounce": "v.pages = 1 AND extract(epoch FROM v.seen_at - v.started_at) < coalesce(s.bounce_s, 15)",
}
COLUMNS = ", ".join(f'{_DERIVED.get(name, f"v.{name}")} AS "{name}"' for name in VisitTold.__struct_fields__)
BOUNCE = "LEFT JOIN sites s ON (s.account_id, s.id) = (v.account_id, v.site_id)"
ONE = f"""
SELECT {COLUMNS} FROM visits v {BOUNCE} WHERE v.account_id = $1 AND v.session = $2
ORDER BY v.started_at LIMIT 1"""  # noqa: S608 - made of constants; values are parameters
# A visit ends half an hour after its last sign of life: two days hold its pages, and few partitions are looked at.
PAGES = """
SELECT at, url, title, seconds FROM visit_pages
WHERE account_id = $1 AND session = $2
    AND at >= $3::timestamptz - interval '1 hour' AND at < $3::timestamptz + interval '2 days'
ORDER BY sequence, at LIMIT $4"""
PAGES_OF_EACH = """
SELECT w.session, p.* FROM unnest($2::text[], $3::timestamptz[]) AS w (session, started_at)
CROSS JOIN LATERAL (
    SELECT at, url, title, seconds FROM visit_pages
    WHERE account_id = $1 AND session = w.session
        AND at >= w.started_at - interval '1 hour' AND at < w.started_at + interval '2 days'
    ORDER BY sequence, at LIMIT $4) p"""
CLIENT = """
SELECT client_id FROM client_identities WHERE account_id = $1 AND kind = 'visitor' AND value = $2
UNION ALL (SELECT client_id FROM client_visitors WHERE account_id = $1 AND visitor = $2 ORDER BY judged_at DESC LIMIT 1)
LIMIT 1"""
APPEALS = """
SELECT id, started_at FROM appeals WHERE account_id = $1 AND client_id = $4 AND session = $2
UNION ALL (
    SELECT a.id, a.started_at FROM (
        SELECT account_id, started_at, id FROM appeals
        WHERE account_id = $1 AND started_at >= $3 AND started_at < $3::timestamptz + interval '4 days'
            AND client_id IS NULL
    ) k JOIN appeals a ON (a.account_id, a.started_at, a.id) = (k.account_id, k.started_at, k.id) WHERE a.session = $2)
ORDER BY started_at LIMIT 100"""
