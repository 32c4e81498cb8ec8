"""What a page says and hears. Strings are kept as sent, cut to a length; nothing else is trusted of them."""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from callrouter.sessions.model import NO_ANALYTICS, Analytics

URL_LIMIT = 2048
TITLE_LIMIT = 300
ID_LIMIT = 128
VALUE_LIMIT = 2000
FIELDS_LIMIT = 60
ANALYTICS_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")


class _Known(msgspec.Struct, kw_only=True):
    """What analytics call the visitor, in each of the page's calls: their scripts may come after the first."""

    ga_client_id: str = ""
    ym_client_id: str = ""
    ga_session_id: str = ""
    ym_counter: str = ""

    @property
    def analytics(self) -> Analytics:
        """What looks like no id is none."""
        if not (self.ga_client_id or self.ym_client_id or self.ga_session_id or self.ym_counter):
            return NO_ANALYTICS
        ids = {name: getattr(self, name) for name in Analytics.__struct_fields__}
        return Analytics(**{name: text for name, text in ids.items() if ANALYTICS_ID.fullmatch(text)})


class VisitRequest(_Known, kw_only=True):
    """A page was opened. Unknown fields are passed over: an older server meets a newer widget."""

    url: str
    referrer: str = ""
    title: str = ""
    visitor: str = ""
    """The first-party id, if the page has one."""
    token: str = ""
    """Of the visit so far, if the page has one."""
    request: str = ""
    """Names this request: the same again is answered the same."""
    human: bool = True
    """The number is in sight or the visitor moved: until then none is leased."""
    again: bool = False
    """The page was told of before; only a number is wanted now."""
    consent: bool | None = None
    """The visitor agreed to be known (true) or did not (false); null: as the site's setting has it."""
    automated: bool = False
    """The browser says that no person drives it."""


class VisitAnswer(msgspec.Struct, kw_only=True):
    number: str | None
    """The number to show, E.164 without the plus; null: leave the page as it is."""
    display: str
    token: str
    hold_s: int
    session: str
    visitor: str
    leased: bool
    retry_s: int | None = None
    """Ask again after so many seconds: the lease store was away."""


class AliveRequest(_Known, kw_only=True):
    """The page is still there, another page of the visit was opened, or the page was closed."""

    token: str
    request: str = ""
    url: str | None = None
    """Of a page opened without a new visit call (single-page sites)."""
    title: str = ""
    closed: bool = False


class AliveAnswer(msgspec.Struct, kw_only=True):
    state: str
    """live, bare (no number); lost, over: make a visit call; away: try again later."""
    number: str | None
    hold_s: int
    token: str


class FormField(msgspec.Struct, kw_only=True):
    name: str = ""
    value: str = ""
    type: str = ""
    autocomplete: str = ""


class FormRequest(_Known, kw_only=True):
    """A visitor sent a form. `fields` as the page has them, or just names and values."""

    url: str
    title: str = ""
    token: str = ""
    request: str = ""
    """Names this form sent: the same again is one appeal."""
    consent: bool | None = None
    form: str = ""
    name: str = ""
    phone: str = ""
    email: str = ""
    comment: str = ""
    fields: list[FormField] | dict[str, str] = []


class FormAnswer(msgspec.Struct, kw_only=True):
    appeal: str


class CallbackRequest(_Known, kw_only=True):
    """A visitor wants to be called, now or at a time."""

    url: str
    phone: str
    title: str = ""
    token: str = ""
    request: str = ""
    """Names this order: the same again is one order."""
    consent: bool | None = None
    at: str = ""
    """Empty: now. `HH:MM` or ISO 8601 by the site's clock, or with an offset."""
    name: str = ""
    comment: str = ""


class CallbackAnswer(msgspec.Struct, kw_only=True):
    order: str
    due: datetime
    """When he is called: later than he wanted, if nobody is there then."""
