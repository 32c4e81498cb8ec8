"""A Twisted endpoint on the event loop's own TCP: Twisted protocols, but uvloop's transports, which are written in C.

The asyncio reactor's transports wake up in Python for each accept, read, write and close of each connection; where a
connection lives for one question, as here, that is most of the cost. Knows nothing of what is spoken.

A peer that writes its question in many small pieces pays for each as for a whole message, and so do we. Its kernel
keeps small pieces back while one is not acknowledged (Nagle, RFC 896), so nothing is acknowledged here before it is
read: what the peer wrote meanwhile comes together. Whoever finds that a piece is not all says `acknowledge`, or
the rest comes only after the kernel's own delay, 40 ms and more.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from zope.interface import implementer

_ACKNOWLEDGING = getattr(socket, "TCP_QUICKACK", None)
"""Linux has it; elsewhere pieces come one by one."""
_AFTER_READING, _NOW_THEN_AFTER_READING = 0, 2
"""tcp(7) knows on and off. An even number that is not 0 acknowledges what is due and leaves it off (net/ipv4/tcp.c)."""
_DONE = Failure(ConnectionDone())
_LOST = Failure(ConnectionLost())


class NativeTransport:
    """What a Twisted protocol uses of its transport."""

    __slots__ = ("_transport", "abortConnection", "loseConnection", "write")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.write = transport.write
        self.loseConnection = transport.close
        self.abortConnection = transport.abort

    def loseWriteConnection(self) -> None:  # noqa: N802 - Twisted's name
        """What was written is all; the peer's words are still read."""
        with contextlib.suppress(OSError):  # the peer is gone: connectionLost is on its way
            self._transport.write_eof()

    def acknowledge(self) -> None:
        """That which was read is not all: the peer may send the rest."""
        if _ACKNOWLEDGING is not None:
            with contextlib.suppress(OSError):
                connection = self._transport.get_extra_info("socket")
                connection.setsockopt(socket.IPPROTO_TCP, _ACKNOWLEDGING, _NOW_THEN_AFTER_READING)

    def getPeer(self) -> Any:  # noqa: N802 - Twisted's name
        return self._transport.get_extra_info("peername")


class _Bridge(asyncio.BaseProtocol):
    """asyncio's calls → Twisted's."""

    __slots__ = ("_protocol", "data_received")
    _protocol: Any

    def __init__(self, factory: Factory) -> None:
        self._protocol = factory.buildProtocol(None)
        self.data_received = self._protocol.dataReceived

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._protocol.makeConnection(NativeTransport(transport))  # type: ignore[arg-type]

    def eof_received(self) -> None:
        """The transport closes itself."""

    def connection_lost(self, exc: Exception | None) -> None:
        protocol = self._protocol
        del self._protocol, self.data_received  # else each connection leaves a circle for the garbage collector
        protocol.connectionLost(_DONE if exc is None else _LOST)


class NativePort:
    """A port that is listened on."""

    def __init__(self, server: asyncio.Server) -> None:
        self._server = server
        if _ACKNOWLEDGING is not None:  # connections inherit it
            for listening in server.sockets:
                listening.setsockopt(socket.IPPROTO_TCP, _ACKNOWLEDGING, _AFTER_READING)
        self.number: int = server.sockets[0].getsockname()[1]

    def stopListening(self) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """New connections are refused from now on; those that exist stay."""
        self._server.close()
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done


@implementer(IStreamServerEndpoint)
class NativeServerEndpoint:
    """Listens by the running loop."""

    def __init__(self, host: str, port: int, *, backlog: int = 1024) -> None:
        self._host, self._port, self._backlog = host, port, backlog

    def listen(self, factory: Factory) -> Deferred[NativePort]:
        """ConnectionError or OSError if the port cannot be had."""
        return Deferred.fromFuture(asyncio.ensure_future(self._listen(factory)))

    async def _listen(self, factory: Factory) -> NativePort:
        loop = asyncio.get_running_loop()
        factory.doStart()
        return NativePort(
            await loop.create_server(lambda: _Bridge(factory), self._host, self._port, backlog=self._backlog)
        )
