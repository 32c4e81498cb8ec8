"""Forgets leases that ended long ago, and what their site keeps no longer: visits, and whom orders were to call.

A bounded step at a time, so that nobody waits for it. Appeals are not touched: they keep the facts of their visit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from callrouter.db.connect import TROUBLE, Pool
from callrouter.pool import metrics

log = structlog.get_logger()

STEP = 5000
PAUSE_SECONDS = 0.2
EVERY_SECONDS = 3600.0
RETRY_SECONDS = 60.0


async def keep_forgetting(postgres: Pool, kept: timedelta) -> None:
    """For ever. Several workers may: each takes other rows."""
    while True:
        pause = EVERY_SECONDS
        try:
            await forget_leases(postgres, kept)
            await forget_visits(postgres)
            await forget_orders(postgres)
        except TROUBLE as error:
            log.warning("LEASES-NOT-FORGOTTEN", reason=str(error) or type(error).__name__)
            pause = RETRY_SECONDS
        await asyncio.sleep(pause)


async def forget_leases(postgres: Pool, kept: timedelta, *, step: int = STEP) -> int:
    """Delete all leases that ended before `kept` ago, or before what their site keeps; returns how many."""

    async def some() -> int:
        deleted = int((await postgres.execute(FORGET, kept, step)).split()[-1])
        metrics.LEASES_FORGOTTEN.inc(deleted)
        return deleted

    return await _all(some, step)


async def forget_visits(postgres: Pool, *, step: int = STEP) -> int:
    """Delete all visits that their sites do not keep any longer, and visitors who have none left; returns how many."""

    async def some() -> int:
        deleted = int(await postgres.fetchval(FORGET_VISITS, step))
        metrics.VISITS_FORGOTTEN.inc(deleted)
        return deleted

    return await _all(some, step)


async def forget_orders(postgres: Pool, *, step: int = STEP) -> int:
    """Forget the phones of callback orders that were settled before what their sites keep; returns how many."""

    async def some() -> int:
        forgotten = int((await postgres.execute(FORGET_ORDERS, step)).split()[-1])
        metrics.ORDERS_FORGOTTEN.inc(forgotten)
        return forgotten

    return await _all(some, step)


async def _all(some: Callable[[], Awaitable[int]], step: int) -> int:
    gone = 0
    while True:
        deleted = await some()
        gone += deleted
        if deleted < step:
            return gone
        await asyncio.sleep(PAUSE_SECONDS)


OLD = "started_at < now() - least($1::interval, (SELECT make_interval(days => min(retention_days)) FROM sites))"
"""Follows from what is asked of each lease, and is for the index by age: that can use no bound of the lease's site."""

FORGET = f"""
DELETE FROM leases WHERE {OLD} AND (account_id, number, id) IN (
    SELECT l.account_id, l.number, l.id FROM leases l
    LEFT JOIN sites s ON s.account_id = l.account_id AND s.id = l.site_id
    CROSS JOIN LATERAL (SELECT now() - least($1::interval, make_interval(days => s.retention_days)) AS since) kept
    WHERE l.{OLD} AND l.started_at < kept.since AND l.ended_at < kept.since
    LIMIT $2 FOR UPDATE OF l SKIP LOCKED)"""  # noqa: S608 - made of constants; values are parameters

FORGET_VISITS = """
WITH old AS (
    SELECT v.account_id, v.started_at, v.session, v.visitor FROM sites s
    JOIN visits v ON v.account_id = s.account_id AND v.site_id = s.id
        AND v.started_at < now() - make_interval(days => s.retention_days)
        AND v.seen_at < now() - make_interval(days => s.retention_days)
    LIMIT $1 FOR UPDATE OF v SKIP LOCKED
), gone AS (
    DELETE FROM visits v USING old
    WHERE (v.account_id, v.started_at, v.session) = (old.account_id, old.started_at, old.session)
    RETURNING v.session
), pages AS (
    DELETE FROM visit_pages p USING old WHERE p.session = old.session AND p.account_id = old.account_id
), people AS (
    DELETE FROM visitors w USING (SELECT DISTINCT account_id, visitor FROM old) o
    WHERE w.account_id = o.account_id AND w.id = o.visitor AND NOT EXISTS (
        SELECT FROM visits v WHERE v.account_id = w.account_id AND v.visitor = w.id
            AND v.session NOT IN (SELECT session FROM old))
)
SELECT count(*) FROM gone"""

FORGET_ORDERS = """
UPDATE callback_orders SET phone = NULL WHERE (account_id, id) IN (
    SELECT o.account_id, o.id FROM sites s
    JOIN callback_orders o ON o.account_id = s.account_id AND o.site_id = s.id AND o.phone IS NOT NULL
        AND o.settled_at < now() - make_interval(days => s.retention_days)
    LIMIT $1 FOR UPDATE OF o SKIP LOCKED)"""
"""Settled ones only: who waits to be called is called. The order itself stays, for by it a call finds its appeal."""
