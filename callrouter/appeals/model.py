"""The appeal as data: what the journal stores on disk and Postgres receives. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from callrouter.calls.record import CallRecord
from callrouter.pool.model import Resolution

AppealKind = Literal["call", "form", "callback", "chat", "email"]


class CallAppeal(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A finished call with what was known of its visit at hangup; the unit of the journal.

    `resolution` is None when nobody could say in time who called (lease store away): it is then attributed from the
    lease history when published, and marked late. `revision` grows when the same call is told again, better.
    """

    call: CallRecord
    resolution: Resolution | None = None
    revision: int = 0
