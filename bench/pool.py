"""The lease store's scripts against a script that does nothing and gets the keys that ours touches and the same words.

The targets are carried by single requests: several connections from another process, each with one request under way,
which is how hits and calls reach the server, by the clock. The other rows are for information. *processor*: the same
requests, but only the server's processor time, as if its clients cost nothing. *pipelined*: processor time again, with
64 requests per send, as our client gathers them under load; a no-op costs next to nothing there. *least possible*:
a script with no more than the reads and writes that the rules ask for, which decides nothing (`pool_peers`).

Flat: 1,000 numbers against 500,000, 95 % of them leased, numbers and visitors drawn at random from all.
"""

from __future__ import annotations

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
from typing import NamedTuple

import hiredis

from bench.pool_peers import FREE, LEAST_ALLOCATE, LEAST_RENEW, LEAST_RESOLVE, NOOP, PEERS
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
NO_IDS = b""
"""Of analytics."""


class Cost(NamedTuple):
    """Seconds by the clock, and of the server's processor."""

    clock: float
    processor: float

    def per(self, requests: int) -> Cost:
        return Cost(self.clock / requests, self.processor / requests)

    def and_(self, other: Cost) -> Cost:
        return Cost(self.clock + other.clock, self.processor + other.processor)


NOTHING = Cost(0.0, 0.0)


