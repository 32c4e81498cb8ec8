"""Leases and live visits in Redis or Valkey: one script, one round trip per operation. Single server and cluster alike.

Knows how the scripts are called, not what they decide (scripts/*.lua) nor who is credited (`attribution`). Every
operation may be repeated with the same arguments without another effect: the client re-executes when a reply is lost.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any, Literal, NamedTuple

import msgspec
from redis import exceptions

from callrouter.numbers import Number
from callrouter.pool import live, metrics
from callrouter.pool.coalesce import Coalescer, Pipeliner, RedisClient
from callrouter.pool.connect import line_of
from callrouter.pool.keys import Slot, log_key, pool_of
from callrouter.pool.model import DEFAULT_HOLD, DEFAULT_WINDOW, MINIMUM_HOLD, Attribution, CallerMemory
from callrouter.pool.nodes import Lanes
from callrouter.pool.scripts import Script, script
from callrouter.sessions.model import NO_ANALYTICS, Analytics, Visit

OverflowPolicy = Literal["fallback", "nearest_end"]
VISIT_GAP = timedelta(minutes=30)
"""A visit without a sign of life for so long has ended."""
CHUNK = 500
"""Numbers per load script: the server serves nobody else while a script runs."""
ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")

_OBSERVED = {"leased", "overflow"}
FAILURES = (exceptions.RedisError, exceptions.RedisClusterException, OSError)


class StoreUnavailable(ConnectionError):
    """The lease store cannot be reached, or did not answer in time."""


class RefusedRequest(ValueError):
    """The request is not one the store can hold: a hold under the minimum, an id of strange characters."""


class StaleInventory(ValueError):
    """Another process has loaded a newer inventory: this one must not be carried out."""


class Change(NamedTuple):
    """What becomes of a number in a pool. `into`: 1 in use, 0 set aside, - not ours any more, > another pool's now."""

    number: Number
    into: Literal["1", "0", "-", ">"]
    record: bytes = b""
    """Its record in the pool that it left."""
    past: bytes = b""
    """Its leases before the one that the record tells of."""
    session: str = ""
    visit: bytes = b""
    """The latest visit that was leased it there."""


class Lifetimes(msgspec.Struct, frozen=True, kw_only=True):
    """How long things are kept or rest, for all pools of an installation."""

    rest: timedelta = timedelta(0)
    """No other visitor gets a number sooner after its lease (quarantine); with room in the pool it rests longer."""
    window: timedelta = DEFAULT_WINDOW
    """Attribution window: ended leases and their visits are kept for calls that come this late."""
    visitor: timedelta = timedelta(days=30)
    """A visitor gets his last number again, if it is free."""
    caller: timedelta = timedelta(days=90)
    """A caller is remembered."""
    affinity: float = 4.0
    """An account is leased its own longest-free number unless another has been free more than so many times as long;
    1: the longest-free of all, whoever had it."""
    call: timedelta = timedelta(hours=4)
    """A number on which a call began stays pinned at most so long when nobody tells that the call has ended."""


class Ask(msgspec.Struct, frozen=True):
    """One question of the resolve script; with a `call` id the number is pinned for that call in the same step."""

    slot: Slot
    pool: int
    number: Number
    caller: Number | None
    call: str = ""


class Occupancy(msgspec.Struct, frozen=True, kw_only=True):
    numbers: int
    leased: int
    free: int
    waiting: int
    """Of the free ones: those that nobody may have yet, for they rest or are pinned by a call."""
    visits: int
    backlog: int
    """Entries of the log that history has not taken yet."""
    longest_free: datetime | None = None
    """When the last lease of the number that is free longest ended. None: it was never leased, or none is free."""


