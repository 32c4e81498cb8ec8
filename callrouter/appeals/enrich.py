"""From a finished call and what was known of its visit to the row of the journal. Pure: no store, no clock.

Says whose call it is and whether it was a quality call. Client and uniqueness depend on other calls: `store` adds them.
"""

from __future__ import annotations

from callrouter.appeals.model import Appeal, CallAppeal, PageAppeal
from callrouter.appeals.row import COLUMNS, OPERATOR_ACCOUNT, AppealRow, appeal_id
from callrouter.appeals.settings import DEFAULT_SITE, Owner, Settings
from callrouter.calls.record import CallRecord
from callrouter.pool.model import Resolution
from callrouter.sessions.model import Visit

LONGEST_KEY = 64
"""Characters kept of a caller's number, a group and the like: an index must hold them, and hostile ones are longer."""


def enrich(appeal: Appeal, settings: Settings) -> AppealRow | None:
    """The journal's row of an appeal, without client and uniqueness; None for an internal call, which is none."""
    if isinstance(appeal, PageAppeal):
        return _page_row(appeal)
    call = appeal.call
    if call.direction == "internal":
        return None
    known = appeal.resolution
    if known is not None and known.provisional:
        known = None
    owner = owner_of(call, known, settings)
    row = _call_row(appeal, owner)
    row.attribution_pending = call.direction == "inbound" and known is None
    row.quality = is_quality(row, settings)
    if known is not None:
        _attribute(row, known)
    return row


def _page_row(appeal: PageAppeal) -> AppealRow:
    row = AppealRow(
        account_id=appeal.account, site_id=appeal.site, started_at=appeal.at, id=appeal.id, kind=appeal.kind,
        customer=appeal.phone, session=appeal.session, email=appeal.email, person=appeal.person,
        details=appeal.details,
    )  # fmt: skip
    if appeal.kind == "callback":
        row.direction, row.called = "outbound", appeal.phone
    if appeal.session:
        row.method, row.confidence = "page", 1.0
    if appeal.visit is not None:
        _add_visit(row, appeal.visit)
        row.time_on_site_s = max(0.0, (appeal.at - appeal.visit.started_at).total_seconds())
    row.visitor = appeal.visitor
    row.page, row.title = appeal.page, appeal.title
    return row


def owner_of(call: CallRecord, resolution: Resolution | None, settings: Settings) -> Owner:
    """Whose call it is (rules §2): the credited candidate's, else the number's own, else the operator's."""
    credited = resolution.attribution if resolution else None
    if credited and credited.account in settings.accounts:
        return Owner(credited.account, credited.site)
    number = call.caller if call.direction == "outbound" else call.called
    owner = settings.owners.get(number or "")
    return owner or Owner(OPERATOR_ACCOUNT, None)


def is_quality(row: AppealRow, settings: Settings) -> bool:
    """Answered, and talked at least the site's threshold (rules §5)."""
    threshold = settings.sites.get(row.site_id or 0, DEFAULT_SITE).quality_s
    return row.status == "answered" and (row.talk_s or 0.0) >= threshold


def _call_row(appeal: CallAppeal, owner: Owner) -> AppealRow:
    call = appeal.call
    return AppealRow(
        account_id=owner.account,
        started_at=call.started_at,
        id=appeal_id(call.pbx, call.linkedid),
        revision=appeal.revision,
        site_id=owner.site,
        pbx=call.pbx,
        linkedid=call.linkedid,
        direction="outbound" if call.direction == "outbound" else "inbound",
        caller=call.caller and call.caller[:LONGEST_KEY],
        called=call.called and call.called[:LONGEST_KEY],
        caller_raw=call.caller_raw,
        called_raw=call.called_raw,
        customer=call.customer and call.customer[:LONGEST_KEY],
        answered_at=call.answered_at,
        ended_at=call.ended_at,
        status=call.status,
        lost_reason=call.lost_reason,
        wait_s=call.wait_s,
        talk_s=call.talk_s,
        final_group=call.group and call.group[:LONGEST_KEY],
        employee=call.employee and call.employee[:LONGEST_KEY],
        steps=call.steps,
        hangup_cause=call.hangup_cause,
        hangup_by=call.hangup_by,
        recording=call.recording,
        agi_ms=call.agi_ms,
        complete=call.complete,
    )


def _attribute(row: AppealRow, resolution: Resolution) -> None:
    attribution = resolution.attribution
    row.method = attribution.method
    row.confidence = min(1.0, max(0.0, attribution.confidence))
    row.candidates = attribution.candidates
    row.late = resolution.late
    row.resolution_ms = resolution.took_ms
    row.route = resolution.route
    row.overflow = resolution.overflow
    row.session = attribution.session
    if resolution.visit is not None:
        _add_visit(row, resolution.visit)
    elif resolution.binding is not None:
        binding = resolution.binding
        row.channel, row.source = binding.channel[:LONGEST_KEY], binding.source
        row.medium, row.campaign = binding.medium, binding.campaign


def _add_visit(row: AppealRow, visit: Visit) -> None:
    traffic = visit.traffic
    row.visitor = visit.visitor
    row.visit_started_at = visit.started_at
    row.time_on_site_s = visit.time_on_site.total_seconds()
    row.pages = visit.pages
    row.channel, row.source, row.medium = traffic.channel[:LONGEST_KEY], traffic.source, traffic.medium
    row.campaign, row.keyword = traffic.campaign, traffic.keyword
    row.content, row.click_id = traffic.content, traffic.click_id
    row.landing_page, row.referrer = visit.landing_page, visit.referrer
    row.page, row.title = visit.page, visit.title
    row.device, row.os, row.browser = visit.device, visit.os, visit.browser
    row.location = visit.location
    row.ga_client_id, row.ga_session_id = visit.ga_client_id, visit.ga_session_id
    row.ym_client_id, row.ym_counter = visit.ym_client_id, visit.ym_counter


def scrub(row: AppealRow) -> None:
    """Replace the NUL characters that Postgres cannot hold. Apart from `enrich`, for hardly a row ever has one."""
    for column in COLUMNS:
        value = getattr(row, column)
        if isinstance(value, str) and "\0" in value:
            setattr(row, column, value.replace("\0", "\ufffd"))
