"""Random histories of two pools on a real Valkey, each answer held against the plain model (`model`).

Visits, pages, signs of life, calls, the inventory, repeated requests, clocks that jump, emptied script caches and
sweeps, in any order. Knows the store's public operations only, so that how it keeps its data may change.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from callrouter.numbers import Number
from callrouter.pool.choice import NO_POOL, lease_from, pools_in_order
from callrouter.pool.coalesce import RedisClient
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.directory import Directory, NumberEntry, PoolChoice, Site
from callrouter.pool.keys import Slot, pool_slot
from callrouter.pool.live import Allocation, milliseconds
from callrouter.pool.store import Change, LeaseStore, Lifetimes, StaleInventory
from callrouter.pool.sweeper import load_pools
from tests.integration.pool.model import MINUTE, Expected, Hit, PlainPool, Term
from tests.integration.pool.plain_inventory import load
from tests.integration.pool.telling import agree, asked_about, ended_leases
from tests.integration.pool.visitors import NOON, numbers, visit

T = TypeVar("T")

VISITORS = [f"v{place}" for place in range(6)]
SITES = {1: 2, 2: 3}
"""Site → account."""
CHOICES = {1: ("a", "b"), 2: ("b",)}
"""Which pools a site's visitors are given a number of, in order."""
NUMBERS = numbers(6)
SHARES = {"a": NUMBERS[:3], "b": NUMBERS[3:5]}
HOLD, GAP, REST = 10 * MINUTE, 30 * MINUTE, 2 * MINUTE
SPANS = [1_000, 5_000, 15_000, MINUTE, 2 * MINUTE, 3 * MINUTE, 5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 30 * MINUTE]
"""Chosen so that sums of them fall on the very end of holds, rests and visits."""
HOW = st.fixed_dictionaries(
    {
        "campaign": st.sampled_from(["", "", "x", "y"]),
        "wants": st.sampled_from([True, True, True, False]),
        "policy": st.sampled_from(["fallback", "nearest_end"]),
        "rest": st.sampled_from([0, 0, 5 * MINUTE]),
        "counts": st.sampled_from([True, True, False]),
    }
)
ENDS: dict[str, Callable[[Term], int]] = {
    "before its end": lambda term: term.expires - 1,
    "at its end": lambda term: term.expires,
    "when it was to end at first": lambda term: term.began + HOLD,
}
WHEN = st.sampled_from(["now", "now", *ENDS])
"""When somebody does something, by his lease."""
PLACE = st.integers(min_value=0, max_value=30)
"""Whose turn it is of those who are there."""
EVERYBODY = [(site, who) for who in VISITORS for site in sorted(SITES)]
_pools = itertools.count(1)

LONG = int(os.environ.get("CALLROUTER_TEST_EXAMPLES", "0"))
"""How many histories are tried; docs/concepts/guarantees.md."""


def profile(examples: int, *, steps: int = 40, shrink: bool = True) -> settings:
    phases = [Phase.explicit, Phase.generate, *([Phase.shrink] if shrink else [])]
    return settings(
        max_examples=LONG or examples, stateful_step_count=steps, deadline=None, report_multiple_bugs=False,
        derandomize=not LONG, database=None, phases=phases, suppress_health_check=list(HealthCheck), print_blob=False,
    )  # fmt: skip