class Turn(NamedTuple):
    """A request of ours, and the same words to a script that does nothing and to the least possible."""

    ours: Cost
    noop: Cost
    least: Cost


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

    def cost(self, requests: Sequence[bytes], *, depth: int = 1) -> Cost:
        """Of these requests together, each connection having `depth` under way."""
        began, used = time.perf_counter(), self._used()
        self.ask(requests, depth=depth)
        return Cost(time.perf_counter() - began, self._used() - used)

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

    def asked(self, which: Script, *words: bytes) -> bytes:
        return self._asked(which, (), *HEAD, *words)

    def _asked(self, which: Script, touched: Sequence[bytes], *words: bytes) -> bytes:
        """Ours are told the beginning of all keys, the no-op those that ours would have `touched`."""
        prefix = self.slot.encode()
        keys = [prefix + key for key in touched] if which is NOOP else [prefix]
        return packed((b"EVALSHA", which.sha.encode(), b"%d" % len(keys), *keys, *words))

    def hits(self, many: int, which: Script | None = None) -> tuple[list[bytes], list[bytes]]:
        """Sessions, and the first hits of as many new visitors."""
        sessions, requests = [], []
        for _ in range(many):
            name = b"%016x%016x" % (self.chance.getrandbits(64), next(self.sequence))
            account = self.chance.randrange(ACCOUNTS)
            sessions.append(name)
            number = self.number(self.chance.randrange(self.size))
            touched = (
                b"v:%d:v%s" % (account + 1, name[:31]), b"s:" + name, b"due", b"free:%d" % (account + 2), b"free",
                b"n:" + number, b"log",
            )  # fmt: skip
            requests.append(self._asked(
                which or script("allocate"), touched, *HEAD,
                name, b"%d" % (account + 1), b"%d" % (account + 2), b"v" + name[:31], b"", FACTS, PAGE, FIRST_PAGE,
                HOLD_MS, GAP_MS, b"1", b"fallback", YOUNG_MS, MONTH_MS, b"0", b"1", b"4.0", b"0", NO_IDS,
            ))  # fmt: skip
        return sessions, requests

    def give_back(self, sessions: Sequence[bytes]) -> None:
        self.client.ask([self.asked(script("release"), session) for session in sessions])
        self.forget_log()

    def calls(self, many: int, which: Script | None = None) -> list[bytes]:
        """Questions of the dialplan: the number is kept for the call in the same step."""
        requests = []
        for _ in range(many):
            number, caller = self.number(self.chance.randrange(self.size)), b"7916%07d" % self.chance.randrange(10**7)
            session = self.chance.choice(self.held)
            touched = b"n:" + number, b"h:" + number, b"m:" + caller, b"s:" + session
            words = [b"0", CALL_MS, number, caller, b"pbx1-1700000000.%d" % next(self.sequence)]
            if which is LEAST_RESOLVE:  # it reads a visit without having looked whose
                words.append(session)
            requests.append(self._asked(which or script("resolve"), touched, *words))
        return requests

    def end_calls(self, calls: Sequence[bytes]) -> None:
        """Of requests made by `calls`."""
        ended = []
        for each in calls:
            reader = hiredis.Reader()
            reader.feed(each)
            asked = reader.gets()
            ended.append(self.asked(script("hangup"), asked[6], asked[8], HOLD_MS, CALL_MS))
        self.client.ask(ended)

    def signs(self, many: int, which: Script | None = None) -> list[bytes]:
        sessions = [self.chance.choice(self.held) for _ in range(many)]
        return [
            self._asked(
                which or script("renew"), (b"s:" + session,), *HEAD,
                session, b"", HOLD_MS, GAP_MS, b"0", b"", b"0", NO_IDS,
            )
            for session in sessions
        ]  # fmt: skip

    def forget_log(self) -> None:
        """History takes the log away all the time."""
        with self.server.client() as client:
            client.delete(self.slot + "log")

    def prepare_least(self) -> None:
        """As many free numbers as the pool has, for the script that takes one of them each time."""
        with self.server.client() as client:
            client.delete(self.slot + "least:log")
            free = {self.number(place): place for place in range(self.size // 20)}
            client.zadd(self.slot + FREE, free)


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
                for which in (
                    *PEERS,
                    *map(script, ("allocate", "renew", "release", "resolve", "hangup", "load")),
                ):
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
    measures: list[tuple[str, Callable[[Pool, int], Turn], float | None]] = [
        ("allocate", allocated, TARGET), ("resolve", resolved, TARGET), ("renew", renewed, None),
    ]  # fmt: skip
    for name, measure, target in measures:
        for pool in (small, large):
            measure(pool, 1)  # warm
        turns = [(measure(small, 1), measure(large, 1)) for _ in range(TURNS)]
        single = [turn for turn, _ in turns]
        bulk = [measure(small, DEPTH) for _ in range(TURNS // 3)]
        rows += [
            against(f"pool: {name}", [(turn.ours.clock, turn.noop.clock) for turn in single], target),
            against(f"pool: {name}, least possible", [(turn.least.clock, turn.noop.clock) for turn in single], None),
            against(f"pool: {name}, processor", [(turn.ours.processor, turn.noop.processor) for turn in single], None),
            against(f"pool: {name}, pipelined", [(turn.ours.processor, turn.noop.processor) for turn in bulk], None),
            flatness(f"pool: {name}, flat", turns, FLAT if target else None),
        ]
    return rows


def against(name: str, turns: Sequence[tuple[float, float]], target: float | None) -> Row:
    ours, other = (statistics.median(costs) for costs in zip(*turns, strict=True))
    return Row(
        name=name, ours=1 / ours, peer=1 / other, unit="requests per second of the server", target=target,
        ratio=statistics.median(other / ours for ours, other in turns),
    )  # fmt: skip


def flatness(name: str, turns: Sequence[tuple[Turn, Turn]], target: float | None) -> Row:
    small, large = (statistics.median(turn.ours.clock for turn in side) for side in zip(*turns, strict=True))
    return Row(
        name=name, ours=1 / large, peer=1 / small, unit="requests per second, 500,000 numbers to 1,000",
        target=target, ratio=statistics.median(few.ours.clock / many.ours.clock for few, many in turns),
    )  # fmt: skip


def memory(bytes_each: float) -> Row:
    return Row(
        name="pool: memory", ours=bytes_each, peer=MOST_BYTES, unit="bytes per leased number with its visit",
        target=1.0, ratio=bytes_each / MOST_BYTES, at_most=True,
    )  # fmt: skip


def allocated(pool: Pool, depth: int) -> Turn:
    """The first hit of a new visitor."""
    ours, noop, least = NOTHING, NOTHING, NOTHING
    for _ in range(MANY // AT_ONCE // 2):
        noop = noop.and_(pool.client.cost(pool.hits(AT_ONCE, NOOP)[1], depth=depth))
        pool.prepare_least()
        least = least.and_(pool.client.cost(pool.hits(AT_ONCE, LEAST_ALLOCATE)[1], depth=depth))
        sessions, requests = pool.hits(AT_ONCE)
        ours = ours.and_(pool.client.cost(requests, depth=depth))
        pool.give_back(sessions)
    asked = MANY // AT_ONCE // 2 * AT_ONCE
    return Turn(ours.per(asked), noop.per(asked), least.per(asked))


def resolved(pool: Pool, depth: int) -> Turn:
    noop = pool.client.cost(pool.calls(MANY, NOOP), depth=depth)
    least = pool.client.cost(pool.calls(MANY, LEAST_RESOLVE), depth=depth)
    requests = pool.calls(MANY)
    ours = pool.client.cost(requests, depth=depth)
    pool.end_calls(requests)
    return Turn(ours.per(MANY), noop.per(MANY), least.per(MANY))


def renewed(pool: Pool, depth: int) -> Turn:
    noop = pool.client.cost(pool.signs(MANY, NOOP), depth=depth)
    least = pool.client.cost(pool.signs(MANY, LEAST_RENEW), depth=depth)
    return Turn(pool.client.cost(pool.signs(MANY), depth=depth).per(MANY), noop.per(MANY), least.per(MANY))
