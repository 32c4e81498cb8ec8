"""The dialplan's door: a FastAGI server that always answers within its deadline.

Knows the protocol, time limits and bounds; knows nothing of numbers or visits: `resolve` does. A question that is not
answered in time gets `CALLROUTER_STATUS=late` and the call goes on; `resolve` is not cancelled, so that what it finds
can still be credited: `on_late` is told.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from callrouter.ami import metrics
from callrouter.ami.agi_wire import MAX_ENVIRONMENT, AgiRequest, NotAgi, ReplyReader, read_environment
from callrouter.ami.dialplan import agi_commands, ordered
from callrouter.clock import Clock

log = structlog.get_logger()

Resolve = Callable[[AgiRequest], Awaitable[Mapping[str, str]]]


OnLate = Callable[[AgiRequest, Mapping[str, str]], None]


class _Conversation(Protocol):
    """One call's question: environment, answer, reply, end."""

    transport: Any

    def __init__(self, server: FastAgiServer) -> None:
        self.server = server
        self.received = bytearray()
        self.began = 0.0
        self.asked = 0.0
        self.request: AgiRequest | None = None
        self.task: asyncio.Task[Mapping[str, str]] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.expected = 0
        self.replies: ReplyReader | None = None
        self.over = False

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        self.began = self.server.clock.monotonic()
        if not self.server.admit(self):
            self.abort("too_many")

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self.over:
            return
        if self.task is None and self.expected == 0:
            self._read_environment(data)
        elif self.replies is not None:
            self.replies.feed(data)
            if len(self.replies.replies) >= self.expected:
                refused = any(code not in (200, 511) for code in self.replies.replies)
                self.finish("refused" if refused else None)

    def _read_environment(self, data: bytes) -> None:
        self.received += data
        end = self.received.find(b"\n\n")
        if end < 0:
            end = self.received.find(b"\n\r\n")
        if end >= 0:
            try:
                request = read_environment(bytes(self.received[:end]))
            except NotAgi:
                self.abort("not_agi")
            else:
                self._ask(request)
        elif len(self.received) > MAX_ENVIRONMENT:
            self.abort("too_long")

    def _ask(self, request: AgiRequest) -> None:
        server = self.server
        self.request = request
        self.received.clear()
        self.asked = server.clock.monotonic()
        self.task = server.background(request)
        if self.task is None:
            self._answer({}, "late")
            return
        self.timer = server.loop.call_later(server.deadline, self._answer, {}, "late")
        self.task.add_done_callback(self._resolved)

    def _resolved(self, task: asyncio.Task[Mapping[str, str]]) -> None:
        failed = task.cancelled() or task.exception() is not None
        if self.expected or self.over:  # late, or hung up: who asked is served or gone
            if not failed and self.request is not None:
                self.server.came_late(self.request, task.result())
        elif failed:
            self._answer({}, "error")
        else:
            self._answer(task.result(), "ok")

    def _answer(self, variables: Mapping[str, str], status: str) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if self.over:
            return
        try:
            pairs = ordered(variables, status)
        except (ValueError, TypeError, AttributeError):
            self.server.failed("answer")
            pairs = ordered({}, "error")
        commands = agi_commands(pairs)
        self.expected = len(commands)
        self.replies = ReplyReader()
        self.transport.write(b"".join(commands))
        self.server.answered(pairs[-1][1], self.server.clock.monotonic() - self.asked)

    def finish(self, oddity: str | None = None) -> None:
        if not self.over:
            self.over = True
            if oddity:
                self.server.odd(oddity)
            self.transport.loseConnection()

    def abort(self, oddity: str) -> None:
        """End it at once: this is no Asterisk, or it has stopped to be one."""
        if not self.over:
            self.over = True
            self.server.odd(oddity)
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure | None = None) -> None:  # noqa: N802, ARG002
        if self.timer is not None:
            self.timer.cancel()
        if not self.over:
            self.over = True
            self.server.odd("hangup" if self.asked else "no_question")
        self.server.forget(self)


