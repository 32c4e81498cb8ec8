"""Who comes to which site when, what he does there and whether he calls: drawn from a world. Pure and seeded.

`visits` yields every visit of a world in the order of their beginning, each with all signs of life that its page sends
and with all calls that it leads to. Which number is shown is not known here: a call dials what its visit was shown.
Times are seconds from the world's beginning, which is a Monday at midnight.

Each person has streams of his own, so that other calls leave the visits as they are, and another world's people too.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from random import Random

import msgspec

from callrouter.pool.simulation.browsing import Browsed, Reader, Sign
from callrouter.pool.simulation.calling import PlannedCall, Reason, calls_of, waiting_for_morning
from callrouter.pool.simulation.spread import chance, stream
from callrouter.pool.simulation.world import DAY, HOUR, Delay, Rhythm, Site, World

BEATS = 4
"""A visible page gives a sign so many times within the hold."""
ARRANGED_HOURS = 3.0
"""Who comes again later than this comes when people of that site do; sooner, when he likes."""


class PlannedVisit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One visit as its page tells it: the first request comes `at`, then `signs` in order.

    `left` is when the person turned away. A bot's visit reaches no store; a visit that wants no number left at once.
    """

    id: str
    person: str
    visitor: str
    account: int
    site: int
    at: float
    left: float
    campaign: str = ""
    wants_number: bool = True
    bot: bool = False
    signs: tuple[Sign, ...] = ()
    calls: tuple[PlannedCall, ...] = ()


class _Coming(msgspec.Struct, frozen=True, order=True, gc=False):
    """A person about to open a site."""

    at: float
    person: str
    turn: int
    """How many visits he made before."""
    site: int
    """Index in the world's sites."""
    visitor: str
    bot: bool = False


def visits(world: World, seed: int, *, hold: float) -> Iterator[PlannedVisit]:
    """All visits of `world`, by `at`. `hold` in seconds decides how often pages say that they are alive.

    The same seed brings the same people, whatever the pool does with them and however many numbers it has.
    """
    coming: list[_Coming] = []
    ready: list[tuple[float, str, PlannedVisit]] = []
    for day in range(math.ceil(world.length / DAY)):
        for place, site in enumerate(world.sites):
            coming.extend(_arrivals(world, seed, place, site, day))
        heapq.heapify(coming)
        while coming and coming[0].at < (day + 1) * DAY:
            who = heapq.heappop(coming)
            if who.at >= world.length:
                continue
            visit = _visit(world, seed, who, hold)
            heapq.heappush(ready, (visit.at, visit.id, visit))
            if not who.bot:
                for further in _further(world, seed, who, visit.left):
                    heapq.heappush(coming, further)
            while coming and ready and ready[0][0] <= coming[0].at:
                yield heapq.heappop(ready)[2]
    yield from (heapq.heappop(ready)[2] for _ in range(len(ready)))


def _arrivals(world: World, seed: int, place: int, site: Site, day: int) -> list[_Coming]:
    """New people and bots of one day: Poisson, by the hours of the site. Who comes again is not among them."""
    draws = stream(seed, "arrivals", site.site, day)
    people = (1 - world.browsing.bots) * (1 - world.returning.again - world.returning.compares)
    found: list[_Coming] = []
    for kind, part in (("", people), ("b", world.browsing.bots)):
        rate = world.visits_per_hour * site.share * part
        for at in moments(draws, site.rhythm, rate, day):
            person = f"{site.site}.{day}.{kind}{len(found)}"
            found.append(_Coming(at, person, 0, place, person, bool(kind)))
    return found


def moments(draws: Random, rhythm: Rhythm, per_hour: float, day: int) -> Iterator[float]:
    """A Poisson process of one day; `per_hour` is its mean over the week."""
    for hour in range(24):
        mean = per_hour * weight(rhythm, day, hour)
        at = draws.expovariate(mean) if mean else math.inf
        while at < 1.0:
            yield day * DAY + (hour + at) * HOUR
            at += draws.expovariate(mean)


def weight(rhythm: Rhythm, day: int, hour: int) -> float:
    """Traffic of that hour over the week's mean."""
    mean = sum(rhythm.hours) / 24 * sum(rhythm.weekdays) / 7
    return rhythm.hours[hour] * rhythm.weekdays[day % 7] / mean


