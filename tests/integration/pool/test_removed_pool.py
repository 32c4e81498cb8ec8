"""What a pool leaves in the lease store when it is removed still comes to the history."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from callrouter.pool.directory_source import read_directory
from callrouter.pool.history import History
from callrouter.pool.inventory import remove_pool
from callrouter.pool.sweeper import Sweeper, load_pools
from tests.integration.pool.history_bench import SLOT, bench
from tests.integration.pool.visitors import visit


def test_visits_of_a_removed_pool_end_in_the_history(valkey_url: str, database: str) -> None:
    async def scenario() -> None:
        async with bench(valkey_url, database) as here, here.postgres.acquire() as connection:
            begun = datetime.now(UTC) - timedelta(minutes=50)
            await here.leases.allocate(SLOT, visit("s1", "ann"), now=begun)
            await here.leases.release(SLOT, "s1", now=begun + timedelta(minutes=1))
            await here.drained()
            await here.leases.renew(SLOT, "s1", page="/late", request="r", now=begun + timedelta(minutes=2))
            await connection.execute("DELETE FROM numbers; DELETE FROM site_pools")
            await load_pools(here.leases, await read_directory(connection))
            assert await remove_pool(connection, "Москва") == 1
            left = await read_directory(connection)
            assert left.pools == ()
            await Sweeper(here.leases, lambda: left).sweep(SLOT)
            history = History(here.client, here.postgres, left.slots)
            while await history.drain_all():
                pass
            row = await connection.fetchrow("SELECT page, ended_at FROM visits")
            assert row
            assert (row["page"], bool(row["ended_at"])) == ("/late", True)
            assert await here.backlog() == 0

    asyncio.run(scenario())
