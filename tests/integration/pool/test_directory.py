"""The directory follows the inventory in Postgres, and outlives it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import msgspec
from structlog.testing import capture_logs

from callrouter.clock import SystemClock
from callrouter.db.connect import connect
from callrouter.numbers import Number
from callrouter.pool.directory import Directory, NumberEntry, PoolChoice, Site
from callrouter.pool.directory_source import DirectorySource, _write_snapshot
from callrouter.pool.model import DEFAULT_HOLD
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


def test_an_inventory_that_has_not_changed_is_the_same_object_with_its_indices(database: str) -> None:
    async def scenario() -> None:
        editor = await connect(database)
        await editor.execute(INVENTORY)
        source = DirectorySource(lambda: connect(database), poll_seconds=0.05)
        first = await source.start()
        assert {"_numbers", "_by_pool", "_bindings", "_holds"} <= vars(first).keys(), "no call waits for them"
        read_at, told = first.read_at, list[Directory]()

        async def listener(directory: Directory) -> None:
            told.append(directory)

        async def seen_again() -> bool:
            return source.directory.read_at > read_at

        async def removed() -> tuple[int, ...]:
            return source.directory.removed_pools

        source.on_change(listener)
        await until(seen_again, True)
        assert source.directory is first
        assert not told
        await editor.execute("INSERT INTO removed_pools (account_id, id) VALUES (1, 9)")  # of no version of its own
        await until(removed, (9,))
        assert source.directory.numbers is first.numbers
        await source.stop()
        await editor.close()

    asyncio.run(scenario())


def test_what_sites_share_is_told_of_a_pool_and_an_account() -> None:
    def site(number: int, account: int, hold: int, *pools: int) -> Site:
        choices = tuple(PoolChoice(pool=pool) for pool in pools)
        return Site(id=number, account=account, hold=timedelta(minutes=hold), pools=choices)

    directory = Directory(sites=(site(1, 3, 20, 1, 2), site(2, 2, 60, 2, 2), site(3, 3, 40, 2)), pools=(1, 2, 5))
    assert [directory.longest_hold(pool) for pool in (1, 2, 5)] == [
        timedelta(minutes=20), timedelta(minutes=60), DEFAULT_HOLD,
    ]  # fmt: skip
    assert [list(directory.accounts_of_pool(pool)) for pool in (1, 2, 5)] == [[3], [2, 3], []]
    assert list(directory.slots_of_account(3)) == [
        directory.slot_of_pool(1), directory.slot_of_pool(2), directory.slot_of_site(1), directory.slot_of_site(3),
    ]  # fmt: skip
    assert not directory.slots_of_account(9)


def test_a_snapshot_of_many_numbers_is_read_as_it_was_and_one_of_an_earlier_version_too(tmp_path: Path) -> None:
    numbers = tuple(NumberEntry(number=Number(str(79000000000 + n)), account=1, pool=1) for n in range(2500))
    directory = Directory(numbers=numbers, sites=(Site(id=1, account=2, name="a\u2028b\n"),), pools=(1,), version=7)

    async def nobody() -> asyncpg.Connection[asyncpg.Record]:
        raise ConnectionRefusedError("no server")

    async def read(snapshot: Path) -> Directory:
        source = DirectorySource(nobody, snapshot=snapshot)
        await source.start()
        await source.stop()
        return source.directory

    (tmp_path / "earlier.json").write_bytes(msgspec.json.encode(directory))
    _write_snapshot(tmp_path / "now.json", directory)
    assert [asyncio.run(read(tmp_path / name)) for name in ("now.json", "earlier.json")] == [directory, directory]
