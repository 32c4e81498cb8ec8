"""When a schedule is due, on the account's clock. Pure.

A time that the clock skips comes as much later; one that it shows twice, the first time.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from callrouter.scheduled.model import Plan

DAY = timedelta(days=1)


def next_due(plan: Plan, zone: ZoneInfo, after: datetime) -> datetime:
    """The first due time later than `after`."""
    return next(at for day in _days(plan, after.astimezone(zone).date() - DAY) if (at := _at(plan, zone, day)) > after)


def latest_due(plan: Plan, zone: ZoneInfo, after: datetime, now: datetime) -> datetime | None:
    """The last due time later than `after` that has come: of those that were missed, only that is of use."""
    first = now.astimezone(zone).date() - timedelta(days=40)
    come = None
    for day in _days(plan, first):
        at = _at(plan, zone, day)
        if at > now:
            break
        come = at
    return come if come and come > after else None


def _days(plan: Plan, first: date) -> Iterator[date]:
    """From `first` on."""
    day = first
    while True:
        if _is_day(plan, day):
            yield day
        day += DAY


def _is_day(plan: Plan, day: date) -> bool:
    if plan.every == "week":
        return day.isoweekday() == plan.day
    if plan.every == "month":
        return day.day == min(plan.day, monthrange(day.year, day.month)[1])
    return True


def _at(plan: Plan, zone: ZoneInfo, day: date) -> datetime:
    return datetime.combine(day, time(plan.minute // 60, plan.minute % 60), zone).astimezone(UTC)
