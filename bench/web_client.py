"""The visitors' side for bench/web.py, in a process of its own: requests prepared before, many connections kept alive.

Reads one JSON line of stdin for each run (`path`, `body`, `seconds`, `connections`, `rate`, `tokens`), prints one JSON
line: requests, per second, p99, CPU of its own, and for a visit the tokens that were answered.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time
from collections import deque
from collections.abc import Iterator
from itertools import count

import msgspec
import uvloop

HOST = "shop.example"
AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1 (KHTML, like Gecko) Version/%d.5 Safari",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:109.0) Gecko/20100101 Firefox/%d.0",
)
QUERIES = (
    "?utm_source=yandex&utm_medium=cpc&utm_campaign=okna-%(n)d&utm_term=%%D0%%BE%%D0%%BA%%D0%%BD%%D0%%B0&yclid=%(id)d",
    "?utm_source=vk&utm_medium=cpc&utm_campaign=spring-%(n)d&utm_content=ad-%(id)d",
    "?gclid=Cj0KCQ%(id)d",
    "",
)
REFERRERS = ("https://yandex.ru/", "https://www.google.com/", "", "https://vk.com/", "https://news%(n)d.example/page")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
SITES = 10
AHEAD = 4000
"""Requests prepared before a run; more are made as it goes on."""

chance = random.Random(7)
serial = count(int(time.time() * 1000) % 10**9 * 1000)


class Job(msgspec.Struct, kw_only=True):
    path: str
    kind: str
    seconds: float
    connections: int = 32
    rate: float = 0.0
    tokens: list[str] = []


def requests(job: Job) -> Iterator[bytes]:
    """Raw requests, each of another visitor at another address."""
    while True:
        n = next(serial)
        site = str(n % SITES + 1)
        if job.kind == "alive":
            site, _, token = chance.choice(job.tokens).partition(" ")
            body = {"token": token, "request": f"r{n}"}
        else:
            body = visit_body(n)
        yield packed(job.path.replace("SITE", site), n, json.dumps(body).encode())


def visit_body(n: int) -> dict[str, str]:
    facts = {"n": n % 40, "id": n}
    return {
        "url": f"https://{HOST}/catalogue/{n % 300}{chance.choice(QUERIES) % facts}",
        "referrer": chance.choice(REFERRERS) % facts,
        "title": "Пластиковые окна в Москве — цены",
        "request": f"{n:x}-{n % 977:x}",
        "ga_client_id": f"{n}.17{n % 10**8:08}",
    }


def packed(path: str, n: int, body: bytes) -> bytes:
    agent = AGENTS[n % 4] % (100 + n // 4 % 40)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: t.{HOST}\r\nOrigin: https://{HOST}\r\nContent-Type: text/plain\r\n"
        f"User-Agent: {agent}\r\nAccept: */*\r\nAccept-Language: ru\r\nAccept-Encoding: gzip, deflate, br\r\n"
        f"X-Forwarded-For: 10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Load:
    """Sends what `ready` holds over its connections, one request at a time on each."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.more = requests(job)
        self.ready = deque(next(self.more) for _ in range(AHEAD))
        self.idle: deque[Connection] = deque()
        self.due: deque[float] = deque()
        self.times: list[float] = []
        self.failed = 0
        self.tokens: list[str] = []
        self.ended = asyncio.Event()
        self.all_answered = asyncio.Event()

    def next(self) -> bytes:
        return self.ready.popleft() if self.ready else next(self.more)

    def answered(self, connection: Connection, took: float, status: bytes, body: bytes) -> None:
        self.times.append(took)
        if not status.startswith(b"2"):
            self.failed += 1
            print(status, body[:300], file=sys.stderr)
        elif self.job.kind == "visit" and len(self.tokens) < 300:
            self.tokens.append(f"{connection.site} {json.loads(body)['token']}")
        if self.job.rate:
            self.idle.append(connection)
            self.send_due()
            if len(self.times) == int(self.job.seconds * self.job.rate):
                self.all_answered.set()
        elif not self.ended.is_set():
            connection.send(self.next(), time.perf_counter())

    def send_due(self) -> None:
        while self.due and self.idle:
            self.idle.popleft().send(self.next(), self.due.popleft())

    async def run(self) -> float:
        loop = asyncio.get_running_loop()
        connections = []
        for _ in range(self.job.connections):
            _, connection = await loop.create_connection(lambda: Connection(self), "127.0.0.1", PORT)
            connections.append(connection)
        began = time.perf_counter()
        if self.job.rate:
            self.idle.extend(connections)
            for number in range(int(self.job.seconds * self.job.rate)):
                at = began + number / self.job.rate
                await asyncio.sleep(at - time.perf_counter())
                self.due.append(at)  # waiting for a free connection counts
                self.send_due()
            await self.all_answered.wait()
        else:
            for connection in connections:
                connection.send(self.next(), time.perf_counter())
            await asyncio.sleep(self.job.seconds)
        spent = time.perf_counter() - began
        self.ended.set()
        for connection in connections:
            connection.transport.abort()
        return spent


class Connection(asyncio.Protocol):
    def __init__(self, load: Load) -> None:
        self.load = load
        self.received = b""
        self.began = 0.0
        self.site = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment] # what a TCP connection gives

    def send(self, request: bytes, began: float) -> None:
        self.began = began
        self.site = request[8:].partition(b"/")[0].decode()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, blank, body = self.received.partition(b"\r\n\r\n")
        if not blank:
            return
        length = LENGTH.search(head)
        if len(body) < (int(length[1]) if length else 0):
            return
        self.received = b""
        self.load.answered(self, time.perf_counter() - self.began, head[9:12], body)


async def measured(job: Job) -> dict[str, object]:
    load = Load(job)
    cpu = time.process_time()
    spent = await load.run()
    cpu = time.process_time() - cpu
    times = sorted(load.times)
    return {
        "requests": len(times), "per_second": len(times) / spent, "p50": times[len(times) // 2],
        "p99": times[int(len(times) * 0.99)], "failed": load.failed, "cpu_us": cpu / len(times) * 1e6,
        "tokens": load.tokens,
    }  # fmt: skip


if __name__ == "__main__":
    PORT = int(sys.argv[1])
    for line in sys.stdin:
        print(json.dumps(uvloop.run(measured(msgspec.json.decode(line, type=Job)))), flush=True)
