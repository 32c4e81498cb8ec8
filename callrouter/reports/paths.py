"""Which channels help others to an appeal: the paths that multichannel appeals came by, and who assisted. Knows SQL."""

from __future__ import annotations

import asyncpg
import msgspec

from callrouter.db.connect import Connection
from callrouter.journal.conditions import Values, appeal_conditions
from callrouter.journal.filters import Filters
from callrouter.reports.facts import Scope

# Of a chain, visits in a row from the same source are one step; every touch of the chain, and no other, has `linear`.
STEPS = """
SELECT a.id, a.quality, s.channel, s.source, s.place, s.place = max(s.place) OVER (PARTITION BY a.id) AS is_last
FROM appeals a CROSS JOIN LATERAL (
    SELECT t.channel, t.source, t.at AS place,
        lag((t.channel, t.source)) OVER (ORDER BY t.at, t.session) IS DISTINCT FROM (t.channel, t.source) AS is_step
    FROM jsonb_to_recordset(a.credits) AS t (channel text, source text, session text, at timestamptz, linear bigint)
    WHERE t.linear > 0
) s
WHERE {where} AND a.multichannel AND s.is_step"""

PATHS = """
SELECT path, count(*) AS appeals, count(*) FILTER (WHERE quality) AS quality
FROM (
    SELECT id, bool_or(quality) AS quality, array_agg(channel || ' ' || source ORDER BY place) AS path
    FROM ({steps}) steps GROUP BY id
) appeals GROUP BY path ORDER BY appeals DESC, path LIMIT {limit}"""

ASSISTS = """
SELECT channel, source, count(DISTINCT id) FILTER (WHERE is_last) AS last, count(DISTINCT id) FILTER (WHERE NOT is_last)
    AS assisted
FROM ({steps}) steps GROUP BY channel, source ORDER BY assisted DESC, channel, source LIMIT {limit}"""


class PathRow(msgspec.Struct, frozen=True, kw_only=True):
    """`path`: its steps, the earliest first, each `channel source`."""

    path: list[str]
    appeals: int
    quality: int


class Assist(msgspec.Struct, frozen=True, kw_only=True):
    """Multichannel appeals that this source was the last touch of, or an earlier one."""

    channel: str
    source: str
    last: int
    assisted: int


async def read_paths(connection: Connection, scope: Scope, filters: Filters, limit: int) -> list[PathRow]:
    return [PathRow(**dict(row)) for row in await _read(PATHS, connection, scope, filters, limit)]


async def read_assists(connection: Connection, scope: Scope, filters: Filters, limit: int) -> list[Assist]:
    return [Assist(**dict(row)) for row in await _read(ASSISTS, connection, scope, filters, limit)]


async def _read(query: str, connection: Connection, scope: Scope, filters: Filters, limit: int) -> list[asyncpg.Record]:
    values = Values()
    where = appeal_conditions(msgspec.structs.replace(filters, spam=False), scope.account, scope.zone, values)
    sql = query.format(steps=STEPS.format(where=where), limit=values.add(limit, "bigint"))
    return await connection.fetch(sql, *values.all)
