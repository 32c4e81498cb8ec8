"""Who held a number at a moment: the question every dispute begins with. Reads history and live state.

What they say is made one answer by `holding`. Works with either server away, and says so.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import asyncpg

from callrouter.db.connect import LOST_CONNECTION, Connection
from callrouter.numbers import Number
from callrouter.pool.coalesce import RedisClient
from callrouter.pool.directory import OPERATOR
from callrouter.pool.holding import Archive, Bound, Holding, Inventory, Sight, Told, merge
from callrouter.pool.keys import NAMESPACE, pool_slot
from callrouter.pool.sight import find_slot, look
from callrouter.pool.store import LeaseStore, StoreUnavailable

NOW_WITHIN = timedelta(seconds=5)
"""A moment so short ago is told as now: the question took its time, and clocks differ."""
KEPT = 3
"""The lease that may cover the moment, and those before it."""

LEASE_COLUMNS = """
l.id AS lease, l.session, l.visitor, l.account_id AS account, l.site_id AS site, l.pool_id AS pool, l.started_at,
l.seen_at, l.expires_at, l.ended_at, l.end_reason, l.closed, coalesce(l.signs, '{}') AS signs,
v.channel, v.source, v.medium, v.campaign, v.keyword, v.landing_page"""
THEIR_VISIT = """
LEFT JOIN LATERAL (
    SELECT * FROM visits v
    WHERE v.session = l.session AND v.account_id = l.account_id AND v.started_at <= l.started_at
    ORDER BY v.started_at DESC LIMIT 1) v ON true"""

LEASES = f"""
SELECT {LEASE_COLUMNS} FROM leases l {THEIR_VISIT}
WHERE l.number = $1 AND l.started_at <= $2 AND ($3::bigint = {OPERATOR} OR l.account_id = $3)
ORDER BY l.started_at DESC, l.ended_at DESC NULLS FIRST LIMIT {KEPT}"""  # noqa: S608 - constants of this module
BINDING = f"""
SELECT b.account_id AS account, b.site_id AS site, b.channel, b.source, b.medium, b.campaign, b.valid_from, b.valid_to
FROM static_bindings b WHERE b.number = $1 AND tstzrange(b.valid_from, b.valid_to) @> $2::timestamptz
    AND ($3::bigint = {OPERATOR} OR b.account_id = $3)"""  # noqa: S608 - a constant of this module
INVENTORY = "SELECT * FROM number_standing($1, $2)"
HELD_BY_ANOTHER = "SELECT held_by_another($1, $2, $3)"


class Store(NamedTuple):
    """The lease store, for reading."""

    leases: LeaseStore
    client: RedisClient
    namespace: str = NAMESPACE


class Found(NamedTuple):
    """What the servers say, and which of them said nothing."""

    archive: Archive | None
    sight: Sight | None
    missing: tuple[str, ...]

    @property
    def inventory(self) -> Inventory | None:
        return self.archive.inventory if self.archive else None


async def holding(
    conn: Connection | None, store: Store | None, number: Number, at: datetime, *, account: int = OPERATOR
) -> Holding:
    """Who held `number` at `at`, and how it stands now. None: that server is known to be away."""
    found = await look_up(conn, store, number, at, account)
    now = found.sight.at if found.sight else datetime.now(UTC)
    return merge(
        number, at, archive=found.archive, sight=found.sight, account=account, missing=found.missing,
        past=now - at > NOW_WITHIN,
    )  # fmt: skip


async def look_up(conn: Connection | None, store: Store | None, number: Number, at: datetime, account: int) -> Found:
    """The history of that moment, and one look at the number in the lease store."""
    missing = []
    sight = None
    try:
        archive = await read_archive(conn, number, at, account) if conn is not None else None
    except (*LOST_CONNECTION, asyncpg.InterfaceError, TimeoutError):
        archive = None
    if archive is None:
        missing.append("Postgres is away: leases that ended longer ago and static bindings are not known")
    try:
        sight = await _sight(store, number, archive)
    except StoreUnavailable as error:
        missing.append(f"{error}: renewals of a running lease, calls in progress and pins are not known")
    return Found(archive, sight, tuple(missing))


async def read_archive(conn: Connection, number: Number, at: datetime, account: int) -> Archive:
    """What the history has on one moment, for one account's eyes."""
    leases = [told(row) for row in await conn.fetch(LEASES, number, at, account)]
    bound = await conn.fetchrow(BINDING, number, at, account)
    standing = await conn.fetchrow(INVENTORY, number, account)
    another = account != OPERATOR and await conn.fetchval(HELD_BY_ANOTHER, number, at, account)
    return Archive(
        leases=tuple(leases),
        binding=Bound(**bound) if bound else None,
        inventory=Inventory(**standing) if standing else None,
        held_by_another=bool(another),
    )


def told(row: asyncpg.Record) -> Told:
    """A row of LEASE_COLUMNS."""
    facts = {name: value for name, value in row.items() if name in Told.__struct_fields__}
    for name in ("channel", "source", "medium", "campaign", "keyword", "landing_page"):
        facts[name] = facts[name] or ""
    return Told(**{**facts, "signs": tuple(facts["signs"])})


async def _sight(store: Store | None, number: Number, archive: Archive | None) -> Sight | None:
    if store is None:
        raise StoreUnavailable("the lease store is away")
    if archive is None:
        slot = await find_slot(store.client, number, store.namespace)
    elif archive.inventory is not None and archive.inventory.pool is not None:
        slot = pool_slot(archive.inventory.pool, store.namespace)
    elif archive.leases:
        slot = pool_slot(archive.leases[0].pool, store.namespace)
    else:
        slot = None
    return await look(store.leases, slot, number) if slot else None
