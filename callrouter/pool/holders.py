"""Who held a number at a moment, from the lease history in Postgres: the question every dispute begins with."""

from __future__ import annotations

from datetime import datetime

import msgspec

from callrouter.db.connect import Connection
from callrouter.numbers import Number

LEASE = """
SELECT l.id AS lease, l.session, l.visitor, l.account_id AS account, l.site_id AS site, l.started_at, l.seen_at,
       l.expires_at, l.ended_at, l.end_reason, l.closed, v.source, v.medium, v.campaign, v.landing_page
FROM leases l LEFT JOIN visits v ON v.account_id = l.account_id AND v.session = l.session
WHERE l.number = $1 AND """

HELD = LEASE + "l.started_at <= $2 AND coalesce(l.ended_at, l.expires_at) > $2"
BEFORE = LEASE + "coalesce(l.ended_at, l.expires_at) <= $2 ORDER BY l.started_at DESC LIMIT 1"
BOUND = """
SELECT b.account_id AS account, b.site_id AS site, b.channel, b.source, b.medium, b.campaign, b.valid_from, b.valid_to
FROM static_bindings b WHERE b.number = $1 AND tstzrange(b.valid_from, b.valid_to) @> $2::timestamptz"""


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """`holder` is the lease that covered `at`, `static` the binding; `last_holder` the lease that ended before."""

    number: Number
    at: datetime
    holder: dict[str, object] | None = None
    static: dict[str, object] | None = None
    last_holder: dict[str, object] | None = None
    why: str = ""


async def holding(conn: Connection, number: Number, at: datetime) -> Holding:
    """Who held `number` at `at`, and why."""
    bound, held, before = [await conn.fetchrow(query, number, at) for query in (BOUND, HELD, BEFORE)]
    if bound:
        why = f"a static number of channel {bound['channel']}"
    elif held:
        end = held["ended_at"] or held["expires_at"]
        how = "ended" if held["ended_at"] else "runs out unless renewed"
        why = (
            f"leased to visit {held['session']} at {held['started_at']:%Y-%m-%d %H:%M:%S} UTC; {how} at {end:%H:%M:%S}"
        )
    elif before:
        why = f"free; the last lease ended before ({before['end_reason'] or 'ran out'})"
    else:
        why = "never leased and never bound, as far as the history goes"
    return Holding(
        number=number, at=at, holder=dict(held) if held else None, static=dict(bound) if bound else None,
        last_holder=dict(before) if before else None, why=why,
    )  # fmt: skip
