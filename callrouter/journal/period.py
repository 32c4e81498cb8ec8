"""Spans of time on an account's clock: named ones, days, moments → instants. Pure.

A day is as long as the clock of its zone says; it begins at its first instant, also where midnight is skipped.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from callrouter.wording import Worded

PERIODS = (
    "today", "yesterday", "7d", "30d", "90d", "365d", "week", "last_week", "month", "last_month", "quarter", "year",
)  # fmt: skip
"""`7d`: today and the six days before it; `week`: from Monday on; `last_week`: Monday to Sunday before that."""
FIRST_YEAR, LAST_YEAR = 1970, 9998
LONGEST = 64


def named_period(name: str, zone: ZoneInfo, now: datetime) -> tuple[datetime, datetime]:
    """[since, until) of one of PERIODS; what is not over yet goes to the end of today."""
    today = now.astimezone(zone).date()
    first, last = _days(name, today)
    return day_start(first, zone), day_start(last + timedelta(days=1), zone)


def _days(name: str, today: date) -> tuple[date, date]:
    monday, first_of_month = today - timedelta(days=today.weekday()), today.replace(day=1)
    yesterday, last_of_month = today - timedelta(days=1), first_of_month - timedelta(days=1)
    if name.endswith("d"):
        return today - timedelta(days=int(name[:-1]) - 1), today
    return {
        "today": (today, today),
        "yesterday": (yesterday, yesterday),
        "week": (monday, today),
        "last_week": (monday - timedelta(days=7), monday - timedelta(days=1)),
        "month": (first_of_month, today),
        "last_month": (last_of_month.replace(day=1), last_of_month),
        "quarter": (first_of_month.replace(month=(today.month - 1) // 3 * 3 + 1), today),
        "year": (first_of_month.replace(month=1), today),
    }[name]


def moment(text: str, zone: ZoneInfo, *, ends: bool = False) -> datetime:
    """A day (`ends`: the end of it), or a time, on the account's clock unless it has an offset of its own.

    Raises Worded.
    """
    try:
        day = date.fromisoformat(text) if len(text) <= len("2026-03-01") else None
        at = datetime.fromisoformat(text[:LONGEST])
    except ValueError:
        raise Worded(
            "is written 2026-03-01, 2026-03-01T12:00, or with an offset 2026-03-01T12:00:00Z (+ in a URL: %2B)"
        ) from None
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise Worded("lies in the years {first} to {last}", first=FIRST_YEAR, last=LAST_YEAR)
    if day is not None:
        return day_start(day + timedelta(days=1) if ends else day, zone)
    return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a day, in UTC."""
    midnight = datetime.combine(day, time.min, tzinfo=zone)
    return midnight.astimezone(UTC)
