"""A connection to the manager interface that is there while it is wanted, and rests between.

Asterisk wakes the thread of every manager session for each event, also for those who hear none: a busy PBX would spend
as much on an idle connection as on one that listens. Now and then it connects unasked, so that settings that became
wrong are told before they are needed. Knows no actions.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from callrouter.ami.connection import AmiConnection, AmiSettings, State
from callrouter.ami.wire import Event
from callrouter.clock import Clock

CONNECT_SECONDS = 5.0
QUIET_SECONDS = 10.0
LOOK_SECONDS = 600.0
TEND_SECONDS = 1.0


class Occasional:
    """`start()` it once and let `tend()` run; `connected()` while it is used; `stop()` in the end."""

    def __init__(self, settings: AmiSettings, clock: Clock) -> None:
        self._connection = AmiConnection(settings, self._on_event, self._on_state, clock)
        self._clock = clock
        self._up = asyncio.Event()
        self._turn = asyncio.Lock()
        self._users = 0
        self._rests = True
        self._since = clock.monotonic()
        """When it was used last, or since when it rests."""
        self.ok, self.detail = False, "not yet connected"
        """How it was when it was tried last."""

    async def start(self) -> None:
        await self._begin()

    async def stop(self) -> None:
        async with self._turn:
            await self._connection.stop()

    async def tend(self) -> None:
        """Without end: rest when nobody needs it any more, look from time to time whether it would still work."""
        while True:
            await asyncio.sleep(TEND_SECONDS)
            idle = self._clock.monotonic() - self._since
            if self._rests and idle > LOOK_SECONDS:
                await self._begin()
            elif self._up.is_set() and not self._users and idle > QUIET_SECONDS:
                await self._rest()

    async def wake(self) -> bool:
        """Whether it is connected now, or could be within some seconds; it stays so for a while."""
        await self._begin()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._up.wait()
        self._since = self._clock.monotonic()
        return self._up.is_set()

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[AmiConnection]:
        """Raises ConnectionError if it cannot be."""
        self._users += 1
        try:
            if not await self.wake():
                raise ConnectionError(self.detail)
            yield self._connection
        finally:
            self._users -= 1
            self._since = self._clock.monotonic()

    async def _begin(self) -> None:
        async with self._turn:
            if self._rests:
                self._rests, self._since = False, self._clock.monotonic()
                await self._connection.start()

    async def _rest(self) -> None:
        async with self._turn:
            if not self._users:
                self._rests, self._since = True, self._clock.monotonic()
                self._up.clear()
                await self._connection.stop()

    def _on_event(self, event: Event, at: float) -> None:
        """Answers come with their actions; nothing else matters here."""

    def _on_state(self, state: State, detail: str) -> None:
        self.ok, self.detail = state == "up", detail
        (self._up.set if self.ok else self._up.clear)()
