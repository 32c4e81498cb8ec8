"""An account's own delay model from its past leases and calls: expectation and maximisation over who placed each call.

Pure arithmetic on times in seconds; knows neither Postgres nor the command line. The model (`delay`) says how many calls
each past lease would bring and when; a call belongs in part to each lease that may have brought it. The weights of the
mixtures on their fixed scales are the unknowns, and their likelihood has one maximum. What is still to come counts as
such: a lease is at risk from its start, or the period's, to the period's end.

With few calls the answer stays near the model it began from: that counts as `PRIOR_CALLS` calls seen already.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from callrouter.pool.delay import DAY, DEFAULT_MODELS, HOUR, LATE, MINUTE, DelayModel, Mixture, Models, survival

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PRIOR_CALLS = 40.0
"""What the model to begin with is worth, in first calls; in calls again, and strangers' calls, a quarter of it."""
ROUNDS = 400
ENOUGH = 1e-7
"""Of the log-likelihood, relative: a round that gains less is the last."""
REPLICATES = 60
EDGES = (0.0, 30.0, 2 * MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 8 * HOUR, DAY, 3 * DAY, 14 * DAY)
"""Of the delays that are compared with what was seen."""

Progress = Callable[[float], None]


class PastLease(msgspec.Struct, frozen=True, gc=False):
    """`who` names visitor and site; `signs` are the moments of its signs of life, the start among them, ascending."""

    number: str
    account: int
    who: str
    started: float
    signs: tuple[float, ...]


class PastCall(msgspec.Struct, frozen=True, gc=False):
    """`since` is the caller's call before this one on the same number, `of` whom that was credited to (None: none)."""

    number: str
    at: float
    since: float | None = None
    of: str = ""


class Delayed(msgspec.Struct, frozen=True, gc=False):
    """Calls whose delay since the last sign of life was in [least, most): as seen, and as the model says."""

    least: float
    most: float
    seen: float
    expected: float


class Interval(msgspec.Struct, frozen=True, gc=False):
    """`value` with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


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
    numbers matter; `others` rates them. `begin` gives the scales, and what cannot be seen in calls: `passed_on` and such.
    """
    import numpy as np

    seen = _Seen(leases, calls, account, start, end, begin, others)
    prior = _Prior(begin, prior_calls)
    ones = np.ones(seen.count)
    best, likelihood = _maximise(seen, prior, prior.weights, ones, ROUNDS)
    draws = np.random.default_rng(1)
    replicas: list[dict[str, float]] = []
    for done in range(replicates):
        times = draws.multinomial(seen.count, ones / seen.count).astype(float) if seen.count else ones
        weights, _ = _maximise(seen, prior, best, times, 60)
        replicas.append(_told(_model(weights, begin)))
        progress((done + 1) / replicates)
    model = _model(best, begin)
    delays = _delays(seen, best)
    expected = [each for each in delays if each.expected >= 5]
    return Fit(
        model=model,
        calls=len(seen.first),
        calls_again=len(seen.again),
        leases=seen.own,
        log_likelihood=likelihood,
        before=_likelihood(seen, prior.weights, ones),
        intervals=_intervals(_told(model), replicas),
        delays=delays,
        chi_square=sum((each.seen - each.expected) ** 2 / each.expected for each in expected),
        rests_on_prior=prior_calls / (prior_calls + len(seen.first)) if prior_calls else 0.0,
    )


class _Weights(msgspec.Struct, frozen=True):
    """The unknowns: calls per lease on each scale, calls again per call on each scale, strangers per second."""

    visits: Any
    returns: Any
    stranger: float


class _Prior:
    """Gamma distributions whose means are the weights to begin from."""

    def __init__(self, begin: DelayModel, calls: float) -> None:
        import numpy as np

        visits = begin.call_share * np.array([share for share, _ in begin.delays])
        returns = begin.return_share * np.array([share for share, _ in begin.returns])
        self.weights = _Weights(visits, returns, begin.stranger)
        self.visit_calls = calls * visits / visits.sum()
        self.visit_leases = calls / visits.sum()
        self.return_calls = calls / 4 * returns / returns.sum()
        self.return_after = calls / 4 / returns.sum()
        self.stranger_calls = calls / 4
        self.stranger_seconds = calls / 4 / begin.stranger


