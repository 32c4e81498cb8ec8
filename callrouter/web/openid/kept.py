"""Something fetched and kept a while: not asked for again at every use, by several at once, or just after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from callrouter.clock import Clock

T = TypeVar("T")

KEPT_SECONDS = 3600.0
ANEW_SECONDS = 30.0
"""It is not asked for anew, whoever wants it, if it is no older."""
PAUSE_SECONDS = 5.0
"""After a failure: meanwhile everybody is told of that one."""


class Kept(Generic[T]):
    def __init__(self, fetch: Callable[[], Awaitable[T]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._turn = asyncio.Lock()
        self._value: T | None = None
        self._at = 0.0
        self._failure: Exception | None = None
        self._failed_at = 0.0

    async def get(self, *, anew: bool = False) -> T:
        """Raises what fetching raised, now or within the last few seconds. `anew`: what is kept may be outdated."""
        async with self._turn:
            now = self._clock.monotonic()
            if self._value is not None and now - self._at < (ANEW_SECONDS if anew else KEPT_SECONDS):
                return self._value
            if self._failure is not None and now - self._failed_at < PAUSE_SECONDS:
                raise self._failure.with_traceback(None)
            try:
                self._value, self._failure = await self._fetch(), None
            except Exception as error:
                self._failure, self._failed_at = error, self._clock.monotonic()
                raise
            self._at = self._clock.monotonic()
            return self._value
