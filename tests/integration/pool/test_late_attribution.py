"""Late attribution answers as live did: for whatever visitors and callers did, from the history alone."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import msgspec
import pytest

from callrouter.appeals.directory import load_settings
from callrouter.appeals.enrich import enrich
from callrouter.appeals.model import CallAppeal
from callrouter.appeals.store import write
from callrouter.clock import SystemClock
from callrouter.db.connect import Pool, open_pool
from callrouter.numbers import Number
from callrouter.pool.coalesce import RedisClient
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.directory import Directory
from callrouter.pool.directory_source import read_directory
from callrouter.pool.history import History
from callrouter.pool.keys import pool_slot
from callrouter.pool.late import LateAttribution
from callrouter.pool.model import Resolution
from callrouter.pool.resolver import Resolver
from callrouter.pool.store import LeaseStore
from callrouter.pool.sweeper import load_pools
from tests.call_samples import a_call
from tests.integration.pool.visitors import NOON, numbers, visit

SLOT = pool_slot(1)
NUMBERS = numbers(12)
INVENTORY = """
INSERT INTO accounts (id, name, attribution_window) VALUES (2, 'Окна', '24 hours'), (3, 'Двери', '5 hours');
INSERT INTO sites (account_id, id, name) VALUES (2, 1, 'Окна'), (3, 2, 'Двери');
INSERT INTO pools (id, name) VALUES (1, 'Москва');
INSERT INTO site_pools (account_id, site_id, pool_id) VALUES (2, 1, 1), (3, 2, 1);
""" + "".join(f"INSERT INTO numbers (number, pool_id) VALUES ('{number}', 1);" for number in NUMBERS)
CALLERS = [Number(f"7916000000{place}") for place in range(4)]


class Town:
    """Visitors and callers who do whatever chance has them do, and what live said of each call."""

    def __init__(self, client: RedisClient, postgres: Pool, directory: Directory, seed: int, few: int) -> None:
        self.postgres, self.directory = postgres, directory
        self.store = LeaseStore(client)
        self.resolver = Resolver(self.store, lambda: directory)
        self.history = History(client, postgres, directory.slots)
        self.late = LateAttribution(client, self.store, lambda: directory, SystemClock())
        self.chance = random.Random(seed)
        self.numbers = NUMBERS[:few]
        self.now = NOON
        self.visits: list[str] = []
        self.calls: list[Resolution] = []

    async def live(self, steps: int) -> None:
        deeds = [self.visit, self.visit, self.sign, self.sign, self.leave, self.sweep, self.call, self.call]
        for step in range(steps):
            longest = self.chance.choice([20_000] * 6 + [200_000] * 6 + [900_000, 20_000_000])
            self.now += timedelta(milliseconds=61_000 + self.chance.randrange(longest))
            await self.chance.choice(deeds)(step)

    async def visit(self, step: int) -> None:
        site = self.chance.choice([1, 1, 2])
        who = visit(f"s{step}", f"v{self.chance.randrange(7)}.{site}", account=site + 1, site=site)
        campaign = self.chance.choice(["", "", str(step)])
        found = await self.store.allocate(SLOT, who, campaign=campaign, now=self.now)
        self.visits.append(found.session)

    async def sign(self, _: int) -> None:
        for _turn in range(self.chance.randrange(1, 6)):
            if self.visits:
                await self.store.renew(SLOT, self.visits[-1], closed=self.chance.random() < 0.3, now=self.now)
                self.now += timedelta(milliseconds=self.chance.randrange(5000, 100_000))

    async def leave(self, _: int) -> None:
        if self.visits:
            await self.store.release(SLOT, self.chance.choice(self.visits[-4:]), now=self.now)

    async def sweep(self, _: int) -> None:
        await self.store.sweep(SLOT, now=self.now)

    async def call(self, step: int) -> None:
        caller = self.chance.choice([*CALLERS, Number(f"7917{step:07d}"), None])
        found = await self.resolver.resolve(self.chance.choice(self.numbers), caller, self.now, live=False)
        self.calls.append(found)
        await self.resolver.remember(found)
        record = msgspec.structs.replace(
            a_call(), linkedid=f"call-{step}", caller=caller, customer=caller, called=found.number,
            started_at=self.now, answered_at=None, ended_at=self.now + timedelta(seconds=40),
        )  # fmt: skip
        async with self.postgres.acquire() as connection:
            settings = await load_settings(connection)
            row = enrich(CallAppeal(call=record, resolution=found, revision=0), settings)
            assert row
            await write(connection, [row], settings)

    async def drained(self) -> None:
        while await self.history.drain_all():
            pass


@asynccontextmanager
async def town(valkey_url: str, database: str, seed: int, few: int) -> AsyncIterator[Town]:
    client, postgres = open_client(valkey_url), await open_pool(database)
    try:
        async with postgres.acquire() as connection:
            await connection.execute(INVENTORY)
            directory = await read_directory(connection)
        here = Town(client, postgres, directory, seed, few)
        await load_pools(here.store, directory)
        yield here
    finally:
        await close_client(client)
        await postgres.close()


@pytest.mark.parametrize(("seed", "few"), [(1, 2), (2, 3), (3, 12), (4, 4)])
def test_late_attribution_credits_as_live_did(valkey_url: str, database: str, seed: int, few: int) -> None:
    async def scenario() -> None:
        async with town(valkey_url, database, seed, few) as here:
            await here.live(200)
            await here.drained()
            methods = set()
            async with here.postgres.acquire() as connection:
                for call in here.calls:
                    late = await here.late.attribute(connection, call.number, call.caller, call.at)
                    assert late
                    assert late.late
                    assert late.attribution == call.attribution, (call.number, call.caller, call.at)
                    methods.add(late.attribution.method)
            assert methods >= {"holder", "last_holder", "caller_memory"}

    asyncio.run(scenario())


def test_all_calls_wait_once_for_a_store_that_does_not_answer(valkey_url: str, database: str) -> None:
    async def scenario() -> None:
        async with town(valkey_url, database, 6, 1) as here, here.postgres.acquire() as connection:
            with socket.create_server(("127.0.0.1", 0)) as silent:
                client = open_client(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
                late = LateAttribution(client, LeaseStore(client), lambda: here.directory, SystemClock())
                number = NUMBERS[0]
                began = time.monotonic()
                for _ in range(50):
                    assert await late.attribute(connection, number, None, datetime.now(NOON.tzinfo)) is None
                assert time.monotonic() - began < 5
                await close_client(client)

    asyncio.run(scenario())


def test_late_attribution_waits_for_the_history(valkey_url: str, database: str) -> None:
    async def scenario() -> None:
        async with town(valkey_url, database, 5, 1) as here, here.postgres.acquire() as connection:
            leased = await here.store.allocate(SLOT, visit("s1", "ann"))
            assert leased.number
            at = datetime.now(NOON.tzinfo)
            assert await here.late.attribute(connection, leased.number, None, at) is None, "the log is not written yet"
            await here.drained()
            earlier = LateAttribution(here.history._client, here.store, lambda: here.directory, SystemClock())
            found = await earlier.attribute(connection, leased.number, None, at - timedelta(seconds=5))
            assert found
            assert found.attribution.method == "unattributed", "it was not leased yet then"

    asyncio.run(scenario())
