"""Stretches of the present day that were added up: which of them hold, and where to end the next. Pure.

A stretch is of whole quarters of an hour, for changes are marked by the quarter. It holds while nothing in it is
marked; of visits, nothing before it either: whose visit was his first of the day changes with an earlier one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from callrouter.reports.figures import Part

QUARTER = timedelta(minutes=15)
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
LATE = timedelta(minutes=2)
"""A quarter is over a little later: what began at its end is written by then, as a rule."""


class Stretch(msgspec.Struct, frozen=True, order=True):
    since: datetime
    until: datetime


Marks = Collection[datetime | None]
"""Quarters in which something changed; None: any of the day's."""


def holding(part: Part, stretches: Sequence[Stretch], marks: Marks) -> tuple[Stretch, ...]:
    """Of the stretches of a day those whose sums are right."""
    known = [at for at in marks if at is not None]
    if len(known) < len(marks):
        return ()
    if part == "visits":
        return tuple(each for each in stretches if not known or each.until <= min(known))
    return tuple(each for each in stretches if not any(each.since - QUARTER < at < each.until for at in known))


def over(now: datetime) -> datetime:
    """The end of the last quarter that is over."""
    return EPOCH + (now - LATE - EPOCH) // QUARTER * QUARTER


def cut(since: datetime, until: datetime, begun: Mapping[datetime, int], enough: int) -> Iterator[Stretch]:
    """As many stretches as have enough rows each, of so many that began in each quarter; the rest is left to rows."""
    rows = 0
    for quarter in sorted(begun):
        rows += begun[quarter]
        end = quarter + QUARTER
        if rows >= enough and since < end <= until:
            yield Stretch(since, end)
            since, rows = end, 0
