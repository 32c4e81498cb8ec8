"""An appeal completed from the PBX's own record: what CEL tells, with what only AMI knew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from callrouter.appeals.reconcile import appeal_of
from callrouter.calls.record import CallRecord, Step

START = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def answered_by(*answers: tuple[float, str]) -> CallRecord:
    return CallRecord(
        pbx="pbx1", linkedid="pbx1-1.1", direction="inbound", caller="79165550001", called="74952220001",
        caller_raw="79165550001", called_raw="74952220001", customer="79165550001", started_at=START,
        answered_at=at(1), ended_at=at(9), status="answered", lost_reason=None, wait_s=1.0, talk_s=8.0, group="sales",
        employee=answers[-1][1], steps=tuple(Step(at(seconds), "answered", who=who) for seconds, who in answers),
        hangup_cause=16, hangup_by="caller", recording=None, agi_ms=None, complete=True,
    )  # fmt: skip


def seen(*answers: tuple[float, str]) -> dict[str, Any]:
    steps = [{"at": at(seconds).isoformat(), "kind": "answered", "who": who} for seconds, who in answers]
    return {"steps": steps, "recording": None, "agi_ms": 2.0, "revision": 3, "employee": answers[-1][1]}


def test_an_agents_name_that_ami_knew_is_kept() -> None:
    call = appeal_of(answered_by((1.0, "221")), seen((1.001, "Мария Соколова"))).call
    assert (call.employee, call.steps[0].who) == ("Мария Соколова", "Мария Соколова")


def test_who_answered_unseen_soon_after_is_not_taken_for_who_was_seen_before() -> None:
    call = appeal_of(answered_by((1.0, "201"), (1.9, "212")), seen((1.0, "201"))).call
    assert [step.who for step in call.steps] == ["201", "212"]
    assert call.employee == "212"


def test_a_name_goes_to_the_nearest_answer_alone() -> None:
    call = appeal_of(answered_by((1.0, "221"), (1.9, "212")), seen((1.001, "Мария Соколова"))).call
    assert [step.who for step in call.steps] == ["Мария Соколова", "212"]
    assert call.employee == "212"
