"""Which pool numbers leaked out: called although nobody was shown them, as a number copied into a directory is. Pure.

Strangers misdial every number now and then, and every lease brings a caller with some probability; both rates are taken
from the other numbers of the pool and of the sites. A number leaked if so many *different* people called it that chance
does not explain them. Two questions are asked of each number:

* calls while no lease was in memory (nobody could be credited), against the rate of strangers of its pool's others;
* all calls, against strangers and what its own leases bring at their sites: a number that is always leased has no
  quiet time in which a leak would show, but it has more callers than its visitors explain.

The rates are known from limited data, so counts are compared with a Poisson whose rate is itself uncertain (a negative
binomial). A number is reported if it is rarer than `ALARM`, shared out over all the questions asked: over the whole
check, with all its numbers, a false report comes with at most that probability while callers come at random.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from callrouter.numbers import Number

ALARM = 0.01
"""Probability of any false report in a check."""
QUESTIONS = 2
FEWEST_CALLERS = 3
FEWEST_DAYS = 2
EXCESS = 2.0
"""A number with less than so many times the callers expected may be rare, but is no leak worth a person's time."""
PRIOR_CALLS = 0.3
"""What each rate is taken to be before any data counts as little: a third of a call, in its usual exposure."""
STRANGERS_PER_DAY = 0.02
CALLS_PER_LEASE = 0.03
ROUNDS = 20
SETTLING = 30


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """What one number saw. Callers are different people; who is remembered from before is not counted."""

    number: Number
    account: int
    pool: int
    days: float
    """Of the window in which the number was in the inventory."""
    bare_days: float
    """Of these, days with no lease in memory."""
    bare_callers: int
    """Who called then."""
    callers: int
    """Who called at all."""
    call_days: int
    """Days with a call."""
    leases: Mapping[int, int]
    """Site → leases begun."""


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    number: Number
    account: int
    pool: int
    callers: int
    expected: float
    p_value: float


class LeakCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call as evidence."""

    started_at: datetime
    caller: str | None
    status: str | None
    method: str
    confidence: float
    lease_ended_before_s: float | None
    """How long before the call the last lease had ended; negative: the number was leased. None: it never was."""


class Leak(Suspect, frozen=True, kw_only=True):
    calls: int
    days: int
    last_lease_ended_at: datetime | None
    evidence: tuple[LeakCall, ...]


class _Rate:
    """Calls per exposure, of all numbers together; asked without the one that is tested."""

    def __init__(self, prior: float) -> None:
        self._prior, self._prior_exposure = prior, PRIOR_CALLS / prior
        self.exposure = self._prior_exposure
        self.calls = PRIOR_CALLS

    def begin(self) -> None:
        """As usual, whatever was seen: where data cannot tell two rates apart, they stay in the usual proportion."""
        self.calls = self._prior * self.exposure

    @property
    def mean(self) -> float:
        return self.calls / self.exposure

    def without(self, calls: float, exposure: float) -> tuple[float, float]:
        """Mean and variance of the rate."""
        count = max(PRIOR_CALLS, self.calls - calls)
        span = max(self._prior_exposure, self.exposure - exposure)
        return count / span, count / span**2


class _Rates:
    """Strangers a day, by pool, and callers per lease, by site: what makes the calls of all numbers likeliest.

    A caller while the number is leased may be either. Which, is shared out by the rates, and the rates are those of
    what was shared out: repeated, this settles (expectation and maximization for a sum of Poissons).
    """

    def __init__(self, watched: Sequence[Watched]) -> None:
        self.strangers: dict[int, _Rate] = {}
        self.shares: dict[int, _Rate] = {}
        for one in watched:
            self.strangers.setdefault(one.pool, _Rate(STRANGERS_PER_DAY)).exposure += one.days
            for site, leases in one.leases.items():
                self.shares.setdefault(site, _Rate(CALLS_PER_LEASE)).exposure += leases
        called = [one for one in watched if one.callers]
        for rate in (*self.strangers.values(), *self.shares.values()):
            rate.begin()
        for _ in range(SETTLING):
            parts = [self.parts(one) for one in called]
            for rate in (*self.strangers.values(), *self.shares.values()):
                rate.calls = PRIOR_CALLS
            for one, (stranger, led) in zip(called, parts, strict=True):
                self.strangers[one.pool].calls += stranger
                for site, callers in led.items():
                    self.shares[site].calls += callers

    def parts(self, one: Watched) -> tuple[float, dict[int, float]]:
        """Of the number's callers: how many strangers, how many brought by the leases of each site."""
        by_chance = self.strangers[one.pool].mean * (one.days - one.bare_days)
        by_site = {site: self.shares[site].mean * leases for site, leases in one.leases.items()}
        led, total = one.callers - one.bare_callers, by_chance + sum(by_site.values())
        each = led / total if total > 0 else 0.0
        return one.bare_callers + each * by_chance, {site: each * weight for site, weight in by_site.items()}


def find_suspects(watched: Iterable[Watched]) -> list[Suspect]:
    """The numbers that leaked, most evident first.

    What is found is left out of the rates and the rest looked at again, for leaks hide each other.
    """
    rest, found = list(watched), list[Suspect]()
    asked = QUESTIONS * len(rest)
    for _ in range(ROUNDS):
        rates = _Rates(rest)
        new = [each for one in rest if (each := _suspect(one, rates, asked)) is not None]
        if not new:
            break
        found += new
        gone = {each.number for each in new}
        rest = [one for one in rest if one.number not in gone]
    return sorted(found, key=lambda each: (each.p_value, each.number))


def _suspect(one: Watched, rates: _Rates, asked: int) -> Suspect | None:
    if one.callers < FEWEST_CALLERS or one.call_days < FEWEST_DAYS:
        return None
    strangers, led = rates.parts(one)
    rate, doubt = rates.strangers[one.pool].without(strangers, one.days)
    quiet = (one.bare_callers, rate * one.bare_days, doubt * one.bare_days**2)
    mean, variance = rate * one.days, doubt * one.days**2
    for site, leases in one.leases.items():
        share, doubt = rates.shares[site].without(led[site], leases)
        mean, variance = mean + share * leases, variance + doubt * leases**2
    callers, expected, p_value = min(
        (
            (callers, mean, tail(callers, mean, variance))
            for callers, mean, variance in (quiet, (one.callers, mean, variance))
        ),
        key=lambda test: test[2],
    )
    if callers < max(FEWEST_CALLERS, EXCESS * expected) or p_value * asked > ALARM:
        return None
    return Suspect(
        number=one.number, account=one.account, pool=one.pool, callers=callers, expected=round(expected, 3),
        p_value=float(f"{p_value:.2g}"),
    )  # fmt: skip


def tail(count: int, mean: float, variance: float) -> float:
    """P(at least `count` calls) if they come at a rate that is known to be `mean`, give or take `variance`.

    >>> round(tail(3, 1.0, 0.0), 4)  # a plain Poisson
    0.0803
    """
    if count <= mean:
        return 1.0
    if mean <= 0:
        return 0.0
    shape = min(mean * mean / variance, 1e9) if variance > 0 else 1e9
    share = mean / (shape + mean)
    log = (
        math.lgamma(count + shape) - math.lgamma(shape) - math.lgamma(count + 1)
        + count * math.log(share) - shape * math.log1p(mean / shape)
    )  # fmt: skip
    term = total = math.exp(log) if log > -700 else 0.0  # noqa: PLR2004 - the least that a float can hold
    while term > total * 1e-12:
        term *= (count + shape) / (count + 1) * share
        total += term
        count += 1
    return min(1.0, total)
