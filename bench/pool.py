"""The lease store's scripts against a script that does nothing and gets the same keys and arguments, in turns.

The targets are carried by single requests: several connections, each with one request under way, which is how the
dialplan's question and a page's hit reach the server from many processes. Rows named *pipelined* are for information:
64 requests per send, as our client gathers them under load; there a no-op costs next to nothing but its parsing, so that
the ratio says how long a script runs and not what a deployment gets.

Flat: 1,000 numbers against 500,000, 95 % of them leased, numbers and visitors drawn at random from all.
"""

from __future__ import annotations

import random
import select
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

import hiredis

from callrouter.lab.servers import EmbeddedValkey
from callrouter.pool import live
from callrouter.pool.keys import Slot
from callrouter.pool.line import packed
from callrouter.pool.scripts import Script, script
from callrouter.sessions.model import TrafficSource, Visit

SMALL, LARGE = 1_000, 500_000
OCCUPIED = 0.95
CONNECTIONS = 8
DEPTH = 64
TURNS = 150
AT_ONCE = 40
"""Requests per turn: fewer than the small pool has free numbers."""
ACCOUNTS = 40
TARGET = 0.6
FLAT = 0.85
MOST_BYTES = 1500
HOLD_MS, GAP_MS, WINDOW_MS, YOUNG_MS, MONTH_MS, CALL_MS = (
    b"1800000",
    b"1800000",
    b"86400000",
    b"300000",
    b"2592000000",
    b"14400000",
)
HEAD = (b"0", b"0", WINDOW_MS)
NOOP = "return 1"


class Client:
    """Several connections to one server; measures how long they take for a batch of requests."""

    def __init__(self, server: EmbeddedValkey) -> None:
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
        """Each connection has `depth` requests under way until none is left."""
        sends = iter([(b"".join(requests[at : at + depth]), len(requests[at : at + depth]))
                      for at in range(0, len(requests), depth)])  # fmt: skip
        waiting: dict[int, int] = {}
        began = time.perf_counter()
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
        return time.perf_counter() - began

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
            self.client.seconds([self.asked(script("load"), b"0", *words)])

    def fill(self) -> None:
        while len(self.held) < self.size * OCCUPIED:
            more = min(2000, round(self.size * OCCUPIED) - len(self.held))
            sessions, requests = self.hits(more)
            self.client.seconds(requests, depth=DEPTH)
            self.held += sessions
            self.forget_log()
        sessions, requests = self.hits(self.size - len(self.held))  # the others have been leased before, too
        self.client.seconds(requests, depth=DEPTH)
        self.give_back(sessions)

    def number(self, place: int) -> bytes:
        return b"%d" % (74950000000 + place)

    def asked(self, which: Script, *words: bytes, noop: bool = False) -> bytes:
        sha = self.noop if noop else which.sha.encode()
        return packed((b"EVALSHA", sha, b"1", self.slot.encode(), *HEAD, *words))

    @property
    def noop(self) -> bytes:
        return _noop_sha(self.server)

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
        self.client.seconds([self.asked(script("release"), session) for session in sessions], depth=DEPTH)
        self.forget_log()

    def calls(self, many: int, *, pin: bool = True, noop: bool = False) -> list[bytes]:
        """Questions of the dialplan; with `pin`, the number is kept for the call in the same step, as in service."""
        words = []
        for _ in range(many):
            number, caller = self.number(self.chance.randrange(self.size)), b"7916%07d" % self.chance.randrange(10**7)
            call, held = (b"pbx1-1700000000.%d" % next(self.sequence), CALL_MS) if pin else (b"", b"0")
            words.append((number, caller, call, held))
        return [self.asked(script("resolve"), *each, noop=noop) for each in words]

    def end_calls(self, calls: Sequence[bytes]) -> None:
        """Of requests made by `calls`."""
        ended = []
        for each in calls:
            reader = hiredis.Reader()
            reader.feed(each)
            asked = reader.gets()
            ended.append(self.asked(script("hangup"), asked[7], asked[9], HOLD_MS, CALL_MS))
        self.client.seconds(ended, depth=DEPTH)

    def signs(self, many: int, *, noop: bool = False) -> list[bytes]:
        return [
            self.asked(script("renew"), self.chance.choice(self.held), b"", HOLD_MS, GAP_MS, b"0", b"", b"0", noop=noop)
            for _ in range(many)
        ]  # fmt: skip

    def forget_log(self) -> None:
        """History takes the log away all the time."""
        with self.server.client() as client:
            client.delete(self.slot + "log")


VISIT = Visit(
    session="", visitor="", account=2, site=1,
    traffic=TrafficSource(
        channel="paid_search", source="yandex", medium="cpc", campaign="okna-moskva-2026", keyword="купить окна недорого",
        click_id="16283740912345678901",
    ),
    landing_page="https://shop.example/windows?utm_source=yandex&utm_medium=cpc&utm_campaign=okna-moskva-2026",
    referrer="https://yandex.ru/", started_at=datetime(2026, 3, 2, tzinfo=UTC), seen_at=datetime(2026, 3, 2, tzinfo=UTC),
    page="https://shop.example/windows?utm_source=yandex&utm_medium=cpc&utm_campaign=okna-moskva-2026",
    title="Пластиковые окна от производителя", device="desktop", os="Windows", browser="Chrome 144",
    user_agent="Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/144.0.0.0 Safari/537.36",
    location="RU-MOW", ga_client_id="1122334455.1700000000", ym_client_id="17000000001122334455",
)  # fmt: skip
FACTS = live.pack_facts(VISIT)
PAGE = live.pack_page(VISIT.page, VISIT.title)
FIRST_PAGE = live.pack_page(VISIT.page, VISIT.title, landing_page=VISIT.landing_page)