class LeaseStore:
    """The operations of rules §3 on the pools of one Redis, Valkey or cluster."""

    def __init__(self, client: RedisClient, *, lifetimes: Lifetimes | None = None, chooser: str | None = None) -> None:
        """`chooser` is Lua that stands in the place of scripts/choose.lua: other rules of choice, to compare with."""
        self._client = client
        self._allocate = script("allocate", chooser=chooser)
        self.lifetimes = lifetimes or Lifetimes()
        self._pipelines = Lanes(client, lambda: Pipeliner(client, line_of(client)))
        self._questions = Lanes(client, lambda: Coalescer(client, script("resolve"), line_of(client)))
        lives = self.lifetimes
        self._common = (_ms(lives.rest), _ms(lives.window))
        self._call_ms = b"%d" % _ms(lives.call)

    async def allocate(
        self,
        slot: Slot,
        visit: Visit,
        *,
        campaign: str = "",
        hold: timedelta = DEFAULT_HOLD,
        wants_number: bool = True,
        policy: OverflowPolicy = "fallback",
        rest: timedelta = timedelta(0),
        gap: timedelta = VISIT_GAP,
        counts: bool = True,
        trial: bool = False,
        now: datetime | None = None,
    ) -> live.Allocation:
        """Continue the visitor's visit or begin `visit`, and lease him a number.

        `visit.session` is proposed for a new visit and names the request: asking again with it is asking once.
        `campaign` is a signature of the hit's utm and click ids; another one than the visit's begins a new visit.
        `rest` is the site's own minimum quarantine after this lease. `counts`: the hit opened a page. `trial`: if there
        is no number to give, the hit leaves no trace (outcome `empty`), for another pool is asked next.
        """
        if hold < MINIMUM_HOLD:
            raise RefusedRequest(f"a hold of {hold} is under the minimum of {MINIMUM_HOLD}")
        _require_ids(visit.session, visit.visitor)
        reply = await self._run(
            self._allocate, slot, now,
            visit.session, visit.site, visit.account, visit.visitor, campaign, live.pack_facts(visit),
            live.pack_page(visit.page, visit.title),
            live.pack_page(visit.page, visit.title, landing_page=visit.landing_page), _ms(hold), _ms(gap),
            int(wants_number), policy, _ms(MINIMUM_HOLD), _ms(self.lifetimes.visitor), _ms(rest), int(counts),
            self.lifetimes.affinity, int(trial), live.pack_analytics(visit),
        )  # fmt: skip
        allocation = live.read_allocation(reply, visit.session)
        metrics.ALLOCATIONS.labels(outcome=allocation.outcome).inc()
        if allocation.outcome in _OBSERVED:
            _observe(slot, allocation)
        return allocation

    async def renew(
        self,
        slot: Slot,
        session: str,
        *,
        request: str = "",
        hold: timedelta = DEFAULT_HOLD,
        gap: timedelta = VISIT_GAP,
        page: str | None = None,
        title: str = "",
        closed: bool = False,
        analytics: Analytics = NO_ANALYTICS,
        now: datetime | None = None,
    ) -> live.Renewal:
        """A sign of life. A `page` counts as opened, once per `request`; `closed` says that a page was left.

        With a `request` that is the page's, it counts only if no other page was opened since.
        """
        _require_ids(session)
        reply = await self._run(
            script("renew"), slot, now, session, request, _ms(hold), _ms(gap), int(page is not None),
            live.pack_page(page, title) if page is not None else b"", int(closed), live.pack_analytics(analytics),
        )  # fmt: skip
        renewal = live.read_renewal(reply)
        metrics.RENEWALS.labels(outcome=renewal.outcome).inc()
        return renewal

    async def release(self, slot: Slot, session: str, *, now: datetime | None = None) -> Number | None:
        """The session gives its number back; nothing happens if it holds none."""
        number = await self._run(script("release"), slot, now, session)
        return Number(number.decode()) if number else None

    async def resolve(self, ask: Ask, *, now: datetime | None = None) -> live.Live:
        """All that is known of one call. Questions of the same moment travel together."""
        words = (ask.number.encode(), ask.caller.encode() if ask.caller else b"", _call(ask.call))
        head = (b"0" if now is None else b"%d" % _at(now), self._call_ms)
        began = perf_counter()
        try:
            found = await self._questions.of(ask.slot).ask(ask.slot, head, words)
        except FAILURES as error:
            raise _unavailable(error) from error
        metrics.RESOLVE_SECONDS.observe(perf_counter() - began)
        return live.read_live(found, pool=ask.pool, number=ask.number)

    async def visit(self, slot: Slot, session: str) -> Visit | None:
        """A visit as it stands now, as long as the attribution window keeps it."""
        _require_ids(session)
        with _typed_failures():
            packed = await self._client.execute_command("GET", f"{slot}s:{session}")
        return live.unpack_visit(session, packed) if packed else None

    async def call_started(self, slot: Slot, number: Number, call: str, *, now: datetime | None = None) -> None:
        """Pin the number: nobody else gets it while the call lasts."""
        await self.resolve(Ask(slot, pool_of(slot), number, None, call), now=now)

    async def call_ended(
        self, slot: Slot, number: Number, call: str, *, hold: timedelta = DEFAULT_HOLD, now: datetime | None = None
    ) -> bool:
        """Unpin the number `hold` after now, for people call back. False: the number is not of this pool."""
        longest = _ms(self.lifetimes.call)
        return bool(await self._run(script("hangup"), slot, now, number, _call(call), _ms(hold), longest))

    async def remember(
        self,
        slot: Slot,
        caller: Number,
        *,
        account: int,
        at: datetime,
        number: Number,
        client: str = "",
        employee: str = "",
        visit: Visit | None = None,
        own_number: bool = True,
        credited: Attribution | None = None,
    ) -> None:
        """Keep that `caller` called, and the visit he was credited to. `own_number`: `number` is of this slot.

        `credited` says how sure that is; without it there is no doubt. `employee`: who talked with him, if known.
        """
        sure, rivals = (credited.confidence, credited.rivals) if credited else (1.0, 0.0)
        memory = b""
        if visit:
            known = CallerMemory(visit=visit, called_at=at, number=number, confidence=sure, rivals=rivals)
            memory = live.pack_memory(known)
        visitor = f"{visit.site}:{visit.visitor}" if visit else ""
        await self._run(
            script("remember"), slot, None, caller, number if own_number else "", account, client, memory, visitor,
            live.milliseconds(at), _ms(self.lifetimes.caller), employee,
        )  # fmt: skip

    async def forget(self, slot: Slot, account: int, words: Sequence[str]) -> int:
        """An account's client, as scripts/forget.lua is told of him. Returns how many keys knew of him."""
        return int(await self._run(script("forget"), slot, None, account, *words))

    async def load_numbers(self, slot: Slot, numbers: dict[Number, bool], *, now: datetime | None = None) -> int:
        """Make the pool's numbers those given (True: in use; False: set aside). Returns how many changed.

        Numbers not given leave the pool: their lease ends, their history stays for the attribution window. For pools
        that exchange numbers see `sweeper.load_pools`.
        """
        gone = [member async for member in self.members(slot) if member not in numbers]
        changes = [Change(number, "1" if used else "0") for number, used in numbers.items()]
        return await self.change_numbers(slot, [*changes, *(Change(number, "-") for number in gone)], now=now)

    async def change_numbers(
        self, slot: Slot, changes: Sequence[Change], *, version: int = 0, now: datetime | None = None
    ) -> int:
        """Carry out changes of the inventory; returns how many changed something.

        Raises StaleInventory, from that point on, if the slot has seen a newer `version`; 0 is none.
        """
        changed = 0
        for start in range(0, max(1, len(changes)), CHUNK):
            words = [word for change in changes[start : start + CHUNK] for word in change]
            done = int(await self._run(script("load"), slot, now, version, *words))
            if done < 0:
                raise StaleInventory(f"{slot} has been loaded with a newer inventory than {version}")
            changed += done
        return changed

    async def members(self, slot: Slot) -> AsyncIterator[Number]:
        """The pool's numbers; one may come twice."""
        cursor = b"0"
        while True:
            with _typed_failures():
                cursor, found = await self._client.execute_command("SSCAN", slot + "all", cursor, "COUNT", 1000)
            for number in found:
                yield Number(number.decode())
            if int(cursor) == 0:
                return

    async def departed(self, slot: Slot) -> dict[Number, float]:
        """Numbers that moved from this pool to another within the attribution window, and when."""
        with _typed_failures():
            found = await self._client.execute_command("ZRANGE", slot + "gone", 0, -1, "WITHSCORES")
        pairs = found if found and isinstance(found[0], list | tuple) else zip(found[::2], found[1::2], strict=True)
        return {Number(number.decode()): float(at) for number, at in pairs}

    async def takeover(self, slot: Slot, number: Number, into: Literal["1", "0"]) -> Change:
        """The change that brings a number that left `slot` into another pool, with its leases and its last visit."""
        with _typed_failures():
            packed = await self._client.execute_command("GET", f"{slot}n:{number}")
            session = live.number_record(packed).session if packed else ""
            visit = await self._client.execute_command("GET", f"{slot}s:{session}") if session else None
            past = await self._client.execute_command("GET", f"{slot}h:{number}")
        return Change(number, into, packed or b"", past or b"", session, visit or b"")

    async def standing(self, slot: Slot, number: Number) -> live.Standing | None:
        """How a number stands; None: it is not of this pool. Changes nothing."""
        with _typed_failures():
            packed = await self._client.execute_command("GET", f"{slot}n:{number}")
        return live.read_standing(packed, _ms(self.lifetimes.rest)) if packed else None

    async def sweep(self, slot: Slot, *, limit: int = 100, now: datetime | None = None) -> tuple[int, int]:
        """End leases and visits that have run out; returns how many of each. Looks at `limit` of each at most."""
        return (await self.sweep_some(slot, limit=limit, now=now))[:2]

    async def sweep_some(self, slot: Slot, *, limit: int, now: datetime | None = None) -> tuple[int, int, bool]:
        """The same, and whether there may be more."""
        leases, visits, looked = await self._run(script("sweep"), slot, now, limit)
        return int(leases), int(visits), int(looked) >= limit

    async def occupancy(self, slot: Slot) -> Occupancy:
        pipeline = self._client.pipeline(transaction=False)
        pipeline.scard(slot + "all").scard(slot + "off").zcard(slot + "due").scard(slot + "resting")
        pipeline.zcard(slot + "live").xlen(log_key(slot)).zrange(slot + "free", 0, 0, withscores=True)
        with _typed_failures():
            numbers, aside, due, resting, waiting, backlog, longest = await pipeline.execute()
        since = int(longest[0][1]) if longest else 0
        leased = due - resting
        return Occupancy(
            numbers=numbers,
            leased=leased,
            free=numbers - aside - leased,
            waiting=resting,
            visits=waiting + leased,
            backlog=backlog,
            longest_free=live.moment(since) if since else None,
        )

    async def ping(self) -> None:
        """Raises StoreUnavailable if the server is."""
        with _typed_failures():
            await self._client.execute_command("PING")

    async def _run(self, which: Script, slot: Slot, now: datetime | None, *arguments: object) -> Any:
        words = (_at(now), *self._common, *arguments)
        try:
            return await self._pipelines.of(slot).run(which, slot, [_word(word) for word in words])
        except FAILURES as error:
            raise _unavailable(error) from error


