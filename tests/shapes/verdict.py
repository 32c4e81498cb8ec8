"""Compares records with what the phones did. Pure; says each difference in a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from callrouter.ami.wire import EventReader
from callrouter.calls.profile import PbxProfile
from callrouter.calls.record import CallRecord
from callrouter.calls.replay import records

SLACK = 0.3
"""Seconds between what phones and PBX call the same moment."""
EXACT = ("direction", "caller", "status", "lost_reason", "group", "employee", "hangup_by")


def replayed(data: bytes, profile: PbxProfile) -> list[CallRecord]:
    """The records of a raw stream."""
    return list(records((event for event in EventReader().feed(data) if "Event" in event), profile))


def differences(found: Sequence[CallRecord], truths: Sequence[Mapping[str, Any]], slack: float = SLACK) -> list[str]:
    """What the records say otherwise than the phones. Internal calls make no appeal, and are not compared."""
    calls = [record for record in found if record.direction != "internal"]
    calls.sort(key=lambda call: (call.customer or "", call.started_at))
    wanted = sorted(truths, key=lambda truth: (_customer(truth), truth["started_at"]))
    if len(calls) != len(wanted):
        who = [f"{call.direction} {call.caller} → {call.called}" for call in calls]
        return [f"{len(calls)} calls, in truth {len(wanted)}: {'; '.join(who)}"]
    return [line for call, truth in zip(calls, wanted, strict=True) for line in _of_call(call, truth, slack)]


def _customer(truth: Mapping[str, Any]) -> str:
    return str(truth["caller"] if truth["direction"] == "inbound" else truth["did"])


def _of_call(call: CallRecord, truth: Mapping[str, Any], slack: float) -> list[str]:
    told = [
        f"{name} is {getattr(call, name)!r}, in truth {truth[name]!r}"
        for name in EXACT
        if getattr(call, name) != truth[name]
    ]
    if call.called != truth["did"]:
        told.append(f"called is {call.called!r}, in truth {truth['did']!r}")
    if (call.recording is not None) != truth["recorded"]:
        told.append(f"recording is {call.recording!r}")
    if not call.complete:
        told.append("it is not complete")
    times = {name: (call.started_at - datetime.fromisoformat(truth[name])).total_seconds() for name in ("started_at",)}
    times["ended_at"] = (call.ended_at - datetime.fromisoformat(truth["ended_at"])).total_seconds()
    times |= {"talk_s": call.talk_s - truth["talk_s"], "wait_s": call.wait_s - truth["wait_s"]}
    told += [f"{name} is off by {by:.2f} s" for name, by in times.items() if abs(by) > slack]
    return told + _missing_steps(call, truth["steps"])


def _missing_steps(call: CallRecord, wanted: Sequence[Sequence[str | None]]) -> list[str]:
    told = [(step.kind, step.group or step.who, step.to or step.reason) for step in call.steps]
    left = iter(told)
    for step in wanted:
        if not any(one[: len(step)] == tuple(step) for one in left):
            return [f"step {step} is not told in its order: {told}"]
    return []
