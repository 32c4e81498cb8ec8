"""The appeal as data: what the journal stores on disk and Postgres receives. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

import msgspec

from callrouter.calls.record import CallRecord
from callrouter.pool.model import Resolution
from callrouter.sessions.model import Visit

AppealKind = Literal["call", "form", "callback", "chat", "email"]


class CallAppeal(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A finished call with what was known of its visit at hangup; the unit of the journal.

    `resolution` is None when nobody could say in time who called (lease store away), and provisional when the store may
    have lost who did: it is then attributed from the lease history when published, and marked late. `revision` grows
    when the same call is told again, better.
    """

    call: CallRecord
    resolution: Resolution | None = None
    revision: int = 0

    @property
    def ended_at(self) -> datetime:
        return self.call.ended_at


class PageAppeal(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a visitor sent from a page. The page says whose visit it was, so nothing is weighed and nothing is late."""

    id: UUID
    kind: AppealKind
    account: int
    site: int
    at: datetime
    session: str | None = None
    visitor: str | None = None
    visit: Visit | None = None
    """As the lease store knew it then; None without consent, or when the store was away."""
    phone: str | None = None
    """E.164 without the plus."""
    email: str | None = None
    person: str | None = None
    page: str = ""
    title: str = ""
    details: dict[str, object] = {}

    @property
    def ended_at(self) -> datetime:
        return self.at


Appeal: TypeAlias = CallAppeal | PageAppeal

_call = msgspec.msgpack.Decoder(CallAppeal)
_page = msgspec.msgpack.Decoder(PageAppeal)


def decode_appeal(payload: bytes) -> Appeal:
    """The appeal that stands in a journal. Raises msgspec.DecodeError. Calls are many, so they are tried first."""
    try:
        return _call.decode(payload)
    except msgspec.ValidationError:
        return _page.decode(payload)
