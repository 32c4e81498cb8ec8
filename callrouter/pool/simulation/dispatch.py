"""Operations that are begun in order and whose replies are taken in order, while the next ones are thought of.

Knows no operation. What is done depends on how many operations there were, never on how fast they were answered.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

Then = Callable[[Any], None]
STEP = 16
"""Operations that leave together: the server begins with them while the next are gathered."""


class _Entry(msgspec.Struct):
    operation: Coroutine[Any, Any, Any] | None
    """None: only noted."""
    then: Then | None


class _Flight(msgspec.Struct):
    entries: list[_Entry]
    replies: asyncio.Future[list[Any]]


class Dispatcher:
    """`at_once`: operations on their way at most."""

    def __init__(self, at_once: int) -> None:
        self._step = min(STEP, at_once)
        self._most = at_once // self._step
        self._gathered: list[_Entry] = []
        self._flights: deque[_Flight] = deque()

    def send(self, operation: Coroutine[Any, Any, Any], then: Then | None = None) -> None:
        """`then` is called with the reply, in its turn."""
        self._gathered.append(_Entry(operation, then))

    def note(self, then: Then) -> None:
        """`then` is called when all replies before it are in; with None."""
        self._gathered.append(_Entry(None, then))

    async def go_on(self) -> None:
        """If enough has gathered it leaves."""
        if len(self._gathered) >= self._step:
            await self._depart()
            while len(self._flights) >= self._most:
                await self._arrive()

    async def land(self) -> None:
        """Until nothing is under way: what the replies lead to is sent as well."""
        while self._gathered or self._flights:
            if self._gathered:
                await self._depart()
            while self._flights:
                await self._arrive()

    async def _depart(self) -> None:
        gathered, self._gathered = self._gathered, []
        replies = asyncio.gather(*(entry.operation for entry in gathered if entry.operation is not None))
        self._flights.append(_Flight(gathered, replies))
        await asyncio.sleep(0)  # begun: they are sent, in this order

    async def _arrive(self) -> None:
        flight = self._flights.popleft()
        replies = iter(await flight.replies)
        for entry in flight.entries:
            reply = None if entry.operation is None else next(replies)
            if entry.then is not None:
                entry.then(reply)