@contextmanager
def _typed_failures() -> Iterator[None]:
    """Whatever the client raises means the same to a caller: no answer from the store."""
    try:
        yield
    except FAILURES as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> StoreUnavailable:
    metrics.STORE_FAILURES.labels(kind=type(error).__name__).inc()
    return StoreUnavailable(f"the lease store did not answer: {str(error) or type(error).__name__}")


def _observe(slot: Slot, allocation: live.Allocation) -> None:
    pool = str(pool_of(slot))
    if allocation.outcome == "overflow":
        metrics.POOL_OVERFLOWS.labels(pool=pool).inc()
    elif allocation.rested is not None:
        metrics.RESTED_SECONDS.labels(pool=pool).observe(allocation.rested)
        metrics.RESTED_LATEST.labels(pool=pool).set(allocation.rested)


def _call(call: str) -> bytes:
    """A record has one byte for the length of a call's id."""
    return call.encode()[:200]


def _at(now: datetime | None) -> int:
    return live.milliseconds(now) if now else 0


def _ms(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


def _word(argument: object) -> bytes:
    if isinstance(argument, str):
        return argument.encode()
    return argument if isinstance(argument, bytes) else str(argument).encode()


def _require_ids(*ids: str) -> None:
    for each in ids:
        if not ID.fullmatch(each):
            raise RefusedRequest(f"{each[:80]!r} is no id of a session or visitor")
