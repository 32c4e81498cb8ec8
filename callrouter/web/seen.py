"""Where a site's script was last asked for, its visits came from, and what was refused: a cheap trace, for its owner.

Each process writes each of the three at most every few seconds, in the background, to the lease store, where it is
kept for a month. Of pages only host and path are kept. A trace that cannot be written is done without.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from callrouter.background import Background
from callrouter.clock import Clock
from callrouter.pool.coalesce import RedisClient
from callrouter.pool.keys import NAMESPACE
from callrouter.pool.store import FAILURES, StoreUnavailable

Kind = Literal["script", "visit", "refused"]
EVERY_SECONDS = 10.0
KEPT = timedelta(days=30)
LONGEST_PAGE = 200
MOST_AT_ONCE = 50
"""Traces being written: what comes while the store is slow is dropped."""


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """`page`: host and path, or the host alone where the browser tells no more; empty where it tells nothing."""

    at: datetime
    page: str


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """`script`: asked for; caches between may keep it, so this may be older than the last page. `visit`: taken.
    `refused`: came from a domain that the site does not have. Null: not in the last month."""

    script: Trace | None = None
    visit: Trace | None = None
    refused: Trace | None = None


class Traces:
    """One per worker process."""

    def __init__(self, client: RedisClient, clock: Clock, namespace: str = NAMESPACE) -> None:
        self._client = client
        self._clock = clock
        self._namespace = namespace
        self._next: dict[tuple[int, Kind], float] = {}
        self._background = Background()
        self._writing = 0

    def note(self, site: int, kind: Kind, page: str) -> None:
        """Known sites only, so that there are no more entries than sites. Never waits, never fails."""
        now = self._clock.monotonic()
        if now < self._next.get((site, kind), now) or self._writing >= MOST_AT_ONCE:
            return
        self._next[site, kind] = now + EVERY_SECONDS
        trace = Trace(at=self._clock.now().astimezone(UTC), page=page_of(page))
        self._writing += 1
        self._background.start("site-seen", self._write(site, kind, trace))

    async def of(self, site: int) -> Seen:
        """Raises StoreUnavailable."""
        try:
            found = await self._client.execute_command("HMGET", self._key(site), *KINDS)
        except FAILURES as error:
            raise StoreUnavailable(str(error) or type(error).__name__) from error
        traces = (msgspec.json.decode(each, type=Trace) if each else None for each in found)
        return Seen(**dict(zip(KINDS, traces, strict=True)))

    async def stop(self) -> None:
        await self._background.stop()

    async def _write(self, site: int, kind: Kind, trace: Trace) -> None:
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hset(self._key(site), kind, msgspec.json.encode(trace))
        pipeline.expire(self._key(site), KEPT)
        try:
            await pipeline.execute()
        except FAILURES:
            self._next.pop((site, kind), None)
        finally:
            self._writing -= 1

    def _key(self, site: int) -> str:
        return f"{self._namespace}:{{seen:{site}}}"


KINDS: tuple[Kind, ...] = ("script", "visit", "refused")


def page_of(address: str) -> str:
    """Host and path, for what stands behind them is nobody's business here; '' for what is no address."""
    try:
        parts = urlsplit(address[: 4 * LONGEST_PAGE])
        host = parts.hostname or ""
    except ValueError:
        return ""
    text = f"{host}{parts.path}" if host else ""
    return "".join(sign for sign in text if sign.isprintable())[:LONGEST_PAGE]
