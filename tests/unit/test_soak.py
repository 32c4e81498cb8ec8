"""The search for the rate that is held, and the judgement of a great many calls."""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import threading
from collections.abc import Callable
from typing import Any

import pytest

from callrouter.calls.tracker import RELEVANT_EVENTS
from callrouter.lab.asterisk import SHIPPED
from callrouter.lab.load import Noted
from callrouter.soak.cores import TooFewCores, all_but_one, confine
from callrouter.soak.office import UNHEARD, UNREAD, Answer, Course, planned
from callrouter.soak.ramp import Ramp, Try, rate_of, tried
from callrouter.soak.verdict import is_flat, judged


def searched(holds: Callable[[float], bool]) -> Ramp:
    ramp = Ramp(20.0)
    while (rate := ramp.next) is not None:
        ramp.note(Try(rate, holds(rate), 0.1, 0, 12.0))
        assert len(ramp.tries) < 30
    return ramp


@pytest.mark.parametrize("limit", [3.0, 20.0, 57.0, 240.0])
def test_the_ramp_ends_at_what_is_held(limit: float) -> None:
    assert searched(lambda rate: rate <= limit).held == pytest.approx(limit, rel=0.04)


def test_on_a_machine_that_is_now_faster_and_now_slower_the_ramp_ends_between() -> None:
    chance = random.Random(1)
    found = [searched(lambda rate: rate <= 100 * chance.uniform(0.85, 1.15)).held for _ in range(200)]
    assert statistics.mean(found) == pytest.approx(100, rel=0.02)
    assert statistics.stdev(found) < 7


def test_a_machine_that_holds_nothing_ends_the_ramp() -> None:
    assert searched(lambda _: False).held == 0.0


def test_a_rate_is_not_held_when_callers_wait_fail_or_come_late() -> None:
    good = [Noted(n / 10, n / 10 + 0.05, n / 10 + 1) for n in range(300)]
    assert tried(10.0, good, 12.0).held
    assert not tried(10.0, [*good[:290], *(Noted(30.0, 33.0, 34.0) for _ in range(10))], 12.0).held
    assert not tried(10.0, [*good[:290], *(Noted(30.0, trouble="no") for _ in range(10))], 12.0).held
    assert not tried(30.0, good, 12.0).held
    late = [Noted(n / 9, n / 9 + 0.05, n / 9 + 1) for n in range(300)]
    assert not tried(10.0, late, 12.0).held
    assert rate_of(late) == pytest.approx(9, rel=0.01)
    assert rate_of([]) == rate_of(good[:1]) == 0.0


def test_each_of_many_calls_is_held_against_its_course() -> None:
    calls = planned(["74952221001", "74952221002"], 0, 20)
    sessions = {"74952221001": "a", "74952221002": "b"}
    notes = {call.caller: talked(call.course.talk_ms / 1000) for call in calls}
    answers = {call.caller: answered(call.course) for call in calls}
    rows: list[dict[str, Any]] = [
        {
            "linkedid": f"pbx1-{n}", "caller": call.caller, "called": call.did, "status": "answered",
            "final_group": call.course.group, "employee": call.course.employees[0], "session": sessions[call.did],
            "complete": True, "attribution_pending": False, "talk_s": call.course.talk_ms / 1000,
        }
        for n, call in enumerate(calls)
    ]  # fmt: skip
    linked = [row["linkedid"] for row in rows]
    found = judged(calls, notes, answers, sessions, rows=rows, pbx_calls=linked)
    assert (found.complaints, found.missing, found.extra, found.wrong) == ((), 0, 0, 0)
    found = judged(
        calls, notes, answers, sessions, rows=[*rows[2:], rows[2], rows[3] | {"caller": "7"}], pbx_calls=linked
    )
    assert (found.missing, found.extra) == (2, 2)
    notes[calls[0].caller] = Noted(1.0)
    rows[:4] = [
        rows[0] | {"talk_s": 9.0},
        rows[1] | {"session": "a"},
        rows[2] | {"talk_s": 9.0},
        rows[3] | {"employee": "1"},
    ]
    found = judged(calls, notes, answers, sessions, rows=rows, pbx_calls=linked)
    assert (found.failed, found.wrong) == (1, 3)


