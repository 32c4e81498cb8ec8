"""What of a report's period is read from sums, and what is counted from rows.

Knows SQL. Whole days from their sums unless they are open: marked, or the present one; of open days the stretches that
hold; of a day that the period has in part, whole hours, if there are sums by the hour; the rest from rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import TypeAlias

import msgspec

from callrouter.db.connect import Connection
from callrouter.journal.period import day_start
from callrouter.reports.facts import Scope
from callrouter.reports.figures import Part
from callrouter.reports.stretches import Stretch, holding

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
INSTANT = timedelta(microseconds=1)
MOST_SPANS = 6
"""Each is one more SELECT to plan. With more of them, what is between the nearest is counted as well."""

Span: TypeAlias = tuple[datetime, datetime]

OPEN = """
SELECT part, day, at AS since, NULL::timestamptz AS until FROM report_marks
WHERE account_id = $1 AND day BETWEEN $2 AND $3
UNION SELECT part, day, since, until FROM report_stretches WHERE account_id = $1 AND day BETWEEN $2 AND $3"""


class Hours(msgspec.Struct, frozen=True):
    """Of a day, from the hour `first` until `end` on the account's clock."""

    day: date
    first: int
    end: int


class Piece(msgspec.Struct, frozen=True):
    """Of a part: `first` to `last`, the days whose sums are read, but for those `apart`; stretches by where they begin;
    hours of other days; spans from rows."""

    first: date | None = None
    last: date | None = None
    apart: tuple[date, ...] = ()
    stretches: tuple[datetime, ...] = ()
    hours: tuple[Hours, ...] = ()
    spans: tuple[Span, ...] = ()


class Open(msgspec.Struct):
    """An open day."""

    marks: set[datetime | None] = msgspec.field(default_factory=set)
    stretches: list[Stretch] = msgspec.field(default_factory=list)


async def pieces(
    connection: Connection, scope: Scope, period: Span, parts: Sequence[Part], *, by_hour: bool
) -> dict[Part, Piece]:
    """`by_hour`: there are sums by the hour, too."""
    found: dict[str, dict[date, Open]] = defaultdict(lambda: defaultdict(Open))
    for row in await connection.fetch(OPEN, scope.account, *_days(period, scope)):
        day = found[row["part"]][row["day"]]
        if row["until"] is None:
            day.marks.add(row["since"])
        else:
            day.stretches.append(Stretch(row["since"], row["until"]))
    return {part: piece(scope, period, part, found[part], by_hour=by_hour and part != "costs") for part in parts}


def piece(scope: Scope, period: Span, part: Part, opened: dict[date, Open], *, by_hour: bool) -> Piece:
    since, until = period
    first, end = since.astimezone(scope.zone).date(), until.astimezone(scope.zone).date()
    if day_start(first, scope.zone) < since:
        first += DAY
    held = [
        (day, each)
        for day, told in opened.items()
        for each in holding(part, sorted(told.stretches), told.marks)
        if since <= each.since and each.until <= until
    ]
    unsummed = list(_unsummed(scope, period, (first, end), sorted(opened)))
    hours = [told for span in unsummed if by_hour and (told := _whole_hours(scope, span, opened))]
    spans = _fewer(_without(unsummed, sorted([*(each for _, each in held), *(each for _, each in hours)])))
    kept = [(day, each) for day, each in held if not _is_in(each, spans)]
    days = [*([first, end - DAY] if first < end else []), *(day for day, _ in kept)]
    counted = {day for span in spans for day in _each_day(span, scope)}
    return Piece(
        first=min(days, default=None), last=max(days, default=None), apart=tuple(sorted(counted | set(opened))),
        stretches=tuple(each.since for _, each in kept), spans=tuple(spans),
        hours=tuple(told for told, each in hours if not _is_in(each, spans)),
    )  # fmt: skip


def _unsummed(scope: Scope, period: Span, whole: tuple[date, date], opened: Sequence[date]) -> Iterator[Span]:
    """In order: what of the first day and the last is in the period, and between them the open days."""
    first, end = whole
    if first >= end:
        yield period
        return
    yield period[0], day_start(first, scope.zone)
    for day in opened:
        if first <= day < end:
            yield day_start(day, scope.zone), day_start(day + DAY, scope.zone)
    yield day_start(end, scope.zone), period[1]


def _whole_hours(scope: Scope, span: Span, opened: Container[date]) -> tuple[Hours, Stretch] | None:
    """Of a part of a day that is not open, and on which the clock does not change."""
    day, last = _days(span, scope)
    begin = day_start(day, scope.zone)
    if day != last or day in opened or day_start(day + DAY, scope.zone) - begin != DAY:
        return None
    first, end = -((begin - span[0]) // HOUR), (span[1] - begin) // HOUR
    return (Hours(day, first, end), Stretch(begin + first * HOUR, begin + end * HOUR)) if first < end else None


def _is_in(stretch: Stretch, spans: Sequence[Span]) -> bool:
    return any(stretch.since < end and begin < stretch.until for begin, end in spans)


def _without(spans: Iterable[Span], stretches: Sequence[Stretch]) -> list[Span]:
    """What is left, those that touch as one."""
    left: list[Span] = []
    for begin, end in spans:
        for each in stretches:
            if begin <= each.since and each.until <= end:
                _put(left, (begin, each.since))
                begin = each.until  # noqa: PLW2901 - the rest of it
        _put(left, (begin, end))
    return left


def _put(spans: list[Span], span: Span) -> None:
    if span[0] >= span[1]:
        return
    if spans and spans[-1][1] == span[0]:
        span = spans.pop()[0], span[1]
    spans.append(span)


def _fewer(spans: list[Span]) -> list[Span]:
    """Of too many the nearest become one, with what is between."""
    while len(spans) > MOST_SPANS:
        nearest = min(range(1, len(spans)), key=lambda index: spans[index][0] - spans[index - 1][1])
        spans[nearest - 1 : nearest + 1] = [(spans[nearest - 1][0], spans[nearest][1])]
    return spans


def _days(span: Span, scope: Scope) -> tuple[date, date]:
    """Its first day and its last."""
    since, until = (at.astimezone(scope.zone) for at in (span[0], span[1] - INSTANT))
    return since.date(), until.date()


def _each_day(span: Span, scope: Scope) -> Iterator[date]:
    first, last = _days(span, scope)
    for n in range((last - first).days + 1):
        yield first + n * DAY
