"""The schema: how it comes to be, and what it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import asyncpg
import pytest

from callrouter.db.connect import Connection, connect, open_pool, scoped
from callrouter.db.migrate import (
    Migration,
    MigrationError,
    migrate,
    migrate_connection,
    packaged_migrations,
    require_schema,
)

T = TypeVar("T")
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

# Tables of the operator's bookkeeping, not of any account.
WITHOUT_ACCOUNT = {"schema_migrations", "directory_version"}


def quiet(_line: str) -> None:
    pass


def on(url: str, work: Callable[[Connection], Awaitable[T]]) -> T:
    async def run() -> T:
        connection = await connect(url)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def test_migrating_twice_is_a_no_op(empty_database: str) -> None:
    assert asyncio.run(migrate(empty_database, quiet)) == len(packaged_migrations())
    assert asyncio.run(migrate(empty_database, quiet)) == 0
    on(empty_database, require_schema)


def test_processes_that_migrate_at_once_do_it_once(empty_database: str) -> None:
    async def race() -> list[int]:
        return await asyncio.gather(*(migrate(empty_database, quiet) for _ in range(4)))

    assert sorted(asyncio.run(race())) == [0, 0, 0, len(packaged_migrations())]


def test_database_of_a_newer_version_is_refused(database: str) -> None:
    async def work(connection: Connection) -> None:
        await connection.execute("INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, 'later', '')")
        with pytest.raises(MigrationError, match=r"newer callrouter.*9999"):
            await migrate_connection(connection, packaged_migrations(), quiet)
        with pytest.raises(MigrationError, match="newer callrouter"):
            await require_schema(connection)

    on(database, work)


def test_migration_that_was_altered_is_refused(database: str) -> None:
    async def work(connection: Connection) -> None:
        altered = [Migration(m.version, m.name, m.sql + "-- altered") for m in packaged_migrations()]
        with pytest.raises(MigrationError, match="another text"):
            await migrate_connection(connection, altered, quiet)

    on(database, work)


def test_failed_migration_leaves_nothing_behind_and_says_which_it_was(database: str) -> None:
    async def work(connection: Connection) -> None:
        broken = Migration(9998, "broken", "CREATE TABLE half_done (id int); SELECT no_such_function();")
        with pytest.raises(MigrationError, match="9998 broken failed"):
            await migrate_connection(connection, [*packaged_migrations(), broken], quiet)
        assert await connection.fetchval("SELECT to_regclass('half_done')") is None

    on(database, work)


def test_unmigrated_database_is_named_with_the_mend(empty_database: str) -> None:
    async def work(connection: Connection) -> None:
        with pytest.raises(MigrationError, match="callrouter db migrate"):
            await require_schema(connection)

    on(empty_database, work)


def test_every_account_table_is_walled_off_and_keyed_by_account_first(database: str) -> None:
    async def work(connection: Connection) -> None:
        tables = await connection.fetch(
            """SELECT c.relname AS name, c.relrowsecurity AS walled,
                      EXISTS (SELECT FROM pg_policies p WHERE p.tablename = c.relname) AS policy,
                      (SELECT a.attname FROM pg_index i
                       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
                       WHERE i.indrelid = c.oid AND i.indisprimary) AS first_key
               FROM pg_class c
               JOIN information_schema.tables t ON t.table_name = c.relname AND t.table_schema = 'public'
               WHERE NOT c.relispartition AND c.relnamespace = 'public'::regnamespace"""
        )
        assert len(tables) > 20
        for table in tables:
            if table["name"] in WITHOUT_ACCOUNT:
                continue
            expected = "id" if table["name"] == "accounts" else "account_id"
            assert (table["walled"], table["policy"], table["first_key"]) == (True, True, expected), table["name"]

    on(database, work)


def test_partitions_are_no_way_around_the_wall(database: str) -> None:
    async def work(connection: Connection) -> None:
        open_partitions = await connection.fetch(
            """SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'
               AND (NOT relrowsecurity OR has_table_privilege('callrouter_scoped', oid, 'SELECT'))"""
        )
        assert open_partitions == []

    on(database, work)


def test_scoped_transaction_sees_and_writes_its_own_account_only(database: str) -> None:
    async def run() -> None:
        async with await open_pool(database, size=2) as pool:
            await pool.execute("INSERT INTO accounts (id, name) VALUES (7, 'seven'), (8, 'eight')")
            await pool.execute("INSERT INTO sites (account_id, name) VALUES (7, 'ours'), (8, 'theirs')")
            async with scoped(pool, 7) as connection:
                assert await connection.fetchval("SELECT array_agg(name) FROM sites") == ["ours"]
                assert await connection.fetchval("SELECT array_agg(id) FROM accounts") == [7]
                assert await connection.execute("UPDATE sites SET name = 'mine' WHERE account_id = 8") == "UPDATE 0"
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with scoped(pool, 7) as connection:
                    await connection.execute("INSERT INTO sites (account_id, name) VALUES (8, 'smuggled')")
            assert await pool.fetchval("SELECT count(*) FROM sites") == 2

    asyncio.run(run())


def test_scoped_role_without_an_account_sees_nothing(database: str) -> None:
    async def work(connection: Connection) -> None:
        async with connection.transaction():
            await connection.execute("SET LOCAL ROLE callrouter_scoped")
            assert await connection.fetchval("SELECT count(*) FROM accounts") == 0

    on(database, work)


async def open_lease(connection: Connection, lease: str, start: datetime, end: datetime | None) -> None:
    await connection.execute(
        """INSERT INTO leases (account_id, number, id, pool_id, site_id, session, visitor, started_at, seen_at,
                               expires_at, ended_at, end_reason)
           VALUES (2, '74950000001', $1, 1, 1, $1, 'v', $2, $2, $2, $3, $4)""",
        lease, start, end, end and "expired",
    )  # fmt: skip


def test_lease_history_refuses_overlap(database: str) -> None:
    async def work(connection: Connection) -> None:
        await open_lease(connection, "a", NOON, NOON + MINUTE)
        await open_lease(connection, "b", NOON + MINUTE, None)
        with pytest.raises(asyncpg.ExclusionViolationError):
            await open_lease(connection, "c", NOON + 2 * MINUTE, NOON + 3 * MINUTE)
        with pytest.raises(asyncpg.ExclusionViolationError):
            await open_lease(connection, "d", NOON - MINUTE, NOON + MINUTE / 2)

    on(database, work)


def test_static_bindings_of_a_number_do_not_overlap(database: str) -> None:
    async def work(connection: Connection) -> None:
        site = await connection.fetchval("INSERT INTO sites (account_id, name) VALUES (1, 's') RETURNING id")
        await connection.execute("INSERT INTO numbers (number) VALUES ('74950000001')")
        bind = """INSERT INTO static_bindings (account_id, site_id, number, channel, valid_from, valid_to)
                  VALUES (1, $1, '74950000001', 'newspaper', $2, $3)"""
        await connection.execute(bind, site, NOON, NOON + MINUTE)
        await connection.execute(bind, site, NOON + MINUTE, None)
        with pytest.raises(asyncpg.ExclusionViolationError):
            await connection.execute(bind, site, NOON + 2 * MINUTE, None)

    on(database, work)


def test_rows_that_waited_in_the_default_partition_move_into_a_later_one(database: str) -> None:
    async def work(connection: Connection) -> None:
        far = datetime(2031, 2, 10, tzinfo=UTC)
        await connection.execute(
            "INSERT INTO appeals (account_id, started_at, id, kind) VALUES (1, $1, gen_random_uuid(), 'form')", far
        )
        assert await connection.fetchval("SELECT tableoid::regclass::text FROM appeals") == "appeals_default"
        await connection.fetchval("SELECT ensure_partitions(2, $1)", far)
        assert await connection.fetchval("SELECT tableoid::regclass::text FROM appeals") == "appeals_2031_02"
        assert await connection.fetchval("SELECT ensure_partitions(2, $1)", far) == 0

    on(database, work)


def test_change_of_the_directory_is_announced(database: str) -> None:
    async def run() -> None:
        heard: asyncio.Queue[str] = asyncio.Queue()
        listener, writer = await connect(database), await connect(database)
        try:
            await listener.add_listener("callrouter_directory", lambda *args: heard.put_nowait(str(args[3])))
            await writer.execute("INSERT INTO numbers (number) VALUES ('74950000001')")
            assert await asyncio.wait_for(heard.get(), 10) == "numbers"
        finally:
            await listener.close()
            await writer.close()

    asyncio.run(run())
