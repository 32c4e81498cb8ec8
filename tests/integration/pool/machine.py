"""Random histories of one or two pools on a real Valkey, each answer held against the plain model (`model`).

Visits, pages, signs of life, calls, the inventory, repeated requests, clocks that jump, emptied script caches and
sweeps, in any order, in one of several worlds (`worlds`). Knows the store's public operations only, so that how it
keeps its data may change. `trying` runs it.
"""

from __future__ import annotations

import itertools
import sys
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from callrouter.numbers import Number
from callrouter.pool.coalesce import RedisClient
from tests.integration.pool.model import MINUTE, Hit
from tests.integration.pool.telling import ended_leases
from tests.integration.pool.witness import Witness
from tests.integration.pool.worlds import GAP, HOLD, HOW, NUMBERS, PLACE, SITES, SPANS, WHEN, WORLDS, World


def large(machine: Witness) -> bool:
    return not machine.world.small


class PoolMachine(Witness):
    @initialize(world=WORLDS, anybody=st.booleans())
    def the_inventory_is_loaded(self, world: World, anybody: bool) -> None:
        """`anybody`: whoever acts, at any time; else those who have a number, and at the ends of their leases.

        Some faults take a crowd, some a full pool, others one lease and a moment.
        """
        self.anybody = anybody
        self.furnish(world)

    # Time

    @rule(span=st.sampled_from(SPANS))
    def time_passes(self, span: int) -> None:
        self.now += span

    @rule(span=st.sampled_from(SPANS))
    def the_clock_is_set_back(self, span: int) -> None:
        self.sweep_all()
        self.now -= span

    @rule(place=PLACE, by=st.sampled_from([-1, 0, 1]))
    def an_edge_of_time_is_reached(self, place: int, by: int) -> None:
        """The millisecond from which something may be that might not before, or the one before or after it."""
        edges = sorted({edge for model in self.models.values() for edge in model.edges(GAP) if edge > self.now})
        if edges:
            self.now = max(self.now, edges[place % len(edges)] + by)

    @precondition(large)
    @rule(days=st.sampled_from([1, 29, 400]))
    def the_clock_jumps_ahead(self, days: int) -> None:
        self.now += days * 24 * 60 * MINUTE

    @precondition(large)
    @rule()
    def the_script_cache_is_emptied(self) -> None:
        self.run(_flush_scripts(self.client))

    # Pages

    @rule(place=PLACE, how=HOW)
    def a_page_is_opened(self, place: int, how: dict[str, Any]) -> None:
        everybody = self.world.everybody
        self.open(*everybody[place % len(everybody)], how)

    def open(self, site: int, who: str, how: dict[str, Any]) -> None:
        request = f"s{next(self.requests)}"
        hit = Hit(request=request, visitor=who, site=site, account=SITES[site], hold=HOLD, gap=GAP, **how)
        self.ask(hit)
        self.repeatable = hit
        self.late = [*self.late, hit][-8:]

    @rule(place=PLACE, at=WHEN, how=HOW)
    def a_visitor_opens_another_page(self, place: int, at: str, how: dict[str, Any]) -> None:
        site, who = self.somebody(place)
        self.wait(at, self.term_of(site, who))
        self.open(site, who, how)

    @precondition(lambda self: self.repeatable is not None)
    @rule(times=st.integers(min_value=1, max_value=3))
    def the_same_request_arrives_again(self, times: int) -> None:
        for _ in range(times):
            assert self.repeatable
            self.ask(self.repeatable)

    @precondition(lambda self: any(self.has_one_pool(hit) for hit in self.late))
    @rule(place=st.integers(min_value=0, max_value=7))
    def an_earlier_request_arrives_again(self, place: int) -> None:
        hits = [hit for hit in self.late if self.has_one_pool(hit)]
        self.ask(hits[place % len(hits)])

    @precondition(lambda self: self.repeatable is not None and self.has_one_pool(self.repeatable))
    @rule(place=PLACE, how=HOW)
    def somebody_else_uses_a_request_of_another(self, place: int, how: dict[str, Any]) -> None:
        hit = self.repeatable
        assert hit
        _, who = self.world.everybody[place % len(self.world.everybody)]
        self.ask(Hit(request=hit.request, visitor=who, site=hit.site, account=hit.account, hold=HOLD, gap=GAP, **how))

    # Signs of life

    @rule(place=PLACE, at=WHEN, closed=st.booleans(), page=st.booleans(), times=st.integers(min_value=1, max_value=2))
    def a_page_is_alive(self, *, place: int, at: str, closed: bool, page: bool, times: int) -> None:
        self.wait(at, self.term_of(*(somebody := self.somebody(place))))
        name, session = self.visit_of(*somebody)
        request = f"r{next(self.requests)}"
        for _ in range(times):
            self.tell_alive(name, session, page=page, request=request, closed=closed)

    @rule(place=PLACE, at=WHEN)
    def a_number_is_given_back(self, place: int, at: str) -> None:
        self.wait(at, self.term_of(*(somebody := self.somebody(place))))
        name, session = self.visit_of(*somebody)
        for _ in range(2):
            expected = self.models[name].release(session, self.now)
            assert self.run(self.store.release(self.slots[name], session, now=self.moment)) == expected

    # Calls

    @rule(number=st.sampled_from(NUMBERS), call=st.sampled_from(["c1", "c2"]))
    def a_call_comes(self, number: Number, call: str) -> None:
        for name in self.models:
            if number in self.models[name].members:
                self.models[name].call_started(number, call, self.now)
                self.run(self.store.call_started(self.slots[name], number, call, now=self.moment))

    @rule(number=st.sampled_from(NUMBERS), call=st.sampled_from(["c1", "c2"]), times=st.integers(1, 2))
    def a_call_ends(self, number: Number, call: str, times: int) -> None:
        for name in self.models:
            for _ in range(times):
                expected = self.models[name].call_ended(number, call, self.now, hold=HOLD)
                hold = timedelta(milliseconds=HOLD)
                told = self.run(self.store.call_ended(self.slots[name], number, call, hold=hold, now=self.moment))
                assert told == expected

    @precondition(large)
    @rule()
    def all_holders_are_looked_up(self) -> None:
        self.look_up(NUMBERS)

    # The inventory

    @precondition(large)
    @rule(which=st.booleans(), place=st.integers(min_value=0, max_value=5))
    def a_number_is_switched(self, which: bool, place: int) -> None:
        share = self.shares[self.pool(which)]
        if share:
            number = sorted(share)[place % len(share)]
            share[number] = not share[number]
            self.reload()

    @precondition(large)
    @rule(number=st.sampled_from(NUMBERS), to=st.sampled_from([None, "a", "b"]))
    def a_number_is_moved(self, number: Number, to: str | None) -> None:
        """Added if it was nowhere."""
        used = any(share.pop(number, False) for share in self.shares.values()) or number not in self.world.shares["a"]
        if to:
            self.shares[to][number] = used
        self.reload()

    @precondition(large)
    @rule()
    def an_older_inventory_is_loaded_by_a_slow_process(self) -> None:
        if self.version > 1:
            for slot in self.slots.values():
                assert self.run(self.is_refused(slot, self.version - 1))

    # Sweeps

    @precondition(large)
    @rule(limit=st.sampled_from([1, 2, 100]), which=st.booleans())
    def the_sweeper_comes(self, limit: int, which: bool) -> None:
        leases, visits = self.run(self.store.sweep(self.slots[self.pool(which)], limit=limit, now=self.moment))
        assert max(leases, visits) <= limit

    @rule(place=PLACE, at=WHEN)
    def the_sweeper_comes_for_all(self, place: int, at: str) -> None:
        self.wait(at, self.term_of(*self.somebody(place)))
        self.sweep_all()
        for name, model in self.models.items():
            occupancy = self.run(self.store.occupancy(self.slots[name]))
            counted = (occupancy.numbers, occupancy.leased, occupancy.free)
            assert counted == (len(model.members), len(model.leased()), len(model.free()))

    # What holds after every step

    @invariant()
    def a_session_has_one_number_of_a_pool_at_most(self) -> None:
        for model in self.models.values():
            holders = [term.session for term in model.leased().values()]
            assert len(holders) == len(set(holders))

    @invariant()
    def holders_of_a_small_world_are_as_the_model_has_them(self) -> None:
        if self.world.small:
            self.look_up(self.world.shares["a"])

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
