"""Entries of a log → rows of Postgres, many at a time. Knows the tables; knows neither Redis nor who calls it.

Writing the same entries again changes nothing. Within a batch only the last state of a lease or visit is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from callrouter.db.connect import Connection
from callrouter.pool.entries import Entry
from callrouter.sessions.model import Analytics, Visit


class _Lease(msgspec.Struct, kw_only=True):
    id: str
    number: str
    pool: int
    account: int
    site: int
    session: str
    visitor: str
    started_at: datetime
    seen_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    end: str | None = None
    closed: bool = False
    signs: str | None = None
    """As Postgres spells an array: unnest would flatten an array of arrays."""


class _Change(msgspec.Struct, kw_only=True):
    """What later entries of a batch say of a visit."""

    account: int
    started_at: datetime
    session: str
    seen_at: datetime
    pages: int = 1
    page: str | None = None
    title: str | None = None
    ended_at: datetime | None = None
    overflow: bool = False
    number: str | None = None
    ga_client_id: str = ""
    ym_client_id: str = ""
    ga_session_id: str = ""
    ym_counter: str = ""


class _Page(msgspec.Struct, kw_only=True):
    account: int
    at: datetime
    session: str
    sequence: int
    url: str
    title: str


class _Batch:
    def __init__(self) -> None:
        self.leases: dict[str, _Lease] = {}
        self.visits: dict[str, Visit] = {}
        self.changes: dict[str, _Change] = {}
        self.pages: list[_Page] = []
        self.page_ends: dict[tuple[str, int], datetime] = {}
        """Session and page → when the next was opened, or the last sign of life on it."""
        self.visitors: dict[tuple[int, str], tuple[datetime, datetime]] = {}

    def add(self, entry: Entry, pool: int) -> None:
        handle = HANDLERS.get(entry.kind)
        if handle is None:
            raise ValueError(f"an entry of unknown kind: {', '.join(entry.fields)[:80]}")
        handle(self, entry, pool)

    def visit_started(self, entry: Entry, _: int) -> None:
        if entry.visit is None:
            raise ValueError("a visit begins without its facts")
        visit, at = entry.visit, entry.visit.started_at
        self.visits[visit.session] = visit
        self._page(entry, at, 1)
        self._visitor(visit.account, visit.visitor, at)

    def page_opened(self, entry: Entry, _: int) -> None:
        change = self._change(entry)
        change.page, change.title = entry["pg"], entry["ti"]
        at, sequence = entry.moment_of("at"), entry.number_of("i")
        self._page(entry, at, sequence)
        self.page_ends[entry["s"], sequence - 1] = at

    def touched(self, entry: Entry, _: int) -> None:
        self._change(entry)
        self.page_ends[entry["s"], entry.number_of("i")] = entry.moment_of("at")

    def visit_ended(self, entry: Entry, _: int) -> None:
        at = entry.moment_of("at")
        change = self._change(entry)
        change.ended_at = at
        self._visitor(change.account, entry["v"], at)
        self.page_ends[entry["s"], entry.number_of("i")] = at

    def overflow(self, entry: Entry, _: int) -> None:
        self._change(entry).overflow = True

    def lease_started(self, entry: Entry, pool: int) -> None:
        self.leases.setdefault(entry["l"], _lease(entry, pool))
        change = self._change(entry, started="vb", at="z")
        change.number = change.number or entry["n"]

    def lease_ended(self, entry: Entry, pool: int) -> None:
        lease = _lease(entry, pool)
        lease.ended_at, lease.end, lease.closed = entry.moment_of("x"), entry["r"], entry["c"] == "1"
        lease.signs = "{" + ",".join(str(int(sign)) for sign in entry.fields.get("zs", "").split(",") if sign) + "}"
        self.leases[lease.id] = lease

    def _change(self, entry: Entry, *, started: str = "b", at: str = "at") -> _Change:
        seen_at, session = entry.moment_of(at), entry["s"]
        change = self.changes.get(session)
        if change is None:
            change = self.changes[session] = _Change(
                account=entry.number_of("a"), started_at=entry.moment_of(started), session=session, seen_at=seen_at
            )
        change.seen_at = max(change.seen_at, seen_at)
        if entry.visit is not None:
            for name in Analytics.__struct_fields__:
                setattr(change, name, getattr(entry.visit, name))
        if "i" in entry.fields:
            change.pages = max(change.pages, entry.number_of("i"))
        return change

    def _page(self, entry: Entry, at: datetime, sequence: int) -> None:
        page = _Page(
            account=entry.number_of("a"), at=at, session=entry["s"], sequence=sequence, url=entry["pg"],
            title=entry["ti"],
        )  # fmt: skip
        self.pages.append(page)

    def _visitor(self, account: int, visitor: str, at: datetime) -> None:
        first, last = self.visitors.get((account, visitor), (at, at))
        self.visitors[account, visitor] = (min(first, at), max(last, at))


HANDLERS: dict[str, Callable[[_Batch, Entry, int], None]] = {
    "visit_started": _Batch.visit_started, "page_opened": _Batch.page_opened, "page_closed": _Batch.touched,
    "analytics_told": _Batch.touched,
    "visit_ended": _Batch.visit_ended, "overflow": _Batch.overflow, "lease_started": _Batch.lease_started,
    "lease_ended": _Batch.lease_ended,
}  # fmt: skip


async def write_entries(connection: Connection, entries: Iterable[Entry], pool: int) -> None:
    """Write them all, in one transaction of the caller's."""
    batch = _Batch()
    for entry in entries:
        batch.add(entry, pool)
    await _write_visits(connection, batch)
    await _write_leases(connection, list(batch.leases.values()))


