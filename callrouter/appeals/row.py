"""A row of the table `appeals`, as data: its fields are the table's columns. Knows neither SQL nor whence they come.

`appeal_id` makes a call's appeal the same one whenever and by whomever it is told.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha1
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from callrouter.appeals.model import AppealKind
from callrouter.calls.record import CallRecord, Direction, HangupBy, LostReason, Status, Step
from callrouter.pool.model import Candidate, Method

OPERATOR_ACCOUNT = 1
"""The operator's own account: it receives every call that is nobody's."""

CALLS = uuid5(NAMESPACE_URL, "callrouter:calls")
_CALLS_STATE = sha1(CALLS.bytes, usedforsecurity=False)
_UUID_KEPT = ~(0xF000 << 64 | 0xC000 << 48)
_UUID_FIVE = 5 << 76 | 0x8000 << 48


def appeal_id(pbx: str, linkedid: str) -> UUID:
    """The id of the appeal of call (pbx, linkedid)."""
    # What uuid5 does in half the time, as the kind of UUID that is fast to hash and to send: each call asks for it.
    state = _CALLS_STATE.copy()
    state.update(f"{pbx}\n{linkedid}".encode("utf-8", "replace"))
    number = int.from_bytes(state.digest()[:16], "big") & _UUID_KEPT | _UUID_FIVE
    return UUID(int=number)


class AppealRow(msgspec.Struct, kw_only=True, gc=False):
    """Names and order are those of COPY into `appeals`; a test holds them against the schema."""

    account_id: int
    started_at: datetime
    id: UUID
    kind: AppealKind = "call"
    revision: int = 0
    site_id: int | None = None
    client_id: int | None = None
    pbx: str | None = None
    linkedid: str | None = None
    direction: Direction | None = None
    caller: str | None = None
    called: str | None = None
    caller_raw: str | None = None
    called_raw: str | None = None
    customer: str | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    status: Status | None = None
    lost_reason: LostReason | None = None
    wait_s: float | None = None
    talk_s: float | None = None
    final_group: str | None = None
    employee: str | None = None
    steps: tuple[Step, ...] | None = None
    hangup_cause: int | None = None
    hangup_by: HangupBy | None = None
    recording: str | None = None
    agi_ms: float | None = None
    complete: bool | None = None
    method: Method = "unattributed"
    confidence: float = 0.0
    candidates: tuple[Candidate, ...] | None = None
    late: bool = False
    attribution_pending: bool = False
    resolution_ms: float | None = None
    route: str = ""
    overflow: bool = False
    session: str | None = None
    visitor: str | None = None
    visit_started_at: datetime | None = None
    time_on_site_s: float | None = None
    pages: int | None = None
    channel: str | None = None
    source: str | None = None
    medium: str | None = None
    campaign: str | None = None
    keyword: str | None = None
    content: str | None = None
    click_id: str | None = None
    landing_page: str | None = None
    referrer: str | None = None
    page: str | None = None
    title: str | None = None
    device: str | None = None
    os: str | None = None
    browser: str | None = None
    location: str | None = None
    ga_client_id: str | None = None
    ym_client_id: str | None = None
    ga_session_id: str | None = None
    ym_counter: str | None = None
    is_unique: bool = False
    quality: bool = False
    email: str | None = None
    person: str | None = None
    details: dict[str, object] | None = None


COLUMNS: tuple[str, ...] = AppealRow.__struct_fields__

ATTRIBUTION_COLUMNS = (
    "account_id", "site_id", *COLUMNS[COLUMNS.index("method") : COLUMNS.index("ym_counter") + 1],
)  # fmt: skip
"""What says who called; the rest says what happened in the call."""


def stored_call(columns: dict[str, object]) -> CallRecord:
    """The call record that a row of `appeals` was made of."""
    values = {field: columns[field] for field in CallRecord.__struct_fields__ if field != "group"}
    return msgspec.convert({**values, "group": columns["final_group"]}, CallRecord)
