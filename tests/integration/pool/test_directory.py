"""The directory follows the inventory in Postgres, and outlives it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import asyncpg
from structlog.testing import capture_logs

from callrouter.clock import SystemClock
from callrouter.db.connect import connect
from callrouter.pool.directory import Directory
from callrouter.pool.directory_source import DirectorySource
from tests.integration.pool.history_bench import INVENTORY, POOL, until


def test_the_directory_follows_postgres_and_outlives_it(database: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        snapshot = tmp_path / "directory.json"

        async def link() -> asyncpg.Connection[asyncpg.Record]:
            return await connect(database)

        async def nobody() -> asyncpg.Connection[asyncpg.Record]:
            raise ConnectionRefusedError("no server")

        async def used() -> bool:
            return source.directory.pool_numbers(1)[POOL[0]] or b'"active":false' not in snapshot.read_bytes()

        editor = await connect(database)
        await editor.execute(INVENTORY)
        source = DirectorySource(link, snapshot=snapshot)
        assert (await source.start()).pool_numbers(1) == dict.fromkeys(POOL, True)
        await editor.execute(f"UPDATE numbers SET state = 'disabled' WHERE number = '{POOL[0]}'")
        await until(used, False)
        await source.stop()
        await editor.close()
        alone = DirectorySource(nobody, snapshot=snapshot)
        started = await alone.start()
        assert started.pool_numbers(1) == {POOL[0]: False, POOL[1]: True}
        assert started.route("74952222222", 1, 2) == "sales"
        await alone.stop()
        ignorant = DirectorySource(nobody, snapshot=tmp_path / "none.json")
        assert not (await ignorant.start()).known
        await ignorant.stop()

    asyncio.run(scenario())


def test_a_directory_that_cannot_be_written_to_disk_is_in_force_all_the_same(database: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        editor = await connect(database)
        await editor.execute(INVENTORY)
        (tmp_path / "a-file").write_text("")
        source = DirectorySource(lambda: connect(database), snapshot=tmp_path / "a-file" / "snapshot.json")
        with capture_logs() as logs:
            assert (await source.start()).pool_numbers(1) == dict.fromkeys(POOL, True)
        assert [each["event"] for each in logs] == ["DIRECTORY-SNAPSHOT-NOT-WRITTEN"]
        heard = asyncio.Queue[bool]()

        async def listener(directory: Directory) -> None:
            heard.put_nowait(directory.pool_numbers(1)[POOL[0]])

        source.on_change(listener)
        await editor.execute(f"UPDATE numbers SET state = 'disabled' WHERE number = '{POOL[0]}'")
        async with asyncio.timeout(10):
            assert not await heard.get()
        await source.stop()
        await editor.close()

    asyncio.run(scenario())


def test_the_directory_goes_on_after_a_fault_of_ours(database: str) -> None:
    class Stumbling(SystemClock):
        stumbles = False

        def now(self) -> datetime:
            if self.stumbles:
                self.stumbles = False
                raise LookupError("a fault")
            return super().now()

    async def scenario() -> None:
        editor = await connect(database)
        await editor.execute(INVENTORY)
        clock = Stumbling()
        source = DirectorySource(lambda: connect(database), clock=clock)
        await source.start()
        clock.stumbles = True
        await editor.execute(f"UPDATE numbers SET state = 'disabled' WHERE number = '{POOL[0]}'")

        async def used() -> bool:
            return source.directory.pool_numbers(1)[POOL[0]]

        await until(used, False)
        assert not clock.stumbles
        await source.stop()
        await editor.close()

    asyncio.run(scenario())
