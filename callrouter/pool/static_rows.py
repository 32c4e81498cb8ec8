"""Static bindings with the calls that came by them lately. Changes nothing."""

from __future__ import annotations

from datetime import datetime

import msgspec

from callrouter.db.connect import Connection


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """A number's binding to a channel; `calls` came in the last 30 days of it, `lost` of them to nobody."""

    id: int
    account: int
    number: str
    site: int
    site_name: str
    channel: str
    source: str
    medium: str
    campaign: str
    valid_from: datetime
    valid_to: datetime | None
    calls: int
    lost: int
    last_call_at: datetime | None

    def in_force(self, at: datetime) -> bool:
        return self.valid_from <= at and (self.valid_to is None or at < self.valid_to)


async def bound_numbers(conn: Connection, account: int | None, at: datetime, limit: int) -> list[Bound]:
    """Those in force first, then those that ended last."""
    return [Bound(**dict(row)) for row in await conn.fetch(BOUND, account, at, limit)]


BOUND = """
SELECT b.id, b.account_id AS account, b.number, b.site_id AS site, s.name AS site_name, b.channel, b.source, b.medium,
       b.campaign, b.valid_from, b.valid_to, c.calls, c.lost, c.last_call_at
FROM (
    SELECT * FROM static_bindings WHERE $1::bigint IS NULL OR account_id = $1
    ORDER BY coalesce(valid_to, 'infinity') > $2 DESC, valid_to DESC NULLS FIRST, valid_from DESC, id LIMIT $3) b
JOIN sites s ON s.account_id = b.account_id AND s.id = b.site_id
CROSS JOIN LATERAL (
    SELECT count(*)::int AS calls, (count(*) FILTER (WHERE a.status = 'lost'))::int AS lost,
           max(a.started_at) AS last_call_at
    FROM appeals a
    WHERE a.called = b.number AND a.account_id = b.account_id AND a.kind = 'call' AND a.direction = 'inbound'
      AND a.started_at >= greatest(b.valid_from, $2 - interval '30 days')
      AND a.started_at < least(coalesce(b.valid_to, 'infinity'), $2)) c
ORDER BY coalesce(b.valid_to, 'infinity') > $2 DESC, b.valid_to DESC NULLS FIRST, b.valid_from DESC, b.id"""
