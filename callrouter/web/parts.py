"""What the handlers of one worker process stand on: the stores, the directory, the visitors' desk, who may ask.

Opened when the application starts and closed when it stops. Knows no route.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg

from callrouter.appeals.journal import Journal
from callrouter.clock import Clock
from callrouter.db.connect import connect
from callrouter.garbage import settle_collector
from callrouter.journal.live import Feed
from callrouter.people.openid import Newcomers
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.directory import Directory
from callrouter.pool.directory_source import DirectorySource
from callrouter.pool.holders import Store
from callrouter.pool.store import LeaseStore, StoreUnavailable
from callrouter.sessions.device import prepare
from callrouter.web.api.access import Access
from callrouter.web.api.filtered import Asking
from callrouter.web.api.reading import Reading
from callrouter.web.openid.provider import Provider
from callrouter.web.operation import Check
from callrouter.web.outbox import Outbox
from callrouter.web.seen import Traces
from callrouter.web.settings import WebSettings
from callrouter.web.visitor.addresses import Addresses
from callrouter.web.visitor.guard import Guard
from callrouter.web.visitor.places import Places
from callrouter.web.visitor.shared_count import SharedCount
from callrouter.web.visitor.tokens import TokenSigner
from callrouter.web.visitor.visits import Visits

STALE = timedelta(minutes=10)


class Parts:
    """One per worker process."""

    def __init__(self, settings: WebSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self._client = open_client(
            settings.redis_url, cluster=settings.redis_cluster, timeout=settings.redis_timeout_s,
            connections=settings.redis_connections, retries=1,
        )  # fmt: skip
        self.store = LeaseStore(self._client, lifetimes=settings.lifetimes)
        self.holders = Store(self.store, self._client, settings.namespace)
        self._source = DirectorySource(
            self._link, snapshot=settings.snapshot, poll_seconds=settings.directory_poll_s,
            namespace=settings.namespace, clock=clock,
        )  # fmt: skip
        self.reading = Reading(settings.postgres_url)
        self._outbox = Outbox(settings.journal, settings.postgres_url, clock)
        self.places = Places(settings.geoip_file, cut_addresses=settings.cut_addresses)
        self.addresses = Addresses(settings.trusted_proxies)
        count = SharedCount(self._client, settings.namespace)
        self.guard = Guard(settings.limits, clock, count, settings.token_keys[0])
        self.signer = TokenSigner(settings.token_keys)
        self.visits = Visits(self.store, self.directory, self.signer, clock=clock)
        self.access = Access(self.reading, self.addresses, life=settings.signed_in)
        self.asking = Asking(self.reading, clock)
        self.feed = Feed(self._link)
        self.traces = Traces(self._client, clock, settings.namespace)
        self.provider = Provider(settings.openid, clock) if settings.openid else None

    @property
    def newcomers(self) -> Newcomers | None:
        """Whoever is made a user when he first signs in by OpenID Connect."""
        return self.settings.openid.newcomers if self.settings.openid else None

    def directory(self) -> Directory:
        return self._source.directory

    def journal(self) -> Journal | None:
        return self._outbox.journal

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        prepare()
        await self._source.start()
        await self.reading.open()
        await self._outbox.open()
        settle_collector()
        try:
            yield
        finally:
            await self.traces.stop()
            await self.feed.stop()
            if self.provider:
                await self.provider.close()
            await self._outbox.close()
            await self.reading.close()
            await self._source.stop()
            self.places.close()
            await close_client(self._client)

    def checks(self) -> dict[str, Check]:
        """What /ready asks."""
        return {"redis": self._redis_check, "directory": self._directory_check}

    async def _link(self) -> asyncpg.Connection[asyncpg.Record]:
        return await connect(self.settings.postgres_url)

    async def _redis_check(self) -> str:
        try:
            async with asyncio.timeout(self.settings.redis_timeout_s):
                await self.store.ping()
        except (StoreUnavailable, TimeoutError) as error:
            return str(error) or "no answer in time"
        return ""

    async def _directory_check(self) -> str:
        if not self.directory().known:
            return "not read from Postgres yet"
        age = self.clock.now() - self.directory().read_at
        longest = max(STALE, 3 * timedelta(seconds=self.settings.directory_poll_s))
        return f"last read {age} ago" if age > longest else ""
