"""What may be asked of the journal's rows, as data: a value per field. Pure; knows neither URLs nor SQL."""

from __future__ import annotations

from datetime import datetime
from typing import get_args

import msgspec

from callrouter.appeals.model import AppealKind
from callrouter.calls.record import HangupBy, LostReason, Status
from callrouter.pool.model import Method


class Match(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A text: one of `any_of` (or nothing, if `empty`), none of `none_of`, with `has` in it in whatever case."""

    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    has: str = ""
    empty: bool | None = None
    """True: nothing is there (also beside `any_of`); False: something is. Null and '' are the same nothing."""


class Ids(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A whole number: one of `any_of` (or none at all, if `empty`), none of `none_of`."""

    any_of: tuple[int, ...] = ()
    none_of: tuple[int, ...] = ()
    empty: bool | None = None


class Range(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Both ends belong to it. A row without the value is in no range."""

    least: float | None = None
    most: float | None = None


class Phones(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Telephone numbers: whole ones (E.164 without the plus), or LIKE patterns of parts; `empty`: withheld."""

    whole: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    empty: bool | None = None


class Tags(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Has one of `any_of` (or no tag at all, if `empty`), and none of `none_of`."""

    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    empty: bool | None = None


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A text of people's own: has `has` in it in whatever case; `empty` or not."""

    has: str = ""
    empty: bool | None = None


ANY = Match()
ANY_ID = Ids()
ANY_NUMBER = Range()
ANY_PHONE = Phones()
ANY_TAG = Tags()
ANYTHING_SAID = Said()


class Filters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All fields that are set hold at once. Names are the columns', or shorter where a person would say it so."""

    since: datetime | None = None
    until: datetime | None = None
    """[since, until) of `started_at`."""
    hour: Ids = ANY_ID
    """0–23, on the account's clock."""
    weekday: Ids = ANY_ID
    """1 Monday … 7 Sunday, on the account's clock."""
    q: str = ""
    """Each of its words is somewhere in the row's texts."""

    kind: Match = ANY
    direction: Match = ANY
    status: Match = ANY
    lost_reason: Match = ANY
    site: Ids = ANY_ID
    client: Ids = ANY_ID
    customer: Phones = ANY_PHONE
    """The outside party's number."""
    called: Phones = ANY_PHONE
    caller: Match = ANY
    """As the call record has it: the customer of a call in, the employee of a call out."""
    email: Match = ANY
    person: Match = ANY
    group: Match = ANY
    employee: Match = ANY
    pbx: Match = ANY
    linkedid: Match = ANY
    hangup_by: Match = ANY
    hangup_cause: Ids = ANY_ID
    wait_s: Range = ANY_NUMBER
    talk_s: Range = ANY_NUMBER
    agi_ms: Range = ANY_NUMBER
    recording: Match = ANY
    route: Match = ANY
    complete: bool | None = None

    method: Match = ANY
    confidence: Range = ANY_NUMBER
    resolution_ms: Range = ANY_NUMBER
    late: bool | None = None
    pending: bool | None = None
    overflow: bool | None = None

    channel: Match = ANY
    source: Match = ANY
    medium: Match = ANY
    campaign: Match = ANY
    keyword: Match = ANY
    content: Match = ANY
    click_id: Match = ANY
    landing_page: Match = ANY
    referrer: Match = ANY
    page: Match = ANY
    title: Match = ANY
    session: Match = ANY
    visitor: Match = ANY
    time_on_site_s: Range = ANY_NUMBER
    pages: Range = ANY_NUMBER
    device: Match = ANY
    os: Match = ANY
    browser: Match = ANY
    location: Match = ANY
    ga_client_id: Match = ANY
    ga_session_id: Match = ANY
    ym_client_id: Match = ANY
    ym_counter: Match = ANY

    unique: bool | None = None
    quality: bool | None = None
    multichannel: bool | None = None
    first: bool | None = None
    """The client's first appeal of any kind (rules §5)."""
    spam: bool | None = None
    tag: Tags = ANY_TAG
    comment: Said = ANYTHING_SAID

    @property
    def asked(self) -> frozenset[str]:
        """The names of the fields that are set."""
        defaults = dict(zip(self.__struct_fields__, self.__struct_defaults__, strict=True))
        return frozenset(name for name in self.__struct_fields__ if getattr(self, name) != defaults[name])


NOTHING_ASKED = Filters()

CHOICES: dict[str, tuple[str, ...]] = {
    "kind": get_args(AppealKind),
    "direction": ("inbound", "outbound"),
    "status": get_args(Status),
    "lost_reason": get_args(LostReason),
    "hangup_by": get_args(HangupBy),
    "method": get_args(Method),
}
"""Fields that have these values and no others."""

NUMBERS_WITHIN: dict[str, tuple[int, int]] = {"hour": (0, 23), "weekday": (1, 7)}

VISIT_FIELDS = frozenset(
    {
        "since", "until", "hour", "weekday", "site", "channel", "source", "medium", "campaign", "keyword", "content",
        "click_id", "landing_page", "referrer", "page", "title", "session", "visitor", "time_on_site_s", "pages",
        "device", "os", "browser", "location", "ga_client_id", "ga_session_id", "ym_client_id", "ym_counter",
        "overflow",
    }
)  # fmt: skip
"""What can be asked of visits as well. Any other field concerns appeals only: no visit is answered or lost."""
