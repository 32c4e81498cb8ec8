"""The span of time that a page was asked for: a named one, or from a day up to a day. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from callrouter.journal.period import PERIODS, moment, named_period
from callrouter.web.pages.words import N_

PERIOD_NAMES = {
    "": N_("any time"), "today": N_("today"), "yesterday": N_("yesterday"), "7d": N_("7 days"), "30d": N_("30 days"),
    "90d": N_("90 days"), "365d": N_("365 days"), "week": N_("this week"), "last_week": N_("last week"),
    "month": N_("this month"), "last_month": N_("last month"), "quarter": N_("this quarter"),
    "year": N_("this year"),
}  # fmt: skip


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """`first` and `last`: days as they were written, if they make sense; they go before the period."""

    period: str = ""
    first: str = ""
    last: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def query(self) -> dict[str, str]:
        asked = {"since": self.first, "until": self.last} if self.first or self.last else {"period": self.period}
        return {name: value for name, value in asked.items() if value}


def asked_span(asked: Mapping[str, str], zone: ZoneInfo, *, default: str = "", now: datetime | None = None) -> Span:
    """What makes no sense is left out: the page shows what it took."""
    since, until = _moment(asked.get("since", ""), zone), _moment(asked.get("until", ""), zone, ends=True)
    if since or until:
        first, last = asked.get("since", "") if since else "", asked.get("until", "") if until else ""
        return Span(first=first, last=last, since=since, until=until)
    period = asked.get("period", default)
    if period not in PERIODS:
        return Span()
    begin, end = named_period(period, zone, now or datetime.now(UTC))
    return Span(period=period, since=begin, until=end)


def _moment(text: str, zone: ZoneInfo, *, ends: bool = False) -> datetime | None:
    try:
        return moment(text, zone, ends=ends) if len(text) == len("2026-03-01") else None
    except ValueError:
        return None
