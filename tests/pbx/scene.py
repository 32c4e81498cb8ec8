"""The running product with its real PBX as a stage for outages: visitors, calls with their truth, and the appeals.

Knows how to freeze, kill and bring back each part; what should then be true is the tests'.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from callrouter.db.connect import connect
from callrouter.demo import Choices, Demo, product
from callrouter.lab.calls import AsteriskLab
from callrouter.lab.plan import CallPlan, Outcome, Truth
from callrouter.lab.servers import EmbeddedPostgres, EmbeddedValkey, is_running
from callrouter.lab.verdict import Placed, is_credited_rightly
from callrouter.lab.visitors import Visitor, visitors
from tests.waiting import until

Row = Mapping[str, Any]
USUAL = 1.0
"""Seconds in which an undisturbed lab call is answered, on a busy machine."""
DEADLINE = 0.15
WATCHDOG = 1.5
SETTLED = "NOT attribution_pending"
KNOWN = "callrouter_calls_resolved_in_hand"
"""A metric: of how many calls in progress (and of strangers' questions) the answer is kept."""
_callers = itertools.count(1)


class Scene:
    """One product, and what can be done to it and with it."""

    def __init__(self, folder: Path, demo: Demo, browser: httpx.AsyncClient, conn: asyncpg.Connection[Any]) -> None:
        self.folder = folder
        self.demo = demo
        assert isinstance(demo.pbx, AsteriskLab)
        self.stack, self.pbx = demo.stack, demo.pbx
        self.conn = conn
        self.urls = {"postgres": demo.postgres, "valkey": demo.stack.redis}
        self.owed: list[Placed] = []
        """Calls whose appeals wait for the lease history, which is sure of a time half a minute later."""
        self.brought_back: list[EmbeddedPostgres | EmbeddedValkey] = []
        self.browser = browser
        self._arriving = visitors(demo.sites, 11)

    async def visitor(self) -> Visitor:
        """Somebody who has a page open, with a number on it."""
        visitor = next(self._arriving)
        await visitor.open(self.browser)
        return visitor

    async def call(
        self, visitor: Visitor, *, talk_s: float = 0.5, on: AsteriskLab | None = None, **plan: Any
    ) -> Placed:
        """The visitor calls the number on his page."""
        fields = {"caller": f"7916557{next(_callers):04}", "did": visitor.number} | plan
        truth = await (on or self.pbx).place(CallPlan(outcome=Outcome.DIRECT, talk_s=talk_s, **fields))
        return Placed(truth, visitor.session, visitor.arrival.source)

    async def appeals(self, *placed: Placed | Truth, seconds: float = 10.0, having: str = "true") -> list[Row]:
        """The appeals of these calls in their order, once each of them stands in Postgres (with `having`)."""
        customers = [(each.truth if isinstance(each, Placed) else each).caller for each in placed]
        deadline = time.monotonic() + seconds
        while True:
            query = f"SELECT * FROM appeals WHERE customer = ANY ($1::text[]) AND ({having})"
            found = await self.conn.fetch(query, customers)
            missing = set(customers) - {row["customer"] for row in found}
            if not missing:
                assert len(found) == len(customers), f"{len(found)} appeals of {len(customers)} calls"
                return [next(row for row in found if row["customer"] == customer) for customer in customers]
            assert time.monotonic() < deadline, f"no appeal ({having}) of {sorted(missing)} within {seconds} s"
            await asyncio.sleep(0.05)

    async def metric(self, process: str, name: str) -> float:
        """The value of a line of /metrics, labels and all; 0 when there is none."""
        _, text = await self.stack.fetch(f"{self.stack.ops(process)}/metrics")
        return next((float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name)), 0.0)

    async def health(self, process: str = "router") -> str:
        _, text = await self.stack.fetch(f"{self.stack.ops(process)}/health")
        return text

    @contextmanager
    def frozen(self, server: str) -> Iterator[None]:
        """Valkey or Postgres stands still, sockets and all."""
        processes = self.processes(server)
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)

    @asynccontextmanager
    async def without(self, server: str, how: str) -> AsyncIterator[None]:
        """`how`: frozen, or killed and started again with its data on the same port."""
        if how == "frozen":
            with self.frozen(server):
                yield
            return
        port = self.port(server)
        process, *children = self.processes(server)
        os.kill(process, signal.SIGKILL)
        await asyncio.to_thread(os.waitpid, process, 0)
        await until(lambda: not any(map(is_running, children)), 60)  # while one lives, Postgres starts no successor
        try:
            yield
        finally:
            await asyncio.to_thread(self._bring_back, server, port)
            if server == "postgres":
                await until(self._reconnected, 60)

    async def _reconnected(self) -> bool:
        try:
            self.conn = await connect(self.demo.postgres)
        except (OSError, asyncpg.PostgresError):  # its old pid file says that it is ready, and it is not yet
            return False
        return True

    def port(self, server: str) -> int:
        return int(self.urls[server].rpartition(":")[2].partition("/")[0])

    def _bring_back(self, server: str, port: int) -> None:
        folder = self.folder / server
        again = EmbeddedPostgres(folder) if server == "postgres" else EmbeddedValkey(folder, durable=True)
        again.port = port
        again.start()
        assert again.port == port, f"{server} came back where nobody looks for it; see its log"
        self.brought_back.append(again)

    def processes(self, server: str) -> list[int]:
        """The server and its children."""
        file = {"valkey": "valkey/valkey.pid", "postgres": "postgres/data/postmaster.pid"}[server]
        main = int((self.folder / file).read_text().split()[0])
        return [main, *map(int, Path(f"/proc/{main}/task/{main}/children").read_text().split())]


