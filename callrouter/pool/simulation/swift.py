"""A lease store whose operations all go over one line, in the order they are begun: a simulation has no peers to fear
and a hundred thousand visits to let happen. What is asked and how the answer is read is the lease store's own."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.exceptions import ConnectionError as Disconnected

from callrouter.pool.coalesce import Pipeliner, RedisClient, Words
from callrouter.pool.keys import Slot
from callrouter.pool.line import LOST, Line, packed
from callrouter.pool.scripts import Script
from callrouter.pool.store import LeaseStore, Lifetimes

OPENED_WITHIN = 500
LOOKED_EVERY = 0.01


class SwiftStore(LeaseStore):
    """`instead`: scripts that take the place of the shipped ones of the same name."""

    def __init__(
        self, client: RedisClient, line: Line, *, lifetimes: Lifetimes, instead: tuple[Script, ...] = ()
    ) -> None:
        super().__init__(client, lifetimes=lifetimes)
        self._pipeliner = _Swift(client, line, instead)


class _Swift(Pipeliner):
    def __init__(self, client: RedisClient, line: Line, instead: tuple[Script, ...]) -> None:
        super().__init__(client)
        self._line = line
        self._instead = {script.name: script for script in instead}
        self._whole: set[str] = set()
        """Scripts that the server has been sent in full."""

    def run(self, script: Script, slot: Slot, words: Words) -> asyncio.Future[Any]:
        script = self._instead.get(script.name, script)
        if script.name in self._whole:
            head = (b"EVALSHA", script.sha.encode(), b"1", slot.encode())
        else:
            self._whole.add(script.name)
            head = (b"EVAL", script.text.encode(), b"1", slot.encode())
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        command = packed((*head, *[word if type(word) is bytes else str(word).encode() for word in words]))
        if not self._line.send(command, lambda reply: _settle(answer, reply)):
            answer.set_exception(Disconnected("the line to the server is closed"))
        return answer


def _settle(answer: asyncio.Future[Any], reply: Any) -> None:
    if answer.done():
        return
    if reply is LOST:
        answer.set_exception(Disconnected("the server closed the line, or did not answer in time"))
    elif isinstance(reply, Exception):
        answer.set_exception(reply)
    else:
        answer.set_result(reply)


async def opened(line: Line) -> None:
    """Until commands can be sent. Raises what a client raises where there is no server."""
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    for _ in range(OPENED_WITHIN):
        if line.send(packed((b"PING",)), lambda reply: _settle(answer, reply)):
            await answer
            return
        await asyncio.sleep(LOOKED_EVERY)
    raise Disconnected("no line to the server could be opened")