async def _write_visits(connection: Connection, batch: _Batch) -> None:
    if batch.visitors:
        rows = [(account, visitor, *times) for (account, visitor), times in sorted(batch.visitors.items())]
        await connection.execute(VISITORS, *_columns(rows))
    if batch.visits:
        begun = [_visit_row(visit, batch.changes.pop(visit.session, None)) for visit in batch.visits.values()]
        await connection.execute(VISITS, *_columns(begun))
    if batch.changes:
        await connection.execute(CHANGES, *_columns([msgspec.structs.astuple(c) for c in batch.changes.values()]))
    if batch.pages:
        await connection.execute(PAGES, *_columns([msgspec.structs.astuple(page) for page in batch.pages]))
    if ends := batch.page_ends:
        await connection.execute(PAGE_SECONDS, *_columns([(*key, at) for key, at in ends.items()]))


async def _write_leases(connection: Connection, leases: list[_Lease]) -> None:
    if not leases:
        return
    first: dict[str, datetime] = {}
    for lease in leases:
        first[lease.number] = min(first.get(lease.number, lease.started_at), lease.started_at)
    await connection.execute(CLOSE_FORGOTTEN, list(first), list(first.values()))
    ended = [msgspec.structs.astuple(lease) for lease in leases if lease.ended_at]
    running = [msgspec.structs.astuple(lease) for lease in leases if not lease.ended_at]
    if ended:
        await connection.execute(ENDED_LEASES, *_columns(ended))
    if running:
        await connection.execute(RUNNING_LEASES, *_columns(running))


def _lease(entry: Entry, pool: int) -> _Lease:
    return _Lease(
        id=entry["l"], number=entry["n"], pool=pool, account=entry.number_of("a"), site=entry.number_of("w"),
        session=entry["s"], visitor=entry["v"], started_at=entry.moment_of("b"), seen_at=entry.moment_of("z"),
        expires_at=entry.moment_of("e"),
    )  # fmt: skip


def _visit_row(visit: Visit, change: _Change | None) -> tuple[object, ...]:
    """The visit as it is after this batch."""
    t = visit.traffic
    ids = change or visit
    page, title = (change.page, change.title) if change and change.page is not None else (visit.page, visit.title)
    return (
        visit.account, visit.started_at, visit.session, visit.visitor, visit.site,
        change.seen_at if change else visit.seen_at, t.channel, t.source, t.medium, t.campaign, t.keyword, t.content,
        t.click_id, visit.landing_page, visit.referrer, page, title, change.pages if change else visit.pages,
        visit.user_agent, visit.device, visit.os, visit.browser, visit.location,
        ids.ga_client_id or visit.ga_client_id, ids.ym_client_id or visit.ym_client_id,
        change.ended_at if change else None, bool(change and change.overflow), change.number if change else None,
        ids.ga_session_id or visit.ga_session_id, ids.ym_counter or visit.ym_counter,
    )  # fmt: skip


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


VISITORS = """
INSERT INTO visitors (account_id, id, first_seen_at, last_seen_at)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::timestamptz[])
ON CONFLICT (account_id, id) DO UPDATE SET
    first_seen_at = least(visitors.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(visitors.last_seen_at, excluded.last_seen_at)
"""

