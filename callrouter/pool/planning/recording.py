"""Who held which number when, written down while a simulation runs.

Knows the lease store's answers, not how it came to them.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from callrouter.numbers import Number
from callrouter.pool.keys import Slot
from callrouter.pool.live import Allocation, Renewal
from callrouter.pool.model import Lease
from callrouter.pool.store import LeaseStore
from callrouter.sessions.model import Visit

KEPT_LEASES = 8
"""Ended leases that the store keeps of a number."""
POOL = 1


class _Answer(msgspec.Struct, frozen=True):
    at: datetime
    session: str
    number: Number | None
    outcome: Literal["kept", "leased", "overflow", "sign"]
    facts: Visit | None = None
    """Of a hit: what the page proposed."""


class RecordingStore:
    """Answers what `store` answers, and keeps what pages were told."""

    def __init__(self, store: LeaseStore) -> None:
        self._store = store
        self.answers: list[_Answer] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def allocate(self, slot: Slot, visit: Visit, **settings: Any) -> Allocation:
        reply = await self._store.allocate(slot, visit, **settings)
        if reply.outcome in ("kept", "leased", "overflow"):
            self.answers.append(_Answer(reply.at, reply.session, reply.number, reply.outcome, visit))
        return reply

    async def renew(self, slot: Slot, session: str, **settings: Any) -> Renewal:
        reply = await self._store.renew(slot, session, **settings)
        if reply.number is not None:
            self.answers.append(_Answer(reply.at, session, reply.number, "sign"))
        return reply


class Held(msgspec.Struct):
    """A lease as it was in the end."""

    id: str
    number: Number
    visit: Visit
    session: str
    began: datetime
    signs: list[datetime]
    ended: datetime | None = None


class Showing(msgspec.Struct, frozen=True, gc=False):
    """From `at` on this page showed this number; None: the pool had none."""

    at: datetime
    number: Number | None
    session: str


class Record:
    """What a run left behind, to be asked about any moment of it."""

    def __init__(self, answers: list[_Answer], hold: timedelta) -> None:
        self._hold = hold
        self._by_number: dict[Number, list[Held]] = {}
        self._starts: dict[Number, list[datetime]] = {}
        self._by_session: dict[str, Held] = {}
        self._by_visitor: dict[tuple[int, str], Held] = {}
        self.sessions: dict[str, Visit] = {}
        self.pages: dict[str, list[Showing]] = {}
        """By the name of the world's visit."""
        for answer in sorted(answers, key=lambda each: each.at):
            self._take(answer)

    @property
    def numbers(self) -> list[Number]:
        """Those that were ever leased."""
        return list(self._by_number)

    def held(self, number: Number) -> list[Held]:
        """All its leases, oldest first."""
        return self._by_number.get(number, [])

    def leases(self, number: Number, at: datetime) -> tuple[Lease, ...]:
        """What the store would know of a number's leases at that moment, newest first."""
        held = self.held(number)
        begun = bisect_right(self._starts.get(number, []), at)
        found = held[max(0, begun - KEPT_LEASES) : begun]
        return tuple(self._lease(each, at) for each in reversed(found))

    def rests(self, since: datetime, until: datetime) -> list[float]:
        """Seconds between the leases of each number, of those that began in that time; sorted."""
        return sorted(
            max(0.0, (later.began - self._end(earlier)).total_seconds())
            for leases in self._by_number.values()
            for earlier, later in itertools.pairwise(leases)
            if since <= later.began < until
        )

    def _take(self, answer: _Answer) -> None:
        held = self._by_session.get(answer.session)
        if answer.outcome == "sign" or (answer.outcome == "kept" and held and held.number == answer.number):
            if held is not None:
                held.signs.append(answer.at)
        elif answer.facts is not None:
            self._give(answer, answer.facts)
        if answer.facts is not None:
            name = visit_name(answer.facts.session)
            self.pages.setdefault(name, []).append(Showing(answer.at, answer.number, answer.session))

    def _give(self, answer: _Answer, facts: Visit) -> None:
        """A lease begins, if there was a number; the visitor's earlier one and the number's earlier one are over."""
        visit = self.sessions.setdefault(
            answer.session, msgspec.structs.replace(facts, session=answer.session, started_at=answer.at)
        )
        visitor = (facts.site, facts.visitor)
        of_number = self._by_number.setdefault(answer.number, []) if answer.number else []
        for earlier in (self._by_visitor.pop(visitor, None), of_number[-1] if of_number else None):
            if earlier is not None and self._end(earlier) > answer.at:
                earlier.ended = answer.at
        if answer.number is None:
            return
        lease = f"{answer.session}-{len(of_number)}"
        held = Held(lease, answer.number, visit, answer.session, answer.at, [answer.at])
        of_number.append(held)
        self._starts.setdefault(answer.number, []).append(answer.at)
        self._by_session[answer.session] = self._by_visitor[visitor] = held

    def _end(self, held: Held) -> datetime:
        return held.ended or held.signs[-1] + self._hold

    def _lease(self, held: Held, at: datetime) -> Lease:
        end = self._end(held)
        seen = held.signs[bisect_right(held.signs, at) - 1]
        return Lease(
            id=held.id, pool=POOL, number=held.number, account=held.visit.account, site=held.visit.site,
            session=held.session, visitor=held.visit.visitor, started_at=held.began, seen_at=seen,
            expires_at=seen + self._hold, ended_at=end if end <= at else None,
            end="expired" if end <= at else None,
        )  # fmt: skip


def visit_name(proposed: str) -> str:
    """The world's name of the visit for which a page proposed this session: further requests append a count."""
    person, _, turn = proposed.rpartition("-")
    return f"{person}-{turn.partition('.')[0]}"
