"""Real calls, recorded on a real Asterisk: their records are what the phones did."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from callrouter.calls.record import CallRecord
from tests.unit.calls.captures import CAPTURES, capture, lines, replayed

SLACK = 0.3
"""Seconds between what phones and PBX call the same moment."""
AGENT_NAMES = {"221": "Мария Соколова", "222": "Олег Ким", "223": "Anna O'Neil"}
"""Queue members who have a name of their own."""
SAME = ("direction", "status", "lost_reason", "group", "linkedid")


def same_call(record: CallRecord, truth: dict[str, Any]) -> None:
    assert {name: getattr(record, name) for name in SAME} == {name: truth[name] for name in SAME}
    assert record.complete
    assert (record.caller, record.called) == (truth["caller"] or None, truth["did"])
    if record.direction != "internal":
        assert record.employee in (truth["employee"], AGENT_NAMES.get(truth["employee"]))
    assert abs((record.started_at - datetime.fromisoformat(truth["started_at"])).total_seconds()) < SLACK
    assert abs((record.ended_at - datetime.fromisoformat(truth["ended_at"])).total_seconds()) < SLACK
    assert abs(record.wait_s - truth["wait_s"]) < SLACK
    # A phone that transferred does not know when the customer was taken from it: only an upper limit.
    assert record.talk_s < truth["talk_s"] + SLACK
    if len(truth["employees"]) < 2:
        assert record.talk_s > truth["talk_s"] - SLACK


@pytest.mark.parametrize("name", CAPTURES)
def test_the_records_of_a_capture_are_what_the_phones_did(name: str) -> None:
    recorded = capture(name)
    found = {record.linkedid: record for record in replayed(recorded.events, recorded.profile)}
    assert len(found) == len(recorded.truths)
    for truth in recorded.truths:
        same_call(found[truth["linkedid"]], truth)


@pytest.mark.parametrize("name", CAPTURES)
def test_the_same_events_give_the_same_bytes(name: str) -> None:
    recorded = capture(name)
    assert lines(recorded.events, recorded.profile) == lines(recorded.events, recorded.profile)


@pytest.mark.parametrize("name", CAPTURES)
def test_a_capture_without_timestamps_still_gives_its_calls(name: str) -> None:
    recorded = capture(name)
    timeless = [{key: value for key, value in event.items() if key != "Timestamp"} for event in recorded.events]
    found = {record.linkedid: record for record in replayed(timeless, recorded.profile)}
    for truth in recorded.truths:
        record = found[truth["linkedid"]]
        assert {name: getattr(record, name) for name in SAME} == {name: truth[name] for name in SAME}
        assert abs((record.started_at - datetime.fromisoformat(truth["started_at"])).total_seconds()) < 2
