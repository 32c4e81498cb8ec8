"""A way to a server that fails now and then, by a seeded schedule: for clients that must cope.

Requests are lost before they are sent, in the middle, or after they were carried out (the reply never comes); both ways
may be slow. Knows bytes only. The server behind it may be exchanged, as a virtual address is moved to a replica.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

FAULTS = [*3 * ["lost request", "half a request", "slow"], *6 * ["lost reply"], "late"]
SLOW_SECONDS = 0.03
SLOWER_THAN_PATIENCE = 0.5


class FaultyWay:
    """`often`: the share of requests that meet a fault. Each fault is counted by its name."""

    def __init__(self, host: str, port: int, *, seed: int, often: float) -> None:
        self.behind = (host, port)
        self.often = often
        self.met: Counter[str] = Counter()
        self._chance = random.Random(seed)
        self._deck: list[str] = []
        self._open: set[asyncio.StreamWriter] = set()

    def calm(self) -> None:
        """No more faults."""
        self.often = 0.0

    def lead_to(self, port: int) -> None:
        """From now on another server is behind it; connections to the old one end."""
        self.behind = (self.behind[0], port)
        for writer in tuple(self._open):
            writer.transport.abort()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client's, until either side or a fault ends it."""
        self._open.add(writer)
        back = None
        try:
            there, out = await asyncio.open_connection(*self.behind)
            back = asyncio.create_task(self._answers(there, writer))
            await self._requests(reader, out, back)
        except OSError:
            pass
        finally:
            if back:
                back.cancel()
                await asyncio.gather(back, return_exceptions=True)
                out.transport.abort()
            writer.transport.abort()
            self._open.discard(writer)

    async def _requests(
        self, reader: asyncio.StreamReader, out: asyncio.StreamWriter, back: asyncio.Task[None]
    ) -> None:
        while request := await reader.read(65536):
            fault = self._fault()
            self.met[fault] += 1
            if fault == "lost request":
                return
            if fault == "half a request":
                out.write(request[: len(request) // 2])
                await out.drain()
                return
            if fault == "lost reply":
                back.cancel()
                out.write(request)
                await out.drain()
                await asyncio.sleep(SLOW_SECONDS)  # it is carried out
                return
            if fault.startswith("slow"):
                await asyncio.sleep(SLOW_SECONDS * self._chance.random())
            if fault.startswith("late"):
                await asyncio.sleep(SLOWER_THAN_PATIENCE)
            out.write(request)
            await out.drain()

    def _fault(self) -> str:
        if self._chance.random() >= self.often:
            return "none"
        if not self._deck:  # each fault comes in its turn, however few requests there are
            self._deck = self._chance.sample(FAULTS, len(FAULTS))
        return self._deck.pop()

    async def _answers(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while answer := await there.read(65536):
                writer.write(answer)
                await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def faulty_way(url: str, *, seed: int, often: float = 0.1) -> AsyncIterator[tuple[FaultyWay, str]]:
    """A faulty way to the server at `url`, and the URL that leads over it."""
    parts = urlsplit(url)
    way = FaultyWay(parts.hostname or "127.0.0.1", parts.port or 0, seed=seed, often=often)
    server = await asyncio.start_server(way.carry, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield way, urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}"))
    finally:
        server.close()
        way.lead_to(0)