def _visit(world: World, seed: int, who: _Coming, hold: float) -> PlannedVisit:
    site = world.sites[who.site]
    name = f"{who.person}-{who.turn}"
    draws = stream(seed, "visit", name)
    habits = world.browsing
    if who.bot or draws.random() >= habits.human:
        return PlannedVisit(
            id=name, person=who.person, visitor=who.visitor, account=site.account, site=site.site, at=who.at,
            left=who.at + draws.uniform(1.0, 8.0), wants_number=False, bot=who.bot,
        )  # fmt: skip
    campaign = f"c{draws.randrange(habits.campaigns)}" if draws.random() < habits.campaign else ""
    decision = _decision(world, seed, name)
    browsed = _browse(world, draws, who.at, decision, hold)
    return PlannedVisit(
        id=name, person=who.person, visitor=who.visitor, account=site.account, site=site.site, at=browsed.asked,
        left=browsed.left, campaign=campaign, signs=browsed.signs,
        calls=_calls(world, seed, who, name, browsed=browsed, decision=decision),
    )  # fmt: skip


class _Decision(msgspec.Struct, frozen=True, gc=False):
    """To call, in this way, so long after."""

    delay: Delay
    after: float
    leaves: bool


def _decision(world: World, seed: int, visit: str) -> _Decision | None:
    """Made on streams that browsing does not use."""
    if chance(seed, "calls", visit) >= world.calling.share:
        return None
    draws = stream(seed, "delay", visit)
    delay = draws.choices(world.calling.delays, [each.share for each in world.calling.delays])[0]
    return _Decision(delay, delay.after.draw(draws), draws.random() < world.calling.leaves)


def might_call(world: World, seed: int, visit: PlannedVisit) -> tuple[PlannedCall, ...]:
    """Calls that this visit might have led to as well, drawn anew for each `seed` by the same chances. The visit is as
    it was: who would have called in it later than he left calls just before he turns away."""
    decision = _decision(world, seed, visit.id)
    if decision is None:
        return ()
    delay = decision.delay
    at = min(visit.at + decision.after, visit.left) if delay.name == "in_visit" else visit.left + decision.after
    if delay.awake:
        at = waiting_for_morning(world, at, chance(seed, "morning", visit.id))
    reason = Reason(visit=visit.id, person=visit.person, account=visit.account, delay=delay.name)
    return calls_of(world, seed, reason, at)


def _browse(world: World, draws: Random, at: float, decision: _Decision | None, hold: float) -> Browsed:
    reader = Reader(draws, world.browsing, hold / BEATS)
    if decision is None or decision.delay.name != "in_visit":
        return reader.browse(at)
    return reader.browse(at, call_after=decision.after, leaves=decision.leaves)


def _calls(
    world: World, seed: int, who: _Coming, visit: str, *, browsed: Browsed, decision: _Decision | None
) -> tuple[PlannedCall, ...]:
    if decision is None:
        return ()
    delay = decision.delay
    at = (browsed.asked if delay.name == "in_visit" else browsed.left) + decision.after
    if delay.awake:
        at = waiting_for_morning(world, at, chance(seed, "morning", visit))
    reason = Reason(visit=visit, person=who.person, account=world.sites[who.site].account, delay=delay.name)
    return calls_of(world, seed, reason, at)


def _further(world: World, seed: int, who: _Coming, left: float) -> Iterator[_Coming]:
    """The same person again: on this site, or on another to compare."""
    draws = stream(seed, "further", who.person, who.turn)
    habits = world.returning
    choice = draws.random()
    if choice < habits.again:
        at = _at_his_hours(draws, world.sites[who.site].rhythm, left, left + habits.after.draw(draws))
        turn = who.turn + 1
        visitor = f"{who.person}.{turn}" if draws.random() < habits.forgotten else who.visitor
        yield _Coming(at, who.person, turn, who.site, visitor)
    elif choice < habits.again + habits.compares and len(world.sites) > 1:
        others = [place for place in range(len(world.sites)) if place != who.site]
        place = draws.choices(others, [world.sites[other].share for other in others])[0]
        at = left + habits.compares_after.draw(draws)
        yield _Coming(at, who.person, who.turn + 1, place, f"{who.person}.s{place}")


def _at_his_hours(draws: Random, rhythm: Rhythm, left: float, at: float) -> float:
    """On that day, but at an hour when people come to the site."""
    if at - left < ARRANGED_HOURS * HOUR:
        return at
    midnight = math.floor(at / DAY) * DAY
    hour = draws.choices(range(24), rhythm.hours)[0]
    return max(midnight + (hour + draws.random()) * HOUR, left + ARRANGED_HOURS * HOUR)
