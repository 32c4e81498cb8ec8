"""Which past lease may have brought which past call, as arrays: what the fit of a delay model works on. Pure, of numpy.

Times are seconds since the epoch. Knows the clocks of a model, and nothing of how its weights are found.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from callrouter.pool.delay import DAY, HOUR, LATE, RUSH, DelayModel, Models

Array = NDArray[np.float64]


class PastLease(msgspec.Struct, frozen=True, gc=False):
    """`who` names visitor and site; `signs` are the moments of its signs of life, the start among them, ascending."""

    number: str
    account: int
    who: str
    started: float
    signs: tuple[float, ...]


class PastCall(msgspec.Struct, frozen=True, gc=False):
    """`since` is the caller's call before this one on the same number, `of` whom that was credited to (None: none).

    `elsewhere`: he had called another number before, but never this one."""

    number: str
    at: float
    since: float | None = None
    of: str = ""
    elsewhere: bool = False


class Clocks:
    """The two clocks of a model, for arrays; what one scale brings in a moment or a span goes by one of them."""

    def __init__(self, model: DelayModel) -> None:
        self._model = model
        self._shift = model.offset * HOUR
        opens, closes = model.opens * HOUR, model.closes * HOUR
        self._corners = [0.0, opens, min(opens + RUSH, closes), closes, DAY]
        self._waking = [model.now(corner - self._shift).waking for corner in self._corners]

    def waking(self, at: Array) -> Array:
        days, day = np.divmod(at + self._shift, DAY)
        found: Array = days * DAY + np.interp(day, self._corners, self._waking)
        return found

    def rates(self, scales: Array, seen: Array, at: float) -> Array:
        """Calls per second at `at` by all that was seen last at `seen`: a row for each, with weight 1 on each scale."""
        now = self._model.now(at)
        late = scales >= LATE
        passed = np.where(late, (now.waking - self.waking(seen))[:, None], (at - seen)[:, None])
        found: Array = np.exp(-passed / scales) / scales * np.where(late, now.pace, 1.0)
        return found

    def brought(self, scales: Array, spans: Array) -> Array:
        """Per scale, calls in all during `spans` of (seen, from, to), each with weight 1."""
        awake = self.waking(spans)
        late = scales >= LATE
        since = np.where(late, (awake[:, 1] - awake[:, 0])[:, None], (spans[:, 1] - spans[:, 0])[:, None])
        until = np.where(late, (awake[:, 2] - awake[:, 0])[:, None], (spans[:, 2] - spans[:, 0])[:, None])
        found: Array = (np.exp(-since / scales) - np.exp(-until / scales)).sum(axis=0)
        return found


class _Line:
    """The leases of one number, oldest first, as arrays."""

    def __init__(self, leases: list[PastLease], is_own: Callable[[PastLease], bool]) -> None:
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


class Seen:
    """Per call what each scale would have brought just then, per number what it would in the whole period."""

    def __init__(
        self, leases: Sequence[PastLease], calls: Sequence[PastCall], *, account: int | None, start: float, end: float,
        begin: DelayModel, others: Models,
    ) -> None:  # fmt: skip
        self.scales = np.array([mean for _, mean in begin.delays])
        self.return_scales = np.array([mean for _, mean in begin.returns])
        self.account, self.start, self.end, self.others = account, start, end, others
        self.clock = Clocks(begin)
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
        self.paces = np.array([begin.now(call.at).strangers for call in self.first])
        self.first_elsewhere = np.array([call.elsewhere for call in self.first], dtype=bool)
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
        self.seconds = np.full(self.count, end - start)

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
        pairs = zip(calls, candidates, strict=True)
        rates = [self.clock.rates(self.scales, seen, call.at).sum(axis=0) for call, seen in pairs]
        return np.array(rates).reshape(-1, len(self.scales))

    def _rate_of_others(self, line: _Line, at: float) -> float:
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
