"""The lease store's scripts against a script that does nothing and gets the same keys and arguments, in turns.

The targets are carried by single requests: several connections from another process, each with one request under way,
which is how hits and calls reach the server. Rows named *pipelined* are for information: 64 requests per send, as our
client gathers them under load, and only the server's own processor time; there a no-op costs next to nothing.

Flat: 1,000 numbers against 500,000, 95 % of them leased, numbers and visitors drawn at random from all.
"""

from __future__ import annotations

import hashlib
import random
import select
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import hiredis

from bench.row import Row
from callrouter.lab.servers import EmbeddedValkey
from callrouter.pool import live
from callrouter.pool.keys import Slot, pool_slot
from callrouter.pool.line import packed
from callrouter.pool.scripts import Script, script
from callrouter.sessions.model import TrafficSource, Visit

SMALL, LARGE = 1_000, 500_000
OCCUPIED = 0.95
CONNECTIONS = 8
DEPTH = 64
TURNS = 60
AT_ONCE = 40
"""New visitors per turn: fewer than the small pool has free numbers."""
MANY = 400
"""Of anything else: a long turn suffers less from what else the machine does."""
ACCOUNTS = 40
TARGET = 0.6
FLAT = 0.85
MOST_BYTES = 1500
HOLD_MS, GAP_MS, WINDOW_MS, YOUNG_MS, MONTH_MS, CALL_MS = (
    b"1800000", b"1800000", b"86400000", b"300000", b"2592000000", b"14400000",
)  # fmt: skip
HEAD = (b"0", b"0", WINDOW_MS)
NOOP = Script("noop", "return 1", hashlib.sha1(b"return 1").hexdigest())


