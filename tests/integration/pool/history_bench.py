"""Servers with an inventory, for tests of what comes from Valkey to Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from callrouter.clock import SystemClock
from callrouter.db.connect import Pool, open_pool
from callrouter.pool.coalesce import RedisClient
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.directory import Directory
from callrouter.pool.directory_source import read_directory
from callrouter.pool.history import History
from callrouter.pool.keys import pool_slot
from callrouter.pool.late import LateAttribution
from callrouter.pool.store import LeaseStore
from callrouter.pool.sweeper import load_pools
from tests.integration.pool.visitors import numbers

SLOT = pool_slot(1)
POOL = numbers(2)
INVENTORY = f"""
INSERT INTO accounts (id, name, default_route) VALUES (2, 'Окна', 'two');
INSERT INTO sites (account_id, id, name, own_numbers, route) VALUES (2, 1, 'Окна', '{{74952222222}}', 'sales');
INSERT INTO pools (id, name) VALUES (1, 'Москва');
INSERT INTO site_pools (account_id, site_id, pool_id) VALUES (2, 1, 1);
INSERT INTO numbers (number, pool_id) VALUES ('{POOL[0]}', 1), ('{POOL[1]}', 1);
"""


class Bench:
    """The servers of one test, with an inventory."""

    def __init__(self, client: RedisClient, postgres: Pool, directory: Directory) -> None:
        self.client = client
        self.postgres = postgres
        self.directory = directory
        self.leases = LeaseStore(client)
        self.history = History(client, postgres, directory.slots)
        self.late = LateAttribution(client, self.leases, lambda: directory, SystemClock())

    async def backlog(self) -> int:
        return (await self.leases.occupancy(SLOT)).backlog

    async def drained(self) -> None:
        while await self.history.drain_all():
            pass


async def until(look: Callable[[], Awaitable[object]], wanted: object) -> None:
    """Look until it is as wanted; fails after ten seconds."""
    for _ in range(500):
        if await look() == wanted:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"it never became {wanted!r}")


@asynccontextmanager
async def bench(valkey_url: str, database: str) -> AsyncIterator[Bench]:
    client, postgres = open_client(valkey_url), await open_pool(database)
    try:
        async with postgres.acquire() as connection:
            await connection.execute(INVENTORY)
            directory = await read_directory(connection)
        here = Bench(client, postgres, directory)
        await load_pools(here.leases, directory)
        yield here
    finally:
        await close_client(client)
        await postgres.close()
