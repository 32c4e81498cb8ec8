"""One connection of our own to the lease store, for questions on which a caller waits: commands out, replies in order.

The store's client spends more on each command than the store does: a connection taken from a pool and given back,
time-outs, retries, health checks. A line has none of it. It answers or it says LOST; whoever asked then asks again by
the client, which knows what to do about trouble (every script of ours may be repeated). Knows no scripts.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, cast

import hiredis
import msgspec
import structlog

from callrouter.background import Background

log = structlog.get_logger()

AGAIN_SECONDS = 0.5
"""After a line could not be opened, or was lost, the next is tried no sooner."""


class Lost:
    """In place of a reply that did not come, or that only the client knows what to do about."""


LOST = Lost()
Then = Callable[[Any], None]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a line leads."""

    host: str
    port: int
    greeting: tuple[tuple[str, ...], ...] = ()
    """Commands that come first: AUTH, SELECT."""
    timeout: float = 1.0


class Line(asyncio.Protocol):
    """Opened by the first `send`, and again after each loss. Belongs to the event loop that runs then."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._transport: asyncio.Transport | None = None
        self._open = False
        self._background = Background()
        self._opening: asyncio.Task[object] | None = None
        self._again_at = 0.0
        self._waiting: deque[tuple[float, Then]] = deque()
        self._outgoing: list[bytes] = []
        self._reader = hiredis.Reader()
        self._alarm: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop

    def send(self, command: bytes, then: Then) -> bool:
        """`then` is called with the reply, or with LOST. False: there is no line now, and `then` will not be called."""
        if not self.ready() or self._transport is None:
            return False
        self._put(self._transport, command, then)
        return True

    def ready(self) -> bool:
        """Whether there is a line now; if not, one is opened soon."""
        if self._transport is None or not self._open:
            self._reopen()
            return False
        return True

    def close(self) -> None:
        """For good; what waits is LOST."""
        self._again_at = float("inf")
        if self._opening is not None:
            self._opening.cancel()
        self.abort()

    async def closed(self) -> None:
        """Once nothing is under way any more."""
        await self._background.stop()

    def abort(self) -> None:
        """End this connection: nobody knows any more which reply would be whose."""
        self._open = False
        if self._transport is not None:
            self._transport.abort()
        self._lose()

    # --- what the event loop calls ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by descent
        self._reader = hiredis.Reader()

    def data_received(self, data: bytes) -> None:
        try:
            self._read(data)
        except hiredis.ProtocolError:  # what speaks there is no store
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        self._open, self._transport = False, None
        self._again_at = max(self._again_at, self._loop.time() + AGAIN_SECONDS)
        self._lose()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _read(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            if not self._waiting:
                raise hiredis.ProtocolError("a reply to nothing")
            self._waiting.popleft()[1](reply)

    def _put(self, transport: asyncio.WriteTransport, command: bytes, then: Then) -> None:
        self._waiting.append((self._loop.time(), then))
        if not self._outgoing:
            self._loop.call_soon(self._write, transport, self._outgoing)
        self._outgoing.append(command)
        if self._alarm is None:
            self._alarm = self._loop.call_later(self._place.timeout, self._check)

    def _write(self, transport: asyncio.WriteTransport, outgoing: list[bytes]) -> None:
        """Once a tick: a system call for each command would cost more than the command."""
        if outgoing is self._outgoing:
            self._outgoing = []
            transport.write(b"".join(outgoing))

    def _check(self) -> None:
        """One timer for all: they are answered in the order in which they were sent."""
        self._alarm = None
        if not self._waiting:
            return
        left = self._waiting[0][0] + self._place.timeout - self._loop.time()
        if left > 0:
            self._alarm = self._loop.call_later(left, self._check)
        else:
            self.abort()

    def _lose(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        waiting, self._waiting = self._waiting, deque()
        self._outgoing = []
        for _, then in waiting:
            then(LOST)

    def _reopen(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self._opening is None and self._transport is None and self._loop.time() >= self._again_at:
            self._again_at = self._loop.time() + AGAIN_SECONDS
            self._opening = self._background.start("store-line", self._opened())
            self._opening.add_done_callback(self._tried)

    def _tried(self, _: asyncio.Task[object]) -> None:
        self._opening = None

    async def _opened(self) -> None:
        try:
            async with asyncio.timeout(self._place.timeout):
                transport, _ = await self._loop.create_connection(lambda: self, self._place.host, self._place.port)
                for command in self._place.greeting:
                    await self._say(transport, command)
            self._open = True
        except (OSError, hiredis.HiredisError) as error:  # TimeoutError among them
            log.debug("no line to the lease store: its client is asked", reason=str(error) or type(error).__name__)
            self.abort()
        except asyncio.CancelledError:
            self.abort()
            raise

    async def _say(self, transport: asyncio.WriteTransport, command: tuple[str, ...]) -> None:
        answer: asyncio.Future[Any] = self._loop.create_future()

        def heard(reply: object) -> None:
            if not answer.done():
                answer.set_result(reply)

        self._put(transport, packed(word.encode() for word in command), heard)
        reply = await answer
        if reply is LOST:
            raise ConnectionResetError("closed while it was opened")
        if isinstance(reply, hiredis.HiredisError):
            raise reply


KEPT_SIZES = 1024
_SIZES = [b"\r\n$%d\r\n" % size for size in range(KEPT_SIZES)]
"""What stands before a word of so many bytes: told over and over."""


def packed(words: Iterable[bytes]) -> bytes:
    """A command as it goes over the wire (RESP)."""
    parts = [b""]
    for word in words:
        size = len(word)
        parts.append(_SIZES[size] if size < KEPT_SIZES else b"\r\n$%d\r\n" % size)
        parts.append(word)
    parts[0] = b"*%d" % (len(parts) // 2)
    parts.append(b"\r\n")
    return b"".join(parts)
