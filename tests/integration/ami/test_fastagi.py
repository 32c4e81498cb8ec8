"""The FastAGI server on real sockets: every question is answered in time, whoever else is connected."""

from __future__ import annotations

import asyncio
import socket
import statistics
import struct
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from callrouter.ami.agi_wire import AgiRequest
from callrouter.ami.fastagi import FastAgiServer, Resolve
from callrouter.clock import SystemClock
from callrouter.lookup import Loop
from tests.integration.ami.fake_asterisk import until

ENVIRONMENT = (
    "agi_network: yes\nagi_network_script: resolve\nagi_uniqueid: pbx1-1.1\nagi_callerid: 79161234567\n"
    "agi_calleridname: Иван\nagi_extension: 74952232725\n\n"
).encode()
DEADLINE = 0.15
MANY = 20


async def answer_at_once(request: AgiRequest) -> Mapping[str, str]:
    return {"CALLROUTER_ROUTE": f"to {request.called}"}


@asynccontextmanager
async def agi(resolve: Resolve, **options: Any) -> AsyncIterator[Server]:
    server = FastAgiServer(resolve, SystemClock(), deadline=DEADLINE, **options)
    port = await server.start("127.0.0.1", 0)
    try:
        yield Server(server, port)
    finally:
        await server.stop(0.2)


class Server:
    def __init__(self, server: FastAgiServer, port: int) -> None:
        self.server = server
        self.port = port

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, environment: bytes = ENVIRONMENT) -> tuple[bytes, float]:
        """Ask like Asterisk; the command it would run, and how long that took."""
        began = time.monotonic()
        reader, writer = await self.connect()
        writer.write(environment)
        line = await asyncio.wait_for(reader.readline(), 5)
        took = time.monotonic() - began
        writer.write(b"200 result=0\n")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        await writer.wait_closed()
        return line, took


def test_one_command_sets_everything_with_the_status_last() -> None:
    async def scenario() -> None:
        async with agi(answer_at_once) as server:
            line, _ = await server.ask()
            assert line == b'EXEC MSet "CALLROUTER_ROUTE=to 74952232725,CALLROUTER_STATUS=ok"\n'

    asyncio.run(scenario())


