"""What routers tell of calls that ring, as it goes through Postgres's NOTIFY. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

RINGING = "callrouter_ringing"
LONGEST_TEXT = 100
"""A notice holds 8000 bytes."""


class CallNews(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call that rings, or has ended. `call` is the same for both; `appeal` is told at its end."""

    state: Literal["ringing", "ended"]
    account: int
    call: UUID
    at: datetime
    appeal: UUID | None = None
    site: int | None = None
    customer: str | None = None
    called: str | None = None
    method: str = ""
    confidence: float = 0.0
    session: str | None = None
    channel: str = ""
    source: str = ""
    medium: str = ""
    campaign: str = ""
    keyword: str = ""
    landing_page: str = ""
    location: str = ""


def encode_call(news: CallNews) -> str:
    """Texts are cut, and NUL, which Postgres holds in no text, replaced."""
    texts = {
        name: value[:LONGEST_TEXT].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
        for name in news.__struct_fields__
        if isinstance(value := getattr(news, name), str)
    }
    return msgspec.json.encode(msgspec.structs.replace(news, **texts)).decode()


def decode_call(text: str) -> CallNews:
    """Raises msgspec.MsgspecError."""
    return msgspec.json.decode(text, type=CallNews)