class _Clock:
    """The two clocks of a model, for arrays; what one scale brings in a moment or a span goes by one of them."""

    def __init__(self, model: DelayModel) -> None:
        self._model = model
        self._shift = model.offset * HOUR
        self._corners = [0.0, model.opens * HOUR, model.closes * HOUR, DAY]
        self._waking = [model.now(corner - self._shift).waking for corner in self._corners]

    def waking(self, at: Array) -> Array:
        import numpy as np

        days, day = np.divmod(at + self._shift, DAY)
        found: Array = days * DAY + np.interp(day, self._corners, self._waking)
        return found

    def rates(self, scales: Array, seen: Array, at: float) -> Array:
        """Calls per second at `at` by all that was seen last at `seen`: a row for each, with weight 1 on each scale."""
        import numpy as np

        now = self._model.now(at)
        late = scales >= LATE
        passed = np.where(late, (now.waking - self.waking(seen))[:, None], (at - seen)[:, None])
        found: Array = np.exp(-passed / scales) / scales * np.where(late, now.pace, 1.0)
        return found

    def brought(self, scales: Array, spans: Array) -> Array:
        """Per scale, calls in all during `spans` of (seen, from, to), each with weight 1."""
        import numpy as np

        awake = self.waking(spans)
        late = scales >= LATE
        since = np.where(late, (awake[:, 1] - awake[:, 0])[:, None], (spans[:, 1] - spans[:, 0])[:, None])
        until = np.where(late, (awake[:, 2] - awake[:, 0])[:, None], (spans[:, 2] - spans[:, 0])[:, None])
        found: Array = (np.exp(-since / scales) - np.exp(-until / scales)).sum(axis=0)
        return found


class _Line:
    """The leases of one number, oldest first, as arrays."""

    def __init__(self, leases: list[PastLease], is_own: Callable[[PastLease], bool]) -> None:
        import numpy as np

        self.leases = leases
        self.started = np.array([lease.started for lease in leases])
        self.last = np.array([lease.signs[-1] for lease in leases])
        self.own = np.array([is_own(lease) for lease in leases], dtype=bool)
        self.accounts = np.array([lease.account for lease in leases])

    def seen(self, at: float) -> Array:
        """Of each lease that had begun: its last sign of life by then."""
        begun = int(self.started.searchsorted(at, side="right"))
        found: Array = self.last[:begun].copy()
        for place in (found > at).nonzero()[0]:
            signs = self.leases[place].signs
            found[place] = signs[max(0, bisect_right(signs, at) - 1)]
        return found


