"""Visitors who come and go at one pool as fast as they are answered; what they were promised is kept for the judge.

`python -m tests.integration.pool.visiting` runs them in a process of their own and prints the promises.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVar

import msgspec

from callrouter.pool.connect import close_client, open_client
from callrouter.pool.keys import Slot
from callrouter.pool.live import Allocation, Renewal
from callrouter.pool.store import LeaseStore, StoreUnavailable
from tests.integration.pool.visitors import visit

HOLD = timedelta(minutes=10)
TRIES = 20

T = TypeVar("T")
When = Callable[[], datetime | None]
Answer = Allocation | Renewal


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """Acknowledged: `session` has `number` until `expires_at` at least."""

    kind: Literal["lease", "renewal"]
    slot: str
    session: str
    visitor: str
    number: str
    expires_at: datetime
    answered_at: float
    """By the monotonic clock of this machine."""


class Told(msgspec.Struct, kw_only=True):
    """What came of a storm. `longest`: seconds that the longest single question took, by slot."""

    promises: list[Promise] = msgspec.field(default_factory=list)
    longest: dict[str, float] = msgspec.field(default_factory=dict)
    unanswered: dict[str, int] = msgspec.field(default_factory=dict)

    def add(self, other: Told) -> None:
        self.promises += other.promises
        for slot, seconds in other.longest.items():
            self.longest[slot] = max(seconds, self.longest.get(slot, 0.0))
        for slot, count in other.unanswered.items():
            self.unanswered[slot] = count + self.unanswered.get(slot, 0)


class Storm(msgspec.Struct, frozen=True, kw_only=True):
    """Who comes, to which pools, for how long. `speed`: how much faster than time the visitors' clock runs; 0 leaves
    time to the server."""

    url: str
    slots: tuple[str, ...]
    name: str
    seed: int
    visitors: int = 12
    clients: int = 6
    seconds: float = 3.0
    speed: float = 0.0
    began: float = 0.0
    patience: float = 1.0
    """Seconds a client waits for an answer."""
    cluster: bool = False
    faithful: bool = False
    """Each visitor comes to one pool only."""


ENOUGH = 100
"""Promises of one process: a slow machine takes longer for them."""
PATIENT_SECONDS = 20.0


async def visit_at_random(storm: Storm, until: Callable[[], bool] | None = None) -> Told:
    """All visitors of a storm at once, over a few clients."""
    end = time.monotonic() + storm.seconds
    each: list[_Visitor] = []

    def over() -> bool:
        late = time.monotonic() - end
        return late > 0 and (late > PATIENT_SECONDS or sum(one.promised for one in each) >= ENOUGH)

    clients = [open_client(storm.url, cluster=storm.cluster, timeout=storm.patience) for _ in range(storm.clients)]
    stores = [LeaseStore(client) for client in clients]
    try:
        each += [_Visitor(stores[place % len(stores)], storm, place) for place in range(storm.visitors)]
        return together(await asyncio.gather(*(one.come(until or over) for one in each)))
    finally:
        await asyncio.gather(*map(close_client, clients))


def together(told: Iterable[Told]) -> Told:
    """What came of several."""
    whole = Told()
    for each in told:
        whole.add(each)
    return whole


def clock_of(storm: Storm) -> When:
    """The time that requests carry: the same for all processes of a storm."""

    def now() -> datetime | None:
        if not storm.speed:
            return None
        return datetime.fromtimestamp(storm.began + (time.time() - storm.began) * storm.speed, UTC)

    return now


class _Visitor:
    def __init__(self, store: LeaseStore, storm: Storm, place: int) -> None:
        self._store = store
        self._name = f"{storm.name}-{place}"
        slots = [Slot(slot) for slot in storm.slots]
        self._slots = [slots[place % len(slots)]] if storm.faithful else slots
        self._chance = random.Random(f"{storm.seed} {self._name}")
        self._now = clock_of(storm)
        self._gives_back = 0.3 if storm.speed else 0.9
        """In real time no lease would run out soon enough."""
        self._told = Told()
        self._requests = 0

    @property
    def promised(self) -> int:
        return len(self._told.promises)

    async def come(self, over: Callable[[], bool]) -> Told:
        while not over():
            slot = self._chance.choice(self._slots)
            with contextlib.suppress(StoreUnavailable):
                await self._stay(slot, over)
        return self._told

    async def _stay(self, slot: Slot, over: Callable[[], bool]) -> None:
        self._requests += 1
        visitor = f"{self._name}-v{self._chance.randrange(3)}"
        hit = visit(f"{self._name}-s{self._requests}", visitor)
        campaign = self._chance.choice(["", f"c{self._requests}"])
        got: Allocation | None = None
        for _ in range(self._chance.choice([1, 1, 2])):  # a page may be told twice
            got = await self._insist(
                slot, lambda: self._store.allocate(slot, hit, campaign=campaign, hold=HOLD, now=self._now())
            )
            self._note("lease", slot, got.session, visitor, got)
        if got is None:
            return
        session = got.session
        while not over() and self._chance.random() < 0.8:
            told = await self._insist(slot, lambda: self._store.renew(slot, session, hold=HOLD, now=self._now()))
            self._note("renewal", slot, session, visitor, told)
            await asyncio.sleep(self._chance.random() * 0.02)
        if self._chance.random() < self._gives_back:
            await self._insist(slot, lambda: self._store.release(slot, session, now=self._now()))

    async def _insist(self, slot: Slot, ask: Callable[[], Awaitable[T]]) -> T:
        """As a page does: the same again until there is an answer."""
        for _ in range(TRIES):
            began = time.monotonic()
            try:
                return await ask()
            except StoreUnavailable:
                self._told.unanswered[slot] = self._told.unanswered.get(slot, 0) + 1
            finally:
                took = time.monotonic() - began
                self._told.longest[slot] = max(took, self._told.longest.get(slot, 0.0))
            await asyncio.sleep(0.01)
        raise StoreUnavailable("no answer to any of many questions")

    def _note(self, kind: Literal["lease", "renewal"], slot: Slot, session: str, visitor: str, told: Answer) -> None:
        if told.number and told.expires_at:
            promise = Promise(
                kind=kind, slot=slot, session=session, visitor=visitor, number=told.number, expires_at=told.expires_at,
                answered_at=time.monotonic(),
            )  # fmt: skip
            self._told.promises.append(promise)


async def in_processes(storms: Iterable[Storm]) -> Told:
    """Each storm in a process of its own."""

    async def one(storm: Storm) -> Told:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.integration.pool.visiting", stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        told, _ = await process.communicate(msgspec.json.encode(storm))
        assert process.returncode == 0
        return msgspec.json.decode(told.splitlines()[-1], type=Told)  # what is logged comes before

    return together(await asyncio.gather(*map(one, storms)))


if __name__ == "__main__":
    done = asyncio.run(visit_at_random(msgspec.json.decode(sys.stdin.buffer.read(), type=Storm)))
    sys.stdout.write("\n" + msgspec.json.encode(done).decode())
