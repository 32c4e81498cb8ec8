"""Numbers, times, cursors and limits as they come in a URL; what does not fit is refused with the mend. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from callrouter.numbers import INTERNATIONAL, NotANumber, Number, parse_number
from callrouter.pool.timeline import Cursor
from callrouter.web.problem import Refusal

LONGEST_SPAN = timedelta(days=92)
SHOWN_SPAN = timedelta(days=1)
LONGEST_TEXT = 64
FIRST_YEAR, LAST_YEAR = 1970, 9998


def number_in(text: str) -> Number:
    try:
        return parse_number(text[:LONGEST_TEXT], INTERNATIONAL)
    except NotANumber:
        detail = "Write it with its country code, digits only, as 74952232725."
        raise Refusal(400, "bad-number", "That is no telephone number", detail) from None


def time_in(name: str, text: str) -> datetime:
    """An offset is wanted: whoever leaves it out means his own clock, and is answered by another."""
    try:
        at: datetime | None = datetime.fromisoformat(text[:LONGEST_TEXT])
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or not FIRST_YEAR < at.year < LAST_YEAR:
        detail = f"Write {name} as 2026-01-31T12:00:00Z or 2026-01-31T15:00:00%2B03:00: in a URL + is written %2B."
        raise Refusal(400, "bad-time", "That is no time with an offset", detail)
    return at.astimezone(UTC)


def span_in(
    since: str | None, until: str | None, now: datetime, shown: timedelta = SHOWN_SPAN
) -> tuple[datetime, datetime]:
    """[since, until); `shown` before `until`, or now, where they are not given."""
    end = time_in("until", until) if until else now
    start = time_in("since", since) if since else end - shown
    if start >= end or end - start > LONGEST_SPAN:
        detail = f"since must lie before until, by {LONGEST_SPAN.days} days at most."
        raise Refusal(400, "bad-span", "That is no span of time", detail)
    return start, end


def cursor_in(text: str | None) -> Cursor | None:
    try:
        return Cursor.of(text) if text else None
    except ValueError:
        detail = "Send back `next` of the page before, unchanged, with the same other parameters."
        raise Refusal(400, "bad-cursor", "That is no cursor of ours", detail) from None
