"""What a run comes to: shares with their intervals, calibration, what waited how long. Pure: calls in, figures out.

Shares of calls have bootstrap intervals over persons; shares of visits, over hours; a confidence class has Wilson's.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import msgspec

from callrouter.pool.simulation.judges import ENGINE
from callrouter.pool.simulation.ledger import Ledger, use
from callrouter.pool.simulation.statistics import Estimate, Table, Z, bootstrap, by_person, mean, ratio, wilson
from callrouter.pool.simulation.truth import VERDICTS, Heard, Judged, Verdict
from callrouter.pool.simulation.world import DAY, HOUR

CLASSES = 10
"""Of confidence."""
POINTS = 0.02
"""A confidence is true if it is no further off."""
ENOUGH = 0.01
"""Calls are enough to judge a class of confidence if its standard error is no larger."""
Holds = Literal["yes", "within error", "no", "too few calls"]
RESTS = (0.05, 0.5, 0.95)
DELAYS: tuple[tuple[str, float], ...] = (("in visit", 1.0), ("minutes", HOUR), ("hours", DAY), ("days", float("inf")))
"""How long after he left the site a caller calls: the class, and where it ends."""


class Confidence(msgspec.Struct, frozen=True, kw_only=True):
    """Credited calls of one class of confidence, all callers among them."""

    confidence: float
    """Mean of what was claimed."""
    right: Estimate
    calls: int
    off: Estimate
    """What was claimed less the share that was right; people are what is drawn."""

    @property
    def error(self) -> float:
        """Standard error of `off`."""
        return (self.off.high - self.off.low) / 2 / Z

    @property
    def holds(self) -> Holds:
        """Whether what is claimed is true within POINTS, where there are calls enough to say so."""
        if self.error > ENOUGH:
            return "too few calls"
        if abs(self.off.value) <= POINTS:
            return "yes"
        return "within error" if self.off.low <= POINTS and self.off.high >= -POINTS else "no"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Some calls and how many of them are of each verdict."""

    calls: int
    verdicts: dict[Verdict, int]

    @property
    def right(self) -> Estimate:
        return wilson(self.verdicts["right"], self.calls)


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """Of one judge."""

    shares: dict[Verdict, Estimate]
    """Of attributable calls."""
    reached: Estimate
    """Of attributable calls: the company that was meant would answer, by whatever is known of the number."""
    brier: Estimate
    """Mean squared distance of confidence from truth over all credited calls; 0 is best."""
    calibration: list[Confidence]
    everybody: Part
    """All calls, those of friends and strangers among them."""
    by_delay: dict[str, Part]
    by_kind: dict[str, Part]
    by_method: dict[str, Part]


