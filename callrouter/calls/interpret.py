"""A story that is over → its record (rules §1): who, how long, what became of it and why. Pure, reads facts only."""

from __future__ import annotations

from callrouter.calls.parties import employee_name, is_extension, peer_of
from callrouter.calls.profile import PbxProfile
from callrouter.calls.record import CallRecord, HangupBy, LostReason, Step
from callrouter.calls.story import Fact, Leg, Story
from callrouter.calls.times import moment, seconds_between
from callrouter.numbers import party

BUSY, NO_RESPONSE, NO_ANSWER, REJECTED, ELSEWHERE, NORMAL = 17, 18, 19, 21, 26, 16
"""Q.850 causes that tell something beyond the dial status."""

ABANDONED: dict[str, LostReason] = {
    "queue": "abandoned_queue",
    "ringing": "abandoned_ringing",
    "ivr": "abandoned_ivr",
}
QUEUE_LEFT: dict[str, LostReason] = {
    "TIMEOUT": "no_answer",
    "FULL": "busy",
    "JOINEMPTY": "no_agents",
    "LEAVEEMPTY": "no_agents",
    "JOINUNAVAIL": "no_agents",
    "LEAVEUNAVAIL": "no_agents",
}
BY_CAUSE: dict[int, LostReason] = {
    BUSY: "busy",
    REJECTED: "rejected",
    NO_RESPONSE: "no_answer",
    NO_ANSWER: "no_answer",
}
BY_STATUS: dict[str, LostReason] = {
    "BUSY": "busy",
    "NOANSWER": "no_answer",
    "CANCEL": "abandoned_ringing",
    "ABORT": "abandoned_ringing",
}
MISSED: dict[str, str] = {
    "busy": "busy",
    "rejected": "rejected",
    "no_answer": "no_answer",
    "abandoned_ringing": "cancelled",
    "failed": "unavailable",
}
PREFERENCE: tuple[LostReason, ...] = ("abandoned_ringing", "no_answer", "rejected", "busy", "failed")
"""Of several phones rung at once the first of these that is true of one says what became of the customer."""


def parties(story: Story, profile: PbxProfile) -> tuple[str, str, str | None, str | None]:
    """Caller and called as the PBX spells them, then normalised."""
    caller_raw = story.caller_raw
    if story.direction == "inbound":
        return (
            caller_raw,
            story.called_raw,
            party(caller_raw, profile.country),
            party(story.called_raw, profile.country),
        )
    called_raw = (story.subject.number if story.direction == "outbound" else "") or story.called_raw
    if story.dialled_by:
        return story.dialled_by, called_raw, story.dialled_by, party(called_raw, profile.country)
    caller = _extension(story)
    return caller_raw or caller, called_raw, caller or None, party(called_raw, profile.country)


def _extension(story: Story) -> str:
    """Of the employee who calls: his endpoint, or his caller id where the endpoint has another kind of name."""
    if story.direction == "outbound" and story.first is story.subject:
        return ""
    taken = None if story.first.real else story.taken_by()
    endpoint = peer_of((taken or story.first).name)
    return story.caller_raw if is_extension(story.caller_raw) and not is_extension(endpoint) else endpoint


def record_of(story: Story, pbx: str, profile: PbxProfile) -> CallRecord:
    ended = story.started if story.ended is None else max(story.ended, story.started)
    story.hear((), ended)
    story.settle_knock()
    caller_raw, called_raw, caller, called = parties(story, profile)
    answered = story.answered_at
    reason = None if answered is not None else lost_reason(story)
    hangup_by = _hangup_by(story, reason)
    return CallRecord(
        pbx=pbx, linkedid=story.key, direction=story.direction,
        caller=caller, called=called, caller_raw=caller_raw, called_raw=called_raw,
        customer={"inbound": caller, "outbound": called}.get(story.direction),
        started_at=moment(story.started),
        answered_at=None if answered is None else moment(answered),
        ended_at=moment(ended),
        status="lost" if answered is None else "answered",
        lost_reason=reason,
        wait_s=seconds_between(story.started, ended if answered is None else answered),
        talk_s=round(story.talk_total, 6),
        group=story.group or None, employee=story.employee or None,
        steps=_steps(story, ended, hangup_by, profile),
        hangup_cause=story.hangup_cause, hangup_by=hangup_by,
        recording=story.recording or None, agi_ms=None, complete=story.complete,
    )  # fmt: skip


