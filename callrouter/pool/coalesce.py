"""Questions that are asked while others are under way travel together: one command per slot, one pipeline for all.

Knows the form of the resolve script's call (a head, then the words of each question; it answers the time and then one
answer per question), not what it means. Cancelling a question leaves the others alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Protocol

from redis import exceptions

from callrouter.pool.keys import Slot
from callrouter.pool.scripts import Script

Head = tuple[object, ...]
Words = tuple[object, ...]
Answer = tuple[bytes, list[list[bytes | None]]]

BATCH = 64
"""Questions per command: a script that runs long delays everybody else on the server."""
FLIGHTS = 2
"""Batches under way at once: while one is answered the next is gathered."""


class RedisClient(Protocol):
    """What we use of `redis.asyncio.Redis` and `redis.asyncio.RedisCluster` alike."""

    def evalsha(self, sha: str, numkeys: int, *args: Any) -> Awaitable[Any]: ...
    def eval(self, script: str, numkeys: int, *args: Any) -> Awaitable[Any]: ...
    def pipeline(self, transaction: bool = ...) -> Any: ...
    def execute_command(self, *args: Any) -> Awaitable[Any]: ...


class Coalescer:
    """Asks one script many questions with few commands."""

    def __init__(self, client: RedisClient, which: Script) -> None:
        self._client = client
        self._script = which
        self._waiting: list[tuple[Slot, Head, Words, asyncio.Future[Answer]]] = []
        self._flights: set[asyncio.Task[None]] = set()
        self._called = False

    def ask(self, slot: Slot, head: Head, words: Words) -> asyncio.Future[Answer]:
        """The future answer to one question."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((slot, head, words, answer))
        if not self._called and len(self._flights) < FLIGHTS:
            self._called = True
            loop.call_soon(self._fly)
        return answer

    def _fly(self) -> None:
        """Send off what waits; runs once the tick that asked is over, and again after each flight."""
        self._called = False
        self._waiting = [entry for entry in self._waiting if not entry[3].done()]
        while self._waiting and len(self._flights) < FLIGHTS:
            groups: dict[tuple[Slot, Head], list[tuple[Words, asyncio.Future[Answer]]]] = {}
            for slot, head, words, answer in self._waiting[:BATCH]:
                groups.setdefault((slot, head), []).append((words, answer))
            del self._waiting[:BATCH]
            flight = asyncio.get_running_loop().create_task(self._ask_all(groups))
            self._flights.add(flight)
            flight.add_done_callback(self._landed)

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._flights.discard(flight)
        if self._waiting:
            self._fly()

    async def _ask_all(self, groups: dict[tuple[Slot, Head], list[tuple[Words, asyncio.Future[Answer]]]]) -> None:
        commands = [
            (slot, *head, *(word for words, _ in entries for word in words)) for (slot, head), entries in groups.items()
        ]
        try:
            replies = await self._send(commands)
        except BaseException as error:
            failure = error if isinstance(error, Exception) else exceptions.ConnectionError("the client was closed")
            for entries in groups.values():
                _fail(entries, failure)
            if not isinstance(error, Exception):
                raise
            return
        for entries, reply in zip(groups.values(), replies, strict=True):
            if isinstance(reply, Exception):
                _fail(entries, reply)
                continue
            for (_, answer), found in zip(entries, reply[1:], strict=True):
                if not answer.done():
                    answer.set_result((reply[0], found))

    async def _send(self, commands: list[tuple[object, ...]]) -> list[Any]:
        if len(commands) == 1:
            try:
                return [await self._client.evalsha(self._script.sha, 1, *commands[0])]
            except exceptions.NoScriptError:
                return [await self._client.eval(self._script.text, 1, *commands[0])]
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command("EVALSHA", self._script.sha, 1, *command)
        replies: list[Any] = await pipeline.execute(raise_on_error=False)
        for place, reply in enumerate(replies):
            if isinstance(reply, exceptions.NoScriptError):
                replies[place] = await self._client.eval(self._script.text, 1, *commands[place])
        return replies


def _fail(entries: list[tuple[Words, asyncio.Future[Answer]]], error: Exception) -> None:
    for _, answer in entries:
        if not answer.done():
            answer.set_exception(error)
