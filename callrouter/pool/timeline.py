"""A number's timeline: its leases, the calls on it, what it was bound to, and when others had it. Page by page.

One list in the order of time, for one account's eyes. Knows the tables; the running lease comes from the lease store.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import asyncpg
import msgspec

from callrouter.db.connect import Connection
from callrouter.numbers import Number
from callrouter.pool.directory import OPERATOR
from callrouter.pool.holders import LEASE_COLUMNS, THEIR_VISIT, told
from callrouter.pool.holding import Archive, Inventory, KnownFrom, Sight, Told, merged_leases

PAGE = 500


class LeaseItem(Told, frozen=True, kw_only=True, tag_field="kind", tag="lease"):
    """A lease; `ended_at` null: it goes on."""


class CallItem(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="call"):
    """An inbound call on the number, and whom it was credited to."""

    started_at: datetime
    ended_at: datetime | None
    appeal: str
    account: int
    site: int | None
    caller: str | None
    status: str | None
    method: str
    confidence: float
    session: str | None
    late: bool
    pinned_until: datetime | None = None
    """Until then nobody else was to get the number: people call back."""


class StaticItem(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="static"):
    """The number belonged to a channel."""

    started_at: datetime
    ended_at: datetime | None
    account: int
    site: int
    channel: str
    source: str
    medium: str
    campaign: str


class OthersItem(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="another_account"):
    """Hours in which visitors of other accounts were shown the number; who and when exactly is not told."""

    started_at: datetime
    ended_at: datetime


class DisabledItem(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="disabled"):
    """Set aside since then."""

    started_at: datetime


Item = LeaseItem | CallItem | StaticItem | OthersItem | DisabledItem


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to `number` in [since, until), by start. `next` asks for the rest; null: this is all."""

    number: Number
    since: datetime
    until: datetime
    items: tuple[Item, ...]
    pool: int | None = None
    sources: tuple[KnownFrom, ...] = ("history",)
    missing: tuple[str, ...] = ()
    next: str | None = None


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The last item of a page: the next begins behind it."""

    at: datetime
    kind: str
    name: str

    def text(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @staticmethod
    def of(text: str) -> Cursor:
        """Raises ValueError for what is no cursor of ours."""
        try:
            return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=Cursor)
        except (binascii.Error, msgspec.MsgspecError, UnicodeError) as error:
            raise ValueError("not a cursor that was given out") from error


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a timeline: up to `limit` items after `cursor`, for `account`'s eyes."""

    number: Number
    since: datetime
    until: datetime
    account: int = OPERATOR
    limit: int = PAGE
    cursor: Cursor | None = None


async def read_timeline(
    conn: Connection, asked: Asked, *, inventory: Inventory | None, sight: Sight | None, missing: Iterable[str] = ()
) -> Timeline:
    """One page. `sight`: what the lease store has on the number now, for the lease that runs."""
    found: list[Item] = [*await _leases(conn, asked, sight), *await _calls(conn, asked)]
    if asked.cursor is None:  # few, and first
        found += await _statics(conn, asked)
    if asked.account != OPERATOR:
        found += [OthersItem(**row) for row in await conn.fetch(OTHERS, *_span(asked), asked.account)]
    if inventory and inventory.disabled_at and asked.since <= inventory.disabled_at < asked.until:
        found.append(DisabledItem(started_at=inventory.disabled_at))
    found.sort(key=_place)
    if asked.cursor is not None:
        after = (asked.cursor.at, asked.cursor.kind, asked.cursor.name)
        found = [item for item in found if _place(item) > after]
    page, more = found[: asked.limit], len(found) > asked.limit
    sources: tuple[Literal["live", "history"], ...] = ("live", "history") if sight else ("history",)
    return Timeline(
        number=asked.number, since=asked.since, until=asked.until, items=tuple(page), sources=sources,
        pool=inventory.pool if inventory else None, missing=tuple(missing),
        next=Cursor(*_place(page[-1])).text() if more else None,
    )  # fmt: skip


def _place(item: Item) -> tuple[datetime, str, str]:
    name = item.lease if isinstance(item, LeaseItem) else item.appeal if isinstance(item, CallItem) else ""
    return (item.started_at, str(item.__struct_config__.tag), name)


def _span(asked: Asked) -> tuple[Number, datetime, datetime]:
    return asked.number, asked.since, asked.until


async def _leases(conn: Connection, asked: Asked, sight: Sight | None) -> list[Item]:
    after = asked.cursor.at if asked.cursor else None
    rows = await conn.fetch(LEASES, *_span(asked), asked.account, after, asked.limit + 1)
    archive = Archive(leases=tuple(told(row) for row in rows))
    whole = len(rows) <= asked.limit
    both = merged_leases(archive, sight)
    known = {each.lease for each in archive.leases}
    return [
        LeaseItem(**msgspec.structs.asdict(each))
        for each in both
        if (each.lease in known or whole) and _overlaps(each, asked) and asked.account in (OPERATOR, each.account)
    ]


def _overlaps(each: Told, asked: Asked) -> bool:
    return each.started_at < asked.until and (each.ended_at is None or each.ended_at > asked.since)


async def _calls(conn: Connection, asked: Asked) -> list[Item]:
    after = max(asked.since, asked.cursor.at) if asked.cursor else asked.since
    rows = await conn.fetch(CALLS, asked.number, after, asked.until, asked.account, asked.limit + 1)
    return [_call(row) for row in rows]


def _call(row: asyncpg.Record) -> CallItem:
    return msgspec.convert({**row, "appeal": str(row["appeal"])}, CallItem)


async def _statics(conn: Connection, asked: Asked) -> list[Item]:
    return [StaticItem(**row) for row in await conn.fetch(STATICS, *_span(asked), asked.account)]


_MINE = f"($4::bigint = {OPERATOR} OR account_id = $4)"

# Leases of a number do not overlap, so at most one that began earlier reaches into the span.
LEASES = f"""
SELECT {LEASE_COLUMNS} FROM (
    SELECT * FROM leases
    WHERE number = $1 AND started_at < $3 AND coalesce(ended_at, 'infinity') > $2 AND {_MINE}
        AND started_at >= coalesce($5::timestamptz, (
            SELECT max(b.started_at) FROM leases b WHERE b.number = $1 AND b.started_at <= $2), $2)
    ORDER BY started_at LIMIT $6) l {THEIR_VISIT}
ORDER BY l.started_at"""  # noqa: S608 - constants of this module
CALLS = f"""
SELECT started_at, ended_at, id AS appeal, account_id AS account, site_id AS site, customer AS caller, status, method,
    confidence, session, late, ended_at + (
        SELECT max(s.hold) FROM site_pools p JOIN sites s ON s.id = p.site_id
        JOIN numbers n ON n.pool_id = p.pool_id WHERE n.number = $1) AS pinned_until
FROM appeals
WHERE called = $1 AND started_at >= $2 AND started_at < $3 AND kind = 'call' AND direction = 'inbound' AND {_MINE}
ORDER BY started_at LIMIT $5"""  # noqa: S608 - constants of this module
STATICS = f"""
SELECT valid_from AS started_at, valid_to AS ended_at, account_id AS account, site_id AS site, channel, source, medium,
    campaign
FROM static_bindings
WHERE number = $1 AND tstzrange(valid_from, valid_to) && tstzrange($2, $3) AND {_MINE}"""  # noqa: S608 - constants of this module
OTHERS = "SELECT * FROM hours_of_others($1, $2, $3, $4)"
