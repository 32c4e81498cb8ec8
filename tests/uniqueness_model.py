"""The rule of uniqueness (rules §5) written out plainly and slowly, to hold the quick ways against."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from callrouter.appeals.row import AppealRow
from callrouter.appeals.settings import Settings, SiteSettings

SITES = (
    SiteSettings(id=70, account=7),
    SiteSettings(id=71, account=7, unique_scope="site", unique_days=2),
    SiteSettings(id=72, account=7, unique_days=1),
)
SETTINGS = Settings(accounts=frozenset({1, 7}), sites={site.id: site for site in SITES})


def plainly_unique(calls: Sequence[AppealRow]) -> dict[UUID, bool]:
    """For each call: is there no earlier one of its caller within its site's scope and window?"""
    counted = [call for call in calls if call.direction == "inbound" and call.customer and not call.attribution_pending]
    verdict = {call.id: False for call in calls}
    for call in counted:
        site = SETTINGS.sites.get(call.site_id or 0, SiteSettings(id=0, account=0))
        window = timedelta(days=site.unique_days) if site.unique_days else None
        verdict[call.id] = not any(
            other.account_id == call.account_id
            and other.customer == call.customer
            and (other.started_at, other.id) < (call.started_at, call.id)
            and (site.unique_scope == "account" or other.site_id == call.site_id)
            and (window is None or call.started_at - other.started_at < window)
            for other in counted
        )
    return verdict