class _Seen:
    """Leases and calls as arrays: per call what each scale would have brought just then, per number what it would in all."""

    def __init__(
        self, leases: Sequence[PastLease], calls: Sequence[PastCall], account: int | None, start: float, end: float,
        begin: DelayModel, others: Models,
    ) -> None:  # fmt: skip
        import numpy as np

        self.scales = np.array([mean for _, mean in begin.delays])
        self.return_scales = np.array([mean for _, mean in begin.returns])
        self.account, self.start, self.end, self.others = account, start, end, others
        self.clock = _Clock(begin)
        lines = self._lines(leases)
        place = {number: index for index, number in enumerate(lines)}
        self.count = len(place)
        self.own = sum(int(line.own.sum()) for line in lines.values())
        counted = sorted(
            (call for call in calls if call.number in place and start <= call.at < end), key=lambda call: call.at
        )
        self.first = [call for call in counted if call.since is None]
        self.again = [call for call in counted if call.since is not None]
        self.first_place = np.array([place[call.number] for call in self.first], dtype=int)
        self.again_place = np.array([place[call.number] for call in self.again], dtype=int)
        self.candidates = [self._candidates(lines[call.number], call) for call in self.first]
        self.first_rates = self._rates(self.first, self.candidates)
        self.first_others = np.array([self._rate_of_others(lines[call.number], call.at) for call in self.first])
        self.paces = np.array([begin.now(call.at).pace for call in self.first])
        linked = [self._candidates(lines[call.number], call) for call in self.again]
        self.again_rates = self._rates(self.again, linked)
        self.again_returns = np.array(
            [self.clock.rates(self.return_scales, np.array([call.since]), call.at)[0] for call in self.again]
        ).reshape(-1, len(self.return_scales))
        self.spans = [self._at_risk(line) for line in lines.values()]
        self.exposure = np.array([self.clock.brought(self.scales, spans) for spans in self.spans]).reshape(
            self.count, len(self.scales)
        )
        self.return_exposure = self._returns_at_risk(calls, place)
        awake = self.clock.waking(np.array([start, end]))
        self.seconds = np.full(self.count, awake[1] - awake[0])

    def _lines(self, leases: Sequence[PastLease]) -> dict[str, _Line]:
        """By number, those that the account used."""
        used = {lease.number for lease in leases if self._is_own(lease)}
        lines: dict[str, list[PastLease]] = {number: [] for number in sorted(used)}
        for lease in sorted(leases, key=lambda lease: lease.started):
            if lease.number in lines:
                lines[lease.number].append(lease)
        return {number: _Line(line, self._is_own) for number, line in lines.items()}

    def _is_own(self, lease: PastLease) -> bool:
        return self.account is None or lease.account == self.account

    def _candidates(self, line: _Line, call: PastCall) -> Array:
        """When the account's leases that may have brought the call were last seen."""
        seen = line.seen(call.at)
        chosen = line.own[: len(seen)]
        if call.since is not None:
            linked = [lease.who == call.of and lease.started > call.since for lease in line.leases[: len(seen)]]
            chosen = chosen & linked
        found: Array = seen[chosen]
        return found

    def _rates(self, calls: list[PastCall], candidates: list[Array]) -> Array:
        import numpy as np

        pairs = zip(calls, candidates, strict=True)
        rates = [self.clock.rates(self.scales, seen, call.at).sum(axis=0) for call, seen in pairs]
        return np.array(rates).reshape(-1, len(self.scales))

    def _rate_of_others(self, line: _Line, at: float) -> float:
        import numpy as np

        seen = line.seen(at)
        accounts = line.accounts[: len(seen)]
        rate = 0.0
        for account in set(accounts[~line.own[: len(seen)]].tolist()):
            model = self.others.of(account)
            weights, scales = np.array(model.delays).T
            rates = self.clock.rates(scales, seen[accounts == account], at)
            rate += model.call_share * float((rates @ weights).sum())
        return rate

    def _at_risk(self, line: _Line) -> Array:
        """What the account's leases lived through in the period without a sign: (seen, from, to)."""
        import numpy as np

        spans: list[tuple[float, float, float]] = []
        for lease in line.leases:
            if self._is_own(lease):
                for sign, until in zip(lease.signs, (*lease.signs[1:], self.end), strict=True):
                    least = max(sign, self.start)
                    if until > least:
                        spans.append((sign, least, until))
        return np.array(spans).reshape(-1, 3)

    def _returns_at_risk(self, calls: Sequence[PastCall], place: dict[str, int]) -> Array:
        """Each call may be followed by another; by number. A call that was followed starts the waiting anew."""
        import numpy as np

        found = np.zeros((self.count, len(self.return_scales)))
        ends = {(call.number, call.since): call.at for call in calls if call.since is not None}
        spans: dict[int, list[tuple[float, float, float]]] = {}
        for number, at in {(call.number, call.at) for call in calls if call.at < self.end} | set(ends):
            until, least = min(self.end, ends.get((number, at), self.end)), max(at or 0.0, self.start)
            if number in place and until > least:
                spans.setdefault(place[number], []).append((at or 0.0, least, until))
        for index, of_number in spans.items():
            found[index] = self.clock.brought(self.return_scales, np.array(of_number))
        return found


