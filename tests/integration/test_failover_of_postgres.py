"""Postgres fails over to a replica that lags: what the lost server had acknowledged is told again, each appeal once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from callrouter.appeals.journal import Journal
from callrouter.db.connect import connect
from callrouter.db.migrate import migrate
from callrouter.lab.cable import Cable
from callrouter.lab.servers import EmbeddedPostgres
from tests.call_samples import NOON, a_call, a_resolution, an_appeal
from tests.integration.publishing import publishing, shop
from tests.integration.test_publishing import failures
from tests.waiting import until

PATIENCE = 60.0


@asynccontextmanager
async def cable(port: int) -> AsyncIterator[Cable]:
    one = Cable(port)
    await one.open()
    try:
        yield one
    finally:
        await one.close()


async def tell(journal: Journal, first: int, last: int) -> None:
    calls = [a_call(f"1.{n}", NOON + timedelta(minutes=n), caller=f"7916000000{n % 5}") for n in range(first, last)]
    await asyncio.gather(*(journal.append(an_appeal(call, a_resolution(7, 70))) for call in calls))


async def appeals(url: str, *, unique: bool = False) -> int:
    connection = await connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM appeals WHERE is_unique OR NOT $1", unique))
    finally:
        await connection.close()


async def has(url: str, count: int) -> bool:
    return await appeals(url) == count


def at(url: str, port: int) -> str:
    before, _, after = url.rpartition(":")
    return f"{before}:{port}/{after.partition('/')[2]}"


async def story(folder: Path, first: EmbeddedPostgres, second: EmbeddedPostgres) -> None:
    url = await asyncio.to_thread(first.start)
    await migrate(url, lambda _line: None)
    async with cable(first.port) as door, cable(first.port) as replication:
        replica = await asyncio.to_thread(second.follow, first.folder, replication.port)
        async with shop(at(url, door.port)) as pool, publishing(pool, folder / "journal") as journal:
            await tell(journal, 0, 30)
            await until(lambda: has(replica, 30), PATIENCE)
            replication.go_dead()
            await tell(journal, 30, 50)
            await until(lambda: journal.backlog_bytes() == 0, PATIENCE)
            before = failures()
            door.target = second.port
            door.cut()
            await tell(journal, 50, 60)
            await until(lambda: failures() > before, PATIENCE)  # a replica cannot be written to
            assert await has(replica, 30)
            await asyncio.to_thread(first.kill)
            await asyncio.to_thread(second.promote)
            await until(lambda: has(replica, 60), PATIENCE)
            assert await appeals(replica, unique=True) == 5


def test_appeals_that_a_dead_server_took_with_it_are_told_to_its_successor(tmp_path: Path) -> None:
    first, second = EmbeddedPostgres(tmp_path / "first"), EmbeddedPostgres(tmp_path / "second")
    try:
        asyncio.run(story(tmp_path, first, second))
    finally:
        first.stop()
        second.stop()
