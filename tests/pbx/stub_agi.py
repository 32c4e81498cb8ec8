"""A FastAGI server that behaves as told: rightly, or wrongly in each way that a real one may."""

from __future__ import annotations

import asyncio
import contextlib
from enum import Enum
from typing import Self


class Behaviour(Enum):
    """What the stub does with a connection."""

    ANSWER = "sends its commands, then closes"
    HANG = "accepts and never says anything"
    CLOSE_AT_ONCE = "accepts and closes"
    CLOSE_BEFORE_SCRIPT = "reads the request, then closes"
    CLOSE_IN_MID_SCRIPT = "sends the first command only, then closes"
    HANG_IN_MID_SCRIPT = "sends the first command, then nothing"
    GARBAGE = "says something that is not AGI"


class StubAgi:
    """`async with StubAgi(Behaviour.HANG) as stub:` — `stub.address` is what AGI() is given."""

    def __init__(self, behaviour: Behaviour, commands: tuple[str, ...] = ()) -> None:
        self.behaviour = behaviour
        self.commands = commands or (
            'EXEC MSet "CALLROUTER_ROUTE=support,CALLROUTER_SOURCE=yandex,CALLROUTER_STATUS=ok"',
        )
        self.requests: list[dict[str, str]] = []
        self.replies: list[str] = []
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def address(self) -> str:
        assert self._server
        return f"agi://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/resolve"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        assert self._server
        self._server.close()
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._behave(reader, writer)
        self._open.discard(writer)
        writer.close()

    async def _behave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.behaviour is Behaviour.CLOSE_AT_ONCE:
            return
        head = (await reader.readuntil(b"\n\n")).decode(errors="replace")
        self.requests.append(dict(line.split(": ", 1) for line in head.splitlines() if ": " in line))
        if self.behaviour is Behaviour.CLOSE_BEFORE_SCRIPT:
            return
        if self.behaviour is Behaviour.GARBAGE:
            writer.write(b"\x00\xff not a command\nHTTP/1.1 200 OK\n\n")
        if self.behaviour in (Behaviour.ANSWER, Behaviour.CLOSE_IN_MID_SCRIPT, Behaviour.HANG_IN_MID_SCRIPT):
            await self._talk(reader, writer)
        if self.behaviour in (Behaviour.HANG, Behaviour.HANG_IN_MID_SCRIPT, Behaviour.GARBAGE):
            await reader.read()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for command in self.commands:
            writer.write(command.encode() + b"\n")
            if self.behaviour is Behaviour.CLOSE_IN_MID_SCRIPT:
                await writer.drain()
                return
            self.replies.append((await reader.readuntil(b"\n")).decode().strip())
            if self.behaviour is Behaviour.HANG_IN_MID_SCRIPT:
                return
