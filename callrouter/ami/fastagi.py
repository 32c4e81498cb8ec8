"""The dialplan's door: a FastAGI server that always answers within its deadline.

Knows the protocol, time limits and bounds; knows nothing of numbers or visits: `resolve` does. A question that is not
answered in time gets `CALLROUTER_STATUS=late` and the call goes on; `resolve` is not cancelled, so that what it finds
can still be credited: `on_late` is told.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import structlog
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from callrouter.ami import metrics
from callrouter.ami.agi_wire import MAX_ENVIRONMENT, AgiRequest, NotAgi, ReplyReader, read_environment
from callrouter.ami.dialplan import agi_commands
from callrouter.ami.native_endpoint import NativePort, NativeServerEndpoint
from callrouter.clock import Clock

log = structlog.get_logger()

Resolve = Callable[[AgiRequest], Coroutine[Any, Any, Mapping[str, str]]]
OnLate = Callable[[AgiRequest, Mapping[str, str]], None]
Answer = asyncio.Task[Mapping[str, str]]
STATUSES = frozenset({"ok", "unattributed", "late", "error"})
SAID = frozenset({"too_many", "not_agi", "too_long", "refused", "stalled"})
"""Ends of a conversation that an admin can do something about."""


class _Conversation(Protocol):
    """One call's question: environment, answer, reply, end."""

    transport: Any

    def __init__(self, server: FastAgiServer) -> None:
        self.server = server
        self.received: bytes = b""
        self.since = server.clock.monotonic()
        """When it was connected, then when the question was complete."""
        self.request: AgiRequest | None = None
        self.expected = 0
        """How many replies are to come; 0 before the answer."""
        self.replies: ReplyReader | None = None
        self.over = False

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        if not self.server.admit(self):
            self.abort("too_many")

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self.over:
            return
        if self.request is None:
            self._read_environment(data)
        elif self.expected:
            self._read_replies(data)

    def _read_environment(self, data: bytes) -> None:
        self.received += data
        end = self.received.find(b"\n\n")
        if end < 0:
            end = self.received.find(b"\n\r\n")
        if end >= 0:
            try:
                self._ask(read_environment(self.received[:end]))
            except NotAgi:
                self.abort("not_agi")
        elif len(self.received) > MAX_ENVIRONMENT:
            self.abort("too_long")
        else:
            self.transport.acknowledge()

    def _ask(self, request: AgiRequest) -> None:
        self.request = request
        self.since = self.server.clock.monotonic()
        task = self.server.background(request)
        if task is None:
            self.answer({}, "late")
        else:
            self.server.expect(self)
            task.add_done_callback(self._resolved)

    def _resolved(self, task: Answer) -> None:
        self.server.done(task)
        failed = task.cancelled() or task.exception() is not None
        if self.expected or self.over:  # late, or hung up: who asked is served or gone
            if not failed and self.request is not None:
                self.server.came_late(self.request, task.result())
        elif failed:
            self.answer({}, "error")
        else:
            self.answer(task.result(), "ok")

    def answer(self, variables: Mapping[str, str], status: str) -> None:
        try:
            commands, told = agi_commands(variables, status)
        except (ValueError, TypeError, AttributeError) as error:
            self.server.failed("answer", error)
            commands, told = agi_commands({}, "error")
        self.expected = len(commands)
        self.transport.write(commands[0] if self.expected == 1 else b"".join(commands))
        self.transport.loseWriteConnection()  # Asterisk goes on when it has done this, and waits for no more of us
        self.server.answered(told, self.server.clock.monotonic() - self.since)

    def _read_replies(self, data: bytes) -> None:
        if self.replies is None:
            if self.expected == 1 and data.startswith(b"200 ") and data.find(b"\n") == len(data) - 1:
                self.finish(None)  # as nearly all do
                return
            self.replies = ReplyReader()
        self.replies.feed(data)
        if len(self.replies.replies) >= self.expected:
            understood = all(code in (200, 511) for code in self.replies.replies)
            self.finish(None if understood else "refused")

    def finish(self, oddity: str | None) -> None:
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
        if not self.over:
            self.over = True
            self.server.odd("no_question" if self.request is None else "hangup")
        self.server.forget(self)
        self.transport = None


