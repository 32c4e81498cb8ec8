"""Harder calls, recorded on a real Asterisk 22 with what a tracker needs of the events: each told as it really went."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from callrouter.ami.wire import EventReader
from callrouter.calls.events import CallStarted
from callrouter.calls.profile import PbxProfile
from callrouter.calls.replay import records
from callrouter.calls.tracker import CallTracker
from tests.unit.calls.captures import Events, replayed

FOLDER = Path(__file__).parent / "streams"
DID = "74952232725"
PROFILE = PbxProfile(
    name="pbx1",
    inbound_contexts=("from-trunk",),
    trunks=("PJSIP/carrier",),
    group_contexts=("ring-groups",),
    internal_contexts=("from-internal",),
)
Expected = tuple[str, str | None, str | None, str, str | None, str | None, str | None, float]
"""direction, caller, called, status, lost reason, group, employee, talk_s (± 0.1)"""

CALLS: dict[str, list[Expected]] = {
    # 242 dials *8 and takes the call that rings at 241; his own attempt is no call
    "pickup": [("inbound", "79160000001", DID, "answered", None, None, "242", 0.5)],
    # 241 redirects to 242 by 302, which Asterisk follows with a Local channel
    "redirect302": [("inbound", "79160000002", DID, "answered", None, None, "242", 1.0)],
    # AMI Originate rings the employee first, then the customer
    "originate": [("outbound", "241", "79165550000", "answered", None, None, "241", 1.2)],
    "originate_local": [("outbound", "241", "79165550002", "answered", None, None, "241", 1.4)],
    "originate_customer_first": [("outbound", None, "79165550001", "answered", None, None, "241", 1.2)],
    "overflow": [("inbound", "79160000003", DID, "answered", None, "support", "211", 1.3)],
    # AMI Redirect moves a talking customer into another queue: there is no transfer event
    "redirect_ami": [("inbound", "79160000004", DID, "answered", None, "support", "212", 1.3)],
    # 1.0 s of the 2.5 s on the line the employee spoke with a colleague
    "consult_only": [
        ("internal", "241", "242", "answered", None, None, "242", 1.0),
        ("inbound", "79160000005", DID, "answered", None, None, "241", 1.5),
    ],
    "attended_extension": [("inbound", "79160000006", DID, "answered", None, "shop", "242", 2.0)],
    # transferred to a colleague whose phone still rang
    "blonde": [("inbound", "79160000007", DID, "answered", None, None, "242", 2.1)],
    "blind_extension": [("inbound", "79160000008", DID, "answered", None, "sales", "242", 1.1)],
    "blind_outside": [("inbound", "79160000009", DID, "answered", None, None, "79165559999", 1.8)],
    "outbound_cancelled": [("outbound", "241", "79165558888", "lost", "abandoned_ringing", None, None, 0.0)],
    # Asterisk 16 calls a refusal NOANSWER, and may hang the customer up before the phone that refused
    "refused_on_16": [("inbound", "79165551006", "74952220106", "lost", "rejected", None, None, 0.0)],
    "withheld": [("inbound", None, DID, "answered", None, None, "241", 0.6)],
    # two customers whom an employee joined keep a call each
    "transfer_customer_to_customer": [
        ("outbound", "241", "79165557777", "answered", None, None, "241", 1.7),
        ("inbound", "79160000011", DID, "answered", None, None, "79165557777", 1.8),
    ],
}


@cache
def stream(name: str) -> Events:
    return EventReader().feed((FOLDER / f"{name}.ami").read_bytes())


@pytest.mark.parametrize("name", CALLS)
def test_a_harder_call_is_told_as_it_went(name: str) -> None:
    found = replayed(stream(name), PROFILE)
    told = [(r.direction, r.caller, r.called, r.status, r.lost_reason, r.group, r.employee) for r in found]
    assert told == [expected[:-1] for expected in CALLS[name]]
    assert [r.talk_s for r in found] == pytest.approx([expected[-1] for expected in CALLS[name]], abs=0.1)
    assert all(record.complete for record in found)


@pytest.mark.parametrize("name", CALLS)
def test_a_harder_call_cut_anywhere_invents_nothing(name: str) -> None:
    whole = {record.linkedid: record.direction for record in replayed(stream(name), PROFILE)}
    for k in range(len(stream(name))):
        for record in records(stream(name)[k:], PROFILE):
            assert whole.get(record.linkedid) == record.direction or record.direction == "internal"
    for k in range(len(stream(name))):
        for record in records(stream(name)[:k], PROFILE):
            assert record.linkedid in whole or record.direction == "internal"


def test_steps_tell_the_transfer_and_who_was_reached() -> None:
    (record,) = replayed(stream("attended_extension"), PROFILE)
    told = [(step.kind, step.group or step.who, step.to or step.reason) for step in record.steps]
    assert told == [
        ("started", None, None),
        ("group_entered", "shop", None),
        ("rang", "231", None),
        ("rang", "232", None),
        ("rang", "233", None),
        ("missed", "232", "answered_elsewhere"),
        ("missed", "233", "answered_elsewhere"),
        ("answered", "231", None),
        ("hold", "231", None),
        ("rang", "242", None),
        ("unhold", "231", None),
        ("answered", "242", None),
        ("transfer_attended", "231", "242"),
        ("ended", None, "caller"),
    ]


def test_calls_found_in_progress_after_a_login_are_adopted_and_marked() -> None:
    answered, waiting = replayed(stream("attached_in_mid_call"), PROFILE)
    assert (answered.caller, answered.called, answered.status) == ("79160000020", DID, "answered")
    assert (answered.group, answered.employee, answered.complete) == ("sales", "203", False)
    assert (waiting.caller, waiting.lost_reason, waiting.group, waiting.complete) == (
        "79160000021", "abandoned_queue", "service", False,
    )  # fmt: skip
    assert all(r.started_at.year > 2025 for r in (answered, waiting))


def test_adopting_the_lists_gives_the_same_calls_as_feeding_them() -> None:
    events = stream("attached_in_mid_call")
    listed = [e for e in events if e["Event"] in ("Status", "CoreShowChannel", "BridgeListItem", "QueueEntry")]
    end = max(events.index(event) for event in listed)
    tracker = CallTracker(PROFILE)
    told = tracker.adopt(
        [e for e in listed if e["Event"] == "Status"],
        [e for e in listed if e["Event"] == "BridgeListItem"],
        [e for e in listed if e["Event"] == "QueueEntry"],
    )
    assert [(t.caller, t.called, t.direction) for t in told if isinstance(t, CallStarted)] == [
        ("79160000020", DID, "inbound"),
        ("79160000021", DID, "inbound"),
    ]
    assert [(c.group, c.employee, c.complete) for c in tracker.snapshot()] == [
        ("sales", "203", False),
        ("service", None, False),
    ]
    assert sum(len(tracker.feed(event)) for event in events[end + 1 :]) == 2
    assert tracker.channels == 0


def test_a_restart_that_nobody_announced_ends_the_calls_in_hand() -> None:
    found = {record.caller: record for record in replayed(stream("killed_and_back"), PROFILE)}
    assert found["79160000022"].complete is False
    assert found["79160000022"].hangup_by is None
    assert found["79160000023"].complete is True
    assert list(found) == ["79160000020", "79160000021", "79160000022", "79160000023"]