class PoolMachine(RuleBasedStateMachine):
    client: ClassVar[RedisClient]
    runner: ClassVar[asyncio.Runner]

    def __init__(self) -> None:
        super().__init__()
        self.store = LeaseStore(self.client, lifetimes=Lifetimes(rest=timedelta(milliseconds=REST)))
        self.ids = {name: next(_pools) for name in sorted(SHARES)}
        self.names = {pool: name for name, pool in self.ids.items()}
        self.version = 0
        self.slots = {name: pool_slot(pool) for name, pool in self.ids.items()}
        self.models = {name: PlainPool(rest=REST) for name in SHARES}
        self.shares = {name: dict.fromkeys(share, True) for name, share in SHARES.items()}
        self.now = milliseconds(NOON)
        self.anybody = True
        self.requests = itertools.count(1)
        self.at: dict[tuple[int, str], str] = {}
        """The pool that a site's visitor was answered from last: his token names it."""
        self.repeatable: Hit | None = None
        self.late: list[Hit] = []

    @property
    def moment(self) -> datetime:
        return NOON + timedelta(milliseconds=self.now - milliseconds(NOON))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    @initialize(anybody=st.booleans())
    def the_inventory_is_loaded(self, anybody: bool) -> None:
        """`anybody`: whoever acts, at any time; else those who have a number, and at the ends of their leases.

        Some faults take a crowd and a full pool, others one lease and a moment.
        """
        self.anybody = anybody
        self.reload()

    def directory(self) -> Directory:
        entries = [
            NumberEntry(number=number, account=1, pool=self.ids[name], active=used)
            for name, share in self.shares.items()
            for number, used in share.items()
        ]
        return Directory(numbers=tuple(entries), pools=tuple(self.ids.values()), version=self.version)

    def reload(self) -> None:
        """As a process does that reads a new inventory, and one that read it too."""
        self.version += 1
        wanted = {name: {str(number): used for number, used in share.items()} for name, share in self.shares.items()}
        load(self.models, wanted, self.now)
        directory = self.directory()
        self.run(load_pools(self.store, directory, now=self.moment))
        assert self.run(load_pools(self.store, directory, now=self.moment)) == 0

    # Time

    @rule(span=st.sampled_from(SPANS))
    def time_passes(self, span: int) -> None:
        self.now += span

    @rule(span=st.sampled_from(SPANS))
    def the_clock_is_set_back(self, span: int) -> None:
        self.sweep_all()
        self.now -= span

    @rule(days=st.sampled_from([1, 29, 400]))
    def the_clock_jumps_ahead(self, days: int) -> None:
        self.now += days * 24 * 60 * MINUTE

    def wait(self, at: str, term: Term | None) -> None:
        if term and at in ENDS and not self.anybody:
            self.now = max(self.now, ENDS[at](term))

    @rule()
    def the_script_cache_is_emptied(self) -> None:
        self.run(_flush_scripts(self.client))

    # Pages

    @rule(who=st.sampled_from(VISITORS), site=st.sampled_from(sorted(SITES)), how=HOW)
    def a_page_is_opened(self, who: str, site: int, how: dict[str, Any]) -> None:
        request = f"s{next(self.requests)}"
        hit = Hit(request=request, visitor=who, site=site, account=SITES[site], hold=HOLD, gap=GAP, **how)
        self.ask(hit)
        self.repeatable = hit
        self.late = [*self.late, hit][-8:]

    @rule(place=PLACE, at=WHEN, how=HOW)
    def a_visitor_opens_another_page(self, place: int, at: str, how: dict[str, Any]) -> None:
        site, who = self.somebody(place)
        self.wait(at, self.term_of(site, who))
        self.a_page_is_opened(who, site, how)

    @precondition(lambda self: self.repeatable is not None)
    @rule(times=st.integers(min_value=1, max_value=3))
    def the_same_request_arrives_again(self, times: int) -> None:
        for _ in range(times):
            assert self.repeatable
            self.ask(self.repeatable)

    @precondition(lambda self: any(len(CHOICES[hit.site]) == 1 for hit in self.late))
    @rule(place=st.integers(min_value=0, max_value=7))
    def an_earlier_request_arrives_again(self, place: int) -> None:
        hits = [hit for hit in self.late if len(CHOICES[hit.site]) == 1]
        self.ask(hits[place % len(hits)])

    @precondition(lambda self: self.repeatable is not None and len(CHOICES[self.repeatable.site]) == 1)
    @rule(who=st.sampled_from(VISITORS), how=HOW)
    def somebody_else_uses_a_request_of_another(self, who: str, how: dict[str, Any]) -> None:
        hit = self.repeatable
        assert hit
        self.ask(Hit(request=hit.request, visitor=who, site=hit.site, account=hit.account, hold=HOLD, gap=GAP, **how))

    def ask(self, hit: Hit) -> None:
        """As a page's desk does it: the pool that his token names first, then the others in order."""
        known = self.at.get((hit.site, hit.visitor))
        site = self.site(hit)
        pools = pools_in_order(site, known=self.ids[known] if known else NO_POOL)
        name, expected = self.expected([self.names[pool] for pool in pools], hit)
        opened = visit(hit.request, hit.visitor, account=hit.account, site=hit.site)
        pool, told = self.run(
            lease_from(
                self.store, self.directory(), site, pools, opened, campaign=hit.campaign, wants_number=hit.wants,
                counts=hit.counts, now=self.moment,
            )
        )  # fmt: skip
        assert (self.names[pool], told.outcome) == (name, expected.outcome)
        self.at[hit.site, hit.visitor] = name
        self.check(self.models[name], hit, expected, told)

    def site(self, hit: Hit) -> Site:
        hold, gap, rest = (timedelta(milliseconds=span) for span in (hit.hold, hit.gap, hit.rest))
        return Site(
            id=hit.site, account=hit.account, hold=hold, gap=gap, rest=rest,
            overflow="nearest_end" if hit.policy == "nearest_end" else "fallback",
            pools=tuple(PoolChoice(pool=self.ids[name]) for name in CHOICES[hit.site]),
        )  # fmt: skip

    def expected(self, names: list[str], hit: Hit) -> tuple[str, Expected]:
        if len(names) > 1 and hit.wants:
            policies = ["fallback", "nearest_end"] if hit.policy == "nearest_end" else ["fallback"]
            for policy, name in itertools.product(policies, names):
                expected = self.models[name].expect(replace(hit, policy=policy), self.now, trial=True)
                if expected.outcome != "empty":
                    return name, expected
        return names[0], self.models[names[0]].expect(hit, self.now)

    def check(self, model: PlainPool, hit: Hit, expected: Expected, told: Allocation) -> None:
        if told.outcome == "foreign":
            return
        assert (told.session, told.new, told.pages) == (expected.session, expected.new, expected.pages)
        number = str(told.number) if told.number else None
        assert number in expected.numbers if expected.numbers else number is None, (number, expected)
        model.accept(hit, expected, number, self.now)
        if term := model.term_of(expected.session) if number else None:
            assert told.expires_at
            assert (milliseconds(told.expires_at), term.number) == (term.expires, number)

    # Signs of life

    @rule(place=PLACE, at=WHEN, closed=st.booleans(), page=st.booleans(), times=st.integers(min_value=1, max_value=2))
    def a_page_is_alive(self, *, place: int, at: str, closed: bool, page: bool, times: int) -> None:
        self.wait(at, self.term_of(*(somebody := self.somebody(place))))
        name, session = self.visit_of(*somebody)
        request = f"r{next(self.requests)}"
        for _ in range(times):
            expected = self.models[name].renew(
                session, self.now, hold=HOLD, gap=GAP, page=page, request=request, closed=closed
            )
            told = self.run(
                self.store.renew(
                    self.slots[name], session, request=request, hold=timedelta(milliseconds=HOLD),
                    gap=timedelta(milliseconds=GAP), page="/next" if page else None, closed=closed, now=self.moment,
                )
            )  # fmt: skip
            expires = milliseconds(told.expires_at) if told.expires_at else None
            assert (told.outcome, told.number, expires, told.pages) == expected

    @rule(place=PLACE, at=WHEN)
    def a_number_is_given_back(self, place: int, at: str) -> None:
        self.wait(at, self.term_of(*(somebody := self.somebody(place))))
        name, session = self.visit_of(*somebody)
        for _ in range(2):
            expected = self.models[name].release(session, self.now)
            assert self.run(self.store.release(self.slots[name], session, now=self.moment)) == expected

    def somebody(self, place: int) -> tuple[int, str]:
        """A site's visitor: one of those who have a number, as a rule, or had one; else one who was never seen."""
        if self.anybody:
            return EVERYBODY[place % len(EVERYBODY)]
        holding = [(term.site, term.visitor) for model in self.models.values() for term in model.leased().values()]
        seen = [*holding, *self.at]
        return seen[place % len(seen)] if seen else (1, VISITORS[0])

    def term_of(self, site: int, who: str) -> Term | None:
        name, session = self.visit_of(site, who)
        return self.models[name].term_of(session)

    def visit_of(self, site: int, who: str) -> tuple[str, str]:
        name = self.at.get((site, who), CHOICES[site][0])
        return name, self.models[name].latest.get((site, who), "nobody")

    # Calls

    @rule(number=st.sampled_from(NUMBERS), call=st.sampled_from(["c1", "c2"]))
    def a_call_comes(self, number: Number, call: str) -> None:
        for name in SHARES:
            if number in self.models[name].members:
                self.models[name].call_started(number, call, self.now)
                self.run(self.store.call_started(self.slots[name], number, call, now=self.moment))

    @rule(number=st.sampled_from(NUMBERS), call=st.sampled_from(["c1", "c2"]), times=st.integers(1, 2))
    def a_call_ends(self, number: Number, call: str, times: int) -> None:
        for name in SHARES:
            for _ in range(times):
                expected = self.models[name].call_ended(number, call, self.now, hold=HOLD)
                hold = timedelta(milliseconds=HOLD)
                told = self.run(self.store.call_ended(self.slots[name], number, call, hold=hold, now=self.moment))
                assert told == expected

    @rule()
    def all_holders_are_looked_up(self) -> None:
        for name, model in self.models.items():
            model.settle(self.now)
            found = self.run(asked_about(self.store, self.slots[name], self.ids[name], NUMBERS, self.moment))
            for number, live in found.items():
                agree(live, model, number)

    # The inventory

    @rule(name=st.sampled_from(sorted(SHARES)), place=st.integers(min_value=0, max_value=5))
    def a_number_is_switched(self, name: str, place: int) -> None:
        share = self.shares[name]
        if share:
            number = sorted(share)[place % len(share)]
            share[number] = not share[number]
            self.reload()

    @rule(number=st.sampled_from(NUMBERS), to=st.sampled_from([None, "a", "b"]))
    def a_number_is_moved(self, number: Number, to: str | None) -> None:
        """Added if it was nowhere."""
        used = any(share.pop(number, False) for share in self.shares.values()) or number not in SHARES["a"]
        if to:
            self.shares[to][number] = used
        self.reload()

    @rule()
    def an_older_inventory_is_loaded_by_a_slow_process(self) -> None:
        if self.version > 1:
            for slot in self.slots.values():
                assert self.run(self.is_refused(slot, self.version - 1))

    async def is_refused(self, slot: Slot, version: int) -> bool:
        try:
            await self.store.change_numbers(slot, [Change(NUMBERS[0], "-")], version=version, now=self.moment)
        except StaleInventory:
            return True
        return False

    # Sweeps

    @rule(limit=st.sampled_from([1, 2, 100]), name=st.sampled_from(sorted(SHARES)))
    def the_sweeper_comes(self, limit: int, name: str) -> None:
        leases, visits = self.run(self.store.sweep(self.slots[name], limit=limit, now=self.moment))
        assert max(leases, visits) <= limit

    @rule(place=PLACE, at=WHEN)
    def the_sweeper_comes_for_all(self, place: int, at: str) -> None:
        self.wait(at, self.term_of(*self.somebody(place)))
        self.sweep_all()
        for name, model in self.models.items():
            occupancy = self.run(self.store.occupancy(self.slots[name]))
            counted = (occupancy.numbers, occupancy.leased, occupancy.free)
            assert counted == (len(model.members), len(model.leased()), len(model.free()))

    def sweep_all(self) -> None:
        for name, slot in self.slots.items():
            while self.run(self.store.sweep_some(slot, limit=100, now=self.moment))[2]:
                pass
            self.models[name].settle(self.now)

    # What holds after every step

    @invariant()
    def a_session_has_one_number_of_a_pool_at_most(self) -> None:
        for model in self.models.values():
            holders = [term.session for term in model.leased().values()]
            assert len(holders) == len(set(holders))

    def teardown(self) -> None:
        """History tells the leases of each number as the model knows them, in order, without overlap."""
        if sys.exc_info()[0]:  # a step has failed: that is what is told
            return
        self.all_holders_are_looked_up()
        self.now += 4000 * MINUTE
        self.sweep_all()
        for name, model in self.models.items():
            told = self.run(ended_leases(self.client, self.slots[name]))
            assert {number: leases for number in NUMBERS if (leases := model.told(number))} == told
            for leases in told.values():
                assert all((a.ended or 0) <= b.began for a, b in itertools.pairwise(leases))
            assert not model.leased()


async def _flush_scripts(client: RedisClient) -> None:
    await client.execute_command("SCRIPT", "FLUSH")


async def _open(url: str) -> RedisClient:
    return open_client(url)


def run_machine(url: str, how: settings, machine: type[PoolMachine] = PoolMachine) -> None:
    """Try random histories on the server at `url`; fails with the steps that went wrong."""
    with asyncio.Runner() as runner:
        machine.runner = runner
        machine.client = runner.run(_open(url))
        try:
            run_state_machine_as_test(machine, settings=how)
        finally:
            runner.run(close_client(machine.client))
