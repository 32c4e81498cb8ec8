"""Real calls, recorded on a real Asterisk: their records are what the phones did, whatever befalls the stream."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callrouter.calls.record import CallRecord
from callrouter.calls.replay import records
from callrouter.calls.tracker import CallTracker
from tests.unit.calls.captures import CAPTURES, Events, capture, lines, replayed

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
def test_nothing_is_left_behind_when_the_calls_are_over(name: str) -> None:
    recorded = capture(name)
    tracker = CallTracker(recorded.profile)
    for event in recorded.events:
        tracker.feed(event)
    assert (tracker.channels, tracker.bridges, tracker.snapshot()) == (0, 0, ())
    assert tracker.counters.malformed == 0
    assert tracker.counters.unknown == {}


@pytest.mark.parametrize("name", CAPTURES)
def test_a_stream_that_begins_in_mid_call_never_invents_a_call(name: str) -> None:
    recorded = capture(name)
    real = {truth["linkedid"]: truth for truth in recorded.truths}
    born = {e["Uniqueid"]: i for i, e in enumerate(recorded.events) if e.get("Event") == "Newchannel"}
    for k in range(1, len(recorded.events)):
        seen: set[str] = set()
        for record in records(recorded.events[k:], recorded.profile):
            # A consultation seen without the call it belonged to is a call of its own, never a customer's.
            assert record.linkedid in real or record.direction == "internal"
            assert record.linkedid not in seen
            assert not (record.complete and born[record.linkedid] < k)
            seen.add(record.linkedid)


@pytest.mark.parametrize("name", CAPTURES)
def test_the_order_of_headers_does_not_matter(name: str) -> None:
    recorded = capture(name)
    chance = random.Random(7)
    shuffled = [dict(chance.sample(list(event.items()), len(event))) for event in recorded.events]
    assert lines(shuffled, recorded.profile) == lines(recorded.events, recorded.profile)


@pytest.mark.parametrize("name", CAPTURES)
def test_an_event_told_twice_changes_nothing(name: str) -> None:
    recorded = capture(name)
    doubled = [event for event in recorded.events for _ in range(2)]
    once, twice = replayed(recorded.events, recorded.profile), replayed(doubled, recorded.profile)
    names = (*SAME, "employee", "talk_s", "wait_s", "started_at", "ended_at", "hangup_by")
    assert [[getattr(record, name) for name in names] for record in once] == [
        [getattr(record, name) for name in names] for record in twice
    ]


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


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_lost_events_neither_break_nor_invent(data: st.DataObject) -> None:
    recorded = capture(data.draw(st.sampled_from(CAPTURES)))
    lost = data.draw(st.floats(0, 0.6))
    chance = random.Random(data.draw(st.integers(0, 1 << 30)))
    events: Events = [event for event in recorded.events if chance.random() >= lost]
    born = {event["Uniqueid"] for event in recorded.events if event.get("Event") == "Newchannel"}
    customers = {truth["linkedid"] for truth in recorded.truths}
    found = replayed(events, recorded.profile)
    assert len({record.linkedid for record in found}) == len(found)
    for record in found:
        assert record.linkedid in born
        assert record.linkedid in customers or record.direction == "internal"
        assert record.ended_at >= record.started_at
        assert record.talk_s >= 0
        assert (record.status == "lost") == (record.lost_reason is not None)
