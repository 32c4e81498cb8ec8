"""The short way to the store: what it carries is right, and what it loses is asked again by the client."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from callrouter.numbers import Number
from callrouter.pool import line as lines
from callrouter.pool.coalesce import flights_of
from callrouter.pool.connect import close_client, line_of, open_client
from callrouter.pool.keys import pool_slot
from callrouter.pool.line import LOST, Line, Place, packed
from callrouter.pool.store import Ask, LeaseStore, StoreUnavailable
from tests.integration.ami.fake_asterisk import until
from tests.integration.pool.visitors import numbers, visit

SLOT = pool_slot(1)
PING = packed([b"PING"])


@asynccontextmanager
async def leased(url: str) -> AsyncIterator[tuple[LeaseStore, Line, dict[Number, str]]]:
    """A store whose line is open, and numbers with the sessions that hold them."""
    client = open_client(url)
    store, line = LeaseStore(client), line_of(client)
    assert line is not None
    try:
        await store.load_numbers(SLOT, dict.fromkeys(numbers(20), True))
        held = {}
        for place in range(20):
            allocation = await store.allocate(SLOT, visit(f"s{place}", f"v{place}"))
            assert allocation.number
            held[allocation.number] = allocation.session
        await store.resolve(Ask(SLOT, 1, next(iter(held)), None))
        await until(lambda: line.send(PING, lambda _: None))
        yield store, line, held
    finally:
        await close_client(client)


async def holders(store: LeaseStore, held: dict[Number, str]) -> list[str]:
    asked = (store.resolve(Ask(SLOT, 1, number, Number("79161234567"), f"c{number}")) for number in held)
    return [found.leases[0].session for found in await asyncio.gather(*asked)]


def test_questions_by_the_line_get_their_own_answers(valkey_url: str) -> None:
    async def scenario() -> None:
        async with leased(valkey_url) as (store, _, held):
            for _ in range(20):
                assert await holders(store, held) == list(held.values())

    asyncio.run(scenario())


@pytest.mark.parametrize("trouble", [("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"), ("SCRIPT", "FLUSH")])
def test_what_the_line_loses_is_asked_again(valkey_url: str, trouble: tuple[str, ...]) -> None:
    async def scenario() -> None:
        async with leased(valkey_url) as (store, line, held):
            other = open_client(valkey_url)
            for _ in range(5):
                asked = asyncio.ensure_future(holders(store, held))
                await asyncio.sleep(0)
                await other.execute_command(*trouble)
                assert await asked == list(held.values())
            await close_client(other)
            await until(lambda: line.send(PING, lambda _: None))
            assert await holders(store, held) == list(held.values())

    asyncio.run(scenario())


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n+OK\r\n+OK\r\n"])
def test_a_line_to_something_strange_or_mute_loses_what_it_was_given(
    says: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "AGAIN_SECONDS", 0.01)

    talking: list[asyncio.StreamWriter] = []

    async def scenario() -> None:
        async def strange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            talking.append(writer)
            with contextlib.suppress(ConnectionError):
                while await reader.read(100):
                    writer.write(says)
            writer.close()
            talking.remove(writer)

        server = await asyncio.start_server(strange, "127.0.0.1", 0)
        line = Line(Place(host="127.0.0.1", port=server.sockets[0].getsockname()[1], timeout=0.1))
        replies: list[Any] = []
        await until(lambda: line.send(PING, replies.append))
        assert line.send(PING, replies.append)
        await until(lambda: replies[-1:] == [LOST] or len(replies) == 2)
        await until(lambda: LOST in replies or not line.send(PING, replies.append))
        line.close()
        assert not line.send(PING, replies.append)
        server.close()
        await until(lambda: not talking)
        await server.wait_closed()

    asyncio.run(scenario())


def test_a_refused_password_leaves_the_work_to_the_client(valkey_url: str) -> None:
    async def scenario() -> None:
        host, port = valkey_url.rpartition("@")[2].partition("/")[0].split(":")
        line = Line(Place(host=host, port=int(port), greeting=(("AUTH", "wrong"),), timeout=1.0))
        assert not line.send(PING, lambda _: None)
        await until(lambda: line._opening is None)
        assert not line.send(PING, lambda _: None)
        line.close()

    asyncio.run(scenario())


def test_who_waits_when_the_client_is_closed_is_told_at_once_and_nothing_is_left_under_way() -> None:
    async def scenario() -> None:
        async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            client = open_client(f"redis://127.0.0.1:{port}", timeout=60.0)
            store = LeaseStore(client)
            asking = [asyncio.create_task(store.resolve(Ask(SLOT, 1, each, None))) for each in numbers(200)]
            pinned = asyncio.create_task(store.call_ended(SLOT, numbers(1)[0], "c1"))
            await until(lambda: bool(flights_of(client)._tasks))
            async with asyncio.timeout(10):
                await close_client(client)
                told = await asyncio.gather(*asking, pinned, return_exceptions=True)
            assert {type(each) for each in told} == {StoreUnavailable}
            left = {task.get_name() for task in asyncio.all_tasks()}
            assert not left & {"store-flight", "store-line"}

    asyncio.run(scenario())


def test_a_fault_of_ours_under_way_is_seen_and_leaves_nobody_waiting(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise KeyError("a fault")

    monkeypatch.setattr("callrouter.pool.store.line_of", lambda _: None)
    monkeypatch.setattr("callrouter.pool.coalesce.Pipeliner._carry", broken)

    async def scenario() -> None:
        client = open_client(valkey_url)
        store = LeaseStore(client)
        with capture_logs() as told:
            with pytest.raises(StoreUnavailable):
                await store.release(SLOT, "s1")
            await until(lambda: bool(told))
        assert [(each["event"], each["task"]) for each in told] == [("BACKGROUND-FAILED", "store-flight")]
        await close_client(client)

    asyncio.run(scenario())
