"""A Twisted endpoint on the event loop's own TCP: Twisted protocols, but uvloop's transports, which are written in C.

The asyncio reactor's transports wake up in Python for each accept, read, write and close of each connection; where a
connection lives for one question, as here, that is most of the cost. Knows nothing of what is spoken.
"""

from __future__ import annotations

import asyncio
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from zope.interface import implementer

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
