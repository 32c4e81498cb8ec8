"""The page's calls over HTTP, leases included, against an endpoint of the same process that does nothing.

Server, visitors and Valkey are processes of their own. The kinds of request take turns, so that a busy machine hits
all of them.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from bench.row import Row
from bench.web_client import HOST, SITES
from callrouter.clock import SystemClock
from callrouter.lab.ports import free_port
from callrouter.lab.servers import EmbeddedValkey
from callrouter.numbers import Number
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.directory import Account, Directory, NumberEntry, PoolChoice, Site
from callrouter.pool.keys import pool_slot
from callrouter.pool.store import LeaseStore
from callrouter.sessions.source import classify_hit

SECONDS = 1.2
TURNS = 5
CONNECTIONS = 32
POOLS = 2
NUMBERS = 25_000
"""In each pool: more than a turn leases."""
FIRST = 74950000000
RATE = 500
P99 = 0.02
HITS = 200_000
CLASSIFIED = 50_000


def directory() -> Directory:
    sites = [
        Site(
            id=n, account=n + 1, name=f"site {n}", domains=(HOST,), fallback_number=Number("74952222222"),
            display_pattern="8 (###) ###-##-##", pools=(PoolChoice(pool=n % POOLS + 1),),
        )
        for n in range(1, SITES + 1)
    ]  # fmt: skip
    return Directory(
        accounts=tuple(Account(id=n + 1) for n in range(SITES + 1)), sites=tuple(sites), pools=(1, 2),
        numbers=tuple(NumberEntry(number=number, account=1, pool=pool) for pool in (1, 2) for number in numbers(pool)),
        read_at=SystemClock().now(),
    )  # fmt: skip


def numbers(pool: int) -> list[Number]:
    return [Number(str(FIRST + pool * 1_000_000 + n)) for n in range(NUMBERS)]


async def fill(url: str) -> None:
    """Each turn begins with full pools."""
    client = open_client(url)
    store = LeaseStore(client)
    await client.execute_command("FLUSHALL")
    for pool in range(1, POOLS + 1):
        await store.load_numbers(pool_slot(pool), dict.fromkeys(numbers(pool), True))
    await close_client(client)


@contextmanager
def server(url: str, folder: Path) -> Iterator[int]:
    (folder / "directory.json").write_bytes(msgspec.json.encode(directory()))
    port = free_port()
    command = [sys.executable, "-m", "bench.web_server", url, str(folder / "directory.json"), str(port)]
    with subprocess.Popen(command) as process:
        try:
            _await(port)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)


def _await(port: int) -> None:
    for _ in range(400):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the web did not start")


class Visitors:
    def __init__(self, port: int) -> None:
        command = [sys.executable, "-m", "bench.web_client", str(port)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, kind: str, path: str, **more: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        job = {"kind": kind, "path": path, "seconds": SECONDS, "connections": CONNECTIONS, **more}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        if told["failed"]:
            raise RuntimeError(f"{told['failed']} of {told['requests']} requests failed: the measurement is void")
        return told

    def close(self) -> None:
        self.process.communicate()


def turn(visitors: Visitors, url: str) -> dict[str, float]:
    asyncio.run(fill(url))
    empty = visitors.ask("empty", "/empty")
    visit = visitors.ask("visit", "/v/SITE/visit")
    framework = visitors.ask("empty", "/framework")
    alive = visitors.ask("alive", "/v/SITE/alive", tokens=visit["tokens"])
    told = {"empty": empty, "visit": visit, "framework": framework, "alive": alive}
    return {name: each["per_second"] for name, each in told.items()}


def measure() -> tuple[list[dict[str, float]], float]:
    with tempfile.TemporaryDirectory() as folder:
        valkey = EmbeddedValkey(Path(folder) / "valkey")
        url = valkey.start()
        try:
            with server(url, Path(folder)) as port:
                visitors = Visitors(port)
                asyncio.run(fill(url))
                visitors.ask("visit", "/v/SITE/visit", seconds=2)  # warm
                calm = visitors.ask("visit", "/v/SITE/visit", seconds=4, rate=RATE)["p99"]
                turns = [turn(visitors, url) for _ in range(TURNS)]
                visitors.close()
        finally:
            valkey.stop()
    return turns, calm


def classified() -> float:
    """First hits per second of one core."""
    from bench.web_client import visit_body  # noqa: PLC0415 # not before it is needed

    hits = [(body["url"], body["referrer"]) for body in map(visit_body, range(HITS))]
    began = time.process_time()
    for url, referrer in hits:
        classify_hit(url, referrer, (HOST,))
    return HITS / (time.process_time() - began)


def run() -> list[Row]:
    turns, calm = measure()

    def row(name: str, ours: str, peer: str, target: float | None) -> Row:
        return Row(
            name=name, ours=median(turn[ours] for turn in turns), peer=median(turn[peer] for turn in turns),
            unit="requests/s", ratio=median(turn[ours] / turn[peer] for turn in turns), target=target,
            note=f"median of {TURNS} turns; one web process, every visit leases a number",
        )  # fmt: skip

    found = classified()
    return [
        row("visit over HTTP, against an empty endpoint of the same application", "visit", "framework", 0.35),
        row("alive over HTTP, against the same", "alive", "framework", 0.5),
        row("visit against an empty handler below the framework", "visit", "empty", None),
        row("alive against the same", "alive", "empty", None),
        Row(
            name=f"visit, p99 at {RATE} per second", ours=calm * 1000, peer=P99 * 1000, unit="ms", ratio=calm / P99,
            target=1, at_most=True, note="the peer is the limit",
        ),
        Row(
            name="traffic source of first hits, one core", ours=found, peer=CLASSIFIED, unit="hits/s",
            ratio=found / CLASSIFIED, target=1, note="the peer is the target",
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    print(run())
