"""Who picks up a telephone, when, from which number, and again: drawn from a world. Pure and seeded.

A call dials the number that its visit was shown; where no visit of the world showed one, `line` chooses any number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from typing import Literal

import msgspec

from callrouter.numbers import Number
from callrouter.pool.simulation.spread import chance, stream
from callrouter.pool.simulation.world import DAY, HOUR, MINUTE, DelayClass, World

CallKind = Literal["first", "redial", "again", "friend", "wrong", "robocall"]
OWN_CALLS: tuple[CallKind, ...] = ("first", "redial", "again")
BEFORE_DAYS = 28
"""Calls of people who visited so many days before the world begins are let in; later ones hardly matter."""
REMEMBERED_DAYS = 90
"""A caller is forgotten so long after his last call."""
MORNING_RUSH = 1.5 * HOUR
"""Mean time after the start of the day at which those call who waited for it."""
LONGEST_TALK = HOUR


class PlannedCall(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`phone` is what the PBX sees (None: withheld). `account`: whom the caller means to reach; None: nobody here."""

    at: float
    kind: CallKind
    phone: Number | None
    talk: float
    """Seconds until the number is free again, ringing included."""
    delay: DelayClass | None = None
    """Of the first call that this one follows."""
    person: str = ""
    line: float = 0.0
    account: int | None = None

    @property
    def attributable(self) -> bool:
        """The caller himself saw a substitute number on a tracked visit, whenever it was."""
        return self.kind in OWN_CALLS


