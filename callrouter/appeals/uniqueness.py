"""Which calls are the first of their caller (rules §5). Pure: a function of the set of calls, not of their arrival.

Only the nearest earlier call of the same caller matters, so a batch is judged by itself plus one look back per caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from callrouter.appeals.row import AppealRow
from callrouter.appeals.settings import DEFAULT_SITE, Settings, SiteSettings


def counts(row: AppealRow) -> bool:
    """Whether a row takes part: an inbound call of a known caller whose account is settled."""
    return row.direction == "inbound" and row.customer is not None and not row.attribution_pending


def site_of(row: AppealRow, settings: Settings) -> SiteSettings:
    return settings.sites.get(row.site_id or 0, DEFAULT_SITE)


def is_unique(started_at: datetime, previous: datetime | None, days: int | None) -> bool:
    """No earlier call within the window; a call exactly one window ago is outside it."""
    if previous is None:
        return True
    return days is not None and started_at - previous >= timedelta(days=days)


def judge(rows: Iterable[AppealRow], stored: Mapping[UUID, datetime], settings: Settings) -> None:
    """Set `is_unique` of the rows. `stored`: by row id, the nearest earlier call in its scope that is no row here."""
    by_caller: dict[tuple[int, str | None], list[AppealRow]] = {}
    for row in rows:
        if counts(row):
            by_caller.setdefault((row.account_id, row.customer), []).append(row)
    for calls in by_caller.values():
        if len(calls) == 1 and calls[0].id not in stored:
            calls[0].is_unique = True
        else:
            _judge_caller(calls, stored, settings)


def _judge_caller(calls: list[AppealRow], stored: Mapping[UUID, datetime], settings: Settings) -> None:
    last: datetime | None = None
    last_of_site: dict[int | None, datetime] = {}
    for row in sorted(calls, key=lambda call: (call.started_at, call.id)):
        site = site_of(row, settings)
        here = last if site.unique_scope == "account" else last_of_site.get(row.site_id)
        known = [moment for moment in (here, stored.get(row.id)) if moment is not None]
        row.is_unique = is_unique(row.started_at, max(known, default=None), site.unique_days)
        last = last_of_site[row.site_id] = row.started_at