class FastAgiServer(Factory):
    """Listens for Asterisk. Every question is answered, in time, whatever `resolve` does."""

    noisy = False

    def __init__(
        self,
        resolve: Resolve,
        clock: Clock,
        reactor: Any,
        *,
        deadline: float = 0.15,
        read_timeout: float = 2.0,
        max_connections: int = 2000,
        on_late: OnLate | None = None,
    ) -> None:
        self._resolve = resolve
        self.on_late = on_late
        self.clock = clock
        self._reactor = reactor
        self.deadline = deadline
        self._read_timeout = read_timeout
        self._max_connections = max_connections
        self._open: set[_Conversation] = set()
        self._tasks: set[asyncio.Task[Mapping[str, str]]] = set()
        self._port: Any = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._said: set[str] = set()
        self._idle: asyncio.Event | None = None
        self._resolve_seconds = metrics.RESOLVE.labels("agi")
        self.loop: asyncio.AbstractEventLoop

    # --- what the router uses -----------------------------------------------------------------------------------------

    async def start(self, host: str, port: int) -> int:
        """Listen; the port, which differs from the given one if that was 0."""
        self.loop = asyncio.get_running_loop()
        endpoint: Any = (TCP6ServerEndpoint if ":" in host else TCP4ServerEndpoint)(
            self._reactor, port, backlog=1024, interface=host
        )
        self._port = await endpoint.listen(self).asFuture(self.loop)
        self._sweep()
        return int(self._port.getHost().port)

    async def stop(self, patience: float = 1.0) -> None:
        """Take no more calls, finish those in hand, and wait a little for what `resolve` still does."""
        if self._port is not None:
            stopped = self._port.stopListening()
            if stopped is not None:
                await stopped.asFuture(self.loop)
        self._idle = asyncio.Event()
        self._tell_if_idle()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._idle.wait()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for conversation in list(self._open):
            conversation.abort("stopped")
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- what a conversation uses -------------------------------------------------------------------------------------

    def buildProtocol(self, addr: IAddress | None) -> Protocol:  # noqa: N802, ARG002 - Twisted's name
        return _Conversation(self)

    def admit(self, conversation: _Conversation) -> bool:
        metrics.AGI_OPEN.inc()
        self._open.add(conversation)
        return len(self._open) <= self._max_connections

    def forget(self, conversation: _Conversation) -> None:
        if conversation in self._open:
            metrics.AGI_OPEN.dec()
            self._open.discard(conversation)
            self._tell_if_idle()

    def _tell_if_idle(self) -> None:
        if self._idle is not None and not self._open and not self._tasks:
            self._idle.set()

    def background(self, request: AgiRequest) -> asyncio.Task[Mapping[str, str]] | None:
        """Start to resolve; None if so many are under way that one more could not help."""
        if len(self._tasks) >= self._max_connections:
            self.failed("overload")
            return None
        task = self.loop.create_task(self._run(request))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def _run(self, request: AgiRequest) -> Mapping[str, str]:
        return await self._resolve(request)

    def _done(self, task: asyncio.Task[Mapping[str, str]]) -> None:
        self._tasks.discard(task)
        self._tell_if_idle()
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed("resolve", error)

    def came_late(self, request: AgiRequest, variables: Mapping[str, str]) -> None:
        if self.on_late is not None:
            try:
                self.on_late(request, variables)
            except Exception as error:  # noqa: BLE001 - the next call must not suffer for it
                self.failed("on_late", error)

    def answered(self, status: str, seconds: float) -> None:
        self._resolve_seconds.observe(seconds)
        metrics.AGI_REQUESTS.labels(status if status in {"ok", "unattributed", "late"} else "error").inc()

    def odd(self, kind: str) -> None:
        """An end that is not the usual one: counted; only what an admin can mend is said."""
        metrics.AGI_REQUESTS.labels(kind).inc()
        if kind in {"too_many", "not_agi", "too_long", "refused", "stalled"}:
            self._say("AGI-ODD-CLIENT", kind)

    def failed(self, what: str, error: BaseException | None = None) -> None:
        self._say("AGI-RESOLVE-FAILED", f"{what} {type(error).__name__}" if error else what, error)

    def _say(self, event: str, kind: str, error: BaseException | None = None) -> None:
        if (event + kind) not in self._said:
            self._said.add(event + kind)
            log.error(event, kind=kind, exc_info=error)

    def _sweep(self) -> None:
        """End conversations that stall: before the question, or after the answer."""
        now = self.clock.monotonic()
        for conversation in list(self._open):
            if now - (conversation.asked or conversation.began) > self._read_timeout + self.deadline:
                conversation.abort("stalled")
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._sweeper = self.loop.call_later(self._read_timeout / 4, self._sweep)
