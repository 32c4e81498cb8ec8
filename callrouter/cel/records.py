"""CEL rows → call records, by the very code that follows AMI. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from callrouter.calls.events import CallEnded
from callrouter.calls.profile import PbxProfile
from callrouter.calls.record import CallRecord
from callrouter.calls.tracker import CallTracker
from callrouter.cel.gather import Gathered, Gatherer
from callrouter.cel.rows import Row
from callrouter.cel.translate import events_of


def records_of(call: Gathered, profile: PbxProfile) -> list[CallRecord]:
    """The records of one call (of each, if an employee's calls are told together); none of a call without beginning.

    A call that has no end in the file ends at its last row, with complete=false.
    """
    tracker = CallTracker(profile)
    told = [event for each in events_of(call.rows, profile) for event in tracker.feed(each)]
    told += tracker.finish()
    return [event.record for event in told if isinstance(event, CallEnded)]


def records(rows: Iterable[Row], profile: PbxProfile) -> Iterator[CallRecord]:
    """Each call as it ends; those still in progress at the end of the file come last, with complete=false."""
    gatherer = Gatherer(profile)
    for row in rows:
        for call in gatherer.feed(row):
            yield from records_of(call, profile)
    for call in gatherer.finish():
        yield from records_of(call, profile)
