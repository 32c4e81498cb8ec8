"""An event loop that looks up host names itself: each name once at a time, in a thread that nobody waits for.

The loop's own lookups share four threads, cannot be given up once they run, pile up behind each other while no name
server answers, and are all waited for when the loop is closed: a process would not stop for minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import uvloop

Addresses = list[tuple[Any, ...]]


class Loop(uvloop.Loop):
    """uvloop's, but for names. Addresses go past all this."""

    def __init__(self) -> None:
        super().__init__()
        self._under_way: dict[tuple[Any, ...], asyncio.Future[Addresses]] = {}

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Addresses:
        """Raises socket.gaierror. Whoever gives up waiting leaves the lookup to those who ask next."""
        if not is_name(host):
            return await super().getaddrinfo(host, port, **options)
        asked = (host, port, *sorted(options.items()))
        found = self._under_way.get(asked)
        if found is None:
            found = self._under_way[asked] = self.create_future()
            found.add_done_callback(lambda done: self._over(asked, done))
            work = (lambda: socket.getaddrinfo(host, port, **options), found)
            threading.Thread(target=self._look_up, args=work, name=f"lookup {host}", daemon=True).start()
        return await asyncio.shield(found)

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> tuple[Any, Any]:
        if not is_name(host):
            return await super().create_connection(protocol_factory, host, port, **options)
        asked = {name: options[name] for name in ("family", "proto", "flags") if name in options}
        addresses = await self.getaddrinfo(host, port, type=socket.SOCK_STREAM, **asked)
        if options.get("ssl") and options.get("server_hostname") is None:
            options["server_hostname"] = host
        trouble: OSError | None = None
        for *_, address in addresses:
            try:
                return await super().create_connection(protocol_factory, *address[:2], **options)
            except OSError as error:
                trouble = error
        raise trouble or OSError(f"{host} has no address")

    def _look_up(self, look: Callable[[], Addresses], found: asyncio.Future[Addresses]) -> None:
        """In a thread of its own."""
        outcome: Addresses | Exception
        try:
            outcome = look()
        except (OSError, UnicodeError, ValueError) as error:
            outcome = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
            self.call_soon_threadsafe(_settle, found, outcome)

    def _over(self, asked: tuple[Any, ...], done: asyncio.Future[Addresses]) -> None:
        self._under_way.pop(asked, None)
        if not done.cancelled():
            done.exception()  # nobody may have waited so long


def _settle(found: asyncio.Future[Addresses], outcome: Addresses | Exception) -> None:
    if found.done():
        return
    if isinstance(outcome, Exception):
        found.set_exception(outcome)
    else:
        found.set_result(outcome)


def is_name(host: object) -> bool:
    """Whether a name server would be asked."""
    if not isinstance(host, str) or not host:
        return False
    try:
        ip_address(host)
    except ValueError:
        return True
    return False