def lost_reason(story: Story) -> LostReason:
    """What was true of the customer at the end."""
    if story.direction == "inbound":
        if story.quit_place in ABANDONED:
            return ABANDONED[story.quit_place]
        if story.queue_status in QUEUE_LEFT:
            return QUEUE_LEFT[story.queue_status]
        if story.queue_abandoned_at is not None or story.left_queue_by_himself():
            return "abandoned_queue"
    return _dial_outcome(story) or _cause_outcome(story)


def _dial_outcome(story: Story) -> LostReason | None:
    """Of the last round of ringing: the phones that rang together with the last one."""
    legs = [leg for leg in story.legs if leg.status != "ANSWER"]
    if not legs:
        return None
    last = legs[-1]  # it counts though the PBX's clock was set back while it rang
    outcomes = {outcome_of(leg) for leg in legs if leg is last or leg.ended is None or leg.ended >= last.began}
    return next(reason for reason in PREFERENCE if reason in outcomes)


def outcome_of(leg: Leg) -> LostReason:
    if leg.cause in (BUSY, REJECTED):
        return BY_CAUSE[leg.cause]
    if leg.status in BY_STATUS:
        return BY_STATUS[leg.status]
    if not leg.status and leg.cause in (0, NORMAL):
        return "no_answer"
    return BY_CAUSE.get(leg.cause, "failed")


def _cause_outcome(story: Story) -> LostReason:
    """Nobody was called: the dialplan ended it."""
    cause = story.hangup_cause or 0
    if cause in BY_CAUSE:
        return BY_CAUSE[cause]
    return "abandoned_ivr" if story.was_up and story.direction == "inbound" else "failed"


def _hangup_by(story: Story, reason: LostReason | None) -> HangupBy | None:
    if story.ended is None or (story.hangup_cause is None and not story.complete):
        return None
    customer, employee = story.quit_at, story.employee_quit_at
    if employee is not None and story.last_change > employee:
        employee = None  # the call went on without him
    if customer is not None and (employee is None or customer <= employee):
        return "caller"
    if employee is not None:
        return "employee"
    abandoned = reason == "abandoned_ringing" or story.queue_abandoned_at is not None
    return "caller" if abandoned and reason in ABANDONED.values() and story.direction == "inbound" else "pbx"


def _steps(story: Story, ended: float, hangup_by: HangupBy | None, profile: PbxProfile) -> tuple[Step, ...]:
    return (*steps_so_far(story, profile), Step(at=moment(ended), kind="ended", reason=hangup_by))


def steps_so_far(story: Story, profile: PbxProfile) -> tuple[Step, ...]:
    """The steps of a call that may go on."""
    steps = [Step(at=moment(story.started), kind="started")]
    for index, fact in enumerate(story.facts):
        if fact.at < story.started or (fact.kind == "group_left" and _was_connected(story.facts, index)):
            continue
        who = fact.who
        reason = fact.reason
        if fact.leg is not None:
            who = employee_name(fact.leg.channel, profile)
            if fact.kind == "missed":
                reason = _why_missed(fact.leg)
        steps.append(
            Step(
                at=moment(fact.at), kind=fact.kind, group=fact.group or None, who=who or None, to=fact.to or None,
                reason=reason or None,
            )
        )  # fmt: skip
    return tuple(steps)


def _why_missed(leg: Leg) -> str:
    if leg.forwarded_to:
        return "forwarded"
    return "answered_elsewhere" if leg.cause == ELSEWHERE else MISSED[outcome_of(leg)]


def _was_connected(facts: list[Fact], index: int) -> bool:
    """Did the customer leave the queue because an agent took him?"""
    for later in facts[index + 1 :]:
        if later.kind in ("answered", "group_entered", "ivr", "rang"):
            return later.kind == "answered"
    return False
