"""A cable between two parts that talk over TCP, for tests: it may be cut, go dead without a word, or be slow.

Knows bytes, not what they mean.
"""

from __future__ import annotations

import asyncio
import contextlib

CHUNK = 65536


class Cable:
    """What connects to `port` of 127.0.0.1 reaches `target`, which changes when a server is started again elsewhere."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.delay_s = 0.0
        """What each piece that is sent, in either direction, waits."""
        self._server: asyncio.Server | None = None
        self._joints: set[Joint] = set()

    async def open(self) -> int:
        """Returns the port."""
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    async def close(self) -> None:
        if self._server:
            self._server.close()
        ending = [joint.carrying for joint in self._joints if joint.carrying]
        self.cut()
        await asyncio.gather(*ending, return_exceptions=True)

    def cut(self) -> None:
        """All connections end at once; new ones are made."""
        for joint in self._joints:
            if joint.carrying:
                joint.carrying.cancel()

    def go_dead(self) -> None:
        """What is sent over the connections that there are gets lost from now on, and nobody is told; new ones work."""
        for joint in self._joints:
            joint.dead = True

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        joint = Joint(self)
        joint.carrying = asyncio.ensure_future(joint.carry(reader, writer))
        self._joints.add(joint)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await joint.carrying
        self._joints.discard(joint)


class Joint:
    """One connection."""

    def __init__(self, cable: Cable) -> None:
        self._cable = cable
        self.dead = False
        self.carrying: asyncio.Future[None] | None = None

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until either side closes it. Raises OSError."""
        other: asyncio.StreamWriter | None = None
        try:
            there, other = await asyncio.open_connection("127.0.0.1", self._cable.target)
            ways = [asyncio.ensure_future(self._pump(*way)) for way in ((reader, other), (there, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            for end in (writer, other):
                if end is not None:
                    end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            if self._cable.delay_s:
                await asyncio.sleep(self._cable.delay_s)
            if not self.dead:
                writer.write(data)
                await writer.drain()
