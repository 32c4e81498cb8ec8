"""Stretches of the present day: where they end, which hold, and what is read beside them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as some

from callrouter.journal.period import day_start
from callrouter.reports.facts import Scope
from callrouter.reports.pieces import DAY, HOUR, MOST_SPANS, Open, Piece, piece
from callrouter.reports.stretches import QUARTER, Stretch, cut, holding, over

MIDNIGHT = datetime(2026, 5, 6, tzinfo=UTC)
TODAY = MIDNIGHT.date()


def at(quarter: int) -> datetime:
    return MIDNIGHT + quarter * QUARTER


def stretches(*ends: int) -> list[Stretch]:
    return [Stretch(at(since), at(until)) for since, until in zip((0, *ends), ends, strict=False)]


def test_stretch_of_appeals_holds_while_nothing_in_it_is_marked() -> None:
    known = stretches(4, 8, 12)
    assert holding("appeals", known, []) == tuple(known)
    assert holding("appeals", known, [at(4)]) == (known[0], known[2])
    assert holding("appeals", known, [at(12)]) == tuple(known)


def test_stretch_of_visits_holds_while_nothing_before_its_end_is_marked() -> None:
    known = stretches(4, 8, 12)
    assert holding("visits", known, [at(4), at(11)]) == (known[0],)
    assert holding("visits", known, [at(12)]) == tuple(known)


def test_no_stretch_holds_of_a_day_any_of_which_may_have_changed() -> None:
    assert holding("appeals", stretches(4, 8), [None]) == ()


def test_quarter_is_over_a_little_later() -> None:
    assert over(at(5) + timedelta(minutes=1)) == at(4)
    assert over(at(5) + timedelta(minutes=3)) == at(5)


def test_stretches_have_enough_rows_each_and_what_is_left_is_left() -> None:
    begun = {at(0): 1, at(1): 2, at(5): 9, at(6): 1, at(8): 9}
    assert list(cut(at(0), at(8), begun, 3)) == stretches(2, 6)


def test_day_that_begins_within_a_quarter_has_its_first_stretch_from_there() -> None:
    since = at(0) + timedelta(minutes=7)
    assert list(cut(since, at(4), {at(0): 3}, 3)) == [Stretch(since, at(1))]
    assert holding("appeals", [Stretch(since, at(1))], [at(0)]) == ()


def covered(
    told: Piece, since: datetime, until: datetime, known: list[Stretch], scope: Scope
) -> list[tuple[datetime, datetime]]:
    """Everything that is read: days, stretches, rows."""
    days = []
    if told.first is not None and told.last is not None:
        days = [told.first + n * DAY for n in range((told.last - told.first).days + 1)]
    read = [(day_start(day, scope.zone), day_start(day + DAY, scope.zone)) for day in days if day not in told.apart]
    read += [
        (day_start(each.day, scope.zone) + each.first * HOUR, day_start(each.day, scope.zone) + each.end * HOUR)
        for each in told.hours
    ]
    read += [(each.since, each.until) for each in known if each.since in told.stretches]
    return sorted([*read, *told.spans])


@pytest.mark.parametrize("part", ["appeals", "visits"])
@given(data=some.data())
def test_all_of_a_period_is_read_once(part: str, data: some.DataObject) -> None:
    zone = ZoneInfo(data.draw(some.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"])))
    scope, today = Scope(7, zone), date(2026, 3, 29)
    begin = day_start(today, zone)
    ends = sorted(data.draw(some.sets(some.integers(1, 88), max_size=9)))
    known = [
        Stretch(begin + since * QUARTER, begin + until * QUARTER)
        for since, until in zip((0, *ends), ends, strict=False)
    ]
    marks = {begin + n * QUARTER for n in data.draw(some.sets(some.integers(0, 91), max_size=4))}
    opened = {today: Open(marks=set(marks), stretches=known)}
    for back in data.draw(some.sets(some.integers(1, 30), max_size=12)):
        opened[today - back * DAY] = Open(marks={None})
    since = begin - timedelta(minutes=data.draw(some.integers(-600, 60_000)))
    until = max(since + QUARTER, begin + timedelta(minutes=data.draw(some.integers(-3000, 1440))))
    told = piece(scope, (since, until), part, opened, by_hour=data.draw(some.booleans()))  # type: ignore[arg-type]
    read = covered(told, since, until, known, scope)
    assert [read[0][0], *(end for _, end in read)] == [*(start for start, _ in read), until]
    assert read[0][0] == since
    assert len(told.spans) <= MOST_SPANS
