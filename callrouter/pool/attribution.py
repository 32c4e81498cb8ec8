"""Who placed this call: weighs the evidence and credits the likeliest visit (rules §2). Pure: no store, no clock.

The same evidence gives the same answer, live or from history, which late attribution and `callrouter replay` rely on:
what live state may know and history may not, or the other way round, is left out of account.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime

import msgspec

from callrouter.numbers import Number
from callrouter.pool.delay import DEFAULT_MODELS, DelayModel, Models, Now
from callrouter.pool.model import Attribution, CallerMemory, Candidate, Lease, Method, StaticBinding
from callrouter.sessions.model import Visit

WEIGHED_LEASES = 8
"""The newest of a number; what older ones may still bring is reckoned with, but it is nobody's."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a call on `number` by `caller` (None: withheld) at `at`."""

    number: Number
    caller: Number | None
    at: datetime
    binding: StaticBinding | None = None
    leases: tuple[Lease, ...] = ()
    """Of this number, newest first; those that began after `at` are no evidence and are passed over."""
    same_number: CallerMemory | None = None
    """What this caller's earlier calls on the same number were credited to, latest."""
    newest: CallerMemory | None = None
    """The same on any number."""
    newest_visit: Visit | None = None
    """The latest visit of the visitor whom `newest` names, which may be later than that call."""


class _Person(msgspec.Struct):
    """A visitor of a site with all his visits: they are one explanation, and its call is the latest visit's."""

    method: Method
    account: int
    site: int
    session: str
    began: datetime
    since: float
    """Seconds since he was last seen, or since he called."""
    rate: float
    strongest: float


def credit(evidence: Evidence, model: Models | DelayModel = DEFAULT_MODELS) -> Attribution:
    """Weigh who may have placed the call and credit the heaviest.

    Weights are the rates of the explanations over their sum, "somebody else" included: they sum to less than 1, and the
    credited one's weight is the confidence. Each candidate is rated by his own account's model. Without any candidate
    the call is unattributed and belongs to the site that last held the number, if it is known.
    """
    if evidence.binding:
        return _static(evidence.binding)
    race = _Race(evidence, Models(default=model) if isinstance(model, DelayModel) else model)
    race.enter_leases()
    race.enter_memory()
    if not race.people:
        return _unattributed(evidence)
    return _weigh(list(race.people.values()), race.somebody_else)


def covering(leases: tuple[Lease, ...], at: datetime) -> Lease | None:
    """The lease that held at `at`: from its start, included, to its end or what would be its end, excluded."""
    for lease in leases:
        if lease.started_at <= at < _end(lease):
            return lease
    return None


def explain(attribution: Attribution) -> str:
    """Why the call was credited so, for people.

    >>> from callrouter.pool.model import Candidate
    >>> ann = Candidate(method="holder", account=2, site=1, session="s1", weight=0.97, since=12.0)
    >>> explain(Attribution(method="holder", confidence=0.97, account=2, site=1, session="s1", candidates=(ann,)))
    'visit s1 held the number, seen 12 s before the call: 0.970; somebody else: 0.030'
    """
    if attribution.method == "static":
        return "the number was bound to a channel"
    if attribution.method == "unattributed":
        return "nobody who was shown the number, or had called it, is known within the attribution window"
    said = [f"{_reason(candidate)}: {candidate.weight:.3f}" for candidate in attribution.candidates]
    rest = 1.0 - sum(candidate.weight for candidate in attribution.candidates)
    return "; ".join([*said, f"somebody else: {max(rest, 0.0):.3f}"])


