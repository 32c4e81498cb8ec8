"""A world happens to a real lease store: everything in order by a virtual clock, many operations under way at once.

Replies are waited for only where something depends on them: a call, or a page whose number another visitor may have
taken. Nothing here knows what the pool decides; what pages and telephones do was decided by the world.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from callrouter.numbers import Number
from callrouter.pool.live import Allocation, Renewal
from callrouter.pool.simulation.calling import PlannedCall, robots_before, strangers
from callrouter.pool.simulation.dispatch import Dispatcher
from callrouter.pool.simulation.exchange import Exchange
from callrouter.pool.simulation.judges import Judge
from callrouter.pool.simulation.ledger import Ledger
from callrouter.pool.simulation.premises import Premises
from callrouter.pool.simulation.truth import OWN_NUMBER, Heard, Truth
from callrouter.pool.simulation.visitors import PlannedVisit, might_call, visits
from callrouter.pool.simulation.world import HOUR, MINUTE, World
from callrouter.pool.store import VISIT_GAP, OverflowPolicy
from callrouter.sessions.model import TrafficSource, Visit

MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
"""When worlds begin."""
BATCH = 256
"""Operations under way at once."""
APART = 1_000_003
"""Seeds of a run's sets of calls, so that no two runs have one in common."""
STRICT_BATCH = 8
"""The same where a visitor's number may be taken from him, and his page has to hear of it."""
SAMPLED_EVERY = 10 * MINUTE
TIDIED_EVERY = 6 * HOUR
SWEEP_LIMIT = 20000
DIRECT = TrafficSource(channel="direct", source="(direct)", medium="(none)")
GAP = VISIT_GAP.total_seconds()


Progress = Callable[[float], None]
"""Told the share of the world's time that is over."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """How the pool is run."""

    numbers: int
    hold: timedelta = timedelta(minutes=30)
    overflow: OverflowPolicy = "fallback"
    strict: bool = False
    """Numbers may be taken from visitors who are there: hear of it soon."""
    more_calls: int = 0
    """Further sets of calls, by the same visitors and by strangers, that might have come: the leases are as without
    them, for they pin no number, and each set knows its own callers only."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in the counted days."""

    setting: Setting
    calls: list[Heard]
    ledger: Ledger


class _Session(msgspec.Struct):
    """The visit as the store knows it: known beforehand by rules §4, and checked against every reply."""

    id: str
    campaign: str
    seen: float


class _Page(msgspec.Struct):
    """A visit in front of somebody."""

    visit: PlannedVisit
    session: _Session
    told: int = 0
    """Signs given so far."""
    asked: int = 0
    """Requests so far, each with a name of its own."""
    overflowed: bool = False


_Kind = Literal["sign", "call", "stranger", "hangup", "sample", "tidy"]