class FastAgiServer(Factory):
    """Listens for Asterisk. Every question is answered, in time, whatever `resolve` does."""

    noisy = False

    def __init__(
        self,
        resolve: Resolve,
        clock: Clock,
        *,
        deadline: float = 0.15,
        read_timeout: float = 2.0,
        max_connections: int = 2000,
        on_late: OnLate | None = None,
    ) -> None:
        self._resolve, self._on_late = resolve, on_late
        self.clock = clock
        self._deadline = deadline
        self._read_timeout = read_timeout
        self._max_connections = max_connections
        self._open: set[_Conversation] = set()
        self._tasks: set[Answer] = set()
        self._due: deque[_Conversation] = deque()
        """In the order of their deadlines, as all have the same time: one timer serves all."""
        self._alarm: asyncio.TimerHandle | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._port: NativePort | None = None
        self._idle: asyncio.Event | None = None
        self._said: set[str] = set()
        self._seconds = metrics.RESOLVE.labels("agi")
        self.loop: asyncio.AbstractEventLoop

    # --- what the router uses -----------------------------------------------------------------------------------------

    async def start(self, host: str, port: int) -> int:
        """Listen; the port, which differs from the given one if that was 0. OSError if it cannot be had."""
        self.loop = asyncio.get_running_loop()
        self._port = await NativeServerEndpoint(host, port).listen(self).asFuture(self.loop)
        metrics.AGI_OPEN.set_function(lambda: len(self._open))
        self._sweep()
        return self._port.number

    async def stop(self, patience: float = 1.0) -> None:
        """Take no more calls, finish those in hand, and wait a little for what `resolve` still does."""
        if self._port is not None:
            await self._port.stopListening().asFuture(self.loop)
        self._idle = asyncio.Event()
        self._tell_if_idle()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._idle.wait()
        for timer in (self._sweeper, self._alarm):
            if timer is not None:
                timer.cancel()
        for conversation in list(self._open):
            conversation.abort("stopped")
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- what a conversation uses -------------------------------------------------------------------------------------

    def buildProtocol(self, addr: IAddress | None) -> Protocol:  # noqa: N802, ARG002 - Twisted's name
        return _Conversation(self)

    def admit(self, conversation: _Conversation) -> bool:
        self._open.add(conversation)
        return len(self._open) <= self._max_connections

    def forget(self, conversation: _Conversation) -> None:
        self._open.discard(conversation)
        self._tell_if_idle()

    def background(self, request: AgiRequest) -> Answer | None:
        """Start to resolve; None if so many are under way that one more could not help."""
        if len(self._tasks) >= self._max_connections:
            self.failed("overload")
            return None
        task = self.loop.create_task(self._resolve(request))
        self._tasks.add(task)
        return task

    def expect(self, conversation: _Conversation) -> None:
        """Answer for it if `resolve` does not."""
        self._due.append(conversation)
        if self._alarm is None:
            self._alarm = self.loop.call_later(self._deadline, self._answer_those_due)

    def _answer_those_due(self) -> None:
        due, latest = self._due, self.clock.monotonic() - self._deadline
        while due and (due[0].expected or due[0].over or due[0].since <= latest):
            conversation = due.popleft()
            if not conversation.expected and not conversation.over:
                conversation.answer({}, "late")
        wait = due[0].since - latest if due else 0.0
        self._alarm = self.loop.call_later(wait, self._answer_those_due) if due else None

    def done(self, task: Answer) -> None:
        self._tasks.discard(task)
        self._tell_if_idle()
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed("resolve", error)

    def came_late(self, request: AgiRequest, variables: Mapping[str, str]) -> None:
        if self._on_late is not None:
            try:
                self._on_late(request, variables)
            except Exception as error:  # noqa: BLE001 - the next call must not suffer for it
                self.failed("on_late", error)

    def answered(self, status: str, seconds: float) -> None:
        self._seconds.observe(seconds)
        metrics.AGI_REQUESTS.inc(status if status in STATUSES else "error")

    def odd(self, kind: str) -> None:
        """An end that is not the usual one: counted; only what an admin can mend is said."""
        metrics.AGI_REQUESTS.inc(kind)
        if kind in SAID:
            self._say("AGI-ODD-CLIENT", kind)

    def failed(self, what: str, error: BaseException | None = None) -> None:
        self._say("AGI-RESOLVE-FAILED", f"{what} {type(error).__name__}" if error else what, error)

    def _say(self, event: str, kind: str, error: BaseException | None = None) -> None:
        if (event + kind) not in self._said:
            self._said.add(event + kind)
            log.error(event, kind=kind, exc_info=error)

    def _tell_if_idle(self) -> None:
        if self._idle is not None and not self._open and not self._tasks:
            self._idle.set()

    def _sweep(self) -> None:
        """End conversations that stall: before the question, or after the answer."""
        oldest = self.clock.monotonic() - self._read_timeout - self._deadline
        for conversation in [one for one in self._open if one.since < oldest]:
            conversation.abort("stalled")
        self._sweeper = self.loop.call_later(self._read_timeout / 4, self._sweep)
