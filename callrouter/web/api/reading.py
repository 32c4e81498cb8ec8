"""Postgres for the API: connections that see, and change, what the asker may. Knows no table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal

import asyncpg

from callrouter.db.connect import LOST_CONNECTION, Connection, Pool, open_pool, scoped
from callrouter.pool.directory import OPERATOR
from callrouter.web.problem import Refusal

CONNECTIONS = 4
COMMAND_SECONDS = 15.0
AWAY = (*LOST_CONNECTION, asyncpg.InterfaceError, asyncpg.TooManyConnectionsError, TimeoutError, OSError)


class Reading:
    """Open from the start of the web process to its end; works, by refusing, while Postgres is away."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: Pool | None = None

    async def open(self) -> None:
        self._pool = await open_pool(self._url, size=CONNECTIONS, command_seconds=COMMAND_SECONDS, lazy=True)

    async def close(self) -> None:
        if self._pool is not None:
            self._pool.terminate()

    @asynccontextmanager
    async def as_account(self, account: int, *, snapshot: bool = False) -> AsyncIterator[Connection]:
        """Read-only. Row-level security walls every account in but the operator's, which sees all.

        `snapshot`: all that is read is as it was at one moment.
        """
        async with self._connection() as pool, AsyncExitStack() as stack:
            if account == OPERATOR:
                conn: Connection = await stack.enter_async_context(pool.acquire())
                isolation: Literal["repeatable_read"] | None = "repeatable_read" if snapshot else None
                await stack.enter_async_context(conn.transaction(readonly=True, isolation=isolation))
            else:
                conn = await stack.enter_async_context(scoped(pool, account, snapshot=snapshot))
                await conn.execute("SET TRANSACTION READ ONLY")
            yield conn

    @asynccontextmanager
    async def changing(self, account: int) -> AsyncIterator[Connection]:
        """A transaction that may write, behind the same wall: all of it is done, or nothing."""
        async with self._connection() as pool, AsyncExitStack() as stack:
            if account == OPERATOR:
                conn: Connection = await stack.enter_async_context(pool.acquire())
                await stack.enter_async_context(conn.transaction())
            else:
                conn = await stack.enter_async_context(scoped(pool, account))
            yield conn

    @asynccontextmanager
    async def as_service(self) -> AsyncIterator[Connection]:
        """All accounts' rows: for finding out who asks, for signing in and out, and nothing else."""
        async with self._connection() as pool, pool.acquire() as conn:
            yield conn

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Pool]:
        if self._pool is None:
            raise Refusal(503, "starting", "Not ready yet")
        try:
            yield self._pool
        except AWAY as error:
            detail = "Try again." if isinstance(error, TimeoutError) else "Try again in a while."
            raise Refusal(503, "database-away", "The database does not answer", detail) from error
