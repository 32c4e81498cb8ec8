"""The inventory as it is listed: sites, pools and their numbers, of one account or of all. Changes nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

import msgspec

from callrouter.db.connect import Connection


class SiteRow(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    account: int
    name: str
    domains: list[str]
    pools: list[str]
    route: str
    fallback: str | None
    own_numbers: list[str]
    hold_minutes: float
    rest_minutes: float
    overflow: str
    consent: str
    country: str
    quality_s: float
    enabled: bool


class PoolRow(msgspec.Struct, frozen=True, kw_only=True):
    """`active`, `disabled`: how many numbers."""

    id: int
    account: int
    name: str
    active: int
    disabled: int


class NumberRow(msgspec.Struct, frozen=True, kw_only=True):
    """`static_channel`: what it is bound to now."""

    number: str
    pool: str | None
    state: str
    route: str
    note: str
    static_channel: str | None


class StaticRow(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    account: int
    number: str
    site: str
    channel: str
    source: str
    medium: str
    campaign: str
    valid_from: datetime
    valid_to: datetime | None


Row = TypeVar("Row", SiteRow, PoolRow, NumberRow)


async def sites(conn: Connection, account: int | None, after: int, limit: int) -> list[SiteRow]:
    return await _rows(conn, SiteRow, SITES, account, after, limit)


async def pools(conn: Connection, account: int | None, after: int, limit: int) -> list[PoolRow]:
    return await _rows(conn, PoolRow, POOLS, account, after, limit)


async def numbers_of_pool(conn: Connection, pool: int, after: str, limit: int) -> list[NumberRow]:
    return await _rows(conn, NumberRow, OF_POOL, pool, after, limit)


async def _rows(conn: Connection, kind: type[Row], query: str, *arguments: Any) -> list[Row]:
    return [kind(**dict(row)) for row in await conn.fetch(query, *arguments)]


SITES = """
SELECT s.id, s.account_id AS account, s.name, s.domains,
       array_remove(array_agg(p.name ORDER BY sp.priority, p.id), NULL) AS pools, s.route,
       s.fallback_number AS fallback, s.own_numbers, extract(epoch FROM s.hold)::float8 / 60 AS hold_minutes,
       extract(epoch FROM s.rest)::float8 / 60 AS rest_minutes, s.overflow, s.consent, s.country, s.quality_s, s.enabled
FROM sites s LEFT JOIN site_pools sp ON sp.account_id = s.account_id AND sp.site_id = s.id
LEFT JOIN pools p ON p.id = sp.pool_id
WHERE ($1::bigint IS NULL OR s.account_id = $1) AND s.id > $2 GROUP BY s.account_id, s.id ORDER BY s.id LIMIT $3"""
POOLS = """
SELECT p.id, p.account_id AS account, p.name, count(n.number) FILTER (WHERE n.state = 'active') AS active,
       count(n.number) FILTER (WHERE n.state = 'disabled') AS disabled
FROM pools p LEFT JOIN numbers n ON n.pool_id = p.id
WHERE ($1::bigint IS NULL OR p.account_id = $1) AND p.id > $2 GROUP BY p.account_id, p.id ORDER BY p.id LIMIT $3"""
OF_POOL = """
SELECT n.number, p.name AS pool, n.state, n.route, n.note, NULL AS static_channel
FROM numbers n JOIN pools p ON p.id = n.pool_id WHERE n.pool_id = $1 AND n.number > $2 ORDER BY n.number LIMIT $3"""
