"""Figures of a report: they add up, and their intervals hold what they promise."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest

from callrouter.numbers import Number
from callrouter.pool.model import Method
from callrouter.pool.simulation.calling import CallKind, PlannedCall
from callrouter.pool.simulation.comparison import Judgement, difference
from callrouter.pool.simulation.document import document
from callrouter.pool.simulation.ledger import Ledger
from callrouter.pool.simulation.report import Circumstances, Report, report
from callrouter.pool.simulation.statistics import bootstrap, by_person, ratio, wilson
from callrouter.pool.simulation.truth import VERDICTS, Heard, Judged, Verdict

WHAT = Circumstances(policy="ours", world="w", seed=1, numbers=10, hold_s=1800, window_s=86400, days=1)


def heard(verdict: Verdict, confidence: float = 0.9, person: str = "p", kind: CallKind = "first") -> Heard:
    call = PlannedCall(at=0.0, kind=kind, phone=Number("79990000001"), talk=1.0, person=person, account=1)
    method: Method = "unattributed" if verdict == "unattributed" else "holder"
    return Heard(
        call=call, since=10.0, overflow=False, judged={"engine": Judged(verdict, method, confidence, reached=True)}
    )


def of(calls: list[Heard]) -> Report:
    return report(WHAT, calls, Ledger(0.0))


def test_shares_of_attributable_calls_sum_to_one_and_strangers_are_counted_apart() -> None:
    calls = [heard(verdict, person=f"p{place}") for place, verdict in enumerate(VERDICTS * 5)]
    found = of([*calls, heard("wrong", kind="wrong", person="")])
    assert sum(estimate.value for estimate in found.engine.shares.values()) == pytest.approx(1.0)
    assert (found.calls, found.attributable) == (21, 20)
    assert found.engine.everybody.calls == 21
    assert sum(part.calls for part in found.engine.by_delay.values()) == 20
    assert sum(part.calls for part in found.engine.by_kind.values()) == 21


def test_the_json_has_what_the_contract_names() -> None:
    told = document(of([heard("right")]))
    named = {"numbers", "visits", "calls", "right", "wrong", "misrouted", "unattributed", "overflow", "brier",
             "calibration", "policy", "seed"}  # fmt: skip
    assert named <= told.keys()
    assert {"confidence", "right", "calls"} <= told["calibration"][0].keys()
    assert told["right"] == 1.0


def test_a_run_without_calls_is_reported_as_such() -> None:
    told = document(of([]))
    assert (told["calls"], told["right"], told["calibration"]) == (0, 0.0, [])


def test_calibration_has_the_mean_of_what_was_claimed_beside_what_was_true() -> None:
    calls = [heard("right" if place < 8 else "wrong", 0.82, f"p{place}") for place in range(10)]
    (only,) = of(calls).engine.calibration
    assert only.confidence == pytest.approx(0.82)
    assert (only.right.value, only.calls) == (0.8, 10)
    assert of(calls).engine.brier.value == pytest.approx(0.8 * 0.18**2 + 0.2 * 0.82**2)


def test_wilsons_interval_is_the_textbooks() -> None:
    found = wilson(81, 263)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    assert wilson(0, 0).interval == [0.0, 1.0]
    assert wilson(10, 10).high == 1.0


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """People with one to four calls that stand or fall together: 95 of 100 intervals hold the true share."""
    draws = Random(3)
    covered, rounds, truth = 0, 120, 0.8
    for place in range(rounds):
        rows = []
        for _ in range(150):
            calls = draws.choice((1, 1, 2, 4))
            rows.append((calls if draws.random() < truth else 0, calls))
        found = bootstrap(np.array(rows, dtype=float), ratio(0, 1), seed=place)
        covered += found.low <= truth <= found.high
    assert abs(covered / rounds - 0.95) < 3 * math.sqrt(0.95 * 0.05 / rounds) + 0.01


def test_sums_are_by_person() -> None:
    assert by_person(["a", "b", "a"], [[1, 2, 3], [1, 1, 1]]).tolist() == [[4.0, 2.0], [2.0, 1.0]]


def test_policies_are_compared_person_by_person() -> None:
    """Two policies that differ by the same person's call have a narrow difference, however wide their own intervals."""
    right = [heard("right" if place % 3 else "wrong", person=f"p{place}") for place in range(300)]
    worse = [heard("misrouted", person="p1") if each.call.person == "p1" else each for each in right]
    found = difference(Judgement(right, "engine"), Judgement(worse, "engine"))
    assert found.right.value == pytest.approx(1 / 300)
    assert found.misrouted.value == pytest.approx(-1 / 300)
    assert found.right.high < 0.02
    with pytest.raises(ValueError, match="same calls"):
        difference(Judgement(right, "engine"), Judgement(worse[1:], "engine"))


def test_the_ledger_counts_from_when_it_is_told_to() -> None:
    ledger = Ledger(100.0)
    number = Number("74950000001")
    ledger.visit(50.0, bot=False)
    ledger.visit(150.0, bot=True)
    ledger.wants(50.0)
    ledger.wants(150.0)
    ledger.overflows(150.0)
    ledger.leased(10.0, number, 40.0, new=True)
    ledger.sample(20.0)
    ledger.leased(140.0, number, 170.0, new=True)
    ledger.sample(160.0)
    ledger.sample(180.0)
    assert (ledger.visits, ledger.bots, ledger.wanted.total(), ledger.overflowed.total()) == (1, 1, 1, 1)
    assert ledger.in_use == [1, 0]
    rest = ledger.rest(0.5)
    assert rest is not None
    assert 80.0 < rest <= 100.0
