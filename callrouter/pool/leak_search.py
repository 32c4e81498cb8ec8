"""Looks for leaked numbers in appeals and lease history, and keeps what was found. The rule is in `leaks`."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import structlog

from callrouter.db.connect import TROUBLE, Connection, Pool
from callrouter.numbers import Number, masked
from callrouter.pool import metrics
from callrouter.pool.directory import OPERATOR
from callrouter.pool.leaks import Leak, LeakCall, Suspect, Watched, find_suspects

log = structlog.get_logger()

WINDOW = timedelta(days=14)
EVERY_SECONDS = 6 * 3600.0
RETRY_SECONDS = 60.0
SEARCH_SECONDS = 300.0
EVIDENCE = 50
"""Calls told of one number, the latest."""


async def find_leaks(
    conn: Connection,
    since: datetime,
    until: datetime,
    *,
    memory: timedelta,
    account: int = OPERATOR,
    seconds: float = SEARCH_SECONDS,
) -> list[Leak]:
    """Numbers that are called although nobody was shown them, most evident first.

    `memory`: how long after its end a lease may still be credited with a call (the attribution window).
    """
    suspects = find_suspects(await _watched(conn, Window(since, until, account, seconds), memory))
    return [await _with_evidence(conn, suspect, since, until) for suspect in suspects]


class Window(NamedTuple):
    since: datetime
    until: datetime
    account: int
    seconds: float


async def _watched(conn: Connection, window: Window, memory: timedelta) -> list[Watched]:
    *asked, seconds = window
    leases: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for row in await conn.fetch(LEASES, *asked, timeout=seconds):
        leases[row["number"]][row["site"]] = row["leases"]
    rows = await conn.fetch(NUMBERS, *asked, memory, timeout=seconds)
    return [Watched(**row, leases=leases[row["number"]]) for row in rows]


class KeptLeak(NamedTuple):
    """What the last search found of a number."""

    number: str
    callers: int
    expected: float
    found_at: datetime
    checked_at: datetime


async def kept_leaks(conn: Connection, numbers: Sequence[str]) -> dict[str, KeptLeak]:
    """Of these numbers, those that leak as far as the last search knows; the asker's own only."""
    rows = await conn.fetch(KEPT, numbers)
    return {row["number"]: KeptLeak(**dict(row)) for row in rows}


async def evidence_of(conn: Connection, number: str, since: datetime, until: datetime) -> tuple[LeakCall, ...]:
    """The calls on a number, the latest first, and how long before each its last lease had ended."""
    rows = await conn.fetch(CALLS, number, since, until, EVIDENCE)
    return tuple(LeakCall(**{name: row[name] for name in LeakCall.__struct_fields__}) for row in rows)


async def _with_evidence(conn: Connection, suspect: Suspect, since: datetime, until: datetime) -> Leak:
    rows = await conn.fetch(CALLS, suspect.number, since, until, EVIDENCE)
    calls = tuple(LeakCall(**{name: row[name] for name in LeakCall.__struct_fields__}) for row in rows)
    last = next((row["last_lease_ended_at"] for row in rows if row["last_lease_ended_at"]), None)
    facts = {name: getattr(suspect, name) for name in Suspect.__struct_fields__}
    return Leak(
        **facts, calls=rows[0]["calls"] if rows else 0, days=rows[0]["days"] if rows else 0, last_lease_ended_at=last,
        evidence=calls,
    )  # fmt: skip


async def watch(postgres: Pool, memory: timedelta) -> None:
    """Search now and then, for ever. Several workers may: one searches at a time, and each leak is warned of once."""
    while True:
        pause = EVERY_SECONDS
        try:
            await check(postgres, datetime.now(UTC), memory)
        except TROUBLE as error:
            log.warning("LEAKS-NOT-SEARCHED", reason=str(error) or type(error).__name__)
            pause = RETRY_SECONDS
        await asyncio.sleep(pause)


async def check(postgres: Pool, now: datetime, memory: timedelta) -> int:
    """Search once, keep what was found, warn of what is new. Returns how many numbers leak."""
    async with postgres.acquire() as conn:
        async with conn.transaction():
            if await conn.fetchval("SELECT pg_try_advisory_xact_lock(hashtext('callrouter.leaks'))"):
                leaks = await find_leaks(conn, now - WINDOW, now, memory=memory)
                await _keep(conn, leaks)
        count = int(await conn.fetchval("SELECT count(*) FROM number_leaks WHERE cleared_at IS NULL"))
    metrics.LEAKED_NUMBERS.set(count)
    return count


async def _keep(conn: Connection, leaks: list[Leak]) -> None:
    for leak in leaks:
        facts = (leak.account, leak.number, leak.callers, leak.expected, leak.p_value)
        if await conn.fetchval(KEEP, *facts):
            log.warning(
                "POOL-NUMBER-LEAKS", number=masked(leak.number), pool=leak.pool, callers=leak.callers,
                expected=leak.expected, days=leak.days, p_value=leak.p_value,
            )  # fmt: skip
    await conn.execute(CLEAR, [leak.number for leak in leaks])


