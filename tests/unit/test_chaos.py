"""The plan of chaos, and its judgement: each call against its appeal, fault by fault."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

from callrouter.chaos.crowd import plans
from callrouter.chaos.faults import FAULTS
from callrouter.chaos.schedule import schedule
from callrouter.chaos.verdict import Happened, Played, Stall, calls_in_cel, finished, judged
from callrouter.lab.plan import CallPlan, Outcome, Truth

START = 1_790_000_000.0
FROZEN = Happened("router-frozen", START + 5, START + 8)


def test_the_same_seed_gives_the_same_schedule_and_the_same_callers() -> None:
    assert schedule(7, 300, list(FAULTS)) == schedule(7, 300, list(reversed(FAULTS)))
    assert schedule(7, 300, list(FAULTS)) != schedule(8, 300, list(FAULTS))
    assert list(islice(plans(7), 40)) == list(islice(plans(7), 40))


def test_each_fault_comes_before_any_comes_again_and_none_overlaps_the_next() -> None:
    names = [one.fault for one in schedule(1, 300, list(FAULTS))]
    assert set(names[: len(FAULTS)]) == set(FAULTS)
    told = schedule(1, 300, list(FAULTS))
    assert all(one.at + one.lasts < other.at for one, other in pairwise(told))
    assert len(schedule(1, 1, ["ami-cut"])) == 1


def a_call(n: int, at: float) -> Played:
    began = datetime.fromtimestamp(START + at, UTC)
    plan = CallPlan(outcome=Outcome.DIRECT, caller=f"7916000000{n}", did="74952221001")
    truth = Truth(
        outcome=plan.outcome, direction="inbound", caller=plan.caller, caller_sent=plan.caller, did=plan.did,
        status="answered", lost_reason=None, group=None, employee="241", employees=("241",), talk_s=1.0, wait_s=0.2,
        started_at=began, answered_at=began + timedelta(seconds=0.2), ended_at=began + timedelta(seconds=1.2),
    )  # fmt: skip
    return Played(plan, "visit", "yandex", START + at, START + at + 0.1, START + at + 1.2, truth)


def its_row(call: Played) -> dict[str, Any]:
    assert call.truth is not None
    truth = call.truth
    return {
        "customer": call.customer, "linkedid": f"pbx1-{call.plan.caller}", "direction": "inbound",
        "caller": truth.caller, "called": truth.did, "session": "visit", "source": "yandex", "is_unique": True,
        "complete": True, "attribution_pending": False, "status": "answered", "lost_reason": None,
        "final_group": None, "employee": "241", "talk_s": 1.0, "wait_s": 0.2, "late": False,
        "started_at": truth.started_at, "ended_at": truth.ended_at,
    }  # fmt: skip


def test_a_pbx_that_stands_still_is_told_from_one_call_in_need() -> None:
    calls = [a_call(n, float(n)) for n in range(9)]
    deaf = [replace(a_call(n, float(n)), heard=0.0, trouble="timed out") for n in range(2, 9)]
    late = replace(a_call(9, 20.0))
    assert judged(calls, [], [], []).standstills == ()
    assert judged([*calls[:2], *deaf[:4], late], [], [], []).standstills == (), "four are few"
    told = judged([*calls[:2], *deaf, late], [], [], [])
    assert told.standstills == ("7 who called from 2.0 s on heard nothing of the PBX until 20.1 s",)
    assert told.at_once == 2
    assert "for good" in judged([*calls[:2], *deaf], [], [], []).standstills[0]


def linkedids(*calls: Played) -> list[str]:
    return [f"pbx1-{call.plan.caller}" for call in calls]


def test_what_is_right_has_no_complaint_and_is_counted_at_its_fault() -> None:
    calm, met = a_call(1, 0.0), a_call(2, 7.0)
    verdict = judged([calm, met], [its_row(calm), its_row(met) | {"late": True}], linkedids(calm, met), [FROZEN])
    assert verdict.complaints == ()
    assert [(line.fault, line.calls, line.right, line.late) for line in verdict.lines] == [
        ("router-frozen", 1, 1, 1),
        ("calm", 1, 1, 0),
    ]


def test_a_missing_a_doubled_and_a_strange_appeal_are_told_with_their_fault() -> None:
    lost, twice = a_call(1, 6.0), a_call(2, 0.0)
    strange = its_row(a_call(3, 1.0))
    rows = [its_row(twice), its_row(twice) | {"linkedid": "pbx1-again"}, strange]
    verdict = judged([lost, twice], rows, linkedids(lost, twice), [FROZEN])
    assert (verdict.missing, verdict.extra) == (1, 2)
    assert "router-frozen: direct of 79160000001: no appeal" in verdict.complaints
    assert "the PBX recorded pbx1-79160000001, which has no appeal" in verdict.complaints
    assert "the PBX did not record pbx1-again, which has an appeal" in verdict.complaints


def test_each_field_that_differs_is_told_and_a_call_that_waits_too_long_for_its_ring() -> None:
    call = a_call(1, 6.0)
    row = its_row(call)
    for name, value in {"session": "other", "employee": "242", "talk_s": 3.0, "complete": False}.items():
        verdict = judged([call], [row | {name: value}], linkedids(call), [FROZEN])
        assert len(verdict.complaints) == 1, name
        assert name in verdict.complaints[0]
    slow = replace(call, heard=call.began + 4.0)
    assert "rang after 4.0 s" in judged([slow], [row], linkedids(call), [FROZEN]).complaints[0]


def test_times_are_judged_less_strictly_when_the_machine_had_no_time_for_the_phones() -> None:
    call = a_call(1, 6.0)
    row = its_row(call) | {"talk_s": 3.5}
    assert judged([call], [row], linkedids(call), []).complaints
    assert judged([call], [row], linkedids(call), [], [Stall(START + 50, 2.0)]).complaints
    assert not judged([call], [row], linkedids(call), [], [Stall(START + 6.5, 2.0)]).complaints


def test_calls_that_the_pbx_cut_off_itself_are_judged_by_its_own_record() -> None:
    away = Happened("asterisk-restarted", START + 5, START + 8)
    cut = replace(a_call(1, 4.5), truth=None, trouble="it did not end", ended=0.0)
    refused = replace(a_call(2, 6.0), truth=None, trouble="timed out", heard=0.0, ended=0.0)
    before, after = a_call(3, 1.0), a_call(4, 9.0)
    told = its_row(a_call(1, 4.5)) | {"complete": False, "talk_s": 0.1}
    rows = [told, its_row(before), its_row(after)]
    verdict = judged([cut, refused, before, after], rows, linkedids(cut, before, after), [away])
    assert verdict.complaints == ()
    assert [(line.fault, line.calls, line.right, line.missing) for line in verdict.lines] == [
        ("asterisk-restarted", 2, 1, 0),
        ("calm", 2, 2, 0),
    ]
    assert finished([cut, refused, before, after], [away]) == [before, after]
    assert judged([cut], [told | {"session": "other"}], linkedids(cut), [away]).complaints
    assert judged([cut], [], linkedids(cut), [away]).complaints, "the PBX knows it"


def test_calls_from_outside_are_counted_in_cel_without_those_inside() -> None:
    def line(event: str, caller: str, context: str, unique: str, linked: str) -> str:
        row = [""] * 18
        row[0], row[3], row[8], row[13], row[14] = event, caller, context, unique, linked
        return ",".join(f'"{cell}"' for cell in row)

    lines = [
        line("CHAN_START", "79160000001", "from-trunk", "pbx1-1.1", "pbx1-1.1"),
        line("CHAN_START", "", "from-internal", "pbx1-1.2", "pbx1-1.1"),
        line("CHAN_START", "242", "from-internal", "pbx1-1.3", "pbx1-1.3"),
        line("HANGUP", "79160000001", "from-trunk", "pbx1-1.1", "pbx1-1.1"),
        "torn",
    ]
    assert calls_in_cel(lines, "from-trunk") == {"pbx1-1.1": "79160000001"}
