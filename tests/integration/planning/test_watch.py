"""A live pool beside its plan: when the worker warns, and what it measures."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from callrouter.db.connect import open_pool
from callrouter.pool.planning.watch import IN_A_ROW, PlanWatch


@pytest.fixture
def planned(database: str) -> str:
    """A database with a pool whose plan is 100 numbers, 50 leased at most, an hour of rest."""

    async def run() -> None:
        conn = await asyncpg.connect(database)
        await conn.execute("INSERT INTO pools (id, name) VALUES (77, 'planned')")
        await conn.execute(
            """INSERT INTO pool_plans (account_id, pool_id, numbers, right_share, overflow_share, leased_peak, rest,
                                       visits_per_hour, hold) VALUES (1, 77, $2, 0.97, 0.01, 50, $1, 20, $1)""",
            timedelta(hours=1), 100,
        )  # fmt: skip
        await conn.close()

    asyncio.run(run())
    return database


def drift(kind: str) -> float | None:
    return REGISTRY.get_sample_value("callrouter_pool_drift", {"pool": "77", "kind": kind})


async def watching(url: str) -> PlanWatch:
    pool = await open_pool(url, size=1)
    try:
        watch = PlanWatch(pool)
        await watch.read()
        return watch
    finally:
        await pool.close()


def test_a_pool_that_leaves_its_plan_for_good_is_told_once(planned: str) -> None:
    watch = asyncio.run(watching(planned))
    with capture_logs() as logs:
        for _ in range(IN_A_ROW * 3):
            watch.seen(77, numbers=100, leased=70, rest=600.0)
    assert [line["event"] for line in logs] == ["POOL-DRIFT"]
    assert logs[0]["deviations"] == ["occupancy", "rest"]
    assert (drift("occupancy"), drift("rest"), drift("numbers")) == (1, 1, 0)
    with capture_logs() as logs:
        for _ in range(IN_A_ROW):
            watch.seen(77, numbers=100, leased=40, rest=7200.0)
    assert [line["event"] for line in logs] == ["the pool is as planned again"]
    assert (drift("occupancy"), drift("rest")) == (0, 0)


def test_a_burst_is_no_drift_and_a_pool_without_a_plan_is_not_judged(planned: str) -> None:
    watch = asyncio.run(watching(planned))
    with capture_logs() as logs:
        for leased in (70, 70, 40, 70, 70, 40):
            watch.seen(77, numbers=100, leased=leased, rest=None)
        for _ in range(IN_A_ROW + 1):
            watch.seen(1, numbers=1, leased=1, rest=0.0)
    assert logs == []
    assert REGISTRY.get_sample_value("callrouter_pool_planned_numbers", {"pool": "77"}) == 100


def test_without_postgres_the_plans_last_read_stay_in_force(planned: str) -> None:
    async def run() -> PlanWatch:
        pool = await open_pool(planned, size=1)
        watch = PlanWatch(pool)
        await watch.read()
        await pool.close()
        await watch.read()
        return watch

    watch = asyncio.run(run())
    with capture_logs() as logs:
        for _ in range(IN_A_ROW):
            watch.seen(77, numbers=90, leased=1, rest=None)
    assert logs[-1]["deviations"] == ["numbers"]
