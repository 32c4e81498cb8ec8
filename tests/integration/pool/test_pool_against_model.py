"""The pool on a real Valkey against a plain model, under random histories with repeated and concurrent requests."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from datetime import timedelta
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from callrouter.pool.coalesce import RedisClient
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.entries import parse_entries
from callrouter.pool.keys import log_key, pool_slot
from callrouter.pool.live import milliseconds
from callrouter.pool.store import LeaseStore, Lifetimes
from tests.integration.pool.visitors import NOON, numbers, visit

NUMBERS = 4
AFFINITY = Lifetimes().affinity
VISITORS = [f"v{place}" for place in range(6)]
HOLD = timedelta(minutes=10)
GAP = timedelta(minutes=30)
REST = timedelta(minutes=2)
_pools = itertools.count(1)


class Held:
    """A number as the model sees it. Times in minutes since noon, all of them whole."""

    def __init__(self) -> None:
        self.session = self.visitor = ""
        self.account = 0
        self.started = self.expires = 0
        self.leased = False
        self.ended: int | None = None
        self.pinned = 0
        self.calls: set[str] = set()
        self.disabled = False

    def holds(self, now: int) -> bool:
        return self.leased and now < self.expires

    def settle(self, now: int) -> tuple[int, int] | None:
        """End the lease if it has run out; returns it."""
        if self.leased and now >= self.expires:
            self.leased, self.ended = False, self.expires
            return (self.started, self.expires)
        return None

    def open_from(self) -> int:
        rested = self.ended + REST // timedelta(minutes=1) if self.ended is not None else 0
        return max(self.pinned, rested)


class PoolMachine(RuleBasedStateMachine):
    client: ClassVar[RedisClient]
    runner: ClassVar[asyncio.Runner]

    def __init__(self) -> None:
        super().__init__()
        self.store = LeaseStore(self.client, lifetimes=Lifetimes(rest=REST))
        self.slot = pool_slot(next(_pools))
        self.now = 0
        self.model = {number: Held() for number in numbers(NUMBERS)}
        self.history: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self.visits: dict[str, tuple[str, int]] = {}
        self.last_number: dict[str, str] = {}
        self.sequence = itertools.count(1)
        self.last: tuple[str, str, int] | None = None

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    @property
    def moment(self) -> Any:
        return NOON + timedelta(minutes=self.now)

    def settle(self) -> None:
        for number, held in self.model.items():
            if over := held.settle(self.now):
                self.history[number].append(over)

    def end(self, number: Any) -> None:
        held = self.model[number]
        self.history[number].append((held.started, self.now))
        held.leased, held.ended = False, self.now

    @initialize()
    def load(self) -> None:
        assert self.run(self.store.load_numbers(self.slot, dict.fromkeys(self.model, True), now=self.moment)) == NUMBERS

    @rule(minutes=st.integers(min_value=1, max_value=25))
    def time_passes(self, minutes: int) -> None:
        self.last = None  # a repeated request comes at once or not at all
        self.now += minutes
        self.settle()

    @rule(who=st.sampled_from(VISITORS))
    def hit(self, who: str) -> None:
        self.ask(f"s{next(self.sequence)}", who, account=2 + VISITORS.index(who) % 2)

    @precondition(lambda self: self.last is not None)
    @rule()
    def the_same_request_arrives_again(self) -> None:
        assert self.last
        before = self.snapshot()
        self.ask(*self.last)
        assert self.snapshot() == before

    def snapshot(self) -> dict[str, tuple[str, int, bool]]:
        return {number: (held.session, held.started, held.leased) for number, held in self.model.items()}

    def ask(self, request: str, who: str, account: int) -> None:
        allocation = self.run(
            self.store.allocate(self.slot, visit(request, who, account=account), hold=HOLD, gap=GAP, now=self.moment)
        )
        session, seen = self.visits.get(who, ("", -1000))
        continues = self.now < seen + GAP // timedelta(minutes=1)
        expected = session if continues and session else request
        if self.last and self.last[0] == request:
            expected = session
        assert allocation.session == expected
        self.visits[who] = (expected, self.now)
        own = [number for number, held in self.model.items() if held.holds(self.now) and held.visitor == who]
        assert len(own) <= 1
        if own and self.model[own[0]].session == expected:
            assert (allocation.outcome, allocation.number) == ("kept", own[0])
        else:
            if own:
                self.end(own[0])  # his earlier visit's
            self.check_choice(allocation, who, account)
        if allocation.number:
            self.last_number[who] = allocation.number
            held = self.model[allocation.number]
            if allocation.outcome == "leased":
                held.started = self.now
            held.session, held.visitor, held.account, held.leased = expected, who, account, True
            held.expires = self.now + HOLD // timedelta(minutes=1)
        self.last = (request, who, account)

    def check_choice(self, allocation: Any, who: str, account: int) -> None:
        free = {number: held for number, held in self.model.items() if not held.leased and not held.disabled}
        his = [number for number, held in free.items() if held.visitor == who]
        open_to_all = {number: held.open_from() for number, held in free.items() if held.open_from() <= self.now}
        idle = {number: self.idle(free[number]) for number in open_to_all}
        of_account = {number: since for number, since in idle.items() if free[number].account == account}
        if allocation.outcome == "overflow":
            assert not open_to_all
            assert allocation.number is None
            return
        assert allocation.outcome == "leased"
        known = self.last_number.get(who)
        if known in his or known in open_to_all:
            assert allocation.number == known, "the number that this visitor had last is free"
            return
        assert allocation.number in open_to_all
        ours, longest = max(of_account.values(), default=None), max(idle.values())
        affine = ours is not None and longest <= AFFINITY * ours
        assert idle[allocation.number] == (ours if affine else longest)
        assert not affine or allocation.number in of_account

    def idle(self, held: Held) -> float:
        return self.now - held.ended if held.ended is not None else float("inf")

    @rule(who=st.sampled_from(VISITORS), closed=st.booleans())
    def sign_of_life(self, who: str, closed: bool) -> None:
        self.last = None
        session, seen = self.visits.get(who, ("s0", -1000))
        renewal = self.run(self.store.renew(self.slot, session, hold=HOLD, gap=GAP, closed=closed, now=self.moment))
        if self.now >= seen + GAP // timedelta(minutes=1):
            assert renewal.outcome == "over"
            return
        self.visits[who] = (session, self.now)
        own = [n for n, held in self.model.items() if held.holds(self.now) and held.session == session]
        if own:
            assert (renewal.outcome, renewal.number) == ("live", own[0])
            self.model[own[0]].expires = self.now + HOLD // timedelta(minutes=1)
        else:
            assert renewal.outcome in ("lost", "bare")

    @rule(who=st.sampled_from(VISITORS))
    def gives_back(self, who: str) -> None:
        self.last = None
        session, _ = self.visits.get(who, ("s0", 0))
        own = [n for n, held in self.model.items() if held.holds(self.now) and held.session == session]
        assert self.run(self.store.release(self.slot, session, now=self.moment)) == (own[0] if own else None)
        assert self.run(self.store.release(self.slot, session, now=self.moment)) is None
        if own:
            self.end(own[0])

    @rule(number=st.sampled_from(numbers(NUMBERS)), call=st.sampled_from(["c1", "c2"]))
    def call_comes(self, number: Any, call: str) -> None:
        self.run(self.store.call_started(self.slot, number, call, now=self.moment))
        held = self.model[number]
        held.calls.add(call)
        held.pinned = self.now + 240

    @rule(number=st.sampled_from(numbers(NUMBERS)), call=st.sampled_from(["c1", "c2"]))
    def call_ends(self, number: Any, call: str) -> None:
        held = self.model[number]
        if call not in held.calls:
            return
        self.run(self.store.call_ended(self.slot, number, call, hold=HOLD, now=self.moment))
        held.calls.discard(call)
        if not held.calls:
            held.pinned = self.now + HOLD // timedelta(minutes=1)

    @rule(number=st.sampled_from(numbers(NUMBERS)))
    def switched(self, number: Any) -> None:
        self.last = None
        held = self.model[number]
        if held.holds(self.now) and not held.disabled:
            self.end(number)
        held.disabled = not held.disabled
        wanted = {each: not other.disabled for each, other in self.model.items()}
        assert self.run(self.store.load_numbers(self.slot, wanted, now=self.moment)) == 1
        assert self.run(self.store.load_numbers(self.slot, wanted, now=self.moment)) == 0

    @rule()
    def sweeps(self) -> None:
        self.run(self.store.sweep(self.slot, now=self.moment))

    @invariant()
    def nothing_leaks(self) -> None:
        occupancy = self.run(self.store.occupancy(self.slot))
        if occupancy.numbers:
            aside = sum(held.disabled for held in self.model.values())
            assert occupancy.free + occupancy.leased + aside == NUMBERS

    def teardown(self) -> None:
        self.now += 1000
        self.settle()
        self.run(self.store.sweep(self.slot, now=self.moment))
        told: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for name, fields in self.run(self.client.execute_command("XRANGE", log_key(self.slot), "-", "+")):
            for entry in parse_entries(name, fields):
                if entry.kind == "lease_ended":
                    times = (entry.number_of("b"), entry.number_of("x"))
                    start, end = ((time - milliseconds(NOON)) // 60000 for time in times)
                    told[entry["n"]].append((start, end))
        for number, leases in told.items():
            assert all(a[1] <= b[0] for a, b in itertools.pairwise(leases)), f"{number} was leased twice at once"
        assert {n: v for n, v in told.items() if v} == {n: v for n, v in self.history.items() if v}


async def _client(url: str) -> RedisClient:
    return open_client(url)


def test_no_history_of_requests_leases_a_number_twice_or_loses_one(valkey_url: str) -> None:
    with asyncio.Runner() as runner:
        PoolMachine.runner = runner
        PoolMachine.client = runner.run(_client(valkey_url))
        try:
            run_state_machine_as_test(
                PoolMachine,
                settings=settings(max_examples=60, stateful_step_count=40, deadline=None, report_multiple_bugs=False),
            )
        finally:
            runner.run(close_client(PoolMachine.client))
