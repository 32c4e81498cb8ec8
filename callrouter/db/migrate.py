"""Brings a database to the schema of this version of callrouter. Knows the order of the files, not what is in them.

Each file runs in a transaction of its own and is recorded with its checksum. An advisory lock makes a second process
wait until the first is done and then find nothing to do.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from importlib.resources import files

import asyncpg
import msgspec

from callrouter.db.connect import TROUBLE, Connection, connect

LOCK = 0x63616C6C726F7574
OLDEST_SERVER = 150000
FILE_NAME = re.compile(r"(?P<version>\d{4})_(?P<name>[a-z_]+)\.sql")

Report = Callable[[str], None]


class MigrationError(RuntimeError):
    """The database cannot be brought to this version; the message says why and what to do."""


class Migration(msgspec.Struct, frozen=True):
    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def packaged_migrations() -> list[Migration]:
    """The migrations that came with this package, oldest first."""
    found = (
        Migration(int(match["version"]), match["name"], entry.read_text("utf-8"))
        for entry in files("callrouter.db").joinpath("migrations").iterdir()
        if (match := FILE_NAME.fullmatch(entry.name))
    )
    return sorted(found, key=lambda migration: migration.version)


async def migrate(url: str, report: Report) -> int:
    """Run what is missing in the database at `url`; returns how many migrations ran. `report` gets progress lines."""
    try:
        connection = await connect(url)
    except TROUBLE as error:
        raise MigrationError(f"Postgres cannot be reached or refuses the login: {error}.") from error
    try:
        return await migrate_connection(connection, packaged_migrations(), report)
    finally:
        await connection.close()


async def migrate_connection(connection: Connection, known: list[Migration], report: Report) -> int:
    """As `migrate`, on a connection without a command timeout and with the migrations given."""
    await _check_server(connection)
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
        report("another process is migrating this database: waiting for it")
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
    try:
        applied = await _applied(connection)
        _check_history(applied, known)
        missing = [migration for migration in known if migration.version not in applied]
        for migration in missing:
            report(f"{migration.version:04} {migration.name} …")
            await _apply(connection, migration)
        await connection.execute("SELECT ensure_partitions()")
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)
    newest = known[-1].version
    report(f"schema is at {newest:04}: {len(missing) or 'no'} migrations had to run")
    return len(missing)


async def require_schema(connection: Connection) -> None:
    """Raise MigrationError unless the database has exactly the schema that this version works on."""
    known = packaged_migrations()
    applied = await _applied(connection, create=False)
    _check_history(applied, known)
    if missing := [f"{migration.version:04}" for migration in known if migration.version not in applied]:
        raise MigrationError(f"the database lacks migrations {', '.join(missing)}: run `callrouter db migrate`")


async def _check_server(connection: Connection) -> None:
    version = int(await connection.fetchval("SHOW server_version_num"))
    if version < OLDEST_SERVER:
        oldest = OLDEST_SERVER // 10000
        raise MigrationError(f"PostgreSQL {version // 10000} is too old: callrouter needs {oldest} or newer")


async def _applied(connection: Connection, *, create: bool = True) -> dict[int, str]:
    if create:
        await connection.execute(
            """CREATE TABLE IF NOT EXISTS schema_migrations (
                   version int PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
                   applied_at timestamptz NOT NULL DEFAULT now())"""
        )
    elif await connection.fetchval("SELECT to_regclass('schema_migrations')") is None:
        return {}
    rows = await connection.fetch("SELECT version, checksum FROM schema_migrations")
    return {row["version"]: row["checksum"] for row in rows}


def _check_history(applied: Mapping[int, str], known: list[Migration]) -> None:
    by_version = {migration.version: migration for migration in known}
    if newer := sorted(version for version in applied if version not in by_version):
        raise MigrationError(
            f"the database is of a newer callrouter: it has migration {newer[-1]:04}, this version knows up to"
            f" {known[-1].version:04}. Install that newer version, or restore a backup made before it."
        )
    for version, checksum in sorted(applied.items()):
        if by_version[version].checksum != checksum:
            raise MigrationError(
                f"migration {version:04} was run with another text than this version has: the installation or the"
                " database was altered by hand. Reinstall callrouter, or compare the schema with a fresh database."
            )


async def _apply(connection: Connection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
                migration.version, migration.name, migration.checksum,
            )  # fmt: skip
    except asyncpg.PostgresError as error:
        hint = f" {error.hint}" if getattr(error, "hint", None) else ""
        raise MigrationError(f"migration {migration.version:04} {migration.name} failed: {error}.{hint}") from error
