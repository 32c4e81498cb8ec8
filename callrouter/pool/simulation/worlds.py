"""Worlds that have a name: the default one, and others that differ from it in what their name says. Pure data."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from msgspec.structs import replace

from callrouter.pool.model import DEFAULT_WINDOW
from callrouter.pool.planning.sizes import default_size
from callrouter.pool.simulation.spread import Spread
from callrouter.pool.simulation.world import (
    DAY,
    HOUR,
    MINUTE,
    STEADY,
    Calling,
    Delay,
    Returning,
    Rhythm,
    Strangers,
    World,
    accounts,
)

DEFAULT = "default"
WINDOW_HOURS = DEFAULT_WINDOW / timedelta(hours=1)


def planned_numbers(world: World) -> int:
    """What `callrouter pool plan` names for the default world of that traffic: 97 % of attributable calls right."""
    return default_size(world.visits_per_hour)


def default() -> World:
    return World(name=DEFAULT, sites=accounts(5))


def _impulse() -> World:
    """Taxis, pizza, tow trucks: who calls, calls at once."""
    delays = (
        Delay(name="in_visit", share=0.86, after=Spread("weibull", 45.0, 0.9)),
        Delay(name="minutes", share=0.11, after=Spread("lognormal", 4 * MINUTE, 1.0)),
        Delay(name="hours", share=0.03, after=Spread("weibull", 2 * HOUR, 0.9), awake=True),
    )
    return replace(default(), name="impulse", calling=Calling(share=0.09, delays=delays, again=0.12))


def _slow_deciders() -> World:
    """Kitchens, flats, implants: they read, sleep over it, and talk to the family."""
    delays = (
        Delay(name="in_visit", share=0.45, after=Spread("lognormal", 4 * MINUTE, 1.1)),
        Delay(name="minutes", share=0.18, after=Spread("weibull", 15 * MINUTE, 0.8)),
        Delay(name="hours", share=0.20, after=Spread("lognormal", 4 * HOUR, 1.0), awake=True),
        Delay(name="days", share=0.13, after=Spread("lognormal", 34 * HOUR, 0.7), awake=True),
        Delay(name="weeks", share=0.04, after=Spread("lognormal", 9 * DAY, 0.8), awake=True),
    )
    return replace(default(), name="slow-deciders", calling=Calling(delays=delays, again=0.3))


def _returning() -> World:
    """Visitors come again and again, from several devices, and callers are regulars."""
    returning = Returning(again=0.6, after=Spread("weibull", 30 * HOUR, 0.7), forgotten=0.3, compares=0.05)
    return replace(default(), name="returning", returning=returning, calling=Calling(again=0.45, two_phones=0.12))


def _busy_day() -> World:
    """Nearly all traffic in a few hours of a few days: the pool has to be made for the peak."""
    hours = (0.02,) * 9 + (0.3, 1.0, 2.5, 4.0, 4.5, 4.0, 3.0, 2.0, 1.2, 0.8, 0.4, 0.2, 0.1, 0.05, 0.02)
    rush = Rhythm(hours=hours, weekdays=(0.6, 0.6, 0.6, 0.6, 3.2, 0.8, 0.6))
    world = default()
    return replace(world, name="busy-day", sites=tuple(replace(site, rhythm=rush) for site in world.sites))


def _many_accounts() -> World:
    """An operator's pool: hundreds of companies, most of them small."""
    return replace(default(), name="many-accounts", sites=accounts(200))


def _round_the_clock() -> World:
    """The same traffic at every hour, and callers who are not polite either."""
    world = default()
    sites = tuple(replace(site, rhythm=STEADY) for site in world.sites)
    return replace(world, name="round-the-clock", sites=sites, waking=(0.0, 24.0))


def _polluted() -> World:
    """Numbers that belonged to others before, and are on the lists of robots: five times as many strangers."""
    return replace(default(), name="polluted", strangers=Strangers(wrong=0.02, robocalls=0.03))


WORLDS: dict[str, Callable[[], World]] = {
    DEFAULT: default,
    "impulse": _impulse,
    "slow-deciders": _slow_deciders,
    "returning": _returning,
    "busy-day": _busy_day,
    "many-accounts": _many_accounts,
    "round-the-clock": _round_the_clock,
    "polluted": _polluted,
}
"""Name → world."""
