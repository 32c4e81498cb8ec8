"""Host names are looked up by threads that hold up nobody: neither other names, nor whoever stops."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from callrouter.lookup import Loop, is_name

REAL = socket.getaddrinfo


class NameServer:
    """Stands for the C library's: `silent` names are answered when it says so."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers = threading.Event()

    def __call__(self, host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if not str(host).endswith(".test"):
            return REAL(host, port, *args, **options)
        self.asked.append(host)
        if host.startswith("silent"):
            self.answers.wait(20)
        if host.startswith("nobody"):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return REAL("127.0.0.1", port, *args, **options)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    found = NameServer()
    monkeypatch.setattr(socket, "getaddrinfo", found)
    yield found
    found.answers.set()


def run(scenario: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(scenario)


def test_a_name_that_is_not_answered_holds_up_no_other_and_is_asked_once(server: NameServer) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        asked = (f"silent-{n % 8}.test" for n in range(24))
        waiting = [asyncio.ensure_future(loop.getaddrinfo(name, 80)) for name in asked]
        assert (await loop.getaddrinfo("known.test", 80, type=socket.SOCK_STREAM))[0][4] == ("127.0.0.1", 80)
        with pytest.raises(socket.gaierror):
            await loop.getaddrinfo("nobody.test", 80)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(loop.getaddrinfo("silent-1.test", 80), 0.05)
        assert sorted(server.asked) == sorted([*(f"silent-{n}.test" for n in range(8)), "known.test", "nobody.test"])
        server.answers.set()
        assert {found[0][4] for found in await asyncio.gather(*waiting)} == {("127.0.0.1", 80)}
        await loop.getaddrinfo("silent-1.test", 80)
        assert server.asked.count("silent-1.test") == 2, "answers are not kept: the name may lead elsewhere by now"

    run(scenario())


def test_nobody_waits_for_a_lookup_when_the_loop_is_closed(server: NameServer) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        for n in range(20):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(loop.create_connection(asyncio.Protocol, f"silent-{n}.test", 80), 0.01)

    began = time.monotonic()
    run(scenario())
    assert time.monotonic() - began < 5


def test_connections_are_made_by_name_and_by_address(server: NameServer) -> None:
    async def scenario() -> None:
        async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            writer.close()

        async with await asyncio.start_server(greet, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            for host in ("known.test", "127.0.0.1"):
                reader, writer = await asyncio.open_connection(host, port)
                assert await reader.read() == b"hello"
                writer.close()
            listening.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("known.test", port)
        with pytest.raises(socket.gaierror):
            await asyncio.open_connection("nobody.test", port)

    run(scenario())


def test_addresses_are_no_names() -> None:
    assert all(map(is_name, ("localhost", "db.example", "256.1.1.1")))
    assert not any(map(is_name, ("127.0.0.1", "::1", "fe80::1%lo", None, "", b"x")))
