"""When a pool has left its plan, and when it is back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callrouter.pool.planning.drift import Deviation, Promise, Seen, judge

PROMISE = Promise(numbers=100, leased_peak=50, rest=3600, overflow=0.01)


def seen(numbers: int = 100, leased: int = 40, rest: float | None = 4000, visits: int = 0, overflowed: int = 0) -> Seen:
    return Seen(numbers=numbers, leased=leased, rest=rest, visits=visits, overflowed=overflowed)


def overflowing(visits: int) -> Seen:
    return seen(visits=1000, overflowed=visits)


def test_a_pool_as_planned_deviates_in_nothing() -> None:
    assert judge(PROMISE, seen()) == frozenset()
    assert judge(PROMISE, seen(rest=None, numbers=150)) == frozenset()


@pytest.mark.parametrize(
    ("what", "beyond", "between", "within"),
    [
        ("numbers", seen(numbers=99), None, seen(numbers=100)),
        ("occupancy", seen(leased=61), seen(leased=55), seen(leased=52)),
        ("rest", seen(rest=2600), seen(rest=3000), seen(rest=3300)),
        ("overflow", overflowing(21), overflowing(15), overflowing(9)),
    ],
)  # fmt: skip
def test_what_has_left_the_plan_has_to_come_well_within_it_before_it_is_in_order(
    what: Deviation, beyond: Seen, between: Seen | None, within: Seen
) -> None:
    left = judge(PROMISE, beyond)
    assert left == {what}
    if between is not None:
        assert judge(PROMISE, between) == frozenset()
        assert judge(PROMISE, between, left) == {what}
    assert judge(PROMISE, within, left) == frozenset()


def test_few_visits_prove_no_overflow_and_a_quiet_night_does_not_end_one() -> None:
    assert judge(PROMISE, seen(visits=20, overflowed=20)) == frozenset()
    assert judge(PROMISE, seen(visits=20, overflowed=5), frozenset({"overflow"})) == {"overflow"}
    assert judge(PROMISE, seen(visits=20, overflowed=0), frozenset({"overflow"})) == frozenset()


SOME = st.integers(0, 1000)


@given(st.builds(seen, SOME, SOME, st.none() | st.floats(0, 1e6), SOME, SOME))
def test_a_judgement_is_stable_while_the_pool_is(measured: Seen) -> None:
    once = judge(PROMISE, measured)
    assert judge(PROMISE, measured, once) >= once
    assert judge(PROMISE, measured, judge(PROMISE, measured, once)) == judge(PROMISE, measured, once)
