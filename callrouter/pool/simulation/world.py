"""The parameters of a simulated world. Pure data: draws nothing. Worlds that have a name are in `worlds`.

Everything is what *people* do. The engine's own delay model (mixtures of exponentials since the last sign of life) is
used nowhere here, so that a world is never made in the engine's image.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from callrouter.pool.simulation.spread import Spread

MINUTE = 60.0
HOUR = 3600.0
DAY = 86400.0
WARM = 1.5
"""Times that a pool's numbers might have been leased before a run counts; returning visitors need fewer."""

DelayClass = Literal["in_visit", "minutes", "hours", "days", "weeks"]


class Rhythm(msgspec.Struct, frozen=True):
    """How traffic is spread over a week: a weight per hour of the day, and one per weekday from Monday."""

    hours: tuple[float, ...]
    weekdays: tuple[float, ...]


SHOPPERS = Rhythm(
    hours=(.30, .18, .12, .10, .12, .25, .50, .85, 1.15, 1.40, 1.50, 1.50,
           1.40, 1.40, 1.45, 1.45, 1.45, 1.40, 1.40, 1.45, 1.50, 1.35, .95, .55),
    weekdays=(1.08, 1.08, 1.06, 1.04, 1.0, .86, .88),
)  # fmt: skip
"""Shops and services for everybody: from morning to late evening, somewhat less at weekends."""
OFFICES = Rhythm(
    hours=(.05, .04, .03, .03, .05, .10, .35, .90, 1.90, 2.50, 2.60, 2.50,
           2.00, 2.20, 2.40, 2.30, 2.00, 1.40, .80, .50, .40, .30, .20, .10),
    weekdays=(1.35, 1.38, 1.36, 1.32, 1.19, .22, .18),
)  # fmt: skip
"""Customers that are companies: office hours."""
STEADY = Rhythm(hours=(1.0,) * 24, weekdays=(1.0,) * 7)


class Site(msgspec.Struct, frozen=True, kw_only=True):
    account: int
    site: int
    share: float
    """Of all visits; the shares of a world's sites sum to 1."""
    rhythm: Rhythm = SHOPPERS


class Browsing(msgspec.Struct, frozen=True, kw_only=True):
    """What visitors do on a site."""

    human: float = 0.72
    """Of visits that are not bots': give a human sign, so that they want a number. The others left at once."""
    bots: float = 0.10
    """Of all visits: bots that run scripts. They are served no number."""
    sign_after: Spread = Spread("lognormal", 4.0, 0.8)
    """From the page to the human sign, when the number is asked for."""
    another_page: float = 0.58
    """After each page another one is opened with this probability."""
    page_time: Spread = Spread("lognormal", 38.0, 1.25)
    """Heavy-tailed: half leave a page within 38 s, one of 40 stays seven minutes."""
    second_tab: float = 0.12
    """Of visits with several pages: a page goes to a second tab, which outlives the first or is closed before it."""
    hidden: float = 0.10
    """Of visits: the page is put in the background and looked at again later; no sign of life meanwhile."""
    hidden_for: Spread = Spread("lognormal", 12 * MINUTE, 1.4)
    left_open: float = 0.04
    """Of visits: the last page stays open and visible though nobody is there."""
    left_open_for: Spread = Spread("lognormal", 35 * MINUTE, 1.0)
    close_lost: float = 0.15
    """The closing signal of a page does not arrive."""
    campaign: float = 0.35
    """Of visits: come by an advert, each with its campaign."""
    campaigns: int = 40


class Returning(msgspec.Struct, frozen=True, kw_only=True):
    """Visitors who come again."""

    again: float = 0.30
    """After each visit the same person visits the same site again with this probability."""
    after: Spread = Spread("lognormal", 20 * HOUR, 2.0)
    forgotten: float = 0.20
    """Of further visits: by another browser or device, so with another visitor id."""
    compares: float = 0.03
    """Of visits: the same person looks at another site of the pool, too."""
    compares_after: Spread = Spread("lognormal", 15 * MINUTE, 1.2)


