"""An account's own delay model from its past leases and calls: expectation and maximisation over who placed each call.

Pure arithmetic; knows neither Postgres nor the command line. Of numpy, so no daemon imports it.

The model (`delay`) says how many calls each past lease would bring and when; a call belongs in part to each lease that
may have brought it. The weights of the mixtures on their fixed scales are the unknowns, and their likelihood has one
maximum. What is still to come counts as such: a lease is at risk from its start, or the period's, to the period's end.

With few calls the answer stays near the model it began from: that counts as `PRIOR_CALLS` calls seen already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from callrouter.pool.branching import Array, PastCall, PastLease, Seen
from callrouter.pool.delay import DAY, DEFAULT_MODELS, HOUR, MINUTE, DelayModel, Mixture, Models, survival

PRIOR_CALLS = 40.0
"""What the model to begin with is worth, in first calls; in calls again, and strangers' calls, a quarter of it."""
ROUNDS = 400
ENOUGH = 1e-7
"""Of the log-likelihood, relative: a round that gains less is the last."""
REPLICATES = 60
EDGES = (0.0, 30.0, 2 * MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 8 * HOUR, DAY, 3 * DAY, 14 * DAY)
"""Of the delays that are compared with what was seen."""

LEAST_EXPECTED = 5.0
"""Calls in a span of delay, for it to count in the test of goodness."""

NOTHING_TOLD = 1e-9
"""What replicas differ by, relative, where they are all the same."""

Progress = Callable[[float], None]


class Delayed(msgspec.Struct, frozen=True, gc=False):
    """Calls whose delay since the last sign of life was in [least, most): as seen, and as the model says."""

    least: float
    most: float
    seen: float
    expected: float


class Interval(msgspec.Struct, frozen=True, gc=False):
    """`value` with the bounds of its 95 % interval; None where nothing that was seen could have told otherwise."""

    value: float
    low: float | None
    high: float | None


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    model: DelayModel
    calls: int
    """First calls in the period on numbers that the account's visitors held."""
    calls_again: int
    leases: int
    log_likelihood: float
    before: float
    """The log-likelihood of the model it began from."""
    intervals: dict[str, Interval]
    delays: tuple[Delayed, ...]
    chi_square: float
    """Of seen against expected delays, over those expected five times and more."""
    rests_on_prior: float
    """The share of the answer that is the model it began from: near 1 there were too few calls to tell otherwise."""


def fit(
    leases: Sequence[PastLease],
    calls: Sequence[PastCall],
    *,
    account: int | None,
    start: float,
    end: float,
    begin: DelayModel = DEFAULT_MODELS.default,
    others: Models = DEFAULT_MODELS,
    prior_calls: float = PRIOR_CALLS,
    replicates: int = REPLICATES,
    progress: Progress = lambda _: None,
) -> Fit:
    """The model of `account` (None: of all accounts together) from what happened in [start, end).

    Leases that began earlier may have brought its calls and belong in. Of other accounts' leases only those on the same
    numbers matter; `others` rates them. `begin` gives the scales, and what calls do not show, as `passed_on`.
    """
    seen = Seen(leases, calls, account=account, start=start, end=end, begin=begin, others=others)
    prior = _Prior(begin, prior_calls)
    ones = np.ones(seen.count)
    best, likelihood = _maximise(seen, prior, prior.weights, ones, ROUNDS)
    draws = np.random.default_rng(1)
    replicas: list[dict[str, float]] = []
    for done in range(replicates):
        times = draws.multinomial(seen.count, ones / seen.count).astype(float) if seen.count else ones
        weights, _ = _maximise(seen, prior, best, times, 60)
        replicas.append(told(_model(weights, begin)))
        progress((done + 1) / replicates)
    model = _model(best, begin)
    delays = _delays(seen, best)
    expected = [each for each in delays if each.expected >= LEAST_EXPECTED]
    return Fit(
        model=model,
        calls=len(seen.first),
        calls_again=len(seen.again),
        leases=seen.own,
        log_likelihood=likelihood,
        before=_likelihood(seen, prior.weights, ones),
        intervals=_intervals(told(model), replicas),
        delays=delays,
        chi_square=sum((each.seen - each.expected) ** 2 / each.expected for each in expected),
        rests_on_prior=prior_calls / (prior_calls + len(seen.first)) if prior_calls else 0.0,
    )