def advice(number: Number) -> str:
    """What to do about a leaked number."""
    return (
        f"ask the callers, or search the web, where they found {number}; then set it aside (callrouter numbers disable"
        f" {number}), or bind it to that place as a static number (callrouter static bind {number} --channel …)"
    )


# A withheld number may be anybody: counted as one caller a day. A caller who is remembered is no news.
_CALLS = f"""
SELECT called AS number, site_id AS site, started_at, method,
    coalesce(customer, 'withheld ' || (started_at AT TIME ZONE 'UTC')::date) AS who
FROM appeals
WHERE kind = 'call' AND direction = 'inbound' AND started_at >= $1 AND started_at < $2
    AND called IN (
        SELECT number FROM numbers WHERE pool_id IS NOT NULL AND ($3::bigint = {OPERATOR} OR account_id = $3))
    AND NOT attribution_pending AND method IN ('unattributed', 'holder', 'last_holder')"""  # noqa: S608 - a constant
LEASES = f"""
SELECT l.number, l.site_id AS site, count(*)::int AS leases
FROM sites s JOIN leases l
    ON l.account_id = s.account_id AND l.site_id = s.id AND l.started_at >= $1 AND l.started_at < $2
WHERE $3::bigint = {OPERATOR} OR s.account_id = $3
GROUP BY l.number, l.site_id"""  # noqa: S608 - a constant
NUMBERS = f"""
WITH calls AS ({_CALLS}),
called AS (
    SELECT number, count(DISTINCT who) AS callers, count(DISTINCT (started_at AT TIME ZONE 'UTC')::date) AS call_days,
        count(DISTINCT who) FILTER (WHERE method = 'unattributed') AS bare_callers
    FROM calls GROUP BY number),
remembered AS (
    SELECT l.number, range_agg(tstzrange(l.started_at, coalesce(l.ended_at, $2) + $4::interval)) AS spans
    FROM sites s JOIN leases l
        ON l.account_id = s.account_id AND l.site_id = s.id AND l.started_at >= $1 - $4::interval - interval '1 day'
            AND l.started_at < $2
    GROUP BY l.number)
SELECT n.number, n.account_id AS account, n.pool_id AS pool,
    (extract(epoch FROM $2 - w.from_at) / 86400)::float8 AS days,
    ((extract(epoch FROM $2 - w.from_at) - coalesce(c.seconds, 0)) / 86400)::float8 AS bare_days,
    coalesce(called.callers, 0)::int AS callers, coalesce(called.call_days, 0)::int AS call_days,
    coalesce(called.bare_callers, 0)::int AS bare_callers
FROM numbers n
CROSS JOIN LATERAL (SELECT greatest($1, least(n.created_at, $2)) AS from_at) w
LEFT JOIN called ON called.number = n.number
LEFT JOIN remembered r ON r.number = n.number
CROSS JOIN LATERAL (
    SELECT sum(extract(epoch FROM upper(span) - lower(span))) AS seconds
    FROM unnest(r.spans * tstzmultirange(tstzrange(w.from_at, $2))) AS span) c
WHERE n.pool_id IS NOT NULL AND ($3::bigint = {OPERATOR} OR n.account_id = $3)"""  # noqa: S608 - constants
CALLS = """
SELECT a.started_at, a.customer AS caller, a.status, a.method, a.confidence, count(*) OVER ()::int AS calls,
    (SELECT count(DISTINCT (b.started_at AT TIME ZONE 'UTC')::date)::int FROM appeals b
     WHERE b.called = $1 AND b.kind = 'call' AND b.direction = 'inbound' AND b.started_at >= $2 AND b.started_at < $3
    ) AS days,
    l.ended_at AS last_lease_ended_at,
    extract(epoch FROM a.started_at - coalesce(l.ended_at, l.expires_at))::double precision AS lease_ended_before_s
FROM appeals a
LEFT JOIN LATERAL (
    SELECT * FROM leases l WHERE l.number = a.called AND l.started_at <= a.started_at
    ORDER BY l.started_at DESC LIMIT 1) l ON true
WHERE a.called = $1 AND a.kind = 'call' AND a.direction = 'inbound' AND a.started_at >= $2 AND a.started_at < $3
ORDER BY a.started_at DESC LIMIT $4"""
KEEP = """
INSERT INTO number_leaks AS k (account_id, number, callers, expected, p_value) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (account_id, number) DO UPDATE SET
    callers = excluded.callers, expected = excluded.expected, p_value = excluded.p_value, checked_at = now(),
    found_at = CASE WHEN k.cleared_at IS NULL THEN k.found_at ELSE now() END, cleared_at = NULL
RETURNING found_at = now()"""
KEPT = """
SELECT number, callers, expected, found_at, checked_at FROM number_leaks
WHERE cleared_at IS NULL AND number = ANY ($1::text[])"""
CLEAR = """
UPDATE number_leaks SET cleared_at = now(), checked_at = now()
WHERE cleared_at IS NULL AND number <> ALL ($1::text[])"""
