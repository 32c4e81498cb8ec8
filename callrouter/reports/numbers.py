"""What numbers and pools were used for: calls of each number, static ones also without a call; leases of pools.

Knows SQL. Counted from rows: what is asked of a number is seldom asked of a year.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from callrouter.db.connect import Connection
from callrouter.journal.conditions import Values, appeal_conditions
from callrouter.journal.filters import Filters
from callrouter.reports.facts import Scope
from callrouter.reports.figures import Share, share

USED = """
WITH used AS (
    SELECT a.called AS number, count(*) AS calls, count(*) FILTER (WHERE a.is_unique) AS unique_calls,
        count(*) FILTER (WHERE a.quality) AS quality, count(*) FILTER (WHERE a.status = 'lost') AS lost,
        max(a.started_at) AS last_call_at
    FROM appeals a WHERE {where} AND a.kind = 'call' AND a.direction = 'inbound' AND a.called IS NOT NULL
    GROUP BY a.called
), bound AS (
    SELECT DISTINCT ON (number) number, channel, source, site_id FROM static_bindings
    WHERE account_id = {account} AND valid_from < {until} AND coalesce(valid_to, 'infinity') > {since}
    ORDER BY number, valid_from DESC
)
SELECT coalesce(u.number, b.number) AS number, b.number IS NOT NULL AS is_static, b.channel, b.source,
    b.site_id AS site, coalesce(u.calls, 0) AS calls, coalesce(u.unique_calls, 0) AS unique_calls,
    coalesce(u.quality, 0) AS quality, coalesce(u.lost, 0) AS lost, u.last_call_at
FROM used u FULL JOIN bound b ON b.number = u.number
WHERE NOT {static} OR b.number IS NOT NULL ORDER BY calls DESC, number LIMIT {limit}"""

POOLS = """
SELECT l.pool_id AS pool, count(*) AS leases, count(DISTINCT l.number) AS numbers,
    sum(extract(epoch FROM greatest(least(coalesce(l.ended_at, l.expires_at), $3) - greatest(l.started_at, $2),
        interval '0'))) / extract(epoch FROM $3 - $2) AS mean_leased,
    count(*) FILTER (WHERE l.end_reason = 'taken') AS taken
FROM leases l
WHERE l.account_id = $1 AND l.started_at >= $2 - interval '1 day' AND l.started_at < $3
  AND coalesce(l.ended_at, l.expires_at) > $2
GROUP BY l.pool_id ORDER BY leases DESC"""

SITES = """
SELECT v.site_id AS site, count(*) AS visits, count(*) FILTER (WHERE v.number IS NOT NULL) AS shown,
    count(*) FILTER (WHERE v.overflow) AS overflow
FROM visits v WHERE v.account_id = $1 AND v.started_at >= $2 AND v.started_at < $3
GROUP BY v.site_id ORDER BY v.site_id"""


class NumberUse(msgspec.Struct, frozen=True, kw_only=True):
    number: str
    kind: Literal["static", "other"]
    """`static`: bound to a channel at some time of the period."""
    channel: str | None
    source: str | None
    site: int | None
    calls: int
    unique_calls: int
    quality: int
    lost: int
    lost_share: Share | None
    last_call_at: datetime | None


class PoolUse(msgspec.Struct, frozen=True, kw_only=True):
    pool: int
    leases: int
    numbers: int
    """Different numbers that were leased."""
    mean_leased: float
    """Numbers leased at a time, on average over the period."""
    taken: int
    """Leases that ended early, for another visitor, because the pool was empty."""


class SiteUse(msgspec.Struct, frozen=True, kw_only=True):
    site: int
    visits: int
    shown: int
    overflow: int
    overflow_share: Share | None


async def numbers_used(
    connection: Connection, scope: Scope, filters: Filters, *, only_static: bool, limit: int
) -> list[NumberUse]:
    """`filters` has since and until."""
    values = Values()
    where = appeal_conditions(msgspec.structs.replace(filters, spam=False), scope.account, scope.zone, values)
    rows = await connection.fetch(
        USED.format(
            where=where, account=values.add(scope.account, "bigint"), since=values.add(filters.since, "timestamptz"),
            until=values.add(filters.until, "timestamptz"), static=values.add(only_static, "boolean"),
            limit=values.add(limit, "bigint"),
        ),
        *values.all,
    )  # fmt: skip
    return [
        NumberUse(
            number=row["number"], kind="static" if row["is_static"] else "other", channel=row["channel"],
            source=row["source"], site=row["site"], calls=row["calls"], unique_calls=row["unique_calls"],
            quality=row["quality"], lost=row["lost"], lost_share=share(row["lost"], row["calls"]),
            last_call_at=row["last_call_at"],
        )
        for row in rows
    ]  # fmt: skip


async def pools_used(connection: Connection, account: int, since: datetime, until: datetime) -> list[PoolUse]:
    rows = await connection.fetch(POOLS, account, since, until)
    return [PoolUse(**{**dict(row), "mean_leased": float(row["mean_leased"])}) for row in rows]


async def sites_served(connection: Connection, account: int, since: datetime, until: datetime) -> list[SiteUse]:
    return [
        SiteUse(**dict(row), overflow_share=share(row["overflow"], row["visits"]))
        for row in await connection.fetch(SITES, account, since, until)
    ]
