"""Erlang-B against its published tables, and the rules of thumb."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callrouter.pool.planning.erlang import blocking, numbers_for, offered_load, per_day_rule, per_hour_rule


@pytest.mark.parametrize(
    ("numbers", "share", "load"),
    [
        (1, 0.01, 0.0101), (1, 0.10, 0.1111), (5, 0.01, 1.361), (5, 0.001, 0.762), (10, 0.01, 4.461),
        (10, 0.02, 5.084), (10, 0.05, 6.216), (10, 0.001, 3.092), (20, 0.01, 12.03), (20, 0.05, 15.25),
        (50, 0.01, 37.90), (50, 0.001, 32.51), (100, 0.01, 84.06), (100, 0.02, 87.97), (200, 0.01, 179.7),
    ],
)  # fmt: skip
def test_the_loads_of_the_printed_erlang_tables_lose_the_share_printed(numbers: int, share: float, load: float) -> None:
    assert blocking(load, numbers) == pytest.approx(share, rel=0.01)


@pytest.mark.parametrize(
    ("visits", "minutes", "wanted"),
    [
        (60, 6, (10, 13, 15)), (60, 8, (13, 15, 18)), (60, 15, (20, 24, 28)), (60, 33, (39, 45, 51)),
        (400, 8, (59, 67, 75)), (400, 33, (221, 242, 259)), (1000, 33, (537, 577, 607)),
    ],
)  # fmt: skip
def test_numbers_for_five_percent_one_percent_and_one_in_a_thousand(
    visits: int, minutes: int, wanted: tuple[int, int, int]
) -> None:
    load = offered_load(visits, 3 * 60, (minutes - 3) * 60)
    assert tuple(numbers_for(load, share) for share in (0.05, 0.01, 0.001)) == wanted


@given(st.floats(0.01, 3000), st.floats(0.0001, 0.5))
def test_the_number_found_is_the_fewest(load: float, share: float) -> None:
    numbers = numbers_for(load, share)
    assert blocking(load, numbers) <= share
    assert numbers == 0 or blocking(load, numbers - 1) > share


def test_no_traffic_needs_no_number_and_no_number_serves_nobody() -> None:
    assert numbers_for(0, 0.01) == 1
    assert blocking(0, 0) == 1.0
    assert blocking(5, 0) == 1.0
    assert blocking(0.5, 100_000) == 0.0


@pytest.mark.parametrize(("load", "share"), [(10, 0), (10, 1), (-1, 0.1), (math.inf, 0.1), (math.nan, 0.1)])
def test_targets_and_loads_that_make_no_sense_are_refused(load: float, share: float) -> None:
    with pytest.raises(ValueError, match=r"no load|between 0 and 1"):
        numbers_for(load, share)


def test_the_rules_of_thumb_round_up() -> None:
    assert (per_hour_rule(60), per_hour_rule(61), per_day_rule(481)) == (15, 16, 25)


def test_millions_of_leases_at_once_are_reckoned_in_a_moment() -> None:
    assert blocking(1_000_000, 1_000_000) == pytest.approx(0.0008, rel=0.01)
    assert blocking(1_000_000, 500_000) == pytest.approx(0.5, abs=1e-5)
    assert blocking(1_000_000, 2_000_000) == 0.0
