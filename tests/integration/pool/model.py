"""What a pool must do, in plain Python: rules.md §3 and the choice of a number, without any care for speed.

Knows what was asked and what the answer may be; knows no store. Times are milliseconds. Where several answers are as
good as each other the model names them all, and is told which was given.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

End = Literal["expired", "released", "taken", "disabled", "moved"]
MINUTE = 60_000
YOUNG = 5 * MINUTE
"""No lease is taken from its visitor sooner."""
CALL = 240 * MINUTE
"""A call whose end is never told pins its number for so long."""
SIGN_APART, SIGNS_KEPT = 15_000, 64
LEASES_KEPT = 8
"""Ended ones, in live state."""


class Told(NamedTuple):
    """A lease as history must have it."""

    session: str
    visitor: str
    site: int
    began: int
    ended: int | None
    reason: str | None


@dataclass(kw_only=True)
class Term:
    """A lease."""

    number: str
    session: str
    visitor: str
    site: int
    account: int
    began: int
    expires: int
    rest: int
    closed: bool = False
    ended: int | None = None
    reason: End | None = None
    signs: list[int] = field(default_factory=list)

    @property
    def told(self) -> Told:
        return Told(self.session, self.visitor, self.site, self.began, self.ended, self.reason)


@dataclass
class Number:
    used: bool = True
    lease: Term | None = None
    ended: list[Term] = field(default_factory=list)
    """Leases that have ended, the latest last; those of other pools where it was before too."""
    pinned: int = 0
    calls: dict[str, int] = field(default_factory=dict)

    @property
    def last(self) -> Term | None:
        return self.ended[-1] if self.ended else None


@dataclass(kw_only=True)
class Visit:
    session: str
    visitor: str
    site: int
    began: int
    seen: int
    campaign: str
    request: str
    pages: int = 1
    number: str = ""
    """The number it was given last; empty once it was given back or could not be replaced."""


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A page that was opened."""

    request: str
    visitor: str
    site: int
    account: int
    campaign: str = ""
    wants: bool = True
    policy: str = "fallback"
    hold: int = 10 * MINUTE
    gap: int = 30 * MINUTE
    rest: int = 0
    counts: bool = True


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What may be answered to a hit; `numbers` are as good as each other."""

    outcome: str
    session: str = ""
    new: bool = False
    pages: int = 0
    numbers: frozenset[str] = frozenset()
    expires: int | None = None
    taken: bool = False


class PlainPool:
    """One pool. `rest` is the installation's minimum quarantine, `affinity` how much an account clings to its own."""

    def __init__(self, *, rest: int = 0, affinity: float = 4.0) -> None:
        self.rest = rest
        self.affinity = affinity
        self.numbers: dict[str, Number] = {}
        """All that ever were of this pool."""
        self.members: set[str] = set()
        self.gone: dict[str, int] = {}
        """Members that moved to another pool within a day, and when."""
        self.visits: dict[str, Visit] = {}
        self.latest: dict[tuple[int, str], str] = {}
        """The latest visit of a site's visitor."""
        self.had: dict[tuple[int, str], str] = {}
        """The number that he had last."""
        self.history: list[Term] = []

    # Reading

    def leased(self) -> dict[str, Term]:
        return {number: each.lease for number, each in self.numbers.items() if each.lease}

    def free(self) -> list[str]:
        return [number for number, each in self.numbers.items() if each.used and not each.lease]

    def disabled(self) -> list[str]:
        return [number for number in self.members if not self.numbers[number].used]

    def term_of(self, session: str) -> Term | None:
        """The lease that a session has."""
        return next((term for term in self.leased().values() if term.session == session), None)

    def told(self, number: str) -> list[Told]:
        return [term.told for term in self.history if term.number == number and term.ended is not None]

    def past(self, number: str) -> list[tuple[str, End | None]]:
        """Who had it before, the latest first, as far as live state remembers."""
        held = self.numbers.get(number)
        ended = reversed(held.ended) if held else iter(())
        return [(term.session, term.reason) for term in ended][:LEASES_KEPT]

    # The clock

    def edges(self, gap: int) -> set[int]:
        """When something changes by itself: leases and visits end, numbers may be offered or taken, signs are kept."""
        terms = self.leased().values()
        ends = {at for term in terms for at in (term.expires, term.began + YOUNG)}
        signs = {term.began + term.signs[-1] + SIGN_APART for term in terms if term.signs}
        offers = {at for number in self.numbers for at in (self.offered_from(number), self.numbers[number].pinned)}
        visits = {self.visits[session].seen + gap for session in self.latest.values()}
        return ends | signs | offers | visits

    def settle(self, now: int) -> None:
        """Leases end when they run out, whoever notices."""
        for term in self.leased().values():
            if term.expires <= now:
                self._end(term, term.expires, "expired")

    # Hits

    def expect(self, hit: Hit, now: int, *, trial: bool = False) -> Expected:
        """What a hit may be answered; changes nothing but what time has. `trial`: another pool is asked next."""
        self.settle(now)
        mine = self.visits.get(hit.request)
        if mine and (mine.visitor, mine.site) != (hit.visitor, hit.site):
            return Expected(outcome="foreign")
        newer = self._newer(mine, hit, now) if mine else None
        visit = newer or mine or self._continued(hit, now)
        session = visit.session if visit else hit.request
        pages = visit.pages + (not newer and self._counts(visit, hit)) if visit else 1
        term = self.term_of(session)
        if not hit.wants:
            return Expected(outcome="none", session=session, new=not visit, pages=pages)
        if term:
            kept, expires = frozenset({term.number}), max(term.expires, now + hit.hold)
            return Expected(outcome="kept", session=session, pages=pages, numbers=kept, expires=expires)
        numbers = self._choose(hit, session, now)
        taken = False
        if not numbers and hit.policy == "nearest_end":
            numbers = self._nearest_end(now)
            taken = bool(numbers)
        outcome = "leased" if numbers else "empty" if trial else "overflow"
        return Expected(outcome=outcome, session=session, new=not visit, pages=pages, numbers=numbers, taken=taken)

    def accept(self, hit: Hit, expected: Expected, number: str | None, now: int) -> None:
        """The hit was answered as expected, with this number."""
        if expected.outcome in ("foreign", "empty"):
            return
        visit = self.visits.get(expected.session)
        if visit is None:
            visit = Visit(
                session=expected.session, visitor=hit.visitor, site=hit.site, began=now, seen=now,
                campaign=hit.campaign, request=hit.request,
            )  # fmt: skip
            self.visits[visit.session] = visit
        elif visit.pages != expected.pages:
            visit.request = hit.request
        visit.pages, visit.seen = expected.pages, now
        key = (hit.site, hit.visitor)
        earlier = self._earlier(hit, visit.session)
        self.latest[key] = visit.session
        if expected.outcome == "none":
            return
        if expected.outcome == "overflow" or number is None:
            visit.number = ""
            return
        term = self.term_of(visit.session)
        if term:
            term.expires, term.closed = max(term.expires, now + hit.hold), False
            self._sign(term, now)
            return
        if earlier:
            self._end(earlier, now, "released")
        self._begin(hit, visit, number, now)

    def _begin(self, hit: Hit, visit: Visit, number: str, now: int) -> None:
        held = self.numbers[number]
        if held.lease:
            self._end(held.lease, now, "taken")
        began = max(now, held.last.ended or 0) if held.last else now  # the clock may have gone back
        term = Term(
            number=number, session=visit.session, visitor=hit.visitor, site=hit.site, account=hit.account,
            began=began, expires=began + hit.hold, rest=hit.rest,
        )  # fmt: skip
        held.lease = term
        self.history.append(term)
        visit.number = self.had[hit.site, hit.visitor] = number

    def _continued(self, hit: Hit, now: int) -> Visit | None:
        """The visitor's latest visit, unless it is over or a new campaign came."""
        visit = self.visits.get(self.latest.get((hit.site, hit.visitor), ""))
        if visit and now < visit.seen + hit.gap and hit.campaign in ("", visit.campaign):
            return visit
        return None

    def _newer(self, mine: Visit, hit: Hit, now: int) -> Visit | None:
        """The visit that goes on since `mine`, whose request this is, was left."""
        visit = self.visits.get(self.latest.get((hit.site, hit.visitor), ""))
        return visit if visit and visit is not mine and now < visit.seen + hit.gap else None

    def _counts(self, visit: Visit, hit: Hit) -> bool:
        return hit.counts and hit.request not in (visit.request, visit.session)

    def _earlier(self, hit: Hit, session: str) -> Term | None:
        """The lease of an earlier visit of this visitor, which gives way."""
        latest = self.latest.get((hit.site, hit.visitor))
        return self.term_of(latest) if latest and latest != session else None

    # The choice

    def _choose(self, hit: Hit, session: str, now: int) -> frozenset[str]:
        if earlier := self._earlier(hit, session):
            return frozenset({earlier.number})
        his = self.had.get((hit.site, hit.visitor))
        if his is not None and his in self.free() and (self._was_his(his, hit) or self.offered_from(his) <= now):
            return frozenset({his})
        offered = [number for number in self.free() if self.offered_from(number) <= now]
        ours = [number for number in offered if self._account(number) == hit.account]
        longest, our_longest = self._longest(offered), self._longest(ours)
        if our_longest and self._idle(longest, now) <= self.affinity * self._idle(our_longest, now):
            return our_longest
        return longest

    def _nearest_end(self, now: int) -> frozenset[str]:
        """Closed leases that are old enough, not pinned, and run out before all others of that kind."""
        open_to_all = [
            term for number, term in self.leased().items()
            if term.closed and term.began + YOUNG <= now and self.numbers[number].pinned <= now
        ]  # fmt: skip
        soonest = min((term.expires for term in open_to_all), default=None)
        return frozenset(term.number for term in open_to_all if term.expires == soonest)

    def offered_from(self, number: str) -> int:
        """When anybody may have it."""
        held = self.numbers[number]
        rested = (held.last.ended or 0) + max(self.rest, held.last.rest) if held.last else 0
        return max(held.pinned, rested)

    def _longest(self, numbers: list[str]) -> frozenset[str]:
        since = {number: self._free_since(number) for number in numbers}
        return frozenset(number for number in numbers if since[number] == min(since.values()))

    def _idle(self, numbers: frozenset[str], now: int) -> float:
        return now - min(map(self._free_since, numbers))

    def _free_since(self, number: str) -> float:
        last = self.numbers[number].last
        return float("-inf") if last is None or last.ended is None else last.ended

    def _was_his(self, number: str, hit: Hit) -> bool:
        last = self.numbers[number].last
        return last is not None and (last.site, last.visitor) == (hit.site, hit.visitor)

    def _account(self, number: str) -> int | None:
        last = self.numbers[number].last
        return last.account if last else None

    # Signs of life, and the end

    def renew(
        self,
        session: str,
        now: int,
        *,
        hold: int,
        gap: int,
        page: bool = False,
        request: str = "",
        closed: bool = False,
    ) -> tuple[str, str | None, int | None, int]:
        """Outcome, number, when the lease runs out, pages."""
        self.settle(now)
        visit = self.visits.get(session)
        if visit is None or now >= visit.seen + gap:
            return ("over", None, None, 0)
        closed = closed and (page or request in ("", visit.request))  # else a page was left that was not the last
        if page and visit.request != request:
            visit.pages, visit.request = visit.pages + 1, request
        visit.seen = now
        term = self.term_of(session)
        if term is None:
            return ("lost" if visit.number else "bare", None, None, visit.pages)
        term.expires, term.closed = max(term.expires, now + hold), closed
        self._sign(term, now)
        return ("live", term.number, term.expires, visit.pages)

    def release(self, session: str, now: int) -> str | None:
        self.settle(now)
        term = self.term_of(session)
        if visit := self.visits.get(session):
            visit.number = ""
        if term:
            self._end(term, now, "released")
        return term.number if term else None

    def _sign(self, term: Term, now: int) -> None:
        offset = now - term.began
        if offset >= 0 and (not term.signs or offset - term.signs[-1] >= SIGN_APART):
            term.signs = [*term.signs, offset][-SIGNS_KEPT:]

    def _end(self, term: Term, at: int, reason: End) -> None:
        held = self.numbers[term.number]
        term.ended, term.reason = max(at, term.began), reason
        held.ended.append(term)
        held.lease = None

    # Calls and the inventory

    def call_started(self, number: str, call: str, now: int) -> None:
        self.settle(now)
        if number in self.numbers:
            self.numbers[number].calls[call] = now
            self.numbers[number].pinned = now + CALL

    def call_ended(self, number: str, call: str, now: int, *, hold: int) -> bool:
        self.settle(now)
        held = self.numbers.get(number)
        if held is None:
            return False
        held.calls.pop(call, None)
        held.calls = {each: began for each, began in held.calls.items() if began + CALL >= now}
        if not held.calls:
            held.pinned = now + hold
        return True

    def let_go(self, number: str, now: int, reason: End) -> None:
        held = self.numbers[number]
        if held.lease:
            self._end(held.lease, now, reason)
        held.used = False