class Runner:
    """One world, one pool, one run."""

    def __init__(self, place: Premises, world: World, setting: Setting, judges: Mapping[str, Judge]) -> None:
        self._place, self._store = place, place.store
        self._world, self._setting = world, setting
        self._hold = setting.hold.total_seconds()
        self._numbers = [Number(f"7495{index:07d}") for index in range(setting.numbers)]
        self._exchange = Exchange(place.store, place.slot, judges, setting.hold)
        self._truth = Truth()
        self._ledger = Ledger(world.counted_from)
        self._heard: list[Heard] = []
        self._due: list[tuple[float, int, _Kind, Any]] = []
        self._order = itertools.count()
        self._sessions: dict[tuple[int, str], _Session] = {}
        self._dispatch = Dispatcher(STRICT_BATCH if setting.strict else BATCH)
        self._now = 0.0
        self._sets: list[int] = []
        """A seed for each set of calls, the first of which is what happens."""

    async def run(self, seed: int, *, progress: Progress = lambda _share: None) -> Outcome:
        """From the first visit to the last call."""
        self._progress = progress
        await self._store.load_numbers(self._place.slot, dict.fromkeys(self._numbers, True), now=MONDAY)
        self._plan("sample", 0.0, None)
        self._plan("tidy", 0.0, None)
        self._sets = [seed + APART * place for place in range(1 + self._setting.more_calls)]
        for place, each in enumerate(self._sets):
            await self._begins(each)
            for call in strangers(self._world, each, numbers=len(self._numbers)):
                self._plan("stranger", call.at, (call, place))
        for visit in visits(self._world, seed, hold=self._hold):
            await self._until(visit.at)
            self._arrives(visit)
            await self._dispatch.go_on()
        await self._until(self._world.length)
        await self._dispatch.land()
        return Outcome(setting=self._setting, calls=self._heard, ledger=self._ledger)

    async def _begins(self, seed: int) -> None:
        """Robots are known from before."""
        for robot in robots_before(self._world, seed, numbers=len(self._numbers)):
            at = MONDAY + timedelta(seconds=robot.at)
            site = self._world.sites[0]
            visit = Visit(
                session=f"before-{robot.phone}", visitor=f"before-{robot.phone}", account=site.account,
                site=site.site, traffic=DIRECT, landing_page="/", referrer="", started_at=at, seen_at=at,
            )  # fmt: skip
            await self._exchange.knew(robot.phone, self._numbers[int(robot.line * len(self._numbers))], visit, at)

    # --- time ---------------------------------------------------------------------------------------------------------

    def _plan(self, kind: _Kind, at: float, what: Any) -> None:
        if at < self._world.length:
            heapq.heappush(self._due, (at, next(self._order), kind, what))

    async def _until(self, at: float) -> None:
        """All that is due before `at`, in order."""
        while self._due and self._due[0][0] <= at:
            self._now, _, kind, what = heapq.heappop(self._due)
            if kind == "sign":
                self._sign(what)
            elif kind == "hangup":
                self._hangs_up(*what)
            elif kind == "sample":
                self._sample()
            else:
                await self._dispatch.land()
                await self._pause(kind, what)
            await self._dispatch.go_on()
        self._now = at

    async def _pause(self, kind: _Kind, what: Any) -> None:
        """What needs all that happened before to be known."""
        if kind == "call":
            await self._rings(*what)
        elif kind == "stranger":
            call, place = what
            await self._heard_on(self._numbers[int(call.line * len(self._numbers))], call, pins=place == 0)
        else:
            await self._tidy()
            self._plan("tidy", self._now + TIDIED_EVERY, None)

    def _sample(self) -> None:
        at = self._now
        self._dispatch.note(lambda _: self._ledger.sample(at))
        self._progress(at / self._world.length)
        self._plan("sample", at + SAMPLED_EVERY, None)

    def _moment(self) -> datetime:
        return MONDAY + timedelta(milliseconds=int(self._now * 1000))

    # --- pages --------------------------------------------------------------------------------------------------------

    def _arrives(self, visit: PlannedVisit) -> None:
        self._ledger.visit(visit.at, bot=visit.bot)
        if visit.bot:
            return
        page = _Page(visit, self._session(visit, visit.campaign, visit.id))
        self._expect(visit)
        if visit.wants_number:
            self._ledger.wants(visit.at)
        self._ask(page, campaign=visit.campaign)
        self._next_sign(page)

    def _expect(self, visit: PlannedVisit) -> None:
        """The calls that this visit leads to, and those that it might have led to as well."""
        calls = [(call, 0) for call in visit.calls]
        if visit.wants_number:
            for place, seed in enumerate(self._sets[1:], start=1):
                calls += [(call, place) for call in might_call(self._world, seed, visit)]
        for call, place in calls:
            self._plan("call", call.at, (visit, call, place))
        if calls:
            self._truth.expect(visit)

    def _session(self, visit: PlannedVisit, campaign: str, proposed: str) -> _Session:
        """The visitor's visit goes on, or a new one begins."""
        key = (visit.site, visit.visitor)
        session = self._sessions.get(key)
        if session is None or self._now >= session.seen + GAP or campaign not in ("", session.campaign):
            session = self._sessions[key] = _Session(proposed, campaign, self._now)
        session.seen = self._now
        return session

    def _next_sign(self, page: _Page) -> None:
        if page.told < len(page.visit.signs):
            self._plan("sign", page.visit.signs[page.told].at, page)

    def _sign(self, page: _Page) -> None:
        kind = page.visit.signs[page.told].kind
        page.told += 1
        self._next_sign(page)
        if kind == "page":
            self._ask(page)
        elif self._now < page.session.seen + GAP:
            gone = self._now >= page.session.seen + self._hold
            page.session.seen = self._now
            self._renew(page, closed=kind == "closed", ask_again=kind == "alive" and not gone)
            if gone and kind == "alive":
                self._ask(page, counts=False)
        elif kind == "alive":
            self._ask(page, counts=False)

    def _ask(self, page: _Page, *, campaign: str = "", counts: bool = True) -> None:
        visit = page.visit
        proposed = visit.id if page.asked == 0 else f"{visit.id}.{page.asked}"
        page.asked += 1
        if page.asked > 1:
            page.session = self._session(visit, campaign, proposed)
        at, session, moment = self._now, page.session.id, self._moment()
        facts = Visit(
            session=proposed, visitor=visit.visitor, account=visit.account, site=visit.site, traffic=DIRECT,
            landing_page="/", referrer="", started_at=moment, seen_at=moment, page="/",
        )  # fmt: skip
        operation = self._store.allocate(
            self._place.slot, facts, campaign=campaign, hold=self._setting.hold, wants_number=visit.wants_number,
            policy=self._setting.overflow, counts=counts, now=moment,
        )  # fmt: skip
        self._dispatch.send(operation, lambda reply: self._answered(page, at, session, reply))

    def _answered(self, page: _Page, at: float, session: str, reply: Allocation) -> None:
        if reply.session != session:
            raise RuntimeError(f"the store took {session} for {reply.session}, at {reply.at}")
        if not page.visit.wants_number:
            return
        if reply.number is None and not page.overflowed:
            page.overflowed = True
            self._ledger.overflows(page.visit.at)
        self._truth.shown(page.visit, reply.number, session)
        if reply.number is not None and reply.expires_at is not None:
            self._ledger.leased(at, reply.number, at + self._hold, new=reply.outcome == "leased")

    def _renew(self, page: _Page, *, closed: bool, ask_again: bool) -> None:
        at = self._now

        def told(reply: Renewal) -> None:
            if reply.number is not None:
                self._ledger.leased(at, reply.number, at + self._hold, new=False)
            elif reply.outcome == "lost" and ask_again:
                self._ask(page, counts=False)

        operation = self._store.renew(
            self._place.slot, page.session.id, hold=self._setting.hold, closed=closed, now=self._moment()
        )
        self._dispatch.send(operation, told)

    # --- telephones ---------------------------------------------------------------------------------------------------

    async def _rings(self, visit: PlannedVisit, call: PlannedCall, place: int) -> None:
        number = self._truth.dialled(visit, place)
        if number is not None:
            await self._heard_on(number, call, pins=place == 0)
        elif call.at >= self._world.counted_from:
            judged = dict.fromkeys(self._exchange.judges, OWN_NUMBER)
            self._heard.append(Heard(call=call, since=None, overflow=True, judged=judged))

    async def _heard_on(self, number: Number, call: PlannedCall, *, pins: bool) -> None:
        name = f"call-{next(self._order)}" if pins else ""
        true_session, since = self._truth.of(call, number), self._truth.since(call, number)
        judged, remembering = await self._exchange.rings(number, call, name, true_session, self._moment())
        if remembering is not None:
            self._dispatch.send(remembering)
        if pins:
            self._plan("hangup", self._now + call.talk, (number, name))
        if call.at >= self._world.counted_from:
            self._heard.append(Heard(call=call, since=since, overflow=False, judged=judged))

    def _hangs_up(self, number: Number, name: str) -> None:
        self._dispatch.send(self._exchange.hangs_up(number, name, self._moment()))

    # --- housekeeping -------------------------------------------------------------------------------------------------

    async def _tidy(self) -> None:
        """As the worker's sweeper does; and the server forgets by our clock what it would forget by its own."""
        await self._store.sweep(self._place.slot, limit=SWEEP_LIMIT, now=self._moment())
        kept = GAP + self._store.lifetimes.window.total_seconds()
        over = [key for key, session in self._sessions.items() if session.seen + kept <= self._now]
        await self._place.forget([self._sessions.pop(key).id for key in over])