class Client:
    """Several connections to one server; measures what a batch of requests costs it."""

    def __init__(self, server: EmbeddedValkey) -> None:
        with server.client() as control:
            self._usage = Path(f"/proc/{control.info('server')['process_id']}/schedstat")
        self._poll = select.epoll()
        self._sockets: dict[int, tuple[socket.socket, hiredis.Reader]] = {}
        for _ in range(CONNECTIONS):
            connection = socket.create_connection(("127.0.0.1", server.port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(packed((b"AUTH", server.password.encode())))
            connection.recv(64)
            self._sockets[connection.fileno()] = (connection, hiredis.Reader())
            self._poll.register(connection.fileno(), select.EPOLLIN)

    def close(self) -> None:
        for connection, _ in self._sockets.values():
            connection.close()
        self._poll.close()

    def seconds(self, requests: Sequence[bytes], *, depth: int = 1) -> float:
        """For these requests, each connection having `depth` under way; when more, of the server's processor only."""
        clock = time.perf_counter if depth == 1 else self._used
        began = clock()
        self.ask(requests, depth=depth)
        return clock() - began

    def _used(self) -> float:
        return int(self._usage.read_text().split()[0]) / 1e9

    def ask(self, requests: Sequence[bytes], *, depth: int = DEPTH) -> None:
        sends = iter([(b"".join(requests[at : at + depth]), len(requests[at : at + depth]))
                      for at in range(0, len(requests), depth)])  # fmt: skip
        waiting: dict[int, int] = {}
        for place, (connection, _) in self._sockets.items():
            self._send(connection, place, waiting, sends)
        while waiting:
            for place, _ in self._poll.poll():
                connection, reader = self._sockets[place]
                reader.feed(connection.recv(1 << 20))
                while (reply := reader.gets()) is not False:
                    if isinstance(reply, Exception):
                        raise reply
                    waiting[place] -= 1
                if not waiting[place]:
                    self._send(connection, place, waiting, sends)

    @staticmethod
    def _send(
        connection: socket.socket, place: int, waiting: dict[int, int], sends: Iterator[tuple[bytes, int]]
    ) -> None:
        waiting.pop(place, None)
        if following := next(sends, None):
            connection.sendall(following[0])
            waiting[place] = following[1]


@dataclass
class Pool:
    """A pool with 95 % of its numbers leased, and the requests to it."""

    server: EmbeddedValkey
    client: Client
    slot: Slot
    size: int
    held: list[bytes] = field(default_factory=list)
    """Sessions with a number."""
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    sequence: Iterator[int] = field(default_factory=lambda: count(1))

    def load(self) -> None:
        for start in range(0, self.size, 500):
            words = [
                word
                for n in range(start, min(start + 500, self.size))
                for word in (self.number(n), b"1", b"", b"", b"", b"")
            ]
            self.client.ask([self.asked(script("load"), b"0", *words)])

    def fill(self) -> None:
        while len(self.held) < self.size * OCCUPIED:
            more = min(2000, round(self.size * OCCUPIED) - len(self.held))
            sessions, requests = self.hits(more)
            self.client.ask(requests)
            self.held += sessions
            self.forget_log()
        sessions, requests = self.hits(self.size - len(self.held))  # the others have been leased before, too
        self.client.ask(requests)
        self.give_back(sessions)

    def number(self, place: int) -> bytes:
        return b"%d" % (74950000000 + place)

    def asked(self, which: Script, *words: bytes, noop: bool = False) -> bytes:
        sha = NOOP.sha if noop else which.sha
        return packed((b"EVALSHA", sha.encode(), b"1", self.slot.encode(), *HEAD, *words))

    def hits(self, many: int, *, noop: bool = False) -> tuple[list[bytes], list[bytes]]:
        """Sessions, and the first hits of as many new visitors."""
        sessions, requests = [], []
        for _ in range(many):
            name = b"%016x%016x" % (self.chance.getrandbits(64), next(self.sequence))
            account = self.chance.randrange(ACCOUNTS)
            sessions.append(name)
            requests.append(self.asked(
                script("allocate"), name, b"%d" % (account + 1), b"%d" % (account + 2), b"v" + name[:31], b"", FACTS,
                PAGE, FIRST_PAGE, HOLD_MS, GAP_MS, b"1", b"fallback", YOUNG_MS, MONTH_MS, b"0", b"1", b"4.0", b"0",
                noop=noop,
            ))  # fmt: skip
        return sessions, requests

    def give_back(self, sessions: Sequence[bytes]) -> None:
        self.client.ask([self.asked(script("release"), session) for session in sessions])
        self.forget_log()

    def calls(self, many: int, *, noop: bool = False) -> list[bytes]:
        """Questions of the dialplan: the number is kept for the call in the same step."""
        words = []
        for _ in range(many):
            number, caller = self.number(self.chance.randrange(self.size)), b"7916%07d" % self.chance.randrange(10**7)
            words.append((number, caller, b"pbx1-1700000000.%d" % next(self.sequence), CALL_MS))
        return [self.asked(script("resolve"), *each, noop=noop) for each in words]

    def end_calls(self, calls: Sequence[bytes]) -> None:
        """Of requests made by `calls`."""
        ended = []
        for each in calls:
            reader = hiredis.Reader()
            reader.feed(each)
            asked = reader.gets()
            ended.append(self.asked(script("hangup"), asked[7], asked[9], HOLD_MS, CALL_MS))
        self.client.ask(ended)

    def signs(self, many: int, *, noop: bool = False) -> list[bytes]:
        return [
            self.asked(script("renew"), self.chance.choice(self.held), b"", HOLD_MS, GAP_MS, b"0", b"", b"0", noop=noop)
            for _ in range(many)
        ]  # fmt: skip

    def forget_log(self) -> None:
        """History takes the log away all the time."""
        with self.server.client() as client:
            client.delete(self.slot + "log")


NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
VISIT = Visit(
    session="", visitor="", account=2, site=1,
    traffic=TrafficSource(
        channel="paid_search", source="yandex", medium="cpc", campaign="okna-moskva-2026",
        keyword="купить окна недорого", click_id="16283740912345678901",
    ),
    landing_page="https://shop.example/windows?utm_source=yandex&utm_medium=cpc&utm_campaign=okna-moskva-2026",
    referrer="https://yandex.ru/", started_at=NOON, seen_at=NOON,
    page="https://shop.example/windows?utm_source=yandex&utm_medium=cpc&utm_campaign=okna-moskva-2026",
    title="Пластиковые окна от производителя", device="desktop", os="Windows", browser="Chrome 144",
    user_agent="Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/144.0.0.0",
    location="RU-MOW", ga_client_id="1122334455.1700000000", ym_client_id="17000000001122334455",
)  # fmt: skip
FACTS = live.pack_facts(VISIT)
PAGE = live.pack_page(VISIT.page, VISIT.title)
FIRST_PAGE = live.pack_page(VISIT.page, VISIT.title, landing_page=VISIT.landing_page)


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedValkey(Path(folder))
        server.start()
        try:
            client = Client(server)
            with server.client() as control:
                for which in (NOOP, *map(script, ("allocate", "renew", "release", "resolve", "hangup", "load"))):
                    control.script_load(which.text)
            small = Pool(server, client, pool_slot(1), SMALL)
            large = Pool(server, client, pool_slot(2), LARGE)
            small.load()
            small.fill()
            bytes_each = filled(large)
            rows = [*compared(small, large), memory(bytes_each)]
            client.close()
            return rows
        finally:
            server.stop()


def filled(pool: Pool) -> float:
    """Fill the pool; bytes per leased number, with its visit and its share of those that are free."""
    with pool.server.client() as control:
        before = control.info("memory")["used_memory"]
        pool.load()
        pool.fill()
        return float(control.info("memory")["used_memory"] - before) / len(pool.held)


def compared(small: Pool, large: Pool) -> list[Row]:
    rows = []
    measures: list[tuple[str, Callable[[Pool, int], tuple[float, float]], float | None]] = [
        ("allocate", allocated, TARGET), ("resolve", resolved, TARGET), ("renew", renewed, None),
    ]  # fmt: skip
    for name, measure, target in measures:
        for pool in (small, large):
            measure(pool, 1)  # warm
        turns = [(measure(small, 1), measure(large, 1)) for _ in range(TURNS)]
        bulk = [measure(small, DEPTH) for _ in range(TURNS // 3)]
        rows.append(against_noop(f"pool: {name}", [turn for turn, _ in turns], target))
        rows.append(flatness(f"pool: {name}, flat", turns, FLAT if target else None))
        rows.append(against_noop(f"pool: {name}, pipelined", bulk, None))
    return rows


def against_noop(name: str, turns: Sequence[tuple[float, float]], target: float | None) -> Row:
    ours, noop = (statistics.median(costs) for costs in zip(*turns, strict=True))
    return Row(
        name=name, ours=1 / ours, peer=1 / noop, unit="requests per second of the server", target=target,
        ratio=statistics.median(noop / ours for ours, noop in turns),
    )  # fmt: skip


def flatness(name: str, turns: Sequence[tuple[tuple[float, float], tuple[float, float]]], target: float | None) -> Row:
    small, large = (statistics.median(cost for cost, _ in side) for side in zip(*turns, strict=True))
    return Row(
        name=name, ours=1 / large, peer=1 / small, unit="requests per second, 500,000 numbers to 1,000",
        target=target, ratio=statistics.median(small / large for (small, _), (large, _) in turns),
    )  # fmt: skip


def memory(bytes_each: float) -> Row:
    return Row(
        name="pool: memory", ours=bytes_each, peer=MOST_BYTES, unit="bytes per leased number with its visit",
        target=1.0, ratio=bytes_each / MOST_BYTES, at_most=True,
    )  # fmt: skip


def allocated(pool: Pool, depth: int) -> tuple[float, float]:
    """Seconds for the first hit of a new visitor, and for a no-op that is told the same."""
    ours = noop = 0.0
    for _ in range(MANY // AT_ONCE // 2):
        noop += pool.client.seconds(pool.hits(AT_ONCE, noop=True)[1], depth=depth)
        sessions, requests = pool.hits(AT_ONCE)
        ours += pool.client.seconds(requests, depth=depth)
        pool.give_back(sessions)
    asked = MANY // AT_ONCE // 2 * AT_ONCE
    return ours / asked, noop / asked


def resolved(pool: Pool, depth: int) -> tuple[float, float]:
    noop = pool.client.seconds(pool.calls(MANY, noop=True), depth=depth)
    requests = pool.calls(MANY)
    ours = pool.client.seconds(requests, depth=depth)
    pool.end_calls(requests)
    return ours / MANY, noop / MANY


def renewed(pool: Pool, depth: int) -> tuple[float, float]:
    noop = pool.client.seconds(pool.signs(MANY, noop=True), depth=depth)
    return pool.client.seconds(pool.signs(MANY), depth=depth) / MANY, noop / MANY
