"""Plans of pools in Postgres: kept when they are made, read by the worker that watches the pools."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from callrouter.db.connect import Connection, Pool
from callrouter.pool.inventory import Refused
from callrouter.pool.planning.drift import Promise

if TYPE_CHECKING:  # the worker imports this, and simulates nothing
    from callrouter.pool.planning.plan import Plan


async def save_plan(conn: Connection, pool: int, account: int, plan: Plan) -> int:
    """The plan is in force from now on. Raises Refused if it names no size."""
    promise = plan.promise
    if promise is None:
        raise Refused("a plan without a size cannot be kept: no size reaches the target")
    return int(
        await conn.fetchval(
            """INSERT INTO pool_plans (account_id, pool_id, numbers, right_share, overflow_share, leased_peak, rest,
                                       visits_per_hour, hold, details)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::jsonb) RETURNING id""",
            account, pool, promise.numbers, plan.target.right, plan.target.overflow, promise.leased_peak,
            timedelta(seconds=promise.rest), plan.visits_per_hour, timedelta(seconds=plan.hold),
            msgspec.json.encode(plan).decode(),
        )
    )  # fmt: skip


async def promises(conn: Connection | Pool) -> dict[int, Promise]:
    """What the newest plan of each pool expects of it."""
    rows = await conn.fetch(
        """SELECT DISTINCT ON (pool_id) pool_id, numbers, leased_peak, extract(epoch FROM rest)::float8 AS rest,
                  overflow_share FROM pool_plans ORDER BY pool_id, made_at DESC, id DESC"""
    )
    return {
        row["pool_id"]: Promise(
            numbers=row["numbers"], leased_peak=row["leased_peak"], rest=row["rest"], overflow=row["overflow_share"]
        )
        for row in rows
    }


async def overflow_since(conn: Connection | Pool, pools: Sequence[int], since: datetime) -> dict[int, tuple[int, int]]:
    """Of each pool's sites: visits since then that wanted a number, and how many of them found none."""
    rows = await conn.fetch(
        """SELECT sp.pool_id, count(*) AS visits, count(*) FILTER (WHERE v.overflow) AS overflowed
           FROM site_pools sp JOIN visits v ON v.account_id = sp.account_id AND v.site_id = sp.site_id
           WHERE sp.pool_id = ANY($1) AND v.started_at >= $2 AND (v.overflow OR v.number IS NOT NULL)
           GROUP BY sp.pool_id""",
        list(pools), since,
    )  # fmt: skip
    return {row["pool_id"]: (row["visits"], row["overflowed"]) for row in rows}
