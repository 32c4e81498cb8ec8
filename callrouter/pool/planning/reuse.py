"""How soon a number is another visitor's again, and what that costs: the first answer, by a formula. Pure.

A pool gives out the number that has been free longest, so its numbers go round: between two leases of one number all
the others are leased once. With N numbers and leases that begin at the rate λ(t), a number leased at t is leased again
at the moment u at which N further leases have begun:

    ∫[t, u] λ = N

A call is credited to the right visit if it comes before u, for afterwards the newer visitor is likelier; and not later
than the attribution window after the lease has ended, for then nobody is a candidate any more. A visitor who left at t
and whose lease ended `hold` later is thus found again for all calls until

    min(u, t + hold + window)

so that the share of calls that is right is the mean, over visits, of the share of delays that fits in there. Callers
who call again are remembered: they are right whenever their first call was. Visitors who find the pool empty
(Erlang-B, hour by hour) see the site's own number: their calls are right never.

What the formula leaves out (strangers, numbers passed on, returning visitors, who take their own number instead of the
oldest, accounts that keep theirs) is small; the simulation has all of it and decides.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from functools import cached_property
from itertools import accumulate

import msgspec

from callrouter.pool.planning.erlang import blocking, offered_load
from callrouter.pool.simulation.visitors import weight
from callrouter.pool.simulation.world import DAY, HOUR, Delay, World

WEEK_HOURS = 168
PAGES = 120.0
"""Seconds of a visit where a world says nothing else."""


class Formula(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What the formula is told of a pool: leases that begin in each hour of the week, and when people call."""

    leases: tuple[float, ...]
    visit_seconds: float
    hold_seconds: float
    window_seconds: float
    delays: tuple[Delay, ...]
    waking: tuple[float, float] = (0.0, 24.0)

    @property
    def load(self) -> float:
        """Leases at once in the busiest hour."""
        return offered_load(max(self.leases), self.visit_seconds, self.hold_seconds)

    @property
    def leases_per_day(self) -> float:
        return sum(self.leases) / 7

    def overflow(self, numbers: int) -> float:
        """The share of visitors who find the pool empty, over the week."""
        lost = sum(
            rate * blocking(offered_load(rate, self.visit_seconds, self.hold_seconds), numbers)
            for rate in self.leases
            if rate
        )
        return lost / sum(self.leases)

    def right(self, numbers: int) -> float:
        """The share of attributable calls credited to the right visit."""
        return (1.0 - self.overflow(numbers)) * self._in_time(numbers)

    def rest(self, numbers: int) -> float:
        """Seconds, in the mean over visits, from the end of a lease to the next one of that number."""
        cycle = self._mean(lambda at: self._again(at, numbers) - at)
        return max(0.0, cycle - self.visit_seconds - self.hold_seconds)

    def shortest_rest(self, numbers: int) -> float:
        """The same in the busiest hours."""
        cycle = min(self._again(hour * HOUR, numbers) - hour * HOUR for hour in range(WEEK_HOURS))
        return max(0.0, cycle - self.visit_seconds - self.hold_seconds)

    def numbers_for(self, right: float, overflow: float) -> int | None:
        """The fewest numbers that reach both; None if none does."""
        least, most = 1, max(8, 2 * math.ceil(self.load))
        while not self._reaches(most, right, overflow):
            least, most = most, most * 2
            if most > 40 * (self.leases_per_day + self.load):
                return None
        while most - least > max(1, least // 500):
            middle = (least + most) // 2
            least, most = (least, middle) if self._reaches(middle, right, overflow) else (middle, most)
        return most

    def _reaches(self, numbers: int, right: float, overflow: float) -> bool:
        return self.overflow(numbers) <= overflow and self.right(numbers) >= right

    def _in_time(self, numbers: int) -> float:
        return self._mean(lambda at: self._called_before(at, self._last_chance(at, numbers)))

    def _last_chance(self, at: float, numbers: int) -> float:
        again = self._again(at - self.visit_seconds, numbers)
        return min(again, at + self.hold_seconds + self.window_seconds)

    def _mean(self, of: Callable[[float], float]) -> float:
        """Over visits: each hour of the week weighs as many leases as begin in it."""
        total = sum(rate * of((hour + 0.5) * HOUR) for hour, rate in enumerate(self.leases) if rate)
        return total / sum(self.leases)

    @cached_property
    def _passed(self) -> list[float]:
        """Leases that begin before each hour of the week."""
        return list(accumulate(self.leases, initial=0.0))

    def _again(self, at: float, numbers: int) -> float:
        """When `numbers` further leases have begun."""
        passed = self._passed
        week = passed[-1]
        hour = at / HOUR % WEEK_HOURS
        begun = passed[int(hour)] + (hour % 1.0) * self.leases[int(hour)]
        weeks, rest = divmod(begun + numbers, week)
        place = min(bisect_right(passed, rest), WEEK_HOURS) - 1
        rate = self.leases[place]
        until = weeks * WEEK_HOURS + place + ((rest - passed[place]) / rate if rate else 0.0)
        return at + (until - hour) * HOUR

    def _called_before(self, left: float, end: float) -> float:
        """The share of those who left at `left` and call before `end`."""
        if end <= left:
            return sum(delay.share for delay in self.delays if delay.name == "in_visit")
        share = sum(delay.share for delay in self.delays)
        return sum(delay.share * self._has_called(delay, left, end) for delay in self.delays) / share

    def _has_called(self, delay: Delay, left: float, end: float) -> float:
        if delay.name == "in_visit":
            return 1.0
        decided = self._decided_by(end) if delay.awake else end
        return 1.0 - delay.after.beyond(decided - left)

    def _decided_by(self, end: float) -> float:
        """Who calls by `end` wanted to by then; at night nobody calls, and who wanted to then calls in the morning."""
        opens, closes = self.waking
        hour = end % DAY / HOUR
        if opens <= hour < closes:
            return end
        closed = math.floor(end / DAY) * DAY + closes * HOUR
        return closed if hour >= closes else closed - DAY


def formula_of(world: World, *, hold_seconds: float, window_seconds: float) -> Formula:
    """The formula of a simulated world: the same traffic, the same callers."""
    wanting = world.visits_per_hour * (1 - world.browsing.bots) * world.browsing.human
    leases = tuple(
        wanting * sum(site.share * weight(site.rhythm, hour // 24, hour % 24) for site in world.sites)
        for hour in range(WEEK_HOURS)
    )
    return Formula(
        leases=leases, visit_seconds=visit_seconds(world), hold_seconds=hold_seconds, window_seconds=window_seconds,
        delays=world.calling.delays, waking=world.waking,
    )  # fmt: skip


def visit_seconds(world: World) -> float:
    """How long a visit lasts in the mean: its pages, one after another, and those that stay open with nobody there."""
    habits = world.browsing
    return (
        habits.page_time.mean / (1 - habits.another_page)
        + habits.left_open * habits.left_open_for.mean
        + habits.hidden * habits.hidden_for.mean
    )
