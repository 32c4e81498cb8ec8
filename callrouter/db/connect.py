"""Connections to Postgres: pools with our codecs, transactions walled to one account, a retry after a lost connection.

Knows asyncpg; knows no table. Statements are cached on each connection: behind pgbouncer in transaction mode pass
`statement_cache_size=0`, or prepared statements meet connections that never saw them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal, TypeAlias, TypeVar

import asyncpg
import msgspec

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
T = TypeVar("T")

COMMAND_SECONDS = 30.0
CONNECT_SECONDS = 10.0
JSONB_VERSION = b"\x01"

LOST_CONNECTION = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.ConnectionDoesNotExistError,
    ConnectionError,
    asyncpg.InternalClientError,
)
"""What a pooled connection raises once after the server went away, whether or not it is back. asyncpg calls a reset in
the middle of an operation an internal error of its own."""

TROUBLE = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
"""Whatever the server, or the way to it, may answer with: what a daemon outlives."""


async def open_pool(
    url: str,
    *,
    size: int = 10,
    command_seconds: float = COMMAND_SECONDS,
    statement_cache_size: int = 1024,
    lazy: bool = False,
) -> Pool:
    """A pool on `url`; `lazy` opens it also while the server is away (the first use connects)."""
    return await asyncpg.create_pool(
        url,
        min_size=0 if lazy else 1,
        max_size=size,
        timeout=CONNECT_SECONDS,
        command_timeout=command_seconds,
        statement_cache_size=statement_cache_size,
        init=set_codecs,
        server_settings={"application_name": "callrouter", "timezone": "UTC", "jit": "off"},
    )


async def connect(url: str, *, command_seconds: float | None = None) -> asyncpg.Connection[asyncpg.Record]:
    """One connection outside any pool, for LISTEN, migrations and tools; without a limit on its commands by default."""
    connection = await asyncpg.connect(
        url,
        timeout=CONNECT_SECONDS,
        command_timeout=command_seconds,
        server_settings={"application_name": "callrouter", "timezone": "UTC", "jit": "off"},
    )
    await set_codecs(connection)
    return connection


async def set_codecs(connection: Connection) -> None:
    """jsonb ↔ Python values by msgspec. In binary format, because COPY refuses codecs of text format."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=encode_jsonb, decoder=decode_jsonb, format="binary"
    )


def encode_jsonb(value: object) -> bytes:
    """jsonb holds no NUL character, which hostile input may contain: it becomes U+FFFD."""
    encoded = msgspec.json.encode(value)
    if b"\\u0000" in encoded:
        encoded = encoded.replace(b"\\u0000", b"\\ufffd")
    return JSONB_VERSION + encoded


def decode_jsonb(data: bytes) -> object:
    return msgspec.json.decode(data[1:])


@asynccontextmanager
async def scoped(pool: Pool, account: int, *, snapshot: bool = False) -> AsyncIterator[Connection]:
    """A transaction that sees and changes the rows of `account` only: row-level security, not the query, says so.

    `snapshot`: all its statements see the same rows.
    """
    isolation: Literal["repeatable_read"] | None = "repeatable_read" if snapshot else None
    async with pool.acquire() as connection, connection.transaction(isolation=isolation):
        await connection.execute("SELECT set_config('callrouter.account', $1, true)", str(account))
        await connection.execute("SET LOCAL ROLE callrouter_scoped")
        yield connection


async def retry_once(operation: Callable[[], Awaitable[T]]) -> T:
    """Run `operation`, again if the connection it drew from the pool turned out to be dead.

    Only for operations that may be repeated: the first may have been carried out although its answer was lost.
    """
    try:
        return await operation()
    except (*LOST_CONNECTION, asyncpg.InterfaceError):
        return await operation()
