"""A lease store whose operations all go over one wire, in the order they are begun: a simulation has no peers to fear
and a hundred thousand visits to let happen. What is asked and how the answer is read is the lease store's own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, cast

import hiredis
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as Disconnected

from callrouter.pool.coalesce import Pipeliner, RedisClient
from callrouter.pool.keys import Slot
from callrouter.pool.nodes import Lanes
from callrouter.pool.scripts import Script
from callrouter.pool.store import LeaseStore, Lifetimes

OPENED_WITHIN = 5.0


class Wire(asyncio.Protocol):
    """One connection: what is said in one tick of the event loop leaves by one send."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader()
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._unsent: list[bytes] = []
        self.said = 0
        """Commands, so far."""

    def say(self, *words: Any) -> asyncio.Future[Any]:
        """The future reply to one command."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        if self._transport is None:
            answer.set_exception(Disconnected("the connection to the server is closed"))
            return answer
        if not self._unsent:
            self._loop.call_soon(self._send)
        self.said += 1
        self._unsent.append(hiredis.pack_command(words))
        self._waiting.append(answer)
        return answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _send(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self._transport is not None:
            self._transport.write(b"".join(unsent))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by descent

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            answer = self._waiting.popleft()
            if answer.done():
                continue
            if isinstance(reply, Exception):
                answer.set_exception(reply)
            else:
                answer.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        for answer in self._waiting:
            if not answer.done():
                answer.set_exception(Disconnected(f"the server closed the connection: {exc or 'no reason told'}"))
        self._waiting.clear()


async def opened(client: RedisClient) -> Wire:
    """A wire to the server that `client` leads to. Raises what a client raises where there is none."""
    options: dict[str, Any] = cast(Redis, client).connection_pool.connection_kwargs
    host, port = options.get("host", "localhost"), options.get("port", 6379)
    try:
        async with asyncio.timeout(OPENED_WITHIN):
            _, wire = await asyncio.get_running_loop().create_connection(Wire, host, port)
            user, password, database = (options.get(name) for name in ("username", "password", "db"))
            if password:
                await wire.say("AUTH", *((user, password) if user else (password,)))
            await wire.say("SELECT", database or 0)
    except (OSError, hiredis.HiredisError) as error:
        raise Disconnected(f"{host}:{port} cannot be used: {error!s}") from None
    return wire


class SwiftStore(LeaseStore):
    """`chooser`: Lua in the place of scripts/choose.lua."""

    def __init__(self, client: RedisClient, wire: Wire, *, lifetimes: Lifetimes, chooser: str | None = None) -> None:
        super().__init__(client, lifetimes=lifetimes, chooser=chooser)
        self.wire = wire
        self._pipelines = Lanes(client, lambda: _Swift(client, wire))


class _Swift(Pipeliner):
    def __init__(self, client: RedisClient, wire: Wire) -> None:
        super().__init__(client)
        self._wire = wire
        self._whole: set[str] = set()
        """Scripts that the server has been sent in full."""

    def run(self, script: Script, slot: Slot, words: Sequence[bytes]) -> asyncio.Future[Any]:
        if script.sha in self._whole:
            return self._wire.say("EVALSHA", script.sha, 1, slot, *words)
        self._whole.add(script.sha)
        return self._wire.say("EVAL", script.text, 1, slot, *words)
