"""A visit and its traffic source, as data. Knows nothing of numbers or stores."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

BOUNCE = timedelta(seconds=15)


class TrafficSource(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How a first hit is classified (rules §4). `source` is a platform's short name, a referring host or `(direct)`."""

    channel: str
    source: str
    medium: str
    campaign: str = ""
    keyword: str = ""
    content: str = ""
    click_id: str = ""


class Analytics(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What other counters call this visitor: Google Analytics and Yandex Metrika. Their scripts may come late."""

    ga_client_id: str = ""
    ym_client_id: str = ""
    ga_session_id: str = ""
    ym_counter: str = ""

    def __bool__(self) -> bool:
        return bool(self.ga_client_id or self.ym_client_id or self.ga_session_id or self.ym_counter)


NO_ANALYTICS = Analytics()


class Visit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One visit, as live state, history and appeals carry it. Strings from the web are hostile data, kept as sent."""

    session: str
    visitor: str
    account: int
    site: int
    traffic: TrafficSource
    landing_page: str
    referrer: str
    started_at: datetime
    seen_at: datetime
    pages: int = 1
    page: str = ""
    """The page open last."""
    title: str = ""
    user_agent: str = ""
    device: str = ""
    os: str = ""
    browser: str = ""
    location: str = ""
    """By the visitor's address, which itself is not kept; `(undefined)`: nobody knows."""
    ga_client_id: str = ""
    ym_client_id: str = ""
    ga_session_id: str = ""
    ym_counter: str = ""
    overflow: bool = False
    """The pool had no number for this visit (rules §3)."""

    def known_as(self, told: Analytics) -> Visit:
        """The visit with the ids that were told last; one that was not told stays."""
        if not told:
            return self
        names = Analytics.__struct_fields__
        return msgspec.structs.replace(self, **{name: getattr(told, name) or getattr(self, name) for name in names})

    @property
    def time_on_site(self) -> timedelta:
        return self.seen_at - self.started_at

    def bounced(self, under: timedelta = BOUNCE) -> bool:
        """One page, and not for long (rules §4)."""
        return self.pages == 1 and self.time_on_site < under
