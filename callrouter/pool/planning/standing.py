"""A pool beside its plan: what was planned, what is measured, and a curve where nothing was. Simulates nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from callrouter.db.connect import Connection
from callrouter.pool.census import Census
from callrouter.pool.planning import erlang
from callrouter.pool.planning.drift import Deviation, Promise, Seen, judge
from callrouter.pool.planning.plans import overflow_since, promises

LATELY = timedelta(hours=1)
LOOKED_BACK = timedelta(days=7)
PATIENCE_SECONDS = 3.0
FEWEST_LEASES = 20
"""In the busiest hour; of fewer, arithmetic says nothing."""
STEPS = 24


class Planned(msgspec.Struct, frozen=True):
    """A size that was measured when the pool was planned (`plan.Point`)."""

    numbers: int
    hold: float
    right: float
    overflow: float


class Aim(msgspec.Struct, frozen=True):
    right: float
    overflow: float


class StoredPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What of a kept plan (`plan.Plan`) is shown."""

    numbers: int
    target: Aim
    hold: float
    visits_per_hour: float
    leased_at_peak: float
    rest: float | None = None
    erlang_b: int = 0
    curve: tuple[Planned, ...] = ()
    made_at: datetime | None = None


class Reckoned(msgspec.Struct, frozen=True, kw_only=True):
    """By Erlang's formula alone: the share of visitors who find no number, by how many there are."""

    load: float
    """Leases at once in the busiest hour of the last week."""
    leases_in_peak_hour: int
    enough: int
    """Numbers at which one visitor in a hundred finds none."""
    points: tuple[tuple[int, float], ...]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """`visits`, `overflowed`: of the last hour. `drift`: in what the pool deviates from its plan just now."""

    plan: StoredPlan | None
    reckoned: Reckoned | None
    visits: int
    overflowed: int
    drift: tuple[Deviation, ...]


async def standing(conn: Connection, pool: int, census: Census | None, now: datetime) -> Standing:
    visits, overflowed = (await overflow_since(conn, [pool], now - LATELY)).get(pool, (0, 0))
    plan = await _plan(conn, pool)
    promise = (await promises(conn)).get(pool)
    in_use = census.numbers - census.disabled if census else 0
    reckoned = None if plan else await _reckoned(conn, pool, now, in_use)
    return Standing(
        plan=plan, reckoned=reckoned, visits=visits, overflowed=overflowed,
        drift=_drift(promise, census, now, (visits, overflowed)),
    )  # fmt: skip


def reckoned_for(load: float, leases: int, in_use: int = 0) -> Reckoned:
    """The curve from a third of the load, where few find a number, to where nearly all do, and as far as the numbers
    in use. Pure."""
    enough = erlang.numbers_for(load, 0.01)
    least, most = max(1, round(load / 3)), max(2, round(enough * 1.3), in_use)
    sizes = sorted({round(least * (most / least) ** (step / STEPS)) for step in range(STEPS + 1)} | {enough})
    points = tuple((size, erlang.blocking(load, size)) for size in sizes)
    return Reckoned(load=load, leases_in_peak_hour=leases, enough=enough, points=points)


def _drift(
    promise: Promise | None, census: Census | None, now: datetime, overflow: tuple[int, int]
) -> tuple[Deviation, ...]:  # fmt: skip
    if promise is None or census is None:
        return ()
    rest = (now - census.longest_free).total_seconds() if census.longest_free else None
    seen = Seen(
        numbers=census.numbers - census.disabled, leased=census.leased, rest=rest, visits=overflow[0],
        overflowed=overflow[1],
    )  # fmt: skip
    return tuple(sorted(judge(promise, seen)))


async def _plan(conn: Connection, pool: int) -> StoredPlan | None:
    row = await conn.fetchrow(PLAN, pool)
    if row is None:
        return None
    try:
        found = msgspec.json.decode(row["details"], type=StoredPlan)
    except msgspec.ValidationError:  # of another version
        return None
    return msgspec.structs.replace(found, made_at=row["made_at"])


async def _reckoned(conn: Connection, pool: int, now: datetime, in_use: int) -> Reckoned | None:
    try:
        async with conn.transaction():  # what is given up must not end the asker's own
            row = await conn.fetchrow(BUSIEST, pool, now - LOOKED_BACK, now, timeout=PATIENCE_SECONDS)
    except TimeoutError:
        return None
    if row is None or row["leases"] < FEWEST_LEASES or not row["lasted"]:
        return None
    load = erlang.offered_load(row["leases"], row["lasted"], 0.0)
    return reckoned_for(load, row["leases"], in_use)


PLAN = """
SELECT details::text AS details, made_at FROM pool_plans WHERE pool_id = $1 ORDER BY made_at DESC, id DESC LIMIT 1"""
BUSIEST = """
SELECT count(*)::int AS leases,
       avg(extract(epoch FROM coalesce(ended_at, expires_at) - started_at))::float8 AS lasted
FROM leases WHERE pool_id = $1 AND started_at >= $2 AND started_at < $3
GROUP BY date_trunc('hour', started_at) ORDER BY 1 DESC LIMIT 1"""
