"""What a report is asked for: the journal's filters, and always a period. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from callrouter.journal.filters import Filters
from callrouter.journal.query import BadFilter, parse

USUAL = "30d"
LONGEST = timedelta(days=3700)


def report_filters(items: Iterable[tuple[str, str]], *, zone: ZoneInfo, now: datetime, country: str) -> Filters:
    """With since and until; thirty days if neither was asked for. Raises BadFilter."""
    asked = list(items)
    if not {name for name, value in asked if value} & {"period", "since", "until"}:
        asked.append(("period", USUAL))
    filters = parse(asked, zone=zone, now=now, country=country)
    until = filters.until or now
    since = filters.since or until - timedelta(days=30)
    if not timedelta() < until - since <= LONGEST:
        raise BadFilter("since", "must lie before until, by ten years at most")
    return msgspec.structs.replace(filters, since=since, until=until)


def span(filters: Filters) -> tuple[datetime, datetime]:
    """Of filters that have both ends."""
    assert filters.since is not None  # noqa: S101 - report_filters sets it
    assert filters.until is not None  # noqa: S101
    return filters.since, filters.until
