"""Whatever befalls a stream: no crash, no leak, no call that was not. Each recorded stream is put to each test."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callrouter.ami.wire import EventReader
from callrouter.calls.events import CallEnded
from callrouter.calls.record import CallRecord, Step
from callrouter.calls.tracker import CallTracker
from tests.unit.calls.captures import CAPTURES, CUSTOMERS, SHAPES, Events, capture, lines, raw, replayed

STREAMS = [*CAPTURES, *SHAPES, *CUSTOMERS]
OUTCOME = (
    *(
        "linkedid",
        "direction",
        "caller",
        "called",
        "status",
        "lost_reason",
        "group",
        "employee",
        "hangup_by",
        "complete",
    ),
)
STRANGE_NAME = b"\xd0\x9f\xd1\x91\xd1\x82\xd1\x80 \xff\xfe \xe2\x80\xa8\xc2\x85\x0b \xf0\x9f\x98\x80"
"""Cyrillic, bytes that are no UTF-8, what some take for line ends, and four bytes for one character."""


def followed(tracker: CallTracker, events: Events) -> list[CallRecord]:
    told = [one for event in events for one in tracker.feed(event)]
    return [one.record for one in told if isinstance(one, CallEnded)]


def in_pieces(data: bytes, seed: str) -> Events:
    """The events of a stream that came in small pieces, cut anywhere."""
    chance, reader, events, at = random.Random(seed), EventReader(), [], 0
    while at < len(data):
        size = chance.choice((1, 2, 3, 20, 90, 400))
        events += reader.feed(data[at : at + size])
        at += size
    return [event for event in events if "Event" in event]


def assert_empty(tracker: CallTracker) -> None:
    state = tracker._state
    graph = state.graph
    assert (graph.channels, graph.bridges, graph.halves, graph.held) == ({}, {}, {}, {})
    assert (state.stories, state.leaving_queue, state.moved) == ({}, set(), {})


def told(record: CallRecord) -> list[Step]:
    """Its steps but for menus, and when it came to a group."""
    return [step for step in record.steps if step.kind not in ("ivr", "group_entered", "group_left")]


@pytest.mark.parametrize("name", STREAMS)
def test_a_pbx_that_tells_no_steps_hides_menus_and_the_name_of_a_queue_that_nobody_could_enter(name: str) -> None:
    """asterisk-conf/README.md promises so to who spares a busy PBX the event Newexten."""
    recorded = capture(name)
    found = replayed([one for one in recorded.events if one["Event"] != "Newexten"], recorded.profile)
    for record, whole in zip(found, replayed(recorded.events, recorded.profile), strict=True):
        hidden: dict[str, object] = {"steps": record.steps}
        if whole.lost_reason == "no_agents" and record.group is None:
            hidden["group"] = None
        assert record == msgspec.structs.replace(whole, **hidden)
        assert told(record) == told(whole)


@pytest.mark.parametrize("name", STREAMS)
def test_with_its_first_events_removed_it_invents_no_call_and_leaves_nothing(name: str) -> None:
    recorded = capture(name)
    events = recorded.telling
    whole = {record.linkedid: record for record in replayed(events, recorded.profile)}
    for k in range(1, len(events)):
        tracker = CallTracker(recorded.profile)
        found = followed(tracker, events[k:])
        assert_empty(tracker)
        assert len({record.linkedid for record in found}) == len(found)
        for record in found:
            # A consultation seen without the call it belonged to is a call of its own, never a customer's.
            assert record.direction in ("internal", getattr(whole.get(record.linkedid), "direction", None))
            if record.complete and record.direction != "internal":
                assert record == whole[record.linkedid]


@pytest.mark.parametrize("name", STREAMS)
def test_cut_off_at_any_event_it_tells_each_call_that_it_showed_once(name: str) -> None:
    recorded = capture(name)
    events = recorded.telling
    whole = {record.linkedid: record for record in replayed(events, recorded.profile)}
    for k in range(len(events)):
        found = replayed(events[:k], recorded.profile)
        assert len({record.linkedid for record in found}) == len(found)
        for record in found:
            if record.direction != "internal":
                assert record.linkedid in whole
                assert record.complete is (record == whole[record.linkedid])


@pytest.mark.parametrize("name", STREAMS)
def test_nothing_is_left_behind_when_the_calls_are_over(name: str) -> None:
    recorded = capture(name)
    tracker = CallTracker(recorded.profile)
    followed(tracker, recorded.events)
    assert_empty(tracker)
    assert (tracker.counters.malformed, tracker.counters.unknown) == (0, {})


@pytest.mark.parametrize("name", STREAMS)
def test_the_order_of_headers_does_not_matter(name: str) -> None:
    recorded = capture(name)
    chance = random.Random(7)
    shuffled = [dict(chance.sample(list(event.items()), len(event))) for event in recorded.telling]
    assert lines(shuffled, recorded.profile) == lines(recorded.events, recorded.profile)


@pytest.mark.parametrize("name", [name for name in STREAMS if "filtered" in name])
def test_it_may_come_in_any_pieces(name: str) -> None:
    recorded = capture(name)
    assert lines(in_pieces(raw(name), name), recorded.profile) == lines(recorded.events, recorded.profile)


@pytest.mark.parametrize("name", [name for name in STREAMS if "filtered" in name])
def test_names_may_hold_any_bytes_and_be_cut_anywhere(name: str) -> None:
    data, recorded = raw(name), capture(name)
    strange = data.replace(b"Name: <unknown>", b"Name: " + STRANGE_NAME)
    assert STRANGE_NAME in strange
    assert lines(in_pieces(strange, name), recorded.profile) == lines(recorded.events, recorded.profile)


def outcomes(records: list[CallRecord]) -> list[list[object]]:
    return [[getattr(record, name) for name in OUTCOME] for record in records]


@pytest.mark.parametrize("name", STREAMS)
def test_events_told_twice_change_nothing(name: str) -> None:
    recorded = capture(name)
    doubled = [event for event in recorded.telling for _ in range(2)]
    once, twice = replayed(recorded.telling, recorded.profile), replayed(doubled, recorded.profile)
    assert outcomes(twice) == outcomes(once)
    assert [(one.talk_s, one.ended_at) for one in twice] == [(one.talk_s, one.ended_at) for one in once]


@pytest.mark.parametrize("name", SHAPES)
def test_without_timestamps_the_calls_end_as_they_did(name: str) -> None:
    recorded = capture(name)
    timeless = [{key: value for key, value in event.items() if key != "Timestamp"} for event in recorded.telling]
    assert outcomes(replayed(timeless, recorded.profile)) == outcomes(replayed(recorded.telling, recorded.profile))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_lost_events_neither_break_nor_invent(data: st.DataObject) -> None:
    recorded = capture(data.draw(st.sampled_from(STREAMS)))
    lost = data.draw(st.floats(0, 0.6))
    chance = random.Random(data.draw(st.integers(0, 1 << 30)))
    events: Events = [event for event in recorded.telling if chance.random() >= lost]
    born = {event["Uniqueid"] for event in recorded.events if event["Event"] == "Newchannel"}
    customers = {one.linkedid for one in replayed(recorded.events, recorded.profile) if one.direction != "internal"}
    found = replayed(events, recorded.profile)
    assert len({record.linkedid for record in found}) == len(found)
    for record in found:
        assert record.linkedid in born
        assert record.linkedid in customers or record.direction == "internal"
        assert record.ended_at >= record.started_at
        assert record.talk_s >= 0
        assert (record.status == "lost") == (record.lost_reason is not None)
