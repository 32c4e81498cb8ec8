"""The sweeper, where one pool of several cannot be swept, and where one is removed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from prometheus_client import REGISTRY

from callrouter.pool.directory import Directory
from callrouter.pool.keys import pool_slot
from callrouter.pool.sweeper import Sweeper
from tests.integration.pool.visitors import numbers, store, visit
from tests.waiting import until


def test_a_pool_that_cannot_be_swept_keeps_no_other_from_it(valkey_url: str) -> None:
    broken, sound = pool_slot(1), pool_slot(2)

    async def scenario() -> None:
        async with store(valkey_url) as leases:
            await leases._client.execute_command("SET", f"{broken}due", "no set")
            ago = datetime.now(UTC) - timedelta(hours=2)
            await leases.load_numbers(sound, dict.fromkeys(numbers(1), True), now=ago)
            await leases.allocate(sound, visit("s1", "ann"), now=ago)
            sweeper = Sweeper(leases, lambda: Directory(pools=(1, 2)), interval_seconds=60)

            async def ended() -> bool:
                return (await leases.occupancy(sound)).leased == 0

            assert not await ended()
            running = asyncio.create_task(sweeper.run())
            await until(ended)
            sweeper.stop()
            await running

    asyncio.run(scenario())


def test_a_pool_that_was_removed_is_measured_no_more(valkey_url: str) -> None:
    kept, removed = 4141, 4142

    def measured(pool: int) -> set[str]:
        samples = (sample for metric in REGISTRY.collect() for sample in metric.samples)
        return {sample.name for sample in samples if sample.labels.get("pool") == str(pool)}

    async def scenario() -> None:
        async with store(valkey_url) as leases:
            directory = Directory(pools=(kept, removed))
            sweeper = Sweeper(leases, lambda: directory, interval_seconds=0.01)

            async def both_are() -> bool:
                return bool(measured(kept) and measured(removed))

            async def one_is() -> bool:
                return not measured(removed)

            running = asyncio.create_task(sweeper.run())
            await until(both_are)
            directory = Directory(pools=(kept,), removed_pools=(removed,))
            await until(one_is)
            assert measured(kept)
            sweeper.stop()
            await running

    asyncio.run(scenario())
