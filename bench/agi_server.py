"""The FastAGI servers that bench/agi.py compares, each in a process of its own: a kind, for `ours` with REDIS-URL.

`usual` is a bare asyncio protocol on uvloop with constant answers, a command for each variable, as AGI scripts have
them. `bare` sends our single command instead, the least that can be written; `stock` is `bare` on the event loop that
comes with Python. `ours` is the product: server, desk, resolver, and a look-up in Valkey. They print their port.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from datetime import datetime

import uvloop

from bench.agi_client import FIRST, NUMBERS
from callrouter.ami.dialplan import STATUS, agi_commands
from callrouter.ami.fastagi import FastAgiServer
from callrouter.appeals.model import CallAppeal
from callrouter.clock import SystemClock
from callrouter.config import PbxConfig
from callrouter.desk import Desk
from callrouter.numbers import Number
from callrouter.pbx import question_of
from callrouter.pool.connect import open_client
from callrouter.pool.directory import Account, Directory, NumberEntry, PoolChoice, Site
from callrouter.pool.keys import pool_slot
from callrouter.pool.resolver import Resolver
from callrouter.pool.store import LeaseStore
from callrouter.reactor import install_reactor, run_until_done
from callrouter.sessions.model import TrafficSource, Visit

VARIABLES = {
    "CALLROUTER_ROUTE": "sales",
    "CALLROUTER_SOURCE": "yandex",
    "CALLROUTER_MEDIUM": "cpc",
    "CALLROUTER_CAMPAIGN": "Осень 2026",
    "CALLROUTER_KEYWORD": "окна купить",
    "CALLROUTER_SITE": "12",
    "CALLROUTER_SESSION": "0190b5f0-9a7e-7c3e-8a53-1f2e3d4c5b6a",
    "CALLROUTER_CLIENT": "",
    "CALLROUTER_UNIQUE": "1",
    "CALLROUTER_CONFIDENCE": "0.93",
}
POOL = tuple(Number(str(FIRST + place)) for place in range(NUMBERS))
PAID = TrafficSource(channel="paid_search", source="yandex", medium="cpc", campaign="Осень 2026", keyword="окна купить")
ANSWER = b"".join(agi_commands(VARIABLES, "ok")[0])
COMMANDS = [f'SET VARIABLE {name} "{value}"\n'.encode() for name, value in {**VARIABLES, STATUS: "ok"}.items()]


class Bare(asyncio.Protocol):
    """Answers when the environment is complete, closes at the reply."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment] # what a TCP connection gives
        self.received = b""
        self.answered = False

    def data_received(self, data: bytes) -> None:
        if self.answered:
            self.transport.close()
        else:
            self.received += data
            if b"\n\n" in self.received:
                self.answered = True
                self.transport.write(ANSWER)


class Usual(asyncio.Protocol):
    """Sets the same variables as AGI scripts usually do: a command each, the next one after the reply."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment] # what a TCP connection gives
        self.received = b""
        self.commands: Iterator[bytes] | None = None

    def data_received(self, data: bytes) -> None:
        if self.commands is None:
            self.received += data
            if b"\n\n" not in self.received:
                return
            self.commands = iter(COMMANDS)
        command = next(self.commands, None)
        if command is None:
            self.transport.close()
        else:
            self.transport.write(command)


async def bare(kind: type[asyncio.Protocol] = Bare) -> None:
    server = await asyncio.get_running_loop().create_server(kind, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class NoJournal:
    """No call ends here."""

    async def append(self, appeal: CallAppeal) -> None:
        raise NotImplementedError


async def ours(url: str) -> None:
    client = open_client(url)
    store = LeaseStore(client)
    now = SystemClock().now()
    await store.load_numbers(pool_slot(1), dict.fromkeys(POOL, True))
    await asyncio.gather(*(store.allocate(pool_slot(1), visit(place, now)) for place in range(NUMBERS)))
    directory = Directory(
        accounts=(Account(id=1, default_route="operator"), Account(id=2)),
        sites=(Site(id=1, account=2, route="sales", pools=(PoolChoice(pool=1),)),),
        numbers=tuple(NumberEntry(number=number, account=1, pool=1) for number in POOL),
        pools=(1,),
    )
    desk = Desk(Resolver(store, lambda: directory), NoJournal(), SystemClock(), deadline=0.15)
    pbx = PbxConfig(name="pbx1")
    server = FastAgiServer(lambda request: desk.ask(question_of(request, pbx)), SystemClock())
    print(await server.start("127.0.0.1", 0), flush=True)
    await asyncio.Event().wait()


def visit(place: int, now: datetime) -> Visit:
    return Visit(
        session=f"0190b5f0-9a7e-7c3e-8a53-1f2e3d{place:06x}", visitor=f"v{place}", account=2, site=1, traffic=PAID,
        landing_page="https://shop.example/", referrer="https://yandex.ru/", started_at=now, seen_at=now,
        page="https://shop.example/", title="Окна",
    )  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1] == "bare":
        uvloop.run(bare())
    elif sys.argv[1] == "usual":
        uvloop.run(bare(Usual))
    elif sys.argv[1] == "stock":
        asyncio.run(bare())
    else:
        run_until_done(*install_reactor(), ours(sys.argv[2]))
