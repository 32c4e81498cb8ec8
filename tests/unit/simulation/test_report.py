"""Figures of a report: they add up, and their intervals hold what they promise."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest

from callrouter.numbers import Number
from callrouter.pool.model import Method
from callrouter.pool.simulation.calling import CallKind, PlannedCall
from callrouter.pool.simulation.comparison import Judgement, Needed, difference, read_off
from callrouter.pool.simulation.document import document
from callrouter.pool.simulation.ledger import Ledger
from callrouter.pool.simulation.report import Circumstances, Report, report
from callrouter.pool.simulation.statistics import GROUPS, Estimate, bootstrap, by_person, mean, ratio, wilson
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
    assert told["intervals"]["right"] == [0.0, 1.0]


def test_one_caller_proves_nothing() -> None:
    assert document(of([heard("right")]))["intervals"]["right"] == [0.0, 1.0]
    one = Judgement([heard("right")], "engine")
    assert difference(one, one).right.interval == [-1.0, 1.0]


def test_calibration_has_the_mean_of_what_was_claimed_beside_what_was_true() -> None:
    calls = [heard("right" if place < 8 else "wrong", 0.82, f"p{place}") for place in range(10)]
    (only,) = of(calls).engine.calibration
    assert only.confidence == pytest.approx(0.82)
    assert (only.right.value, only.calls) == (0.8, 10)
    assert of(calls).engine.brier.value == pytest.approx(0.8 * 0.18**2 + 0.2 * 0.82**2)


def claimed(confidence: float, right: int, calls: int) -> Report:
    """Calls of that confidence, each by another person."""
    return of([heard("right" if place < right else "wrong", confidence, f"p{place}") for place in range(calls)])


@pytest.mark.parametrize(
    ("right", "calls", "holds"),
    [(5, 10, "too few calls"), (5_000, 10_000, "yes"), (4_730, 10_000, "within error"), (4_500, 10_000, "no")],
)
def test_a_class_of_confidence_is_judged_where_calls_are_enough(right: int, calls: int, holds: str) -> None:
    (only,) = claimed(0.5, right, calls).engine.calibration
    assert only.holds == holds
    assert only.off.value == pytest.approx(0.5 - right / calls)
    assert only.error == pytest.approx(0.5 / math.sqrt(calls), rel=0.02)
    assert document(claimed(0.5, right, calls))["calibration"][0]["holds"] == holds


def test_a_few_calls_that_are_all_right_do_not_prove_a_confidence() -> None:
    (only,) = claimed(0.97, 20, 20).engine.calibration
    assert only.holds == "too few calls"


def test_calls_of_one_person_count_as_one_for_the_error_of_a_confidence() -> None:
    calls = [heard("right" if place % 2 else "wrong", 0.5, f"p{place}") for place in range(400) for _ in range(25)]
    (only,) = of(calls).engine.calibration
    assert only.error == pytest.approx(0.5 / math.sqrt(400), rel=0.02)


def test_a_mean_has_the_textbooks_interval() -> None:
    found = mean(np.array([[1.0, 1.0], [0.0, 1.0]] * 50))
    assert found.value == 0.5
    assert found.high - found.value == pytest.approx(1.96 * 0.05, rel=0.001)


def test_people_beyond_a_number_are_drawn_in_groups_and_the_interval_stays_as_wide() -> None:
    table = np.random.default_rng(1).permutation([[float(place % 3 == 0), 1.0] for place in range(6 * GROUPS)])
    found = bootstrap(table, ratio(0, 1))
    assert found.value == pytest.approx(1 / 3)
    assert found.high - found.low == pytest.approx(2 * 1.96 * math.sqrt(2 / 9 / len(table)), rel=0.15)


def test_numbers_for_the_same_accuracy_are_read_off_between_sizes_with_their_interval() -> None:
    better = {100: Estimate(-0.02, -0.03, -0.01), 400: Estimate(0.02, 0.01, 0.03), 1600: Estimate(0.06, 0.05, 0.07)}
    assert read_off(better) == Needed(200, 141, 283)


def test_where_ours_is_not_surely_as_good_there_is_no_end_to_the_numbers() -> None:
    assert read_off({400: Estimate(0.001, -0.002, 0.004)}) == Needed(400, 400, None)
    assert read_off({400: Estimate(-0.002, -0.004, -0.001)}) == Needed(400, 400, None)


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
