"""The running product with its real PBX as a stage for outages: visitors, calls with their truth, and the appeals.

Knows how to freeze, kill and bring back each part; what should then be true is the tests'.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from callrouter.db.connect import connect
from callrouter.demo import Choices, Demo, product
from callrouter.lab import servers
from callrouter.lab.calls import AsteriskLab
from callrouter.lab.plan import CallPlan, Outcome, Truth
from callrouter.lab.servers import EmbeddedPostgres, EmbeddedValkey
from callrouter.lab.verdict import Placed
from callrouter.lab.visitors import Visitor, visitors

Row = Mapping[str, Any]
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
        self.brought_back: list[EmbeddedPostgres | EmbeddedValkey] = []
        self._browser = browser
        self._arriving = visitors(demo.sites, 11)

    async def visitor(self) -> Visitor:
        """Somebody who has a page open, with a number on it."""
        visitor = next(self._arriving)
        await visitor.open(self._browser)
        return visitor

    async def call(
        self, visitor: Visitor, outcome: Outcome = Outcome.DIRECT, *, talk_s: float = 0.5, **plan: Any
    ) -> Placed:
        """The visitor calls the number on his page."""
        fields = {"caller": f"7916557{next(_callers):04}", "did": visitor.number} | plan
        truth = await self.pbx.place(CallPlan(outcome=outcome, talk_s=talk_s, **fields))
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
        os.kill(self.processes(server)[0], signal.SIGKILL)
        try:
            yield
        finally:
            await asyncio.to_thread(self._bring_back, server, port)
            if server == "postgres":
                self.conn = await connect(self.demo.postgres)

    def port(self, server: str) -> int:
        return int(self.urls[server].rpartition(":")[2].partition("/")[0])

    def _bring_back(self, server: str, port: int) -> None:
        folder, usual = self.folder / server, servers.free_port
        again = EmbeddedPostgres(folder) if server == "postgres" else EmbeddedValkey(folder, durable=True)
        servers.free_port = lambda: port
        try:
            again.start()
        finally:
            servers.free_port = usual
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
