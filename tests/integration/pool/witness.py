"""What the machine stands on: a world's pools on a real Valkey, a plain model beside each, and how they are compared.

Knows how a page's desk asks, and what an answer must be by the model; knows no rules of the machine.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

from hypothesis.stateful import RuleBasedStateMachine

from callrouter.numbers import Number
from callrouter.pool.choice import NO_POOL, lease_from, pools_in_order
from callrouter.pool.coalesce import RedisClient
from callrouter.pool.directory import Directory, NumberEntry, PoolChoice, Site
from callrouter.pool.keys import Slot, pool_slot
from callrouter.pool.live import Allocation, milliseconds
from callrouter.pool.store import Change, LeaseStore, Lifetimes, StaleInventory
from callrouter.pool.sweeper import load_pools
from tests.integration.pool.model import Expected, Hit, PlainPool, Term
from tests.integration.pool.plain_inventory import load
from tests.integration.pool.telling import agree, asked_about
from tests.integration.pool.visitors import NOON, visit
from tests.integration.pool.worlds import ENDS, GAP, HOLD, NUMBERS, REST, World

T = TypeVar("T")

_pools = itertools.count(1)


class Witness(RuleBasedStateMachine):
    client: ClassVar[RedisClient]
    runner: ClassVar[asyncio.Runner]
    tried: ClassVar[int] = 0
    """Histories, of this process."""

    def __init__(self) -> None:
        super().__init__()
        self.store = LeaseStore(self.client, lifetimes=Lifetimes(rest=timedelta(milliseconds=REST)))
        self.now = milliseconds(NOON)
        self.anybody = True
        self.requests = itertools.count(1)
        self.strangers = itertools.count(1)
        self.at: dict[tuple[int, str], str] = {}
        """The pool that a site's visitor was answered from last: his token names it."""
        self.repeatable: Hit | None = None
        self.late: list[Hit] = []

    def furnish(self, world: World) -> None:
        Witness.tried += 1
        self.world = world
        self.ids = {name: next(_pools) for name in sorted(world.shares)}
        self.names = {pool: name for name, pool in self.ids.items()}
        self.version = 0
        self.slots = {name: pool_slot(pool) for name, pool in self.ids.items()}
        self.models = {name: PlainPool(rest=REST) for name in world.shares}
        self.shares = {name: dict.fromkeys(share, True) for name, share in world.shares.items()}
        self.reload()

    def pool(self, which: bool) -> str:
        """The name of the first or the last."""
        return sorted(self.shares)[-1 if which else 0]

    def has_one_pool(self, hit: Hit) -> bool:
        return len(self.world.choices[hit.site]) == 1

    @property
    def moment(self) -> datetime:
        return NOON + timedelta(milliseconds=self.now - milliseconds(NOON))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

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

    def wait(self, at: str, term: Term | None) -> None:
        if term and at in ENDS and not self.anybody:
            self.now = max(self.now, ENDS[at](term))

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
            pools=tuple(PoolChoice(pool=self.ids[name]) for name in self.world.choices[hit.site]),
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

    def tell_alive(
        self, name: str, session: str, *, page: bool = False, request: str = "", closed: bool = False
    ) -> None:
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

    def look_up(self, numbers: list[Number]) -> None:
        """Who has each number, and who had it, is what the models say."""
        for name, model in self.models.items():
            model.settle(self.now)
            found = self.run(asked_about(self.store, self.slots[name], self.ids[name], numbers, self.moment))
            for number, live in found.items():
                agree(live, model, number)

    def somebody(self, place: int) -> tuple[int, str]:
        """A site's visitor: one of those who have a number, as a rule, or had one; else one who was never seen."""
        everybody = self.world.everybody
        if self.anybody:
            return everybody[place % len(everybody)]
        holding = [(term.site, term.visitor) for model in self.models.values() for term in model.leased().values()]
        seen = [*holding, *self.at]
        return seen[place % len(seen)] if seen else everybody[0]

    def term_of(self, site: int, who: str) -> Term | None:
        name, session = self.visit_of(site, who)
        return self.models[name].term_of(session)

    def visit_of(self, site: int, who: str) -> tuple[str, str]:
        name = self.at.get((site, who), self.world.choices[site][0])
        return name, self.models[name].latest.get((site, who), "nobody")

    async def is_refused(self, slot: Slot, version: int) -> bool:
        try:
            await self.store.change_numbers(slot, [Change(NUMBERS[0], "-")], version=version, now=self.moment)
        except StaleInventory:
            return True
        return False

    def sweep_all(self) -> None:
        for name, slot in self.slots.items():
            while self.run(self.store.sweep_some(slot, limit=100, now=self.moment))[2]:
                pass
            self.models[name].settle(self.now)
