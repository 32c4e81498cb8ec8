"""When a number is leased again, by the formula."""

from __future__ import annotations

from itertools import pairwise

import pytest

from callrouter.pool.planning.reuse import WEEK_HOURS, Formula, formula_of
from callrouter.pool.simulation.spread import Spread
from callrouter.pool.simulation.world import DAY, HOUR, MINUTE, Delay
from callrouter.pool.simulation.worlds import default

READING = Delay(name="in_visit", share=0.5, after=Spread("weibull", MINUTE, 1.0))
LATER = Delay(name="hours", share=0.5, after=Spread("weibull", 2 * HOUR, 1.0))


def steady(rate: float = 10.0, window: float = DAY, delays: tuple[Delay, ...] = (READING, LATER)) -> Formula:
    return Formula(
        leases=(rate,) * WEEK_HOURS, visit_seconds=2 * MINUTE, hold_seconds=28 * MINUTE, window_seconds=window,
        delays=delays,
    )  # fmt: skip


def test_numbers_go_round_in_as_many_leases_as_there_are_numbers() -> None:
    assert steady().rest(100) == pytest.approx(10 * HOUR - 30 * MINUTE)
    assert steady().shortest_rest(100) == pytest.approx(10 * HOUR - 30 * MINUTE)
    assert steady().load == pytest.approx(5.0)


def test_who_calls_before_the_number_goes_round_is_found() -> None:
    """Ten hours after the lease began, two minutes of them on the page. Half of the late ones wait two hours."""
    late = 1 - 0.5 ** ((10 * HOUR - 2 * MINUTE) / (2 * HOUR))
    assert steady().right(100) == pytest.approx(0.5 + 0.5 * late)


def test_the_attribution_window_cuts_however_many_numbers_there_are() -> None:
    cut = steady(window=HOUR)
    assert cut.right(1000) == cut.right(100_000) == pytest.approx(0.5 + 0.5 * (1 - 0.5 ** (88 / 120)))
    assert cut.numbers_for(0.9, 0.01) is None


def test_the_size_found_is_the_fewest_that_reaches_the_target() -> None:
    numbers = steady().numbers_for(0.9, 0.01)
    assert numbers is not None
    assert steady().right(numbers) >= 0.9 > steady().right(numbers - 2)


def test_more_numbers_are_never_worse_and_quiet_hours_let_numbers_rest() -> None:
    formula = formula_of(default(), hold_seconds=1800, window_seconds=3 * DAY)
    shares = [formula.right(n) for n in (100, 200, 400, 800, 1600, 3200, 6400)]
    assert all(more >= fewer for fewer, more in pairwise(shares))
    assert 0 <= shares[0] < shares[-1] < 1
    assert formula.shortest_rest(800) < formula.rest(800)


def test_who_would_call_at_night_waits_for_the_morning() -> None:
    sleeper = Delay(name="hours", share=1.0, after=Spread("weibull", 2 * HOUR, 1.0), awake=True)
    restless = steady(delays=(Delay(name="hours", share=1.0, after=sleeper.after),))
    polite = Formula(
        leases=restless.leases, visit_seconds=120, hold_seconds=1680, window_seconds=DAY, delays=(sleeper,),
        waking=(8.0, 20.0),
    )  # fmt: skip
    assert polite.right(60) < restless.right(60)
