"""The tracker itself: what it tells and when, what hostile and lost events cost it, and that it stays small."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callrouter.calls import attach, channels, dials, talks
from callrouter.calls.events import CallEnded, CallStarted
from callrouter.calls.profile import PbxProfile
from callrouter.calls.record import CallRecord
from callrouter.calls.tracker import HANDLERS, RELEVANT_EVENTS, CallTracker, relevant_headers
from tests.unit.calls.captures import CAPTURES, Events, capture, replayed

PROFILE = PbxProfile(name="backup", inbound_contexts=("from-trunk",), trunks=("PJSIP/carrier",))
CUSTOMER, AGENT = "pbx1-1700000000.1", "pbx1-1700000001.2"

ROOMS = (attach, channels, dials, talks)


def event(name: str, at: float, uniqueid: str = "", linkedid: str = CUSTOMER, **headers: str) -> dict[str, str]:
    return {"Event": name, "Timestamp": f"{at:.6f}", "Uniqueid": uniqueid, "Linkedid": linkedid, **headers}


def arrives(at: float = 1700000000.25, uniqueid: str = CUSTOMER, **headers: str) -> dict[str, str]:
    usual = {
        "Channel": "PJSIP/carrier-00000001", "ChannelState": "4", "Context": "from-trunk", "Exten": "84952232725",
        "CallerIDNum": "+79161234567",
    }  # fmt: skip
    return event("Newchannel", at, uniqueid, uniqueid, **(usual | headers))


def rung(at: float, uniqueid: str = AGENT, name: str = "PJSIP/101-00000002") -> Events:
    made = event("Newchannel", at, uniqueid, Channel=name, ChannelState="0", Context="from-internal", Exten="s")
    return [made, event("DialBegin", at, CUSTOMER, DestUniqueid=uniqueid, DialString=name.rpartition("-")[0])]


def enters(at: float, uniqueid: str, bridge: str = "b") -> dict[str, str]:
    return event("BridgeEnter", at, uniqueid, BridgeUniqueid=bridge, BridgeTechnology="simple_bridge")


def hangs_up(at: float, uniqueid: str, cause: str = "16") -> dict[str, str]:
    return event("Hangup", at, uniqueid, Cause=cause)


def only(events: Events, profile: PbxProfile = PROFILE) -> CallRecord:
    (record,) = replayed(events, profile)
    return record


T = 1700000000.25


def test_an_arriving_customer_is_told_at_once() -> None:
    (told,) = CallTracker(PROFILE).feed(arrives())
    assert isinstance(told, CallStarted)
    assert (told.pbx, told.linkedid, told.uniqueid, told.direction) == ("pbx1", CUSTOMER, CUSTOMER, "inbound")
    assert (told.caller_raw, told.called_raw, told.caller, told.called) == (
        "+79161234567", "84952232725", "79161234567", "74952232725",
    )  # fmt: skip


def test_an_answered_call_has_exact_times() -> None:
    record = only(
        [
            arrives(T),
            *rung(T + 1),
            enters(T + 3.5, AGENT),
            enters(T + 3.75, CUSTOMER),
            hangs_up(T + 10, AGENT),
            hangs_up(T + 10.125, CUSTOMER),
        ]
    )
    assert (record.status, record.wait_s, record.talk_s, record.employee) == ("answered", 3.75, 6.25, "101")
    assert record.ended_at.timestamp() == T + 10.125


def test_music_queue_and_dialplan_answer_are_no_answer() -> None:
    record = only(
        [
            arrives(T),
            event("Newstate", T + 0.1, CUSTOMER, ChannelState="6"),
            event("QueueCallerJoin", T + 0.2, CUSTOMER, Queue="sales"),
            hangs_up(T + 9, CUSTOMER),
        ]
    )
    assert (record.status, record.group, record.answered_at) == ("lost", "sales", None)


def test_a_parking_lot_is_no_conversation() -> None:
    parked = [enters(T + 2, uniqueid) | {"BridgeTechnology": "holding_bridge"} for uniqueid in (AGENT, CUSTOMER)]
    record = only([arrives(T), *rung(T + 1), *parked, hangs_up(T + 9, AGENT), hangs_up(T + 9, CUSTOMER)])
    assert record.status == "lost"


def test_an_announcement_channel_in_the_bridge_is_no_employee() -> None:
    announcer = rung(T + 1, AGENT, "Announcer/ARI-00000002;1")
    record = only([arrives(T), *announcer, enters(T + 2, AGENT), enters(T + 2, CUSTOMER), hangs_up(T + 9, CUSTOMER)])
    assert record.status == "lost"


def test_who_talks_through_a_chain_of_local_channels_is_the_phone_at_its_end() -> None:
    halves = [
        event("Newchannel", T + 1, f"pbx1-1700000001.{3 + i}", Channel=f"Local/20@x-0000000{i // 2};{i % 2 + 1}")
        for i in range(4)
    ]
    ids = [half["Uniqueid"] for half in halves]
    record = only(
        [
            arrives(T), *halves, *rung(T + 1), enters(T + 2, CUSTOMER, "1"), enters(T + 2, ids[0], "1"),
            enters(T + 2, ids[1], "2"), enters(T + 2, ids[2], "2"),
            enters(T + 3, ids[3], "3"), enters(T + 4, AGENT, "3"),
            event("BridgeLeave", T + 8, ids[1], BridgeUniqueid="2"), hangs_up(T + 9, CUSTOMER),
        ]
    )  # fmt: skip
    assert (record.status, record.wait_s, record.talk_s, record.employee) == ("answered", 4, 4, "101")


def test_a_call_to_an_unknown_number_is_lost_as_failed() -> None:
    record = only([arrives(T), hangs_up(T + 0.1, CUSTOMER, "1")])
    assert (record.status, record.lost_reason, record.hangup_cause) == ("lost", "failed", 1)


def test_a_call_still_in_progress_at_the_end_of_a_capture_is_not_complete() -> None:
    record = only([arrives(T), *rung(T + 1), enters(T + 2, AGENT), enters(T + 2, CUSTOMER), hangs_up(T + 9, "x")])
    assert (record.status, record.complete, record.hangup_by) == ("answered", False, None)


def test_the_caller_who_calls_twice_has_two_calls() -> None:
    second = "pbx1-1700000000.9"
    found = replayed([arrives(T), arrives(T + 1, second), hangs_up(T + 2, CUSTOMER), hangs_up(T + 3, second)], PROFILE)
    assert [(r.linkedid, r.caller) for r in found] == [(CUSTOMER, "79161234567"), (second, "79161234567")]


def test_a_second_trunk_tried_after_the_first_failed_is_the_same_call() -> None:
    first, second, employee = "pbx1-1700000000.2", "pbx1-1700000000.3", CUSTOMER
    carrier = {"ChannelState": "0", "Context": "from-internal", "Exten": "s"}
    dial = {"DialString": "79031112233@carrier"}
    record = only(
        [
            arrives(T, Channel="PJSIP/101-0001", Context="from-internal", Exten="79031112233", CallerIDNum="101"),
            event("Newchannel", T + 1, first, Channel="PJSIP/carrier-0002", **carrier),
            event("DialBegin", T + 1, employee, DestUniqueid=first, **dial),
            event("DialEnd", T + 2, employee, DestUniqueid=first, DialStatus="CONGESTION"),
            hangs_up(T + 2, first, "34"),
            event("Newchannel", T + 3, second, Channel="PJSIP/carrier-0003", **carrier),
            event("DialBegin", T + 3, employee, DestUniqueid=second, **dial),
            enters(T + 5, employee),
            enters(T + 5, second),
            hangs_up(T + 8, second),
            hangs_up(T + 8.5, employee),
        ]
    )
    assert (record.direction, record.caller, record.called, record.employee) == (
        "outbound",
        "101",
        "79031112233",
        "101",
    )
    assert (record.wait_s, record.talk_s, record.ended_at.timestamp()) == (4, 3, T + 8)


def test_without_configured_trunks_a_full_number_dialled_by_an_employee_is_an_outbound_call() -> None:
    profile = PbxProfile(name="x")
    started = arrives(T, Channel="SIP/101-0001", Context="from-internal", Exten="89031112233", CallerIDNum="101")
    record = only(
        [started, *rung(T + 1, AGENT, "SIP/gateway-0002"), hangs_up(T + 5, AGENT, "17"), hangs_up(T + 5, CUSTOMER)],
        profile,
    )
    assert (record.direction, record.called, record.lost_reason) == ("outbound", "79031112233", "busy")


@pytest.mark.parametrize(
    ("status", "reason"),
    [("TIMEOUT", "no_answer"), ("LEAVEEMPTY", "no_agents"), ("JOINUNAVAIL", "no_agents"), ("FULL", "busy")],
)
def test_a_queue_that_ends_by_itself_says_why(status: str, reason: str) -> None:
    left = event("VarSet", T + 5, CUSTOMER, Variable="QUEUESTATUS", Value=status)
    record = only(
        [
            arrives(T), event("QueueCallerJoin", T, CUSTOMER, Queue="sales"),
            event("QueueCallerAbandon", T + 5, CUSTOMER, Queue="sales"),
            event("QueueCallerLeave", T + 5, CUSTOMER, Queue="sales"), left, hangs_up(T + 5, CUSTOMER),
        ]
    )  # fmt: skip
    assert (record.lost_reason, record.group, record.hangup_by) == (reason, "sales", "pbx")


def test_a_transfer_to_an_extension_that_is_mapped_to_a_group_changes_the_group() -> None:
    profile = PbxProfile(name="x", trunks=("PJSIP/carrier",), group_extensions={"300": "accounting"})
    transfer = event(
        "BlindTransfer", T + 5, Result="Success", TransfererUniqueid=AGENT, TransfereeUniqueid=CUSTOMER, Extension="300"
    )
    record = only(
        [arrives(T), *rung(T), enters(T, AGENT), enters(T, CUSTOMER), transfer, hangs_up(T + 6, CUSTOMER)], profile
    )
    assert record.group == "accounting"
    assert ("transfer_blind", "101", "300") in [(step.kind, step.who, step.to) for step in record.steps]


def test_a_login_in_mid_call_keeps_the_call_and_says_that_something_may_be_missing() -> None:
    login = {"Event": "FullyBooted", "Uptime": "100000"}
    record = only(
        [arrives(T), *rung(T + 1), login, enters(T + 2, AGENT), enters(T + 2, CUSTOMER), hangs_up(T + 9, CUSTOMER)]
    )
    assert (record.status, record.talk_s, record.complete) == ("answered", 7, False)


def test_channels_that_the_list_after_a_login_does_not_name_are_given_up() -> None:
    tracker = CallTracker(PROFILE)
    tracker.feed(arrives(T))
    tracker.feed({"Event": "FullyBooted"})
    (told,) = tracker.feed({"Event": "CoreShowChannelsComplete"})
    assert isinstance(told, CallEnded)
    assert not told.record.complete
    assert tracker.channels == 0


def test_a_list_that_names_a_channel_already_hung_up_brings_nothing_back() -> None:
    tracker = CallTracker(PROFILE)
    for one in (arrives(T), hangs_up(T + 1, CUSTOMER), arrives(T), arrives(T) | {"Event": "CoreShowChannel"}):
        tracker.feed(one)
    assert tracker.channels == 0
    assert tracker.counters.started == 1


def test_a_restarted_pbx_told_by_its_uptime_ends_the_calls_in_hand() -> None:
    tracker = CallTracker(PROFILE)
    tracker.feed(arrives(T))
    (told,) = tracker.feed({"Event": "FullyBooted", "Uptime": "5"}, received_at=T + 60)
    assert isinstance(told, CallEnded)
    assert told.record.complete is False


def missed_hangups(count: int) -> Iterator[dict[str, str]]:
    for n in range(count):
        uniqueid, agent = f"pbx1-{1700000000 + n}.{2 * n}", f"pbx1-{1700000000 + n}.{2 * n + 1}"
        yield arrives(T + n, uniqueid, CallerIDNum="101")
        yield event("Newchannel", T + n, agent, uniqueid, Channel=f"Local/101@agents-{n:08x};1", ChannelState="0")
        yield event("QueueCallerJoin", T + n, uniqueid, uniqueid, Queue="sales")
        yield event("QueueCallerAbandon", T + n, uniqueid, uniqueid, Queue="sales")
        yield enters(T + n, uniqueid, f"bridge {n}")
        yield event("Hold", T + n, uniqueid, uniqueid)


def test_memory_is_bounded_when_no_hangup_ever_comes() -> None:
    tracker = CallTracker(PROFILE, max_channels=500)
    ended = 0
    sizes = []
    for n, one in enumerate(missed_hangups(8_500)):
        ended += sum(isinstance(told, CallEnded) for told in tracker.feed(one))
        if n % 12_500 == 12_499:
            sizes.append(sys.getallocatedblocks())
    assert tracker.channels <= 500
    assert tracker.bridges <= 500
    assert ended > 8_000
    assert tracker.counters.evicted > 16_000
    assert sizes[-1] < sizes[0] * 1.2


def test_channels_whose_hangup_was_lost_expire_and_their_call_is_told() -> None:
    tracker = CallTracker(PROFILE, max_age=3600)
    tracker.feed(arrives(T))
    assert tracker.expire(T + 3599) == []
    (told,) = tracker.expire(T + 3601)
    assert isinstance(told, CallEnded)
    assert not told.record.complete
    assert (tracker.channels, tracker.snapshot()) == (0, ())


def test_a_channel_that_the_pbx_does_not_know_any_more_can_be_forgotten() -> None:
    tracker = CallTracker(PROFILE)
    tracker.feed(arrives(T))
    assert len(tracker.forget([CUSTOMER, "unheard of"])) == 1


def test_events_of_channels_never_seen_are_counted_by_kind() -> None:
    tracker = CallTracker(PROFILE)
    for one in (hangs_up(T, "x"), enters(T, "z"), hangs_up(T, "y")):
        assert not tracker.feed(one)
    assert tracker.counters.unknown == {"Hangup": 2, "BridgeEnter": 1}


@pytest.mark.parametrize("name", sorted(RELEVANT_EVENTS))
def test_an_event_without_headers_is_counted_and_survived(name: str) -> None:
    tracker = CallTracker(PROFILE)
    tracker.feed(arrives(T))
    tracker.feed({"Event": name})
    tracker.feed({"Event": name, "Timestamp": "nan", "Uniqueid": CUSTOMER})
    assert len(tracker.feed(hangs_up(T + 1, CUSTOMER))) + len(tracker.finish()) <= 1


def test_a_call_that_is_lost_while_the_clock_of_the_pbx_is_set_back_is_told_all_the_same() -> None:
    ends = event("DialEnd", T - 3600, CUSTOMER, DestUniqueid=AGENT, DialStatus="BUSY")
    call = only([arrives(), *rung(T + 1), ends, hangs_up(T - 3600, AGENT, "17"), hangs_up(T - 3599, CUSTOMER, "17")])
    assert (call.status, call.lost_reason) == ("lost", "busy")


def test_an_absurd_time_is_malformed() -> None:
    tracker = CallTracker(PROFILE)
    for text in ("nan", "inf", "-1", "1e300", "yesterday"):
        assert not tracker.feed(arrives(T) | {"Timestamp": text})
    assert tracker.counters.malformed == 5


HEADERS = re.findall(r'event\w*(?:\.get\(|\[)"(\w+)"', "".join(map(inspect.getsource, ROOMS)))
VALUES = st.sampled_from(
    [
        *("a-1.1", "a-1.2", "a-2.3", "b1", "b2", "PJSIP/carrier-1", "PJSIP/101-2", "Local/1@x-1;1", "Local/1@x-1;2"),
        *("6", "0", "4", "1700000000.5", "1700000001.5", "CALLROUTER_GROUP", "QUEUESTATUS", "Success", "from-trunk"),
        *("00:00:05", "79161234567", "\0", "ыыыы", "", "Queue", "ANSWER", "holding_bridge"),
    ]
)
ANY_EVENT = st.builds(
    lambda name, headers: {"Event": name, **headers},
    st.sampled_from(sorted(name for name in HANDLERS if name)),
    st.dictionaries(st.sampled_from(HEADERS), VALUES, min_size=8),
)


@given(st.lists(ANY_EVENT, max_size=60))
@settings(max_examples=200, deadline=None)
def test_nonsense_never_breaks_the_tracker(events: Events) -> None:
    tracker = CallTracker(PROFILE, max_channels=5)
    for one in events:
        for told in tracker.feed(one):
            assert isinstance(told, CallStarted | CallEnded)
        tracker.snapshot()
    tracker.finish()
    assert (tracker.channels, tracker.bridges, tracker.snapshot()) == (0, 0, ())


def test_what_happens_while_a_list_is_on_its_way_outweighs_the_list() -> None:
    listed = [
        arrives(T, one) | {"Event": "Status", "BridgeID": ""} for one in (CUSTOMER, "pbx1-1700000000.7")
    ]  # as they were when the list was made
    agent = rung(T)[0] | {"Event": "Status", "BridgeID": "b"}
    tracker = CallTracker(PROFILE)
    for one in ({"Event": "FullyBooted"}, enters(T + 5, CUSTOMER), hangs_up(T + 5, "pbx1-1700000000.7")):
        tracker.feed(one)
    tracker.adopt([*listed, agent], received_at=T + 6)
    (call,) = tracker.snapshot()
    assert (call.linkedid, call.employee) == (CUSTOMER, "101")


def test_narrowed_to_the_relevant_headers_the_same_records_come_out() -> None:
    headers = relevant_headers(capture(CAPTURES[0]).profile)
    assert headers["Newexten"]["Context"] == ("ring-groups",)

    def matters(one: dict[str, str]) -> bool:
        narrowed = headers.get(one.get("Event", ""))
        return not narrowed or any(one.get(name, "").startswith(values) for name, values in narrowed.items())

    for name in CAPTURES:
        recorded = capture(name)
        narrow = [one for one in recorded.events if matters(one)]
        assert replayed(narrow, recorded.profile) == replayed(recorded.events, recorded.profile)
