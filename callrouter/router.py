"""The process beside the PBX: attaches to each Asterisk, answers its dialplan, follows its calls, publishes appeals.

Only wiring: what a call is stands in `calls`, who called in `pool`, what both make together in `desk`. It starts
although a server is away, and says so, for its first duty is that calls ring.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog
from twisted.internet.asyncioreactor import AsyncioSelectorReactor

from callrouter import handover
from callrouter.ami.agi_wire import AgiRequest
from callrouter.ami.fastagi import FastAgiServer
from callrouter.appeals.journal import Journal
from callrouter.appeals.late import nobody
from callrouter.appeals.publish import Publisher
from callrouter.background import Background
from callrouter.caller import Caller
from callrouter.calls.record import CallRecord
from callrouter.calls.tracker import CallTracker
from callrouter.clock import Clock
from callrouter.config import PbxConfig, address
from callrouter.configfile import Loaded
from callrouter.db.connect import Connection, Pool, connect, open_pool
from callrouter.desk import Desk
from callrouter.live_calls import LiveCalls
from callrouter.log import OncePerKind
from callrouter.numbers import INTERNATIONAL, NotANumber, Number, parse_number
from callrouter.ops import OTHER_PORT, Part, listen, needed
from callrouter.pbx import PbxLink, question_of
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.delay import DelayModel
from callrouter.pool.directory_source import DirectorySource
from callrouter.pool.late import LateAttribution
from callrouter.pool.model import Resolution
from callrouter.pool.resolver import Resolver
from callrouter.pool.store import LeaseStore, Lifetimes
from callrouter.probe import Probe
from callrouter.proving import Prover
from callrouter.reach import unreachable
from callrouter.regulars import Regulars
from callrouter.ringing import Ringing

log = structlog.get_logger()

ORDER_CONNECTIONS = 4
FINISH_SECONDS = 5.0
"""How long a stopping router lets appeals reach the journal, and then the journal reach Postgres."""
HOUSEKEEPING_SECONDS = 30.0
DIRECTORY = "directory.json"


class Router:
    """One router with all its PBXs. `run` it until `stopping` is set."""

    def __init__(self, loaded: Loaded, reactor: AsyncioSelectorReactor, clock: Clock) -> None:
        self._loaded = loaded
        self._config = loaded.config
        self._reactor = reactor
        self._clock = clock
        self._background = Background()
        self._folder = Path(self._config.router.journal)
        self._model = DelayModel(window=self._config.attribution.window)
        self._say = OncePerKind(clock.monotonic)
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Start, work until `stopping`, stop in order. Raises CannotStart; JournalLocked if another has the journal."""
        async with contextlib.AsyncExitStack() as stack:
            await self._start(stack)
            log.info("router is up", pbx=[pbx.name for pbx in self._config.pbx], agi=self._config.router.agi_listen)
            await self.stopping.wait()
            log.info("router is stopping")

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        """Open what is needed, in order; the stack closes it in the opposite order."""
        where = self._loaded.source.where
        with needed(
            where("router.journal"), f"no journal can be kept in {self._folder}", "make it writable, with room"
        ):
            journal = Journal(self._folder)
        stack.callback(journal.close)
        postgres = await open_pool(self._config.postgres.url, lazy=True)
        stack.push_async_callback(_close, postgres)
        redis = open_client(self._config.redis.url, cluster=self._config.redis.cluster)
        stack.push_async_callback(close_client, redis)
        stack.push_async_callback(self._background.stop)
        directory = DirectorySource(lambda: connect(self._config.postgres.url), snapshot=self._folder / DIRECTORY)
        await directory.start()
        stack.push_async_callback(directory.stop)
        store = LeaseStore(redis, lifetimes=Lifetimes(window=self._config.attribution.window))
        resolver = Resolver(store, lambda: directory.directory, model=self._model)
        regulars = Regulars(store, lambda: directory.directory)
        self._background.keep("introduce", regulars.run)
        late = LateAttribution(redis, store, lambda: directory.directory, self._clock, model=self._model)
        publisher = self._publisher(postgres, late, journal, regulars)
        stack.push_async_callback(publisher.stop, FINISH_SECONDS)
        settings = self._config.router
        ringing = Ringing(postgres)
        ringing.start()
        stack.push_async_callback(ringing.stop)
        desk = Desk(
            resolver, journal, self._clock, deadline=settings.deadline_ms / 1000, default_route=settings.default_route,
            watched=ringing,
        )  # fmt: skip
        predecessor = handover.taken(self._folder)
        desk.take_over(predecessor.known, predecessor.calls)
        links = self._links(desk, predecessor.trackers)
        prover = self._prover(journal, links)
        stack.push_async_callback(self._finish, desk, links)
        for link in links:
            await link.start()
            stack.push_async_callback(link.stop)
        orders = await open_pool(self._config.postgres.url, size=ORDER_CONNECTIONS, lazy=True)
        callers = self._callers(links, orders, directory)
        for caller in callers:
            await caller.start()
            stack.push_async_callback(caller.stop)
        stack.callback(orders.terminate)  # first: with a server that hangs, a cancelled query would be waited for
        agi = await self._open_door(desk)
        stack.push_async_callback(agi.stop)
        probe = Probe(redis, postgres)
        self._background.keep("probe", probe.run)
        self._background.keep("housekeeping", lambda: self._keep_house(desk, links, prover))
        self._background.start("check-servers", self._tell_unreachable())
        with needed(where("router.http_listen"), "/metrics and /health cannot listen there", OTHER_PORT):
            stop_listening = listen(
                self._reactor, "router", lambda: self._health(journal, directory, probe, [*links, *callers]),
                *address(self._config.router.http_listen), pages={b"/calls": LiveCalls(links, desk, self._clock).page},
            )  # fmt: skip
        stack.callback(stop_listening)

    def _links(self, desk: Desk, trackers: Mapping[str, CallTracker]) -> list[PbxLink]:
        return [PbxLink(pbx, desk, self._clock, tracker=trackers.get(pbx.name)) for pbx in self._config.pbx]

    def _prover(self, journal: Journal, links: list[PbxLink]) -> Prover | None:
        """Compares appeals with what the PBXs recorded, if it is known where."""
        if not any(link.pbx.cel for link in links):
            return None
        prover = Prover(
            self._folder, self._loaded.source.file, self._clock, backlog=journal.backlog_bytes,
            up_since=lambda: {link.pbx.name: link.up_since for link in links if link.up_since is not None},
        )  # fmt: skip
        for link in links:
            if link.pbx.cel:
                link.on_gap = prover.gap
        self._background.keep("prove", prover.run)
        return prover

    def _callers(self, links: list[PbxLink], postgres: Pool, directory: DirectorySource) -> list[Caller]:
        """Of the PBXs that may place calls."""
        callers = [
            Caller(link, postgres, lambda: directory.directory, self._clock) for link in links if link.pbx.callback_user
        ]
        for caller in callers:
            caller.link.listeners.append(caller.take)
        return callers

    async def _open_door(self, desk: Desk) -> FastAgiServer:
        """What the dialplan asks by FastAGI."""
        agi = FastAgiServer(
            lambda request: desk.ask(question_of(request, self._pbx_of(request))), self._clock,
            deadline=desk.deadline,
            on_late=lambda request, _found: desk.came_late(question_of(request, self._pbx_of(request))),
        )  # fmt: skip
        with needed(self._loaded.source.where("router.agi_listen"), "FastAGI cannot listen there", OTHER_PORT):
            await agi.start(*address(self._config.router.agi_listen))
        return agi

    def _publisher(self, postgres: Pool, late: LateAttribution, journal: Journal, regulars: Regulars) -> Publisher:
        async def from_history(conn: Connection, call: CallRecord) -> Resolution | None:
            """Who placed this call, says the lease history; None while that has not come as far as the call."""
            try:
                called = parse_number(call.called or "", INTERNATIONAL)
            except NotANumber:
                return nobody(call)
            return await late.attribute(conn, called, Number(call.caller) if call.caller else None, call.started_at)

        publisher = Publisher(postgres, journal, from_history, self._clock, on_published=regulars.note)
        self._background.keep("publish", publisher.run)
        return publisher

    def _pbx_of(self, request: AgiRequest) -> PbxConfig:
        """Asterisk's systemname begins each uniqueid; `?pbx=` says it where none is set."""
        name = request.uniqueid.rpartition("-")[0] or request.query.get("pbx", "")
        named = [pbx for pbx in self._config.pbx if pbx.name == name]
        if not named and len(self._config.pbx) > 1:
            self._say.warning("PBX-UNKNOWN", pbx=name, taken_for=self._config.pbx[0].name)
        return next(iter([*named, *self._config.pbx]), PbxConfig(name=name or "pbx"))

    async def _finish(self, desk: Desk, links: list[PbxLink]) -> None:
        """No event comes any more: write what has ended, and hand over what is known of calls that go on."""
        if not await desk.finish(FINISH_SECONDS):
            log.error("ROUTER-UNFINISHED", seconds=FINISH_SECONDS)
        try:
            handover.leave(self._folder, desk.in_hand(), {link.pbx.name: link.tracker for link in links})
        except OSError as error:
            log.warning("CALLS-IN-HAND-NOT-WRITTEN", reason=str(error))
        await desk.stop()

    async def _keep_house(self, desk: Desk, links: list[PbxLink], prover: Prover | None) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            for link in links:
                link.expire()
            desk.forget_old({link.pbx.name for link in links if link.attached})
            if prover is not None and all(link.attached for link in links if link.pbx.cel):
                prover.watched()

    async def _tell_unreachable(self) -> None:
        """Starting is not put off by a server that is away; that it is away is said with the line that names it."""
        for complaint in await unreachable(self._loaded):
            log.warning("SERVER-UNREACHABLE", complaint=complaint)

    def _health(
        self, journal: Journal, directory: DirectorySource, probe: Probe, links: Sequence[PbxLink | Caller]
    ) -> Mapping[str, Part]:
        waiting = f"{journal.backlog_bytes()} bytes wait for Postgres"
        numbers = directory.directory.numbers
        return {
            "journal": Part(ok=not journal.failure, detail=journal.failure or waiting, needed=True),
            "directory": Part(ok=bool(numbers), detail=f"{len(numbers)} numbers", needed=True),
            **probe.parts(),
            **{name: part for link in links for name, part in link.parts().items()},
        }


async def _close(pool: Pool) -> None:
    """Connections that are in use at the end are of no use to anybody."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(pool.close(), FINISH_SECONDS)