class _Race:
    """The explanations of one call with their rates; those that no candidate stands for add up in `somebody_else`."""

    def __init__(self, evidence: Evidence, models: Models) -> None:
        self.evidence = evidence
        self.models = models
        self.at = evidence.at
        self.moment = evidence.at.timestamp()
        self.leases = [lease for lease in evidence.leases if lease.started_at <= self.at][:WEIGHED_LEASES]
        self.holder = covering(evidence.leases, self.at)
        self.raters: dict[int, _Rater] = {}
        self.people: dict[tuple[str, int], _Person] = {}
        self.unseen_visits = 0.0
        """The part of somebody else that is visits which are no candidates."""
        self.memory = self._memory_in_force()
        newest = evidence.newest or evidence.same_number if evidence.caller else None
        self.known = {_who(memory.visit) for memory in (self.memory, newest) if memory}
        self.visit_odds, stranger_odds = self._odds(newest)
        rate = models.stranger(self.leases[0].pool if self.leases else 0)
        self.somebody_else = rate * models.default.now(self.moment).strangers * stranger_odds

    def enter_leases(self) -> None:
        """Holder and earlier holders. One session counts once, by its latest lease."""
        seen_sessions: set[str] = set()
        for lease in self.leases:
            if lease.session in seen_sessions:
                continue
            seen_sessions.add(lease.session)
            self._enter_lease(lease)
        self._enter_forgotten()

    def enter_memory(self) -> None:
        memory = self.memory
        if memory is None:
            return
        called, visit = memory.called_at.timestamp(), memory.visit
        model, now, _ = self._rater(visit.account)
        rate, since = model.return_rate(called, now), self.moment - called
        if memory is not self.evidence.same_number:
            rate *= model.other_number
            visit = self._latest_visit() or visit
        # With the rest of its odds the earlier call was somebody else's, and so is this; strangers hardly call again.
        strangers = max(0.0, 1.0 - memory.confidence - memory.rivals)
        returning = self.unseen_visits / self.somebody_else if self.somebody_else else 1.0
        self.somebody_else += rate * (
            memory.rivals + strangers * (returning + (1.0 - returning) * model.stranger_again)
        )
        rate *= memory.confidence
        began = visit.started_at
        entry = _Person("caller_memory", visit.account, visit.site, visit.session, began, since, rate, rate)
        self._enter(entry, _who(visit))

    def _enter_lease(self, lease: Lease) -> None:
        who = (lease.visitor, lease.site)
        model, now, oldest = self._rater(lease.account)
        seen = seen_at(lease, self.moment)
        soon, late = model.visit_rates(seen, now)
        rate = soon + late
        if who not in self.known:
            friends = model.passed_on * late
            self.somebody_else += friends * self.visit_odds
            rate = (rate - friends) * self.visit_odds
            if lease is not self.holder and _end(lease) < oldest:
                self._add_unseen(rate)
                return
        elif self._list_is_over(oldest):
            return
        method: Method = "holder" if lease is self.holder else "last_holder"
        since = self.moment - seen
        entry = _Person(method, lease.account, lease.site, lease.session, lease.started_at, since, rate, rate)
        self._enter(entry, who)

    def _enter(self, entry: _Person, who: tuple[str, int]) -> None:
        """Add an explanation; if its visitor stands already he is the same one, and his latest visit is credited."""
        person = self.people.get(who)
        if person is None:
            self.people[who] = entry
            return
        person.rate += entry.rate
        if entry.began > person.began:
            person.session, person.began = entry.session, entry.began
        if entry.rate > person.strongest:
            person.strongest, person.since = entry.rate, entry.since
            if person.method != "holder":
                person.method = entry.method

    def _enter_forgotten(self) -> None:
        """Visits that the list of leases does not reach: as many as it shows, in each such span before it. A list that
        is not full begins with the number's first visitor that we know of: as many as came after him."""
        again = len(self.leases)
        if again < WEIGHED_LEASES:
            again = len({(lease.visitor, lease.site) for lease in self.leases}) - 1
        if again < 1:
            return
        oldest = self.leases[-1]
        model, now, _ = self._rater(oldest.account)
        began = oldest.started_at.timestamp()
        span = now.waking - model.waking(began)
        if span > 0:
            frequency = again / span
            self._add_unseen(frequency * now.pace * model.still_to_come(began, now) * self.visit_odds)

    def _add_unseen(self, rate: float) -> None:
        self.unseen_visits += rate
        self.somebody_else += rate

    def _rater(self, account: int) -> _Rater:
        rater = self.raters.get(account)
        if rater is None:
            model = self.models.of(account)
            rater = self.raters[account] = (model, model.now(self.moment), self.at - model.window)
        return rater

    def _odds(self, newest: CallerMemory | None) -> tuple[float, float]:
        """How likely it is that the telephone of somebody whom nothing links to it, or of a stranger, is this one."""
        model = self.models.default
        if self.evidence.caller is None:
            return 1.0, 1.0
        if newest is None:
            return 1.0, 1.0 - model.repeaters
        linked = self.evidence.same_number or any((lease.visitor, lease.site) in self.known for lease in self.leases)
        return (model.same_phone, model.same_phone) if linked else (model.strayed, model.repeaters)

    def _memory_in_force(self) -> CallerMemory | None:
        """Memory of the same number always counts; of another one only while nobody holds this, within the window."""
        evidence = self.evidence
        if evidence.caller is None:
            return None
        if evidence.same_number:
            return evidence.same_number
        if evidence.newest is None or self.holder:
            return None
        window = self.models.of(evidence.newest.visit.account).window
        recent = self._latest_visit() or self.at - evidence.newest.called_at <= window
        return evidence.newest if recent else None

    def _latest_visit(self) -> Visit | None:
        """The remembered visitor's latest, within the window."""
        visit = self.evidence.newest_visit
        if visit is None or visit.started_at > self.at:
            return None
        return visit if self.at - visit.started_at <= self.models.of(visit.account).window else None

    def _list_is_over(self, oldest: datetime) -> bool:
        """Live state forgets the ended leases of a number a window after the last of them; then history must, too."""
        return self.holder is None and _end(self.leases[0]) < oldest


