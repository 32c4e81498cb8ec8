"""A directory that is told of a change in the very moment in which it is stopped."""

from __future__ import annotations

import asyncio

import asyncpg

from callrouter.db.connect import connect
from callrouter.pool.directory_source import DirectorySource


def test_a_change_at_the_moment_of_stopping_does_not_keep_the_process_up(database: str) -> None:
    async def link() -> asyncpg.Connection[asyncpg.Record]:
        return await connect(database)

    async def scenario() -> None:
        for ticks in range(4):
            source = DirectorySource(link)
            await source.start()
            await asyncio.sleep(0.05)  # the task that keeps it current is waiting for a change by now
            source._notified()
            for _ in range(ticks):
                await asyncio.sleep(0)
            async with asyncio.timeout(10):
                await source.stop()

    asyncio.run(scenario())
