"""Cursors: behind which row, by time and id, the next page begins. Opaque to whoever sends them back."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import TypeVar

import msgspec

from callrouter.wording import Worded

T = TypeVar("T")


def cursor_text(cursor: msgspec.Struct) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def cursor_of(text: str, kind: type[T]) -> T:
    """Raises Worded for what is no cursor of ours."""
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=kind)
    except (ValueError, msgspec.MsgspecError) as error:
        raise Worded("not a cursor that was given out") from error


class Behind(msgspec.Struct, frozen=True, array_like=True):
    """The last row of a page, of rows in the order of time."""

    at: datetime
    id: str

    def text(self) -> str:
        return cursor_text(self)

    @staticmethod
    def of(text: str) -> Behind:
        """Raises Worded."""
        behind = cursor_of(text, Behind)
        if behind.at.tzinfo is None or "\0" in behind.id:
            raise Worded("not a cursor that was given out")
        return behind
