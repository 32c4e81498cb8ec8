"""What the tracker tells the rest of callrouter. Immutable; knows nothing of AMI."""

from __future__ import annotations

from datetime import datetime

import msgspec

from callrouter.calls.record import CallRecord, Direction, Step


class CallStarted(msgspec.Struct, frozen=True, kw_only=True):
    """A customer is on a channel: inbound, when it came to be; outbound, when the trunk was dialled."""

    pbx: str
    linkedid: str
    """With `pbx` the call's key, the same as of the record that will follow."""
    uniqueid: str
    """Of the customer's channel."""
    channel: str
    direction: Direction
    caller_raw: str
    called_raw: str
    caller: str | None
    called: str | None
    at: datetime


class CallEnded(msgspec.Struct, frozen=True):
    """The call is over and will not change any more. Internal calls are told too; they make no appeal."""

    record: CallRecord


CallEvent = CallStarted | CallEnded


class LiveCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call in progress, as a page or a metric shows it."""

    pbx: str
    linkedid: str
    uniqueid: str
    direction: Direction
    caller: str | None
    called: str | None
    started_at: datetime
    answered_at: datetime | None
    group: str | None
    employee: str | None
    complete: bool
    steps: tuple[Step, ...] = ()
    """Of a snapshot with steps: what happened so far."""