class Reason(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why somebody calls: his visit, and how he took his time."""

    visit: str
    person: str
    account: int
    delay: DelayClass


def calls_of(world: World, seed: int, reason: Reason, at: float) -> tuple[PlannedCall, ...]:
    """The first call `at`, what its caller dials again later, and the friend's whom he gave the number. In order."""
    if at >= world.length:
        return ()
    draws = stream(seed, "chain", reason.visit)
    found = list(_chain(world, draws, _phones(world, seed, reason.person), reason, at))
    if draws.random() < world.calling.forwarded:
        later = at + world.calling.forwarded_after.draw(draws)
        found.append(_friend(world, draws, _number(seed, "friend", reason.visit), reason, later))
    return tuple(sorted((call for call in found if call.at < world.length), key=lambda call: call.at))


def _chain(
    world: World, draws: Random, phones: list[Number | None], reason: Reason, at: float
) -> Iterator[PlannedCall]:
    """One person's calls on one number: until nobody answers and he gives up, or he has no reason to call again."""
    calling = world.calling
    kind: CallKind = "first"
    while at < world.length:
        busy = draws.random() < calling.busy
        talk = draws.uniform(3.0, 40.0) if busy else _talk(world, draws)
        yield PlannedCall(
            at=at, kind=kind, phone=draws.choice(phones), talk=talk, delay=reason.delay, person=reason.person,
            account=reason.account,
        )  # fmt: skip
        if draws.random() >= (calling.redials if busy else calling.again):
            return
        if busy:
            kind, at = "redial", at + talk + calling.redial_after.draw(draws)
        else:
            kind = "again"
            at = waiting_for_morning(world, at + talk + calling.again_after.draw(draws), draws.random())


def _friend(world: World, draws: Random, phone: Number, reason: Reason, at: float) -> PlannedCall:
    return PlannedCall(
        at=waiting_for_morning(world, at, draws.random()), kind="friend", phone=phone, talk=_talk(world, draws),
        delay=reason.delay, person=f"{reason.visit}.friend", account=reason.account,
    )  # fmt: skip


def _phones(world: World, seed: int, person: str) -> list[Number | None]:
    if chance(seed, "withheld", person) < world.calling.withheld:
        return [None]
    own: list[Number | None] = [_number(seed, "phone", person)]
    if chance(seed, "phones", person) < world.calling.two_phones:
        own.append(_number(seed, "second phone", person))
    return own


def _number(seed: int, *names: int | str) -> Number:
    return Number(f"79{int(chance(seed, *names) * 1e9):09d}")


def _talk(world: World, draws: Random) -> float:
    return 8.0 + min(world.calling.talk.draw(draws), LONGEST_TALK)


def waiting_for_morning(world: World, at: float, draw: float) -> float:
    """Who can wait calls by day; `draw` in [0, 1) says how soon after the day has begun."""
    opens, closes = world.waking
    hour = at % DAY / HOUR
    if opens <= hour < closes:
        return at
    midnight = math.floor(at / DAY) * DAY + (DAY if hour >= closes else 0.0)
    return midnight + opens * HOUR + min(-math.log(1.0 - draw) * MORNING_RUSH, (closes - opens) * HOUR)


def strangers(world: World, seed: int, *, numbers: int) -> list[PlannedCall]:
    """Calls that no visit of the world leads to, by `at`: on the pool's numbers in general, and of earlier visitors."""
    found = [*_misdialled(world, seed, numbers), *_robocalls(world, seed, numbers), *_latecomers(world, seed)]
    return sorted(found, key=lambda call: (call.at, call.line))


def _misdialled(world: World, seed: int, numbers: int) -> Iterator[PlannedCall]:
    draws = stream(seed, "wrong")
    for place, at in enumerate(_steadily(world, draws, world.strangers.wrong * numbers)):
        phone = _number(seed, "wrong", place)
        yield PlannedCall(at=at, kind="wrong", phone=phone, talk=draws.uniform(5.0, 30.0), line=draws.random())


def _robocalls(world: World, seed: int, numbers: int) -> Iterator[PlannedCall]:
    draws = stream(seed, "robocalls")
    for at in _steadily(world, draws, world.strangers.robocalls * numbers):
        phone = _number(seed, "robot", draws.randrange(world.strangers.robots))
        yield PlannedCall(at=at, kind="robocall", phone=phone, talk=draws.uniform(2.0, MINUTE), line=draws.random())


class KnownRobot(msgspec.Struct, frozen=True, gc=False):
    """A robot that called before the world began: when last, in seconds (below 0), and which number."""

    phone: Number
    at: float
    line: float


def robots_before(world: World, seed: int, *, numbers: int) -> Iterator[KnownRobot]:
    """Whose telephones are remembered from the beginning, as they would be where a pool has run for months."""
    draws = stream(seed, "robots before")
    each = world.strangers.robocalls * numbers / max(1, world.strangers.robots)
    for robot in range(world.strangers.robots if each else 0):
        days, line = draws.expovariate(each), draws.random()
        if days <= REMEMBERED_DAYS:
            yield KnownRobot(_number(seed, "robot", robot), -days * DAY, line)


def _steadily(world: World, draws: Random, per_day: float) -> Iterator[float]:
    """A Poisson process by day; nobody dials at night."""
    opens, closes = world.waking
    at = draws.expovariate(per_day) if per_day else math.inf
    while at * DAY < world.length:
        day, part = divmod(at, 1.0)
        yield day * DAY + (opens + part * (closes - opens)) * HOUR
        at += draws.expovariate(per_day)


def _latecomers(world: World, seed: int) -> Iterator[PlannedCall]:
    """First calls of those whose visit was before the world began, so that it begins as any other day: without them
    late calls would be missing. Whatever number they were shown then has long been another's, or nobody's."""
    draws = stream(seed, "latecomers")
    calling = world.calling
    people = world.visits_per_hour * (1 - world.browsing.bots) * world.browsing.human * calling.share
    before = draws.expovariate(people / HOUR)
    place = 0
    while before < BEFORE_DAYS * DAY:
        place += 1
        delay = draws.choices(calling.delays, [each.share for each in calling.delays])[0]
        at, line = delay.after.draw(draws) - before, draws.random()
        site = draws.choices(world.sites, [each.share for each in world.sites])[0]
        if 0 <= at < world.length and delay.name != "in_visit":
            at = waiting_for_morning(world, at, draws.random()) if delay.awake else at
            person = f"before.{place}"
            yield PlannedCall(
                at=at, kind="first", phone=_number(seed, "phone", person), talk=_talk(world, draws), delay=delay.name,
                person=person, line=line, account=site.account,
            )  # fmt: skip
        before += draws.expovariate(people / HOUR)
