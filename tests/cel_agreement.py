"""Where the records of one call may differ that AMI and CEL told: what CEL cannot know, and milliseconds."""

from __future__ import annotations

from callrouter.calls.record import CallRecord, Step
from callrouter.lab import company

PROFILE = company.profile("pbx1")
SAME = (
    "pbx", "direction", "caller", "called", "caller_raw", "called_raw", "customer", "status", "lost_reason", "group",
    "hangup_cause", "hangup_by", "complete",
)  # fmt: skip
BRIEFLY = 0.5
"""Seconds: AMI stamps an event when it is written, CEL when it happened, and the lab's machine is busy."""
MUSIC_SINCE = 22
"""From this version on CEL tells of music, by which holding is seen."""
EXTENSIONS = {name: extension for extension, name in company.AGENT_NAMES.items()}
"""CEL names an agent by his extension."""


def differences(ami: CallRecord, cel: CallRecord, version: int = 22) -> list[str]:
    """Each difference that docs/reference/cel.md does not explain."""
    found = [
        f"{field}: AMI {getattr(ami, field)}, CEL {getattr(cel, field)}"
        for field in SAME if getattr(ami, field) != getattr(cel, field)
    ]  # fmt: skip
    if _extension(ami.employee) != cel.employee:
        found.append(f"employee: AMI {ami.employee}, CEL {cel.employee}")
    for field in ("started_at", "answered_at", "ended_at"):
        one, two = getattr(ami, field), getattr(cel, field)
        if (one is None) != (two is None) or (one and abs((one - two).total_seconds()) > BRIEFLY):
            found.append(f"{field}: AMI {one}, CEL {two}")
    if abs(ami.wait_s - cel.wait_s) > BRIEFLY:
        found.append(f"wait_s: AMI {ami.wait_s}, CEL {cel.wait_s}")
    holds = any(step.kind == "hold" for step in ami.steps)
    if abs(ami.talk_s - cel.talk_s) > BRIEFLY and not (holds and version < MUSIC_SINCE):
        found.append(f"talk_s: AMI {ami.talk_s}, CEL {cel.talk_s}")
    one, two = _steps(ami, version), _steps(cel, version)
    if one != two:
        found.append(f"steps: AMI {one}, CEL {two}")
    return found


def facts(found: list[str]) -> list[str]:
    """Of differences those in what a call was, rather than in how its steps are told."""
    return [each for each in found if not each.startswith(("steps", "caller_raw"))]


def _steps(record: CallRecord, version: int) -> list[str]:
    """Without times, and of two at the same moment without their order."""
    left_out = ("hold", "unhold") if version < MUSIC_SINCE else ()
    return sorted(_told(step) for step in record.steps if step.kind not in left_out)


def _told(step: Step) -> str:
    who = _extension(step.who)
    return " ".join(filter(None, (step.kind, step.group, who, step.to, step.reason)))


def _extension(name: str | None) -> str | None:
    return EXTENSIONS.get(name or "", name)
