"""The process that runs anywhere and does what no call and no page waits for.

Between Redis and Postgres: lease and visit history, the pools' numbers, the sweeper, leases that the store lost. In
Postgres: partitions, forgetting what is kept no longer, multichannel appeals, sums for reports, callback orders that
nobody carried out, numbers that leaked, what erased clients left in the store. Besides, it sends scheduled reports.

Only wiring. Any number of workers may run at once: each log has one reader at a time, each sweep is one script.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import timedelta

import structlog
from twisted.internet.asyncioreactor import AsyncioSelectorReactor

from callrouter.appeals import touching
from callrouter.appeals.orders import miss_stale
from callrouter.background import Background
from callrouter.config import address
from callrouter.configfile import Loaded
from callrouter.db.connect import TROUBLE, Pool, connect, open_pool
from callrouter.journal.erasing import Erasing
from callrouter.ops import OTHER_PORT, Part, listen, needed
from callrouter.people.browser_sessions import Lifetime
from callrouter.people.forgetting import keep_forgetting
from callrouter.pool import leak_search, retention
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.directory import Directory
from callrouter.pool.directory_source import DirectorySource
from callrouter.pool.history import History
from callrouter.pool.keys import Slot, pool_slot
from callrouter.pool.loading import PoolLoader
from callrouter.pool.lost import LostLeases
from callrouter.pool.planning.watch import PlanWatch
from callrouter.pool.store import FAILURES, LeaseStore, Lifetimes
from callrouter.pool.sweeper import Sweeper
from callrouter.probe import Probe
from callrouter.reach import unreachable
from callrouter.reports import keeping
from callrouter.scheduled.sending import Sender, Writer
from callrouter.scheduled.settings import outlet_of

log = structlog.get_logger()

PARTITIONS_SECONDS = 3600.0
STALE_SECONDS = 60.0
STALE_AFTER = timedelta(minutes=1)
"""A router that lives gives up a callback order itself."""


class Worker:
    """One worker. `run` it until `stopping` is set."""

    def __init__(self, loaded: Loaded, reactor: AsyncioSelectorReactor, writer: Writer | None = None) -> None:
        """`writer`: of scheduled reports; without one none is sent."""
        self._loaded = loaded
        self._writer = writer
        self._config = loaded.config
        self._reactor = reactor
        self._background = Background()
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            await self._start(stack)
            log.info("worker is up")
            await self.stopping.wait()
            log.info("worker is stopping")

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        postgres = await open_pool(self._config.postgres.url, lazy=True)
        redis = open_client(self._config.redis.url, cluster=self._config.redis.cluster)
        stack.push_async_callback(close_client, redis)
        store = LeaseStore(redis, lifetimes=Lifetimes(window=self._config.attribution.window))
        directory = DirectorySource(lambda: connect(self._config.postgres.url))
        stack.push_async_callback(self._background.stop)
        stack.callback(postgres.terminate)  # first: with a server that hangs, a cancelled query would be waited for
        await directory.start()
        stack.push_async_callback(directory.stop)

        def slots() -> list[Slot]:
            return directory.directory.slots()

        loader = PoolLoader(redis, store, postgres, lambda: directory.directory)

        async def on_change(_directory: Directory) -> None:
            loader.load_soon()

        directory.on_change(on_change)
        history = History(redis, postgres, slots)
        watch = PlanWatch(postgres)
        sweep_seconds = self._config.worker.sweep_seconds
        sweeper = Sweeper(
            store, lambda: directory.directory, interval_seconds=sweep_seconds, watch=watch,
            on_missing=loader.load_soon,
        )  # fmt: skip
        lost = LostLeases(redis, store, postgres, pool_slot)
        self._background.keep("lost-leases", lost.run)
        self._background.keep("plans", watch.run)
        self._background.keep("load-pools", loader.run)
        self._background.keep("partitions", lambda: self._ensure_partitions(postgres))
        self._background.keep("leaks", lambda: leak_search.watch(postgres, self._config.attribution.window))
        kept = timedelta(days=self._config.worker.keep_leases_days)
        self._background.keep("retention", lambda: retention.keep_forgetting(postgres, kept))
        self._background.keep("erasures", Erasing(store, postgres, lambda: directory.directory).run)
        self._background.keep("touches", lambda: touching.keep_judging(postgres))
        self._background.keep("report-sums", lambda: keeping.keep_sums(postgres))
        self._background.keep("signed-out", lambda: keep_forgetting(postgres, self._signed_in()))
        self._background.keep("stale-callbacks", lambda: self._miss_stale_callbacks(postgres))
        if self._writer is not None:
            sender = Sender(self._config.postgres.url, postgres, self._writer, outlet_of(self._config))
            self._background.keep("scheduled-reports", sender.run)
        self._background.start("check-servers", self._tell_unreachable())
        for name, part in (("history", history), ("sweeper", sweeper)):
            task = self._background.keep(name, part.run)
            stack.push_async_callback(_ended, task, part)
        probe = Probe(redis, postgres)
        self._background.keep("probe", probe.run)
        place = self._loaded.source.where("worker.http_listen")
        with needed(place, "/metrics and /health cannot listen there", OTHER_PORT):
            host, port = address(self._config.worker.http_listen)
            stop_listening = listen(self._reactor, "worker", lambda: self._health(directory, probe), host, port)
        stack.callback(stop_listening)

    def _signed_in(self) -> Lifetime:
        web = self._config.web
        return Lifetime(timedelta(hours=web.session_idle_hours), timedelta(days=web.session_days))

    async def _ensure_partitions(self, postgres: Pool) -> None:
        while True:
            try:
                await postgres.execute("SELECT ensure_partitions()")
                await asyncio.sleep(PARTITIONS_SECONDS)
            except TROUBLE as error:
                log.warning("PARTITIONS-NOT-MADE", reason=str(error) or type(error).__name__)
                await asyncio.sleep(PARTITIONS_SECONDS / 60)

    async def _miss_stale_callbacks(self, postgres: Pool) -> None:
        """Orders whose time is over and that no router took up: none is there, or none may place calls."""
        while True:
            try:
                async with postgres.acquire() as connection:
                    for outcome in await miss_stale(connection, STALE_AFTER):
                        log.warning("CALLBACK-MISSED", outcome=outcome)
            except TROUBLE as error:
                log.warning("CALLBACK-ORDERS-UNKNOWN", reason=str(error) or type(error).__name__)
            await asyncio.sleep(STALE_SECONDS)

    async def _tell_unreachable(self) -> None:
        for complaint in await unreachable(self._loaded, pbx=False):
            log.warning("SERVER-UNREACHABLE", complaint=complaint)

    def _health(self, directory: DirectorySource, probe: Probe) -> Mapping[str, Part]:
        known = bool(directory.directory.accounts)
        return {
            "directory": Part(ok=known, detail=f"{len(directory.directory.numbers)} numbers"),
            **probe.parts(needed=True),
        }


async def _ended(task: asyncio.Task[object], part: History | Sweeper) -> None:
    """What it has in hand is finished first."""
    part.stop()
    with contextlib.suppress(*FAILURES, *TROUBLE):
        await asyncio.wait_for(asyncio.shield(task), 5)