def _maximise(seen: _Seen, prior: _Prior, weights: _Weights, times: Array, rounds: int) -> tuple[_Weights, float]:
    """The likeliest weights when each number's calls and leases count so many times, and their log-likelihood."""
    exposure = times @ seen.exposure + prior.visit_leases
    return_exposure = times @ seen.return_exposure + prior.return_after
    seconds = float(times @ seen.seconds) + prior.stranger_seconds
    first_times, again_times = times[seen.first_place], times[seen.again_place]
    likelihood = float("-inf")
    for _ in range(rounds):
        first = seen.first_rates @ weights.visits + seen.first_others + seen.paces * weights.stranger
        again = seen.again_rates @ weights.visits + seen.again_returns @ weights.returns
        now = _log_sum(first, first_times) + _log_sum(again, again_times) - _expected(seen, weights, times)
        if now - likelihood < ENOUGH * abs(now):
            break
        likelihood = now
        visits = (first_times / first) @ seen.first_rates + (again_times / again) @ seen.again_rates
        returns = (again_times / again) @ seen.again_returns
        weights = _Weights(
            (weights.visits * visits + prior.visit_calls) / exposure,
            (weights.returns * returns + prior.return_calls) / return_exposure,
            float(weights.stranger * (first_times * seen.paces / first).sum() + prior.stranger_calls) / seconds,
        )
    return weights, _likelihood(seen, weights, times)


def _likelihood(seen: _Seen, weights: _Weights, times: Array) -> float:
    first = seen.first_rates @ weights.visits + seen.first_others + seen.paces * weights.stranger
    again = seen.again_rates @ weights.visits + seen.again_returns @ weights.returns
    return (
        _log_sum(first, times[seen.first_place])
        + _log_sum(again, times[seen.again_place])
        - _expected(seen, weights, times)
    )


def _log_sum(rates: Array, times: Array) -> float:
    import numpy as np

    return float((np.log(rates) * times).sum())


def _expected(seen: _Seen, weights: _Weights, times: Array) -> float:
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
    )


def _mixture(weights: Array, scales: Mixture) -> Mixture:
    total = float(weights.sum())
    return tuple((float(weight) / total, mean) for weight, (_, mean) in zip(weights, scales, strict=True))


TOLD = {"after_5_min": 5 * MINUTE, "after_30_min": 30 * MINUTE, "after_3_h": 3 * HOUR, "after_1_day": DAY}
"""Calls that a visit brings later than that, each mean by its own clock."""


def _told(model: DelayModel) -> dict[str, float]:
    """What the mixtures amount to, in figures that people can judge (single weights trade with their neighbours)."""
    return {
        "call_share": model.call_share,
        **{name: model.call_share * survival(model.delays, since) for name, since in TOLD.items()},
        "return_share": model.return_share,
        "stranger_per_day": model.stranger * DAY,
    }


def _intervals(told: dict[str, float], replicas: list[dict[str, float]]) -> dict[str, Interval]:
    import numpy as np

    found = {}
    for name, value in told.items():
        values = [replica[name] for replica in replicas] or [value]
        low, high = np.quantile(values, [0.025, 0.975])
        found[name] = Interval(value, min(float(low), value), max(float(high), value))
    return found


def _delays(seen: _Seen, weights: _Weights) -> tuple[Delayed, ...]:
    """Calls by their delay: each seen one in the parts in which it is each lease's, and what the weights say."""
    import numpy as np

    edges = np.array(EDGES)
    rates = seen.first_rates @ weights.visits + seen.first_others + seen.paces * weights.stranger
    counts = np.zeros(len(edges) - 1)
    for call, candidates, rate in zip(seen.first, seen.candidates, rates, strict=True):
        parts = seen.clock.rates(seen.scales, candidates, call.at) @ weights.visits / rate
        counts += np.histogram(call.at - candidates, edges, weights=parts)[0]
    spans = np.concatenate(seen.spans) if seen.spans else np.zeros((0, 3))
    found = []
    for least, most, count in zip(edges[:-1], edges[1:], counts, strict=True):
        clipped = spans.copy()
        clipped[:, 1:] = np.clip(spans[:, 1:], spans[:, :1] + least, spans[:, :1] + most)
        expected = float(seen.clock.brought(seen.scales, clipped) @ weights.visits) if len(spans) else 0.0
        found.append(Delayed(float(least), float(most), float(count), expected))
    return tuple(found)