VISITS = """
INSERT INTO visits (account_id, started_at, session, visitor, site_id, seen_at, channel, source, medium, campaign,
    keyword, content, click_id, landing_page, referrer, page, title, pages, user_agent, device, os, browser, location,
    ga_client_id, ym_client_id, ended_at, overflow, number, ga_session_id, ym_counter)
SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[],
    $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
    $16::text[], $17::text[], $18::int[], $19::text[], $20::text[], $21::text[], $22::text[], $23::text[], $24::text[],
    $25::text[], $26::timestamptz[], $27::bool[], $28::text[], $29::text[], $30::text[])
ON CONFLICT (account_id, started_at, session) DO UPDATE SET
    seen_at = greatest(visits.seen_at, excluded.seen_at),
    pages = greatest(visits.pages, excluded.pages),
    page = CASE WHEN excluded.seen_at >= visits.seen_at THEN excluded.page ELSE visits.page END,
    title = CASE WHEN excluded.seen_at >= visits.seen_at THEN excluded.title ELSE visits.title END,
    ended_at = coalesce(excluded.ended_at, visits.ended_at),
    overflow = visits.overflow OR excluded.overflow,
    number = coalesce(visits.number, excluded.number),
    ga_client_id = coalesce(nullif(excluded.ga_client_id, ''), visits.ga_client_id),
    ym_client_id = coalesce(nullif(excluded.ym_client_id, ''), visits.ym_client_id),
    ga_session_id = coalesce(nullif(excluded.ga_session_id, ''), visits.ga_session_id),
    ym_counter = coalesce(nullif(excluded.ym_counter, ''), visits.ym_counter)
"""

CHANGES = """
UPDATE visits v SET
    seen_at = greatest(v.seen_at, c.seen_at),
    pages = greatest(v.pages, c.pages),
    page = CASE WHEN c.seen_at >= v.seen_at THEN coalesce(c.page, v.page) ELSE v.page END,
    title = CASE WHEN c.seen_at >= v.seen_at THEN coalesce(c.title, v.title) ELSE v.title END,
    ended_at = coalesce(c.ended_at, v.ended_at),
    overflow = v.overflow OR c.overflow,
    number = coalesce(v.number, c.number),
    ga_client_id = coalesce(nullif(c.ga_client_id, ''), v.ga_client_id),
    ym_client_id = coalesce(nullif(c.ym_client_id, ''), v.ym_client_id),
    ga_session_id = coalesce(nullif(c.ga_session_id, ''), v.ga_session_id),
    ym_counter = coalesce(nullif(c.ym_counter, ''), v.ym_counter)
FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::timestamptz[], $5::int[], $6::text[], $7::text[],
    $8::timestamptz[], $9::bool[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[])
    AS c (account_id, started_at, session, seen_at, pages, page, title, ended_at, overflow, number, ga_client_id,
    ym_client_id, ga_session_id, ym_counter)
WHERE v.account_id = c.account_id AND v.started_at = c.started_at AND v.session = c.session
"""

PAGES = """
INSERT INTO visit_pages (account_id, at, session, sequence, url, title)
SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::int[], $5::text[], $6::text[])
ON CONFLICT (account_id, at, session, sequence) DO NOTHING
"""

# How long a page was looked at: until the next was opened, or to the last sign of life. Only ever longer: a page closed
# may have been opened again.
PAGE_SECONDS = """
UPDATE visit_pages p SET seconds = greatest(p.seconds, extract(epoch FROM e.ended_at - p.at))
FROM unnest($1::text[], $2::int[], $3::timestamptz[]) AS e (session, sequence, ended_at)
WHERE p.session = e.session AND p.sequence = e.sequence AND e.ended_at >= p.at
"""

# A lease whose end was lost with the store's data is closed by the next lease of its number.
CLOSE_FORGOTTEN = """
UPDATE leases l SET
    ended_at = greatest(l.started_at, least(l.expires_at, n.started_at)), end_reason = 'lost'
FROM unnest($1::text[], $2::timestamptz[]) AS n (number, started_at)
WHERE l.number = n.number AND l.ended_at IS NULL AND l.started_at < n.started_at
"""

_LEASE_ROWS = """
INSERT INTO leases (id, number, pool_id, account_id, site_id, session, visitor, started_at, seen_at, expires_at,
    ended_at, end_reason, closed, signs)
SELECT r.id, r.number, r.pool, r.account, r.site, r.session, r.visitor, r.started_at, r.seen_at, r.expires_at,
    r.ended_at, r.end_reason, r.closed, r.signs::int[]
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[],
    $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::text[], $13::bool[], $14::text[])
    AS r (id, number, pool, account, site, session, visitor, started_at, seen_at, expires_at, ended_at, end_reason,
    closed, signs)
ON CONFLICT (account_id, number, id) DO """

RUNNING_LEASES = _LEASE_ROWS + "NOTHING"

ENDED_LEASES = (
    _LEASE_ROWS
    + """UPDATE SET
    seen_at = excluded.seen_at, expires_at = excluded.expires_at, ended_at = excluded.ended_at,
    end_reason = excluded.end_reason, closed = excluded.closed, signs = excluded.signs
"""
)
