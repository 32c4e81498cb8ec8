"""The AMI side of the simulated PBX: logins, lists, pings, and events to whoever is logged in. Knows no calls."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import cast

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
MAX_UNSENT = 4 << 20
"""Bytes that wait for a client; who reads more slowly is closed, as Asterisk does."""

Lists = Callable[[str], list[dict[str, str]]]


class SimulatedManager:
    """An AMI server on a free port of 127.0.0.1. `lists` answers the actions that ask for a list."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.user, self.secret = "callrouter", secrets.token_hex(8)
        self.port = 0
        self.started = time.time()
        self.lists: Lists = lambda _action: []
        self._server: asyncio.Server | None = None
        self._connected: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._logged_in: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Say so to those who listen, and close."""
        self.emit("Shutdown", Shutdown="Cleanly", Restart="False")
        if self._server:
            self._server.close()
        for writer in self._connected.values():
            writer.close()
        await asyncio.gather(*self._connected, return_exceptions=True)

    def emit(self, event: str, headers: Mapping[str, str] | None = None, **more: str) -> None:
        """Send an event to all who are logged in."""
        lines = {"Event": event, "Privilege": "call,all", "Timestamp": f"{time.time():.6f}", "SystemName": self.name}
        self.send(_block(lines | dict(headers or {}) | more))

    def send(self, data: bytes) -> None:
        """The same with events as they stand on the wire."""
        for writer in tuple(self._logged_in):
            if writer.transport.get_write_buffer_size() > MAX_UNSENT:
                writer.transport.abort()
                self._logged_in.discard(writer)
            else:
                writer.write(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._connected[task] = writer
        writer.write(BANNER)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while True:
                block = await reader.readuntil(b"\r\n\r\n")
                action = dict(re.findall(r"(?m)^([\w-]+): ?(.*?)\r?$", block.decode(errors="replace")))
                writer.write(self._answer(writer, action))
        self._connected.pop(task, None)
        self._logged_in.discard(writer)
        writer.close()

    def _answer(self, writer: asyncio.StreamWriter, action: dict[str, str]) -> bytes:
        name = action.get("Action", "").lower()
        asked = {"ActionID": action["ActionID"]} if "ActionID" in action else {}
        if name == "login":
            return self._login(writer, action, asked)
        if writer not in self._logged_in:
            return _block({"Response": "Error", **asked, "Message": "Permission denied"})
        if name in ("ping", "corestatus", "coresettings", "logoff", "events", "filter"):
            return _block({"Response": "Success", **asked, **self._facts(name)})
        items = self.lists(name)
        parts = [_block({"Response": "Success", **asked, "EventList": "start"})]
        parts += [_block(item | asked) for item in items]
        end = {"coreshowchannels": "CoreShowChannelsComplete"}.get(name, f"{action.get('Action', '')}Complete")
        parts.append(_block({"Event": end, **asked, "EventList": "Complete", "ListItems": str(len(items))}))
        return b"".join(parts)

    def _login(self, writer: asyncio.StreamWriter, action: dict[str, str], asked: dict[str, str]) -> bytes:
        if (action.get("Username"), action.get("Secret")) != (self.user, self.secret):
            return _block({"Response": "Error", **asked, "Message": "Authentication failed"})
        self._logged_in.add(writer)
        uptime = str(int(time.time() - self.started))
        booted = {"Event": "FullyBooted", "Privilege": "system,all", "Uptime": uptime, "LastReload": uptime}
        accepted = _block({"Response": "Success", **asked, "Message": "Authentication accepted"})
        return accepted + _block(booted | {"Status": "Fully Booted"})

    def _facts(self, action: str) -> dict[str, str]:
        if action == "corestatus":
            started = time.localtime(self.started)
            date, clock = time.strftime("%Y-%m-%d", started), time.strftime("%H:%M:%S", started)
            return {"CoreStartupDate": date, "CoreStartupTime": clock, "CoreCurrentCalls": "0"}
        if action == "coresettings":
            return {"AMIversion": "11.0.0", "AsteriskVersion": "simulated", "SystemName": self.name}
        return {"Ping": "Pong", "Timestamp": f"{time.time():.6f}"}


def _block(headers: Mapping[str, str]) -> bytes:
    return "".join(f"{key}: {value}\r\n" for key, value in headers.items()).encode() + b"\r\n"