def ask_in_pieces(port: int) -> tuple[float, int]:
    """Write as Asterisk does, line by line, each by itself; seconds until the end, and TCP segments sent."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        for line in (ENVIRONMENT[:-1] + b"agi_arg_1: 1\n" * MANY + b"\n").splitlines(keepends=True):
            connection.sendall(line)
        assert connection.makefile("rb").read().startswith(b"EXEC MSet ")  # which ends here: nothing else will come
        connection.sendall(b"200 result=0\n")
        (segments,) = struct.unpack_from("I", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 140), 136)
        return time.monotonic() - began, segments


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="only Linux can hold acknowledgements back")
def test_a_question_in_many_pieces_comes_in_few_and_waits_for_no_acknowledgement() -> None:
    async def scenario() -> None:
        async with agi(answer_at_once) as server:
            asked = [await asyncio.to_thread(ask_in_pieces, server.port) for _ in range(15)]
            assert statistics.median(seconds for seconds, _ in asked) < 0.03
            assert statistics.median(segments for _, segments in asked) < MANY

    asyncio.run(scenario())


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, Loop])
def test_who_hangs_up_while_the_answer_is_sought_leaves_no_trace(
    loop: Callable[[], asyncio.AbstractEventLoop], caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        go_on = asyncio.Event()

        async def slow(request: AgiRequest) -> Mapping[str, str]:
            await go_on.wait()
            return {}

        async with agi(slow) as server:
            for _ in range(20):
                go_on.clear()
                _, writer = await server.connect()
                writer.write(ENVIRONMENT)
                await until(lambda: server.server._tasks)
                go_on.set()
                writer.close()
                await writer.wait_closed()
            await until(lambda: not server.server._open and not server.server._tasks)
            assert (await server.ask())[0] == b'EXEC MSet "CALLROUTER_STATUS=ok"\n'

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scenario())
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_slow_answer_is_late_in_time_and_still_found() -> None:
    async def scenario() -> None:
        late: list[tuple[str, Mapping[str, str]]] = []
        go_on = asyncio.Event()

        async def slow(request: AgiRequest) -> Mapping[str, str]:
            await go_on.wait()
            return {"CALLROUTER_ROUTE": "sales"}

        async with agi(slow, on_late=lambda r, v: late.append((r.uniqueid, v))) as server:
            line, took = await server.ask()
            assert line == b'EXEC MSet "CALLROUTER_STATUS=late"\n'
            assert DEADLINE <= took < DEADLINE + 0.1
            go_on.set()
            await until(lambda: late)
            assert late == [("pbx1-1.1", {"CALLROUTER_ROUTE": "sales"})]

    asyncio.run(scenario())


def test_a_failing_handler_is_an_error_for_the_dialplan_and_nothing_else() -> None:
    async def scenario() -> None:
        async def broken(request: AgiRequest) -> Mapping[str, str]:
            if request.called == "1":
                raise KeyError("a bug")
            return {"not a name(": "x"}

        async with agi(broken) as server:
            for environment in (ENVIRONMENT, ENVIRONMENT.replace(b"74952232725", b"1")):
                line, _ = await server.ask(environment)
                assert line == b'EXEC MSet "CALLROUTER_STATUS=error"\n'

    asyncio.run(scenario())


@pytest.mark.parametrize("said", [b"", b"agi_network: yes\n", ENVIRONMENT[:-1], ENVIRONMENT, ENVIRONMENT + b"200 res"])
def test_a_connection_may_end_anywhere(said: bytes) -> None:
    async def scenario() -> None:
        async with agi(answer_at_once) as server:
            for _ in range(5):
                _, writer = await server.connect()
                writer.write(said)
                writer.transport.abort() if len(said) % 2 else writer.close()
            await until(lambda: not server.server._open)
            assert (await server.ask())[0].endswith(b'STATUS=ok"\n')

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0\xff" * 40_000, b"x" * 10_000_000, b"\n\n", b"agi_x: y\n\n"]
)
def test_who_is_no_asterisk_is_shown_the_door(garbage: bytes) -> None:
    async def scenario() -> None:
        async with agi(answer_at_once) as server:
            reader, writer = await server.connect()
            try:
                writer.write(garbage)
                assert await asyncio.wait_for(reader.read(), 5) == b""
            except ConnectionError:
                pass
            writer.transport.abort()
            assert (await server.ask())[0].endswith(b'STATUS=ok"\n')

    asyncio.run(scenario())


def test_peers_that_stall_are_ended_and_slow_none() -> None:
    async def scenario() -> None:
        async with agi(answer_at_once, read_timeout=0.2) as server:
            stalled = [await server.connect() for _ in range(50)]
            for index, (_, writer) in enumerate(stalled):
                writer.write(ENVIRONMENT if index % 2 else ENVIRONMENT[:40])
            answers = await asyncio.gather(*(server.ask() for _ in range(100)))
            assert all(line.endswith(b'STATUS=ok"\n') for line, _ in answers)
            assert max(took for _, took in answers) < 1
            await until(lambda: not server.server._open)
            for _, writer in stalled:
                writer.transport.abort()

    asyncio.run(scenario())


def test_more_connections_than_allowed_are_refused_and_those_inside_unharmed() -> None:
    async def scenario() -> None:
        async with agi(answer_at_once, max_connections=10) as server:
            inside = [await server.connect() for _ in range(10)]
            await until(lambda: len(server.server._open) == 10)
            reader, writer = await server.connect()
            with pytest.raises((ConnectionError, AssertionError)):
                assert await asyncio.wait_for(reader.read(), 5) == b"something"
            writer.transport.abort()
            inside[0][1].write(ENVIRONMENT)
            assert (await asyncio.wait_for(inside[0][0].readline(), 5)).endswith(b'STATUS=ok"\n')
            for _, one in inside:
                one.transport.abort()
            await until(lambda: not server.server._open)
            assert (await server.ask())[0].endswith(b'STATUS=ok"\n')

    asyncio.run(scenario())


def test_a_thousand_hung_resolutions_do_not_pile_up() -> None:
    async def scenario() -> None:
        async def hung(request: AgiRequest) -> Mapping[str, str]:
            await asyncio.Event().wait()
            return {}

        async with agi(hung, max_connections=100) as server:
            answers = [await asyncio.gather(*(server.ask() for _ in range(50))) for _ in range(6)]
            assert {line for batch in answers for line, _ in batch} == {b'EXEC MSet "CALLROUTER_STATUS=late"\n'}
            assert len(server.server._tasks) <= 100

    asyncio.run(scenario())


def test_stopping_finishes_the_call_in_hand() -> None:
    async def scenario() -> None:
        go_on = asyncio.Event()

        async def slow(request: AgiRequest) -> Mapping[str, str]:
            await go_on.wait()
            return {"CALLROUTER_ROUTE": "sales"}

        async with agi(slow) as server:
            asked = asyncio.ensure_future(server.ask())
            await until(lambda: server.server._tasks)
            stopping = asyncio.ensure_future(server.server.stop(1))
            go_on.set()
            await stopping
            assert (await asked)[0] == b'EXEC MSet "CALLROUTER_ROUTE=sales,CALLROUTER_STATUS=ok"\n'
            with pytest.raises(ConnectionError):
                await server.connect()

    asyncio.run(scenario())
