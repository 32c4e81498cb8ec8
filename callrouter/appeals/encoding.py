"""An appeal as the journal's bytes. Knows the form; knows no file."""

from __future__ import annotations

from datetime import datetime

import msgspec

from callrouter.appeals.model import Appeal, decode_appeal
from callrouter.appeals.segments import frame

_encoder = msgspec.msgpack.Encoder()


def encode(appeal: Appeal) -> bytes:
    """The bytes of an appeal; half characters (lone surrogates) in strings from outside become `?`."""
    try:
        return _encoder.encode(appeal)
    except UnicodeEncodeError:
        return _encoder.encode(_without_surrogates(msgspec.to_builtins(appeal, builtin_types=(datetime,))))


def framed(appeal: Appeal) -> tuple[Appeal, bytes]:
    """An appeal as its bytes will tell it, and these bytes as a segment holds them."""
    try:
        return appeal, frame(_encoder.encode(appeal))
    except UnicodeEncodeError:
        payload = encode(appeal)
        return decode_appeal(payload), frame(payload)


def _without_surrogates(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {key: _without_surrogates(item) for key, item in value.items()}
        case list() | tuple():
            return [_without_surrogates(item) for item in value]
        case _:
            return value
