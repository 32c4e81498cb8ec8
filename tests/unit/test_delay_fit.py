"""Fitting a delay model: what is known of made-up visitors is found again in what they did."""

from __future__ import annotations

import random

import msgspec
import pytest

from callrouter.pool.branching import PastCall, PastLease
from callrouter.pool.delay import DAY, DEFAULT_MODEL, DELAY_SCALES, HOUR, DelayModel, Mixture, Models, survival
from callrouter.pool.fit import fit, told

SUN_TIME = msgspec.structs.replace(DEFAULT_MODEL, night=1.0, rush=1.0)
TRUTH = msgspec.structs.replace(
    SUN_TIME, call_share=0.08, stranger=0.03 / DAY, return_share=0.4,
    delays=tuple(zip((0.0, 0.25, 0.15, 0.2, 0.25, 0.15, 0.0), DELAY_SCALES, strict=True)),
)  # fmt: skip
DAYS = 30


def town(model: DelayModel, numbers: int, seed: int, *, account: int = 2) -> tuple[list[PastLease], list[PastCall]]:
    """Leases at random, and calls as `model` says: each lease has one sign of life, its start."""
    chance = random.Random(seed)
    leases, calls = [], []
    for number in (f"{account}{place}" for place in range(numbers)):
        at = chance.expovariate(1 / (5 * HOUR))
        while at < DAYS * DAY:
            leases.append(PastLease(number, account, f"1:{number}.{at}", at, (at,)))
            delay = _waited(chance, model.call_share, model.delays)
            calls += _chain(chance, model, number, at + delay) if delay is not None else []
            at += HOUR + chance.expovariate(1 / (5 * HOUR))
        at = chance.expovariate(model.stranger)
        while at < DAYS * DAY:
            calls.append(PastCall(number, at))
            at += chance.expovariate(model.stranger)
    return leases, [call for call in calls if call.at < DAYS * DAY]


def _chain(chance: random.Random, model: DelayModel, number: str, at: float) -> list[PastCall]:
    """A first call, and those that follow each other."""
    found = [PastCall(number, at)]
    while (gap := _waited(chance, model.return_share, model.returns)) is not None:
        found.append(PastCall(number, at + gap, since=at))
        at += gap
    return found


def _waited(chance: random.Random, share: float, mixture: Mixture) -> float | None:
    """Until the first call, if calls come at the rate of `share` x density; None: never."""
    left = 1.0 - chance.expovariate(1.0) / share
    if left <= 0:
        return None
    least, most = 0.0, 1e9
    while most - least > 0.5:
        middle = (least + most) / 2
        least, most = (middle, most) if survival(mixture, middle) > left else (least, middle)
    return most


def test_the_truth_is_found_within_its_intervals() -> None:
    leases, calls = town(TRUTH, 100, seed=3)
    fitted = fit(leases, calls, account=2, start=0.0, end=DAYS * DAY, begin=SUN_TIME)
    assert fitted.log_likelihood > fitted.before
    assert fitted.rests_on_prior < 0.1
    for name, truth in told(TRUTH).items():
        if name == "stranger_per_day":  # hard to tell from visitors who call after days: they trade with each other
            continue
        interval = fitted.intervals[name]
        assert interval.low is not None
        assert interval.high is not None
        slack = interval.high - interval.low
        assert interval.low - slack / 2 <= truth <= interval.high + slack / 2, (name, truth, interval)
    assert fitted.chi_square < 40


def test_more_calls_bring_it_closer() -> None:
    def error(numbers: int) -> float:
        found = 0.0
        for seed in (1, 2):
            leases, calls = town(TRUTH, numbers, seed)
            model = fit(leases, calls, account=2, start=0.0, end=DAYS * DAY, begin=SUN_TIME, replicates=0).model
            found += sum(abs(told(model)[name] / truth - 1) for name, truth in told(TRUTH).items())
        return found

    assert error(50) < error(4)


def test_with_few_calls_it_stays_where_it_began_and_says_so() -> None:
    leases, calls = town(TRUTH, 1, seed=5)
    fitted = fit(leases, calls[:3], account=2, start=0.0, end=DAYS * DAY, begin=SUN_TIME)
    assert fitted.rests_on_prior > 0.9
    assert told(fitted.model)["call_share"] == pytest.approx(SUN_TIME.call_share, rel=0.35)


def test_no_calls_and_no_leases_are_no_error() -> None:
    fitted = fit([], [], account=2, start=0.0, end=DAY, begin=SUN_TIME, replicates=2)
    assert fitted.calls == 0
    assert told(fitted.model) == pytest.approx(told(SUN_TIME))


def test_calls_that_another_accounts_visitors_bring_are_not_counted_as_ones_own() -> None:
    own, own_calls = town(TRUTH, 60, seed=7)
    busy = msgspec.structs.replace(TRUTH, call_share=0.5)
    theirs, their_calls = town(busy, 60, seed=8, account=3)
    moved = [msgspec.structs.replace(lease, number="2" + lease.number[1:]) for lease in theirs]
    moved_calls = [msgspec.structs.replace(call, number="2" + call.number[1:]) for call in their_calls]
    fitted = fit(
        [*own, *moved], [*own_calls, *moved_calls], account=2, start=0.0, end=DAYS * DAY, begin=SUN_TIME,
        others=Models(accounts={3: busy}), prior_calls=1.0, replicates=0,
    )  # fmt: skip
    assert fitted.model.call_share == pytest.approx(TRUTH.call_share, rel=0.4)