class _Weights(msgspec.Struct, frozen=True):
    """The unknowns: calls per lease on each scale, calls again per call on each scale, strangers per second; of the
    visitors' first calls and of the strangers', how many are by callers who had called another number before."""

    visits: Any
    returns: Any
    stranger: float
    strayed: float
    repeaters: float

    def odds(self, elsewhere: Array) -> tuple[Array, Array]:
        """Of first calls: that a visitor, and that a stranger, has called another number before, or has not."""
        return (
            np.where(elsewhere, self.strayed, 1.0 - self.strayed),
            np.where(elsewhere, self.repeaters, 1.0 - self.repeaters),
        )


class _Prior:
    """Gamma distributions whose means are the weights to begin from."""

    def __init__(self, begin: DelayModel, calls: float) -> None:
        visits = begin.call_share * np.array([share for share, _ in begin.delays])
        returns = begin.return_share * np.array([share for share, _ in begin.returns])
        self.weights = _Weights(visits, returns, begin.stranger, begin.strayed, begin.repeaters)
        self.visit_calls = calls * visits / visits.sum()
        self.visit_leases = calls / visits.sum()
        self.return_calls = calls / 4 * returns / returns.sum()
        self.return_after = calls / 4 / returns.sum()
        self.stranger_calls = calls / 4
        self.stranger_seconds = calls / 4 / begin.stranger


def _maximise(seen: Seen, prior: _Prior, weights: _Weights, times: Array, rounds: int) -> tuple[_Weights, float]:
    """The likeliest weights when each number's calls and leases count so many times, and their log-likelihood."""
    exposure = times @ seen.exposure + prior.visit_leases
    return_exposure = times @ seen.return_exposure + prior.return_after
    seconds = float(times @ seen.seconds) + prior.stranger_seconds
    first_times, again_times = times[seen.first_place], times[seen.again_place]
    likelihood = float("-inf")
    for _ in range(rounds):
        first = _First(seen, weights)
        again = _again(seen, weights)
        now = _log_sum(first.rates, first_times) + _log_sum(again, again_times) - _expected(seen, weights, times)
        if now - likelihood < ENOUGH * abs(now):
            break
        likelihood = now
        per_rate = first_times / first.rates
        visits = (per_rate * first.visit_odds) @ seen.first_rates + (again_times / again) @ seen.again_rates
        returns = (again_times / again) @ seen.again_returns
        strangers, visitors = per_rate * first.strangers, per_rate * first.visitors
        weights = _Weights(
            (weights.visits * visits + prior.visit_calls) / exposure,
            (weights.returns * returns + prior.return_calls) / return_exposure,
            float(strangers.sum() + prior.stranger_calls) / seconds,
            _share(visitors, seen.first_elsewhere, prior.weights.strayed, prior.stranger_calls),
            _share(strangers, seen.first_elsewhere, prior.weights.repeaters, prior.stranger_calls),
        )
    return weights, _likelihood(seen, weights, times)


class _First:
    """Calls per second just when each first call came: by visitors, by strangers, by anybody."""

    def __init__(self, seen: Seen, weights: _Weights) -> None:
        self.visit_odds, stranger_odds = weights.odds(seen.first_elsewhere)
        self.visitors = (seen.first_rates @ weights.visits + seen.first_others) * self.visit_odds
        self.strangers = seen.paces * weights.stranger * stranger_odds
        self.rates = self.visitors + self.strangers


