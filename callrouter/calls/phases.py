"""What a customer hears after a step of his call, in words for people. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from callrouter.calls.record import StepKind

State = Literal["begins", "menu", "waits", "talks", "held", "transferred"]


class Happened(Protocol):
    """A step, by whichever type."""

    @property
    def kind(self) -> StepKind: ...
    @property
    def group(self) -> str | None: ...
    @property
    def who(self) -> str | None: ...
    @property
    def to(self) -> str | None: ...
    @property
    def reason(self) -> str | None: ...


class Phase(NamedTuple):
    state: State
    told: str


def phase_after(step: Happened) -> Phase | None:
    """None: the step changes nothing for him, as a phone that rings."""
    if step.kind == "group_left" and not step.reason:
        return None
    phases = {
        "started": Phase("begins", "the call begins"),
        "ivr": Phase("menu", "hears a menu"),
        "group_entered": Phase("waits", f"waits in {step.group}"),
        "group_left": Phase("begins", f"left {step.group} ({step.reason})"),
        "answered": Phase("talks", f"talks with {step.who}" if step.who else "talks"),
        "hold": Phase("held", "on hold"),
        "unhold": Phase("talks", "talks again"),
        "transfer_blind": Phase("transferred", f"transferred by {step.who} to {step.to}"),
        "transfer_attended": Phase("transferred", f"transferred by {step.who} to {step.to}"),
    }
    return phases.get(step.kind)
