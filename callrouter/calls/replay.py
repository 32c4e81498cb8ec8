"""A capture → its call records. Pure; reading captures is `callrouter.ami.wire`'s, printing the command line's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from callrouter.calls.events import CallEnded
from callrouter.calls.profile import PbxProfile
from callrouter.calls.record import CallRecord
from callrouter.calls.tracker import CallTracker


def records(events: Iterable[Mapping[str, str]], profile: PbxProfile) -> Iterator[CallRecord]:
    """Each call as it ends; those still in progress at the end of the stream come last, with complete=false."""
    tracker = CallTracker(profile)
    for event in events:
        for told in tracker.feed(event):
            if isinstance(told, CallEnded):
                yield told.record
    for told in tracker.finish():
        if isinstance(told, CallEnded):
            yield told.record


def json_line(record: CallRecord) -> bytes:
    """The record as `callrouter replay` prints it: one line, the fields of rules §1, always the same bytes."""
    return msgspec.json.encode(record) + b"\n"
