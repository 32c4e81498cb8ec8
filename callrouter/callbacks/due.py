"""When a callback order is due, and until when it may be dialled. Pure: times in, times out.

Wall clocks are the site's: an hour that is skipped or comes twice when they change is what `zoneinfo` makes of it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from callrouter.callbacks.settings import CallbackSettings, Opening

SLACK = timedelta(minutes=5)
"""A page's clock may be so far behind."""
AHEAD = timedelta(days=14)
WEEK = 7
TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})")


class Due(NamedTuple):
    at: datetime
    latest: datetime


class BadTime(ValueError):
    """What a page sent as the wanted time is none, has passed, or lies too far ahead."""


def zone_named(name: str) -> tzinfo:
    """UTC where the name says nothing here: better than no order."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return UTC


def due_of(wanted: str, now: datetime, settings: CallbackSettings, zone: tzinfo) -> Due:
    """`wanted`: empty for now, `HH:MM` for the next such time, or ISO 8601, without an offset by the site's clock.

    Outside the site's hours it becomes the next opening. Raises BadTime.
    """
    at = _wanted(wanted.strip(), now, zone)
    latest = at + timedelta(minutes=settings.latest_minutes)
    openings = settings.openings
    if not openings:
        return Due(at, latest)
    at, closes = _open_from(at, openings, zone)
    return Due(at, min(at + timedelta(minutes=settings.latest_minutes), closes))


def _wanted(text: str, now: datetime, zone: tzinfo) -> datetime:
    if not text:
        return now
    try:
        if match := TIME_OF_DAY.fullmatch(text):
            here = now.astimezone(zone)
            at = here.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
            if at < here - SLACK:
                at = (at.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=zone)
        else:
            at = datetime.fromisoformat(text)
            at = at if at.tzinfo else at.replace(tzinfo=zone)
        at = at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadTime(f"{text[:40]!r} is no time") from None
    if not now - SLACK <= at <= now + AHEAD:
        raise BadTime(f"the time must lie ahead, by {AHEAD.days} days at most")
    return max(at, now)


def _open_from(at: datetime, openings: tuple[Opening, ...], zone: tzinfo) -> tuple[datetime, datetime]:
    """The first moment from `at` on at which somebody is there, and when they leave."""
    here = at.astimezone(zone)
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    for days in range(WEEK + 1):
        day = midnight + timedelta(days=days)
        for opening in openings:
            if opening.day != day.weekday():
                continue
            start = (day + timedelta(minutes=opening.start)).replace(tzinfo=zone).astimezone(UTC)
            end = (day + timedelta(minutes=opening.end)).replace(tzinfo=zone).astimezone(UTC)
            if at < end:
                return max(at, start), end
    raise BadTime("the site is never open")