def talked(seconds: float) -> Noted:
    return Noted(1.0, 1.1, 1.2 + seconds, 1.2)


def answered(course: Course) -> list[Answer]:
    first = [Answer(course.handed_on_by, 1.2, 1.5)] if course.handed_on_by else []
    return [*first, Answer(course.employees[0], 1.6 if first else 1.2, 3.3)]


@pytest.mark.parametrize(
    ("note", "second", "group", "employee", "right"),
    [
        (talked(2.0), 1.6, "q0", "320", True),
        (talked(2.0), 1.6, "q0", "321", False),
        (talked(2.0), 1.6, "q0", "360", False),
        (talked(2.0), 1.6, None, "320", False),
        (talked(2.0), 3.1, "q0", "320", True),  # about when he hung up: it may have been too late
        (talked(2.0), 3.1, "q0", "360", True),
        (talked(2.0), None, "q0", "360", True),  # he hung up before anybody answered, in the queue or on his way there
        (talked(2.0), None, None, "360", True),
        (talked(2.0), None, "q1", "360", False),
        (talked(2.0), None, "q0", "320", False),
    ],
)
def test_who_talked_last_is_judged_by_what_the_phones_noted(
    note: Noted, second: float | None, group: str | None, employee: str, right: bool
) -> None:  # fmt: skip
    call = next(one for one in planned(["74952221001"], 0, 20) if one.course.handed_on_by)
    row = {
        "linkedid": "1", "caller": call.caller, "called": call.did, "status": "answered", "final_group": group,
        "employee": employee, "session": "a", "complete": True, "attribution_pending": False, "talk_s": 2.0,
    }  # fmt: skip
    answers = {call.caller: [Answer("360", 1.2), *([Answer("320", second)] if second else [])]}
    found = judged([call], {call.caller: note}, answers, {call.did: "a"}, rows=[row], pbx_calls=["1"])
    assert found.wrong == (not right), found.complaints


def test_a_talk_that_the_pbx_was_late_to_end_is_as_long_as_the_pbx_had_it() -> None:
    call = next(iter(planned(["74952221001"], 0, 1)))
    note = Noted(1.0, 1.1, 2.2, 1.2)
    row = {
        "linkedid": "1", "caller": call.caller, "called": call.did, "status": "answered", "final_group": None,
        "employee": "300", "session": "a", "complete": True, "attribution_pending": False, "talk_s": 4.5,
    }  # fmt: skip
    for talk, wrong in ((4.5, 0), (7.0, 1)):
        found = judged(
            [call],
            {call.caller: note},
            {call.caller: [Answer("300", 1.2, 6.0)]},
            {call.did: "a"},
            rows=[row | {"talk_s": talk}],
            pbx_calls=["1"],
        )
        assert found.wrong == wrong, found.complaints


def test_the_events_that_the_soak_spares_asterisk_are_those_that_an_admin_is_told_of_and_none_that_is_read() -> None:
    told = (SHIPPED / "README.md").read_text().partition("`disabledevents = ")[2].partition("`")[0]
    assert told == UNREAD
    assert not set(UNREAD.split(",")) & RELEVANT_EVENTS
    assert UNHEARD in RELEVANT_EVENTS


def test_memory_is_flat_when_the_end_is_as_the_second_fifth() -> None:
    assert is_flat([50, 60, 70, 80, 80, 81, 80, 82, 81, 80])
    assert not is_flat([50, 60, 70, 80, 90, 100, 110, 120, 130, 140])
    assert is_flat([1.0])


def test_a_core_is_left_alone_by_what_is_started_meanwhile_and_given_to_one_process() -> None:
    everywhere = os.sched_getaffinity(0)
    if len(everywhere) == 1:
        with pytest.raises(TooFewCores, match="two processor cores"), all_but_one():
            pass
        return
    waiting = threading.Event()
    older = threading.Thread(target=waiting.wait)
    older.start()
    with all_but_one() as core, subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as started:
        assert os.sched_getaffinity(started.pid) == os.sched_getaffinity(0) == everywhere - {core}
        assert os.sched_getaffinity(older.native_id or 0) == everywhere - {core}
        confine(started.pid, [core])
        assert os.sched_getaffinity(started.pid) == {core}
    waiting.set()
    older.join()
    assert os.sched_getaffinity(0) == everywhere