class Circumstances(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was of."""

    policy: str
    world: str
    seed: int
    numbers: int
    hold_s: float
    window_s: float
    days: float
    more_calls: int = 0


class Report(Circumstances, frozen=True, kw_only=True):
    visits: int
    wanted: int
    calls: int
    attributable: int
    overflow: Estimate
    """Of visits that wanted a number: were told at some time that there is none."""
    in_use: tuple[float, int]
    """Mean and most numbers leased at once."""
    rests_s: tuple[float | None, ...]
    """How long numbers had rested when they were given out again: the quantiles RESTS."""
    engine: Accuracy
    others: dict[str, Accuracy]
    """What further judges made of the same calls."""


def report(circumstances: Circumstances, calls: Sequence[Heard], ledger: Ledger, *, judge: str = ENGINE) -> Report:
    """The engine of the report is `judge`; the others are told beside it."""
    own = [heard for heard in calls if heard.call.attributable]
    judges = dict.fromkeys(name for heard in calls for name in heard.judged)
    usage = use(ledger)
    return Report(
        **msgspec.structs.asdict(circumstances),
        visits=ledger.visits,
        wanted=ledger.wanted.total(),
        calls=len(calls),
        attributable=len(own),
        overflow=_overflow(ledger),
        in_use=(usage.mean, usage.most),
        rests_s=tuple(ledger.rest(share) for share in RESTS),
        engine=_accuracy(judge, calls, own),
        others={name: _accuracy(name, calls, own) for name in judges if name != judge},
    )


def people(calls: Iterable[Heard]) -> list[str]:
    """Whose calls stand together; a stranger stands by his telephone."""
    return [heard.call.person or f"stranger {heard.call.phone}" for heard in calls]


def verdict_table(own: Sequence[Heard], judge: str) -> Table:
    """Per person: calls of each verdict, all of them, and those that reached whom they meant."""
    judged = [heard.judged[judge] for heard in own]
    columns: list[list[Any]] = [[each.verdict == verdict for each in judged] for verdict in VERDICTS]
    return by_person(people(own), [*columns, [1] * len(judged), [each.reached for each in judged]])


def _accuracy(judge: str, calls: Sequence[Heard], own: Sequence[Heard]) -> Accuracy:
    table = verdict_table(own, judge)
    everybody = len(VERDICTS)
    credited = [heard for heard in calls if heard.judged[judge].verdict != "unattributed"]
    return Accuracy(
        shares={verdict: bootstrap(table, ratio(place, everybody)) for place, verdict in enumerate(VERDICTS)},
        reached=bootstrap(table, ratio(everybody + 1, everybody)),
        brier=_brier(judge, credited),
        calibration=_calibration(judge, credited),
        everybody=_part(heard.judged[judge] for heard in calls),
        by_delay=_parts(own, judge, delay_class, [name for name, _ in DELAYS]),
        by_kind=_parts(calls, judge, lambda heard: heard.call.kind),
        by_method=_parts(own, judge, lambda heard: heard.judged[judge].method),
    )


def delay_class(heard: Heard) -> str:
    """By the time since he left the site; who never saw this number here, by how he takes his time."""
    if heard.since is None:
        return {"in_visit": "in visit", "weeks": "days"}.get(heard.call.delay or "", heard.call.delay or "days")
    return next(name for name, end in DELAYS if heard.since < end)


def _parts(
    calls: Sequence[Heard], judge: str, key: Callable[[Heard], str], order: Iterable[str] = ()
) -> dict[str, Part]:
    groups: defaultdict[str, list[Judged]] = defaultdict(list)
    for name in order:
        groups[name] = []
    for heard in calls:
        groups[key(heard)].append(heard.judged[judge])
    return {name: _part(judged) for name, judged in groups.items() if judged}


def _part(judged: Iterable[Judged]) -> Part:
    verdicts: dict[Verdict, int] = dict.fromkeys(VERDICTS, 0)
    for each in judged:
        verdicts[each.verdict] += 1
    return Part(calls=sum(verdicts.values()), verdicts=verdicts)


def _brier(judge: str, credited: Sequence[Heard]) -> Estimate:
    if not credited:
        return Estimate(0.0, 0.0, 1.0)
    judged = [heard.judged[judge] for heard in credited]
    errors = [(each.confidence - (each.verdict == "right")) ** 2 for each in judged]
    return bootstrap(by_person(people(credited), [errors, [1] * len(errors)]), ratio(0, 1))


def _calibration(judge: str, credited: Iterable[Heard]) -> list[Confidence]:
    classes: defaultdict[int, list[Heard]] = defaultdict(list)
    for heard in credited:
        classes[min(CLASSES - 1, int(heard.judged[judge].confidence * CLASSES))].append(heard)
    return [_confidence(judge, some) for _, some in sorted(classes.items())]


def _confidence(judge: str, some: list[Heard]) -> Confidence:
    judged = [heard.judged[judge] for heard in some]
    claimed = sum(each.confidence for each in judged) / len(judged)
    right = sum(each.verdict == "right" for each in judged)
    apart = [each.confidence - (each.verdict == "right") for each in judged]
    off = mean(by_person(people(some), [apart, [1] * len(some)]))
    least = Z * math.sqrt(claimed * (1 - claimed) / len(judged))  # few calls, all of them right, prove nothing
    off = Estimate(off.value, min(off.low, off.value - least), max(off.high, off.value + least))
    return Confidence(confidence=claimed, right=wilson(right, len(judged)), calls=len(judged), off=off)


def _overflow(ledger: Ledger) -> Estimate:
    hours = sorted(ledger.wanted)
    if not hours:
        return Estimate(0.0, 0.0, 1.0)
    columns = [[ledger.overflowed[hour] for hour in hours], [ledger.wanted[hour] for hour in hours]]
    estimate = bootstrap(by_person([str(hour) for hour in hours], columns), ratio(0, 1))
    if estimate.value > 0:
        return estimate
    return wilson(0, ledger.wanted.total())
