"""The place in a lease store where one run happens: names of its own, kept small meanwhile, cleared away afterwards."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import cast

from redis.asyncio import Redis

from callrouter.pool.connect import close_client, open_client
from callrouter.pool.keys import Slot, log_key, pool_slot
from callrouter.pool.simulation.swift import SwiftStore, opened
from callrouter.pool.store import LeaseStore, Lifetimes

POOL = 1
SECONDS = 30.0
"""How long an operation may take: many are under way at once."""
CHUNK = 1000


class Premises:
    def __init__(self, client: Redis, store: LeaseStore, slot: Slot) -> None:
        self._client = client
        self.store = store
        self.slot = slot

    async def forget(self, sessions: Iterable[str]) -> None:
        """Visits whose time is over by the virtual clock; the server's own would keep them until the run is long over.
        Also what waits for a history that nobody writes."""
        names = [f"{self.slot}s:{session}" for session in sessions]
        for start in range(0, len(names), CHUNK):
            await self._client.unlink(*names[start : start + CHUNK])
        await self._client.xtrim(log_key(self.slot), maxlen=0, approximate=False)

    async def clear(self) -> None:
        cursor = 0
        while True:
            cursor, names = await self._client.scan(cursor, match=f"{_literal(self.slot)}*", count=CHUNK)
            if names:
                await self._client.unlink(*names)
            if cursor == 0:
                return


@asynccontextmanager
async def premises(url: str, *, lifetimes: Lifetimes, chooser: str | None = None) -> AsyncIterator[Premises]:
    """A slot of a name that nobody else has. One connection, so that operations happen in the order they were sent."""
    client = open_client(url, timeout=SECONDS, connections=1)
    try:
        wire = await opened(client)
        store = SwiftStore(client, wire, lifetimes=lifetimes, chooser=chooser)
        place = Premises(cast(Redis, client), store, pool_slot(POOL, f"simulation-{uuid.uuid4().hex[:12]}"))
        try:
            yield place
        finally:
            await place.clear()
            wire.close()
    finally:
        await close_client(client)


def _literal(text: str) -> str:
    """As a pattern that matches just this."""
    return "".join(f"\\{sign}" if sign in "*?[]^\\" else sign for sign in text)