_Rater = tuple[DelayModel, Now, datetime]
"""An account's model, the moment of the call on its clocks, and when its attribution window began."""


def seen_at(lease: Lease, moment: float) -> float:
    """The last sign of life that had been kept by then, in seconds since the epoch as `moment`."""
    began = lease.started_at.timestamp()
    if lease.signs:
        place = bisect_right(lease.signs, (moment - began) * 1000 + 0.5)
        if place:
            return began + lease.signs[place - 1] / 1000
        return began if len(lease.signs) < KEPT_SIGNS else moment
    seen = lease.seen_at.timestamp()
    return seen if seen <= moment else began


KEPT_SIGNS = 64
"""Of a lease. Where earlier ones were dropped, the visitor was there all the time."""


def _who(visit: Visit) -> tuple[str, int]:
    return visit.visitor, visit.site


def _static(binding: StaticBinding) -> Attribution:
    candidate = Candidate(method="static", account=binding.account, site=binding.site, session=None, weight=1.0)
    return Attribution(
        method="static", confidence=1.0, account=binding.account, site=binding.site, session=None,
        candidates=(candidate,),
    )  # fmt: skip


def _weigh(people: list[_Person], somebody_else: float) -> Attribution:
    total = somebody_else
    for person in people:
        total += person.rate
    if len(people) > 1:
        people.sort(key=lambda person: (-person.rate, person.session))
    candidates = tuple(
        [
            Candidate(
                method=p.method, account=p.account, site=p.site, session=p.session, weight=round(p.rate / total, 6),
                since=round(p.since, 1),
            )
            for p in people
        ]
    )  # fmt: skip
    first = candidates[0]
    return Attribution(
        method=first.method, confidence=first.weight, account=first.account, site=first.site, session=first.session,
        candidates=candidates,
    )  # fmt: skip


def _unattributed(evidence: Evidence) -> Attribution:
    last = next((lease for lease in evidence.leases if lease.started_at <= evidence.at), None)
    account, site = (last.account, last.site) if last else (None, None)
    return Attribution(method="unattributed", confidence=0.0, account=account, site=site, session=None)


def _end(lease: Lease) -> datetime:
    return lease.ended_at or lease.expires_at


def _reason(candidate: Candidate) -> str:
    said = {
        "holder": "held the number, seen {} before the call",
        "last_holder": "had held the number, last seen {} before the call",
        "caller_memory": "is the caller's own: he had called {} before",
        "static": "{}",
        "unattributed": "{}",
    }[candidate.method]
    return f"visit {candidate.session} {said.format(_span(candidate.since))}"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "some time"
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