def _again(seen: Seen, weights: _Weights) -> Array:
    found: Array = seen.again_rates @ weights.visits + seen.again_returns @ weights.returns
    return found


def _share(parts: Array, chosen: Array, before: float, worth: float) -> float:
    """Of `parts` the share of the chosen, which was `before` in so many seen already."""
    total = float(parts.sum()) + worth
    return (float(parts[chosen].sum()) + before * worth) / total if total else before


def _likelihood(seen: Seen, weights: _Weights, times: Array) -> float:
    return (
        _log_sum(_First(seen, weights).rates, times[seen.first_place])
        + _log_sum(_again(seen, weights), times[seen.again_place])
        - _expected(seen, weights, times)
    )


def _log_sum(rates: Array, times: Array) -> float:
    return float((np.log(rates) * times).sum())


def _expected(seen: Seen, weights: _Weights, times: Array) -> float:
    visits = (times @ seen.exposure) @ weights.visits
    returns = (times @ seen.return_exposure) @ weights.returns
    return float(visits + returns + weights.stranger * (times @ seen.seconds))


def _model(weights: _Weights, begin: DelayModel) -> DelayModel:
    return msgspec.structs.replace(
        begin,
        call_share=float(weights.visits.sum()),
        delays=_mixture(weights.visits, begin.delays),
        return_share=float(weights.returns.sum()),
        returns=_mixture(weights.returns, begin.returns),
        stranger=weights.stranger,
        strayed=weights.strayed,
        repeaters=weights.repeaters,
    )


def _mixture(weights: Array, scales: Mixture) -> Mixture:
    total = float(weights.sum())
    return tuple((float(weight) / total, mean) for weight, (_, mean) in zip(weights, scales, strict=True))


TOLD = {"after_5_min": 5 * MINUTE, "after_30_min": 30 * MINUTE, "after_3_h": 3 * HOUR, "after_1_day": DAY}
"""Calls that a visit brings later than that, each mean by its own clock."""


def told(model: DelayModel) -> dict[str, float]:
    """What the mixtures amount to, in figures that people can judge (single weights trade with their neighbours)."""
    return {
        "call_share": model.call_share,
        **{name: model.call_share * survival(model.delays, since) for name, since in TOLD.items()},
        "return_share": model.return_share,
        "stranger_per_day": model.stranger * DAY,
    }


def _intervals(told: dict[str, float], replicas: list[dict[str, float]]) -> dict[str, Interval]:
    found = {}
    for name, value in told.items():
        values = [replica[name] for replica in replicas] or [value]
        if max(values) - min(values) <= NOTHING_TOLD * value:
            found[name] = Interval(value, None, None)
            continue
        low, high = np.quantile(values, [0.025, 0.975])
        found[name] = Interval(value, min(float(low), value), max(float(high), value))
    return found


def _delays(seen: Seen, weights: _Weights) -> tuple[Delayed, ...]:
    """Calls by their delay: each seen one in the parts in which it is each lease's, and what the weights say."""
    edges = np.array(EDGES)
    first = _First(seen, weights)
    counts = np.zeros(len(edges) - 1)
    for call, candidates, odds in zip(seen.first, seen.candidates, first.visit_odds / first.rates, strict=True):
        parts = seen.clock.rates(seen.scales, candidates, call.at) @ weights.visits * odds
        counts += np.histogram(call.at - candidates, edges, weights=parts)[0]
    spans = np.concatenate(seen.spans) if seen.spans else np.zeros((0, 3))
    found = []
    for least, most, count in zip(edges[:-1], edges[1:], counts, strict=True):
        clipped = spans.copy()
        clipped[:, 1:] = np.clip(spans[:, 1:], spans[:, :1] + least, spans[:, :1] + most)
        expected = float(seen.clock.brought(seen.scales, clipped) @ weights.visits) if len(spans) else 0.0
        found.append(Delayed(float(least), float(most), float(count), expected))
    return tuple(found)
