"""What is planned for: traffic, callers, hold and attribution window, and what is wanted of the pool. Pure data.

Traffic is a `World` of the simulation: who comes, how long he looks, when he calls. Here such a world is made from what
an operator says; `measured` makes one from what his sites saw.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from callrouter.pool.delay import DelayModel
from callrouter.pool.model import DEFAULT_HOLD, DEFAULT_WINDOW, MINIMUM_HOLD
from callrouter.pool.planning.reuse import Formula, formula_of
from callrouter.pool.simulation.spread import Spread
from callrouter.pool.simulation.world import DAY, OFFICES, SHOPPERS, STEADY, Delay, DelayClass, Rhythm, World

PROFILES: dict[str, Rhythm] = {"shoppers": SHOPPERS, "offices": OFFICES, "steady": STEADY}
CLASS_OF: tuple[tuple[float, DelayClass], ...] = ((3600.0, "minutes"), (12 * 3600.0, "hours"), (3 * DAY, "days"))
ROUNDING = 1e-6
MINUTE = timedelta(minutes=1)
LN2 = 0.6931471805599453
LEAST_VISITS, MOST_VISITS = 1, 10_000_000
LONGEST_HOLD = timedelta(days=1)
LONGEST_WINDOW = timedelta(days=60)


class Impossible(ValueError):
    """There is nothing to plan for; the text says what is wrong with the input."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    right: float = 0.97
    """Of attributable calls, credited to the right visit: at least."""
    overflow: float = 0.01
    """Of visitors who want a number, find none: at most."""


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """`model`: what the engine believes of callers; the world is what they do."""

    world: World
    hold: timedelta = DEFAULT_HOLD
    window: timedelta = DEFAULT_WINDOW
    model: DelayModel = DelayModel()
    target: Target = Target()

    @property
    def formula(self) -> Formula:
        return formula_of(
            self.world, hold_seconds=self.hold.total_seconds(), window_seconds=self.window.total_seconds()
        )

    @property
    def leases_per_hour(self) -> float:
        return self.formula.leases_per_day / 24


def checked(demand: Demand) -> Demand:
    """Raises Impossible for what makes no sense."""
    world, target = demand.world, demand.target
    if not LEAST_VISITS <= world.visits_per_hour <= MOST_VISITS:
        raise Impossible(
            f"{world.visits_per_hour:g} visits per hour are no traffic to plan for: at least {LEAST_VISITS}"
        )
    if demand.hold < MINIMUM_HOLD:
        raise Impossible(
            f"a hold of {demand.hold / MINUTE:g} minutes is too short: visitors who call late need at least "
            f"{MINIMUM_HOLD / MINUTE:g}"
        )
    if demand.hold > LONGEST_HOLD or not timedelta(0) < demand.window <= LONGEST_WINDOW:
        raise Impossible("a hold is at most a day, an attribution window at most 60 days")
    if not (0 < target.right < 1 and 0 < target.overflow < 1):
        raise Impossible("targets are shares between 0 and 1, as --right 0.97 --overflow 0.01")
    if not 0 < world.browsing.human <= 1 or not 0 < world.calling.share <= 1:
        raise Impossible("the shares of visits that want a number, and of visits that call, are between 0 and 1")
    return demand


def with_profile(world: World, rhythm: Rhythm) -> World:
    sites = tuple(msgspec.structs.replace(site, rhythm=rhythm) for site in world.sites)
    return msgspec.structs.replace(world, sites=sites)


def with_delays(world: World, shares: dict[str, float]) -> World:
    """`shares` of the classes of callers: in_visit, minutes, hours, days, weeks; what they leave is in_visit's."""
    known = {delay.name: delay for delay in world.calling.delays}
    if unknown := sorted(set(shares) - set(known)):
        raise Impossible(f"{unknown[0]!r} is no kind of delay; there are: {', '.join(known)}")
    together = sum(shares.values())
    if not (all(share >= 0 for share in shares.values()) and together <= 1 + ROUNDING):
        raise Impossible("shares of delays are 0 or more and together at most 1")
    if "in_visit" in shares and together < 1 - ROUNDING:
        raise Impossible(f"all shares of delays are given, and come to {together:g}, not to 1")
    rest = max(0.0, 1.0 - together)
    full: dict[str, float] = {"in_visit": rest, **shares}
    delays = tuple(
        msgspec.structs.replace(delay, share=full[delay.name])
        for delay in world.calling.delays
        if full.get(delay.name, 0.0) > 0
    )
    return _calling(world, delays=delays)


def delays_of(model: DelayModel) -> tuple[Delay, ...]:
    """Callers as a fitted model describes them: exponential delays since the last sign of life."""
    total = sum(share for share, _mean in model.delays)
    return tuple(
        Delay(name=_class_of(mean), share=share / total, after=Spread("weibull", mean * LN2, 1.0))
        for share, mean in model.delays
        if share > 0
    )


def with_callers(world: World, model: DelayModel) -> World:
    return _calling(world, share=min(1.0, model.call_share), delays=delays_of(model))


def with_callers_of(world: World, other: World) -> World:
    """They call when the people of the `other` world do, as many of them as before."""
    calling = msgspec.structs.replace(other.calling, share=world.calling.share)
    return msgspec.structs.replace(world, calling=calling, waking=other.waking)


def _class_of(mean: float) -> DelayClass:
    return next((name for below, name in CLASS_OF if mean < below), "weeks")


def _calling(world: World, **changes: object) -> World:
    return msgspec.structs.replace(world, calling=msgspec.structs.replace(world.calling, **changes))
