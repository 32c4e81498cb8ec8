"""How soon people call, and how often they call again: the one place where attribution takes its odds from. Pure.

A call on a number is a race between explanations, each with a rate: calls per second that it would bring just then.

* *A visit calls.* Whoever is shown a number may call it. The rate depends on one thing, the delay d since the visit's
  last sign of life: `call_share` x density(d) of `delays`. While he reads, each sign sets d back and keeps the rate at
  its top; after the last one the visit still brings `call_share` calls on the average.
* *This caller calls again*, on the number he called before: `return_share` x density(d) of `returns`, d since his last
  call. On another number than the one he knows (we do not know that he saw it) the rate is `other_number` of that.
* *Somebody else.* Numbers are misdialled, copied and dialled by robots: `stranger` calls per second on any number. They
  are passed on: of the late calls that a visit brings, the share `passed_on` is placed by a person who never visited.
  And visits that are too long ago to be candidates may still bring calls.

Whose telephone it is tells, too. A caller whom we know is himself: that a visitor whom we cannot link to him should own
just that telephone has odds of about one in the number of people who might call, `same_phone`. It scales every
explanation but his own visits. Of a caller who is known by other numbers only, and to none of this one's visitors, it
may be a robot that dials them all: so are `repeaters` of the strangers, but only `strayed` of the visitors. And whoever
calls the same number again is hardly a stranger: they do so `stranger_again` times as often as visitors.

Two clocks run. Who reads, or has just read, is awake; who calls hours or days later waits for the day. The scales of
`delays` and `returns` from LATE on, and strangers, go by waking time: it passes at its full pace from `opens` to
`closes` and at the share `night` of it otherwise, as many seconds a day in all as the sun's. In the first hours of the
day (RUSH) it is `rush` times as fast for those who waited through the night, but not for strangers.

The delays are mixtures of exponentials on fixed scales, half a minute to a week: whatever falls with time can be
written so, and then fitting it is a question with one best answer (`fit`). docs/concepts/attribution.md says where the
defaults come from. An account's own calls are to be fitted in their place: `callrouter pool fit`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import NamedTuple

import msgspec

from callrouter.pool.model import DEFAULT_WINDOW

MINUTE = 60.0
HOUR = 3600.0
DAY = 86400.0

Mixture = tuple[tuple[float, float], ...]
"""(share, mean delay in seconds) of each exponential; shares sum to 1."""

RUSH = 2.5 * HOUR
LATE = HOUR
"""Means from here on are of waking time."""
NOTHING = 30.0
"""After so many means of an exponential nothing of it is left that counts (1e-13)."""
DELAY_SCALES = (30.0, 2.5 * MINUTE, 20 * MINUTE, 1.5 * HOUR, 5 * HOUR, DAY, 6 * DAY)
RETURN_SCALES = (5 * MINUTE, 40 * MINUTE, 6 * HOUR, 30 * HOUR, 6 * DAY, 30 * DAY)


class Now(NamedTuple):
    """A moment on both clocks, in seconds, and the paces of late callers and of strangers just then."""

    at: float
    waking: float
    pace: float
    strangers: float


class DelayModel(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    call_share: float = 0.031
    delays: Mixture = tuple(zip((0.001, 0.568, 0.133, 0.001, 0.180, 0.083, 0.034), DELAY_SCALES, strict=True))
    return_share: float = 0.22
    returns: Mixture = tuple(zip((0.24, 0.025, 0.055, 0.36, 0.312, 0.008), RETURN_SCALES, strict=True))
    other_number: float = 0.02
    stranger: float = 0.01 / DAY
    passed_on: float = 0.17
    same_phone: float = 1e-4
    repeaters: float = 0.60
    strayed: float = 0.005
    stranger_again: float = 0.03
    opens: float = 8.5
    closes: float = 20.5
    """Hours of the day, by the account's clock, which is `offset` hours ahead of UTC."""
    night: float = 0.03
    rush: float = 2.6
    offset: float = 0.0
    window: timedelta = DEFAULT_WINDOW
    """Attribution window: older leases and visits are no candidates."""

    def now(self, at: float) -> Now:
        """The moment `at`, seconds since the epoch, on both clocks."""
        clock = self._clock
        hour = (at + clock.shift) % DAY
        if not clock.opens <= hour < clock.closes:
            return Now(at, self.waking(at), clock.slow, clock.strangers * self.night)
        return Now(at, self.waking(at), clock.quick if hour < clock.rushed else clock.pace, clock.strangers)

    def waking(self, at: float) -> float:
        """Waking time from the epoch to the moment `at`."""
        shift, opens, rushed, closes, slow, quick, pace, _ = self._clock
        day = (at + shift) % DAY
        midnight = at + shift - day
        if day < opens:
            return midnight + slow * day
        if day < rushed:
            return midnight + slow * opens + quick * (day - opens)
        if day < closes:
            return midnight + slow * opens + quick * (rushed - opens) + pace * (day - rushed)
        return midnight + DAY - slow * (DAY - day)

    def visit_rates(self, seen: float, now: Now) -> tuple[float, float]:
        """Calls per second by a visit whose last sign of life was at `seen`: on its heels, and late ones."""
        return self._rates(self._visits, seen, now)

    def return_rate(self, called: float, now: Now) -> float:
        """Further calls per second by somebody who last called at `called`."""
        soon, late = self._rates(self._returns, called, now)
        return soon + late

    def still_to_come(self, seen: float, now: Now) -> float:
        """Calls that the visit will bring after now, waking time as it may be."""
        passed, awake = now.at - seen, now.waking - self.waking(seen)
        total = 0.0
        for rate, scale in self._visits[0]:
            total += rate * scale * math.exp(-passed / scale)
        for rate, scale in self._visits[1]:
            total += rate * scale * math.exp(-awake / scale)
        return total

    def _rates(self, kernel: _Kernel, since: float, now: Now) -> tuple[float, float]:
        soon, late = 0.0, 0.0
        passed = max(0.0, now.at - since)
        for rate, scale in kernel[0]:
            if passed > NOTHING * scale:
                break
            soon += rate * math.exp(-passed / scale)
        awake = max(0.0, now.waking - self.waking(since)) if passed else 0.0
        for rate, scale in kernel[1]:
            if awake > NOTHING * scale:
                break
            late += rate * math.exp(-awake / scale)
        return soon, late * now.pace

    @cached_property
    def _visits(self) -> _Kernel:
        return _kernel(self.call_share, self.delays)

    @cached_property
    def _returns(self) -> _Kernel:
        return _kernel(self.return_share, self.returns)

    @cached_property
    def _clock(self) -> _Clock:
        opens, closes = self.opens * HOUR, self.closes * HOUR
        rushed = min(opens + RUSH, closes)
        day, rest = closes - opens, self.night * (DAY - closes + opens)
        pace = DAY / (day + (self.rush - 1.0) * (rushed - opens) + rest)
        slow, quick = pace * self.night, pace * self.rush
        return _Clock(self.offset * HOUR, opens, rushed, closes, slow, quick, pace, DAY / (day + rest))