@asynccontextmanager
async def on_stage(folder: Path, **choices: Any) -> AsyncIterator[Scene]:
    async with product(folder, Choices(calls=60, asterisk=22, **choices), lambda _line: None) as demo:
        conn = await connect(demo.postgres)
        async with httpx.AsyncClient(base_url=demo.stack.web, timeout=5.0, trust_env=False) as browser:
            scene = Scene(folder, demo, browser, conn)
            yield scene
        scene.conn.terminate()
        for server in scene.brought_back:
            await asyncio.to_thread(server.stop)


Play = Callable[[Callable[[Scene], Coroutine[Any, Any, None]]], None]


def rang(calls: list[Placed], within: float) -> None:
    waits = [call.truth.wait_s for call in calls]
    assert max(waits) < within, waits
    assert {call.truth.status for call in calls} == {"answered"}


def told_right(calls: list[Placed], rows: list[Row], **fields: object) -> None:
    for call, row in zip(calls, rows, strict=True):
        assert is_credited_rightly(call, row), f"{row['method']} {row['session']} of {call.session}"
        assert (row["status"], row["employee"]) == ("answered", call.truth.employee)
        wanted = fields
        if row["agi_ms"] == DEADLINE * 1000 and not fields.get("late", True):  # the machine was busy: that is late
            wanted = fields | {"late": True}
        told = {name: row[name] for name in wanted}
        assert told == wanted, f"{told} of {dict(row)}"


async def several(scene: Scene, talks: list[float]) -> asyncio.Task[list[Placed]]:
    """Calls that begin now, each with a visitor who has the number already."""
    people = [await scene.visitor() for _ in talks]
    return asyncio.ensure_future(
        asyncio.gather(*(scene.call(one, talk_s=talk) for one, talk in zip(people, talks, strict=True)))
    )


async def in_hand(scene: Scene, calls: int) -> bool:
    """So many calls are under way, and all that ended are published."""
    return await scene.metric("router", "callrouter_calls_in_progress") == calls


async def connected(scene: Scene) -> bool:
    return await scene.metric("router", f'callrouter_ami_up{{pbx="{scene.pbx.name}"}}') == 1  # callbacks have their own


def entered_bridges(scene: Scene) -> int:
    """How often somebody began to talk to somebody, as the PBX itself recorded."""
    return scene.pbx.cel_file.read_text().count("BRIDGE_ENTER")
