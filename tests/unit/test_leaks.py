"""The rule that finds leaked numbers: silent on chance, however the world is; sharp on planted leaks."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callrouter.numbers import Number
from callrouter.pool.leaks import ALARM, Watched, find_suspects, tail

DAYS = 14.0


def poisson(chance: random.Random, mean: float) -> int:
    count, product, limit = 0, chance.random(), math.exp(-mean)
    while product > limit:
        count, product = count + 1, product * chance.random()
    return count


ODD = ((0.0, 0.005, 0.02, 0.2, 1.0), (0.0, 0.01, 0.03, 0.15))
USUAL = ((0.0, 0.005, 0.02, 0.05), (0.0, 0.01, 0.03, 0.08))
"""Strangers a day and callers per lease; few numbers cannot tell odd rates from leaks, so theirs are usual."""


def innocent(seed: int, numbers: int, rates: tuple[tuple[float, ...], tuple[float, ...]]) -> list[Watched]:
    """A world without leaks: pools with strangers of their own, sites with call shares of their own."""
    chance = random.Random(seed)
    strangers = {pool: chance.choice(rates[0]) for pool in (1, 2)}
    shares = {site: chance.choice(rates[1]) for site in range(4)}
    return [number_of(chance, place, strangers, shares) for place in range(numbers)]


def number_of(
    chance: random.Random, place: int, strangers: dict[int, float], shares: dict[int, float], *, leak: float = 0.0
) -> Watched:
    pool = chance.choice(list(strangers))
    leases = {site: chance.choice((0, 3, 40, 200)) for site in chance.sample(list(shares), 2)}
    leases = {site: count for site, count in leases.items() if count}
    bare_days = max(0.0, DAYS - sum(leases.values()) * 1.1)
    led = {site: poisson(chance, shares[site] * count) for site, count in leases.items()}
    bare = poisson(chance, (strangers[pool] + leak) * bare_days)
    other = poisson(chance, (strangers[pool] + leak) * (DAYS - bare_days))
    if leases:
        site = next(iter(leases))
        led[site] += other
    callers = bare + sum(led.values())
    return Watched(
        number=Number(str(74950000000 + place)), account=1, pool=pool, days=DAYS, bare_days=bare_days,
        bare_callers=bare, callers=callers, call_days=min(14, callers), leases=leases,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "rates", "checks"), [(5, USUAL, 600), (20, USUAL, 300), (60, ODD, 150)], ids=["few", "some", "many"]
)
def test_chance_alone_raises_a_false_alarm_in_one_check_of_a_hundred_at_most(
    numbers: int, rates: tuple[tuple[float, ...], tuple[float, ...]], checks: int
) -> None:
    alarms = sum(bool(find_suspects(innocent(seed, numbers, rates))) for seed in range(checks))
    expected = checks * ALARM
    assert alarms <= expected + 3 * math.sqrt(expected), f"{alarms} false alarms in {checks} checks"


def test_planted_leaks_are_found_and_only_these() -> None:
    found, planted, wrong = 0, 0, 0
    for seed in range(20):
        chance = random.Random(10_000 + seed)
        strangers, shares = {1: 0.02, 2: 0.05}, {0: 0.01, 1: 0.03, 2: 0.03, 3: 0.05}
        world = [number_of(chance, place, strangers, shares) for place in range(300)]
        leaked = [number_of(chance, 1000 + place, strangers, shares, leak=3.0) for place in range(3)]
        names = {suspect.number for suspect in find_suspects([*world, *leaked])}
        planted += len(leaked)
        found += len(names & {each.number for each in leaked})
        wrong += len(names - {each.number for each in leaked})
    assert found / planted > 0.9, f"{found} of {planted}"
    assert wrong <= 3


def quiet(place: int, callers: int, days: int = 5) -> Watched:
    return Watched(
        number=Number(str(74950000000 + place)), account=1, pool=1, days=DAYS, bare_days=DAYS, bare_callers=callers,
        callers=callers, call_days=days, leases={},
    )  # fmt: skip


def test_one_caller_or_one_day_is_no_leak() -> None:
    calm = [quiet(place, 0) for place in range(50)]
    assert not find_suspects([*calm, quiet(99, 1)])
    assert not find_suspects([*calm, quiet(99, 20, days=1)]), "somebody's bad day: an advert with a wrong digit"
    assert [each.number for each in find_suspects([*calm, quiet(99, 8)])] == ["74950000099"]


def test_leaks_do_not_hide_each_other() -> None:
    world = [quiet(place, 0) for place in range(20)]
    leaks = [quiet(100 + place, 6 + 10 * place) for place in range(6)]
    assert {each.number for each in find_suspects([*world, *leaks])} == {each.number for each in leaks}


def test_a_pool_that_everybody_misdials_is_no_leak_of_each_of_its_numbers() -> None:
    assert not find_suspects([quiet(place, 12 + place % 5) for place in range(40)])


def test_nothing_to_watch_is_nothing_found() -> None:
    assert find_suspects([]) == []


@given(st.integers(0, 200), st.floats(0.001, 100), st.floats(0, 50))
@settings(deadline=None)
def test_the_tail_is_a_probability_that_falls_with_the_count_and_grows_with_doubt(
    count: int, mean: float, variance: float
) -> None:
    here = tail(count, mean, variance)
    assert 0.0 <= here <= 1.0
    assert tail(count + 1, mean, variance) <= here + 1e-9


@given(st.integers(0, 60), st.floats(0.01, 40))
@settings(deadline=None)
def test_without_doubt_the_tail_is_poissons(count: int, mean: float) -> None:
    exact = 1 - math.fsum(math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(count))
    if count > mean:
        assert math.isclose(tail(count, mean, 0.0), exact, rel_tol=1e-4, abs_tol=1e-9)
