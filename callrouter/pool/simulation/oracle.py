"""The best that anybody could do: who called, by one who knows the world's true parameters and sees the same evidence.

For comparison with the engine, which knows a fitted model at best. Pure. Shares no rate with the engine: each is the
world's own distribution, by the sun's time, with people who wait for the morning. What no evidence shows is averaged
over: until when somebody read after his page's last sign, and which visits a number had before those in evidence.
"""

from __future__ import annotations

import math
from datetime import datetime

from callrouter.pool.attribution import WEIGHED_LEASES, Evidence, covering
from callrouter.pool.model import Attribution, Candidate, Lease, Method
from callrouter.pool.simulation.calling import MORNING_RUSH
from callrouter.pool.simulation.spread import Spread
from callrouter.pool.simulation.world import DAY, HOUR, Delay, World

Who = tuple[str, int]
COINCIDENCE = 1e-5
"""That a visitor nobody knows of should be this very caller: one of the people of some weeks."""


class Oracle:
    """Knows `world`, which began at `began`, and how often its pages say that they are open (`beat`, in seconds)."""

    def __init__(self, world: World, began: datetime, *, beat: float) -> None:
        self._world = world
        self._began = began
        self._beat = beat
        calling = world.calling
        self._first = calling.share
        self._again = (1 - calling.busy) * calling.again
        self._redial = calling.busy * calling.redials
        opens, closes = world.waking
        self._wrong = world.strangers.wrong / ((closes - opens) * HOUR)
        self._robocall = world.strangers.robocalls / ((closes - opens) * HOUR)
        self._strayed = (world.returning.again * world.returning.forgotten + world.returning.compares) * calling.share

    def judge(self, evidence: Evidence) -> Attribution:
        """The posterior of each candidate, and the likeliest credited."""
        at = self._seconds(evidence.at)
        leases = [lease for lease in evidence.leases if lease.started_at <= evidence.at][:WEIGHED_LEASES]
        holder = covering(evidence.leases, evidence.at)
        people: dict[Who, list[object]] = {}
        rates: dict[Who, float] = {}
        memory = evidence.same_number if evidence.caller else None
        own = (memory.visit.visitor, memory.visit.site) if memory else self._linked(evidence, leases)
        odds, stranger = self._odds(evidence, own)
        else_rate = stranger if self._is_day(at) else 0.0
        for lease in leases:
            who = (lease.visitor, lease.site)
            rate = self._visit(lease, at) * (1.0 if own == who else odds)
            rates[who] = rates.get(who, 0.0) + rate
            people.setdefault(who, [lease.session, lease.account, lease is holder])
            else_rate += self._friend(lease, at) * odds
        else_rate += self._unseen(leases, at) * odds
        if memory and own:
            rate = self._return(at - self._seconds(memory.called_at), at)
            rates[own] = rates.get(own, 0.0) + rate * memory.confidence
            else_rate += rate * memory.rivals
            people.setdefault(own, [memory.visit.session, memory.visit.account, False])
        return _credited(people, rates, else_rate, recalled=own)

    def _linked(self, evidence: Evidence, leases: list[Lease]) -> Who | None:
        """The caller is known by another number, and his visitor was shown this one, too."""
        newest = evidence.newest if evidence.caller else None
        who = (newest.visit.visitor, newest.visit.site) if newest else None
        return who if any((lease.visitor, lease.site) == who for lease in leases) else None

    def _odds(self, evidence: Evidence, own: Who | None) -> tuple[float, float]:
        """Of this telephone, if it is that of a visitor whom nothing links to it; and strangers' calls by it."""
        if own is not None:
            return COINCIDENCE, COINCIDENCE * (self._wrong + self._robocall)
        if evidence.caller is None:
            return 1.0, 0.0
        return (self._strayed, self._robocall) if evidence.newest else (1.0, self._wrong)

    def _seconds(self, at: datetime) -> float:
        return (at - self._began).total_seconds()

    def _is_day(self, at: float) -> bool:
        opens, closes = self._world.waking
        return opens <= at % DAY / HOUR < closes

    def _visit(self, lease: Lease, at: float) -> float:
        """First calls per second by this visit just then."""
        began = self._seconds(lease.started_at)
        signs = [began + sign / 1000 for sign in lease.signs if began + sign / 1000 <= at] or [began]
        total = 0.0
        for delay in self._world.calling.delays:
            rate = self._in_visit(delay, began, signs[-1], at) if delay.name == "in_visit" else self._after(
                delay, signs[-1], at, closed=lease.closed
            )  # fmt: skip
            total += delay.share * rate
        return self._first * total

    def _in_visit(self, delay: Delay, began: float, seen: float, at: float) -> float:
        """He reads until he calls: the page tells of it a beat before at the latest, unless he had turned away."""
        return delay.after.density(at - began) if at - seen <= self._beat + 1.0 else 0.0

    def _after(self, delay: Delay, seen: float, at: float, *, closed: bool) -> float:
        """Averaged over when he left: at the last sign if that was the closing, else up to a beat later."""
        latest = min(seen + (0.0 if closed else self._beat), at)
        moments = [seen] if latest <= seen else [seen + (latest - seen) * part for part in (0.05, 0.2, 0.5, 0.9)]
        return sum(self._density(delay.after, left, at, awake=delay.awake) for left in moments) / len(moments)

    def _density(self, spread: Spread, left: float, at: float, *, awake: bool) -> float:
        """Of calls at `at` by whoever left at `left`; those of the night come in the morning."""
        if at <= left:
            return 0.0
        if not awake:
            return spread.density(at - left)
        if not self._is_day(at):
            return 0.0
        opens, closes = self._world.waking
        morning = math.floor(at / DAY) * DAY + opens * HOUR
        evening = morning - (opens + 24.0 - closes) * HOUR
        deferred = spread.beyond(evening - left) - spread.beyond(morning - left)
        rush = math.exp(-(at - morning) / MORNING_RUSH) / MORNING_RUSH
        return spread.density(at - left) + deferred * rush

    def _return(self, since: float, at: float) -> float:
        calling = self._world.calling
        called = at - since
        return self._redial * calling.redial_after.density(since) + self._again * self._density(
            calling.again_after, called, at, awake=True
        )

    def _friend(self, lease: Lease, at: float) -> float:
        calling = self._world.calling
        seen = self._seconds(lease.seen_at)
        return self._first * calling.forwarded * self._density(calling.forwarded_after, min(seen, at), at, awake=True)

    def _unseen(self, leases: list[Lease], at: float) -> float:
        """Visits before those in evidence, as often as these: none where the list is not full."""
        if len(leases) < WEIGHED_LEASES or not self._is_day(at):
            return 0.0
        span = at - self._seconds(leases[-1].started_at)
        if span <= 0:
            return 0.0
        opens, closes = self._world.waking
        late = sum(each.share * each.after.beyond(span) for each in self._world.calling.delays)
        return len(leases) / span * self._first * late * 24.0 / (closes - opens)


def _credited(
    people: dict[Who, list[object]], rates: dict[Who, float], else_rate: float, *, recalled: Who | None
) -> Attribution:
    total = sum(rates.values()) + else_rate
    if not rates or total <= 0:
        return Attribution(method="unattributed", confidence=0.0, account=None, site=None, session=None)
    candidates = []
    for who, rate in sorted(rates.items(), key=lambda pair: -pair[1]):
        session, account, holds = people[who]
        method: Method = "holder" if holds else "caller_memory" if who == recalled else "last_holder"
        candidates.append(
            Candidate(method=method, account=int(str(account)), site=who[1], session=str(session), weight=rate / total)
        )
    first = candidates[0]
    return Attribution(
        method=first.method, confidence=first.weight, account=first.account, site=first.site, session=first.session,
        candidates=tuple(candidates),
    )  # fmt: skip