class _Clock(NamedTuple):
    """By how much the account's clock is ahead of UTC, the corners of its day, and the paces between them."""

    shift: float
    opens: float
    rushed: float
    closes: float
    slow: float
    quick: float
    pace: float
    strangers: float


_Kernel = tuple[Mixture, Mixture]
"""(rate at no delay, scale) of each exponential by the sun's time, and by waking time; the longest first."""


def _kernel(share: float, mixture: Mixture) -> _Kernel:
    rates = sorted(((share * part / scale, scale) for part, scale in mixture), key=lambda each: -each[1])
    return tuple(each for each in rates if each[1] < LATE), tuple(each for each in rates if each[1] >= LATE)


DEFAULT_MODEL = DelayModel()


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """Each account's model, and how often strangers call the numbers of a pool."""

    default: DelayModel = DEFAULT_MODEL
    accounts: Mapping[int, DelayModel] = {}
    strangers: Mapping[int, float] = {}

    def of(self, account: int) -> DelayModel:
        return self.accounts.get(account, self.default)

    def stranger(self, pool: int) -> float:
        return self.strangers.get(pool, self.default.stranger)


DEFAULT_MODELS = Models()


def survival(mixture: Mixture, seconds: float) -> float:
    """The share of delays that are longer."""
    return sum(share * math.exp(-seconds / mean) for share, mean in mixture)