class Delay(msgspec.Struct, frozen=True, kw_only=True):
    """One way to take one's time. in_visit: counted from when the number is shown, and the visitor stays that long at
    least; else from when he left the site (closed the last page or turned away from it)."""

    name: DelayClass
    share: float
    after: Spread
    awake: bool = False
    """Who would call at night waits for the morning."""


class Calling(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls because of a visit, when, and how often."""

    share: float = 0.05
    """Of visits that wanted a number: call because of it (a first call)."""
    delays: tuple[Delay, ...] = (
        Delay(name="in_visit", share=0.70, after=Spread("lognormal", 100.0, 1.1)),
        Delay(name="minutes", share=0.16, after=Spread("weibull", 7 * MINUTE, 0.8)),
        Delay(name="hours", share=0.10, after=Spread("lognormal", 2.5 * HOUR, 1.0), awake=True),
        Delay(name="days", share=0.03, after=Spread("weibull", 30 * HOUR, 1.1), awake=True),
        Delay(name="weeks", share=0.01, after=Spread("lognormal", 9 * DAY, 0.8), awake=True),
    )
    leaves: float = 0.6
    """Of calls during the visit: the site is left for the call; else the visit goes on behind it."""
    talk: Spread = Spread("lognormal", 2.2 * MINUTE, 1.1)
    busy: float = 0.12
    """Of calls: nobody answers; `redials` of those who met that dial again, after `redial_after`."""
    redials: float = 0.6
    redial_after: Spread = Spread("lognormal", 3 * MINUTE, 1.2)
    again: float = 0.22
    """Of calls that were answered: the same person dials the number in his phone again on a later occasion."""
    again_after: Spread = Spread("weibull", 26 * HOUR, 0.6)
    two_phones: float = 0.06
    """Of callers: have two telephones and take either."""
    withheld: float = 0.02
    """Of callers: withhold their number."""
    forwarded: float = 0.03
    """Of first calls, in addition: the number is passed on to a friend, who calls from his own telephone."""
    forwarded_after: Spread = Spread("lognormal", 5 * HOUR, 1.5)


class Strangers(msgspec.Struct, frozen=True, kw_only=True):
    """Calls on numbers that their caller never saw, per number and day, uniformly over the pool."""

    wrong: float = 0.004
    """Misdialled, or meant for whoever had the number before the pool."""
    robocalls: float = 0.006
    robots: int = 300
    """Numbers that robocalls come from."""


class World(msgspec.Struct, frozen=True, kw_only=True):
    """All that is true. `visits_per_hour` is the mean over the week of all visits, bots included, to all sites."""

    name: str
    sites: tuple[Site, ...]
    visits_per_hour: float = 300.0
    days: float = 14.0
    """Counted; before them comes the warm-up, of which nothing is counted."""
    warm_up: float = 3.0
    browsing: Browsing = Browsing()
    returning: Returning = Returning()
    calling: Calling = Calling()
    strangers: Strangers = Strangers()
    waking: tuple[float, float] = (8.5, 20.5)
    """Hours of the day in which people call who can wait."""

    def settled(self, numbers: int) -> World:
        """With a warm-up long enough for every one of so many numbers to have been leased before anything counts."""
        leases_a_day = self.visits_per_hour * 24 * (1 - self.browsing.bots) * self.browsing.human
        return msgspec.structs.replace(self, warm_up=max(self.warm_up, WARM * numbers / max(leases_a_day, 1e-9)))

    @property
    def length(self) -> float:
        """Seconds from the first visit to the end."""
        return (self.warm_up + self.days) * DAY

    @property
    def counted_from(self) -> float:
        return self.warm_up * DAY


def accounts(count: int) -> tuple[Site, ...]:
    """Sites of `count` accounts of unlike size (by Zipf's law); each third account has two sites, each second works
    office hours."""
    weights = [1 / (place + 1) for place in range(count)]
    total = sum(weights)
    sites: list[Site] = []
    for place, weight in enumerate(weights):
        rhythm = OFFICES if place % 2 else SHOPPERS
        parts = (0.7, 0.3) if place % 3 == 0 else (1.0,)
        for part in parts:
            site = Site(account=place + 1, site=len(sites) + 1, share=weight / total * part, rhythm=rhythm)
            sites.append(site)
    return tuple(sites)
