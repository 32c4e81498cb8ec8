"""The visit token: what a page needs to show to go on with its visit, signed so that trusting it needs no look-up."""

from __future__ import annotations

import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

MAC_BYTES = 16
LONGEST_TOKEN = 512
SHORTEST_KEY = 16
LIFETIME = timedelta(hours=24)


class ForgedToken(ValueError):
    """Not one of ours, or altered."""


class ExpiredToken(ValueError):
    """Ours, but too old to go on with."""


class VisitToken(msgspec.Struct, frozen=True, array_like=True):
    site: int
    pool: int
    """In whose slot the visit lives; 0: the site's own."""
    session: str
    visitor: str
    issued: int
    """Seconds since the epoch."""
    leased: bool = False
    """The visit was leased a number, and counted for it."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(VisitToken).decode


class TokenSigner:
    """Signs with the first key and accepts all, so that a key can be replaced while visits go on."""

    def __init__(self, keys: Sequence[bytes], *, lifetime: timedelta = LIFETIME) -> None:
        if not keys or any(len(key) < SHORTEST_KEY for key in keys):
            raise ValueError(f"visit tokens need a key of at least {SHORTEST_KEY} bytes")
        self._keys = tuple(hashlib.blake2b(key, digest_size=32, person=b"visit token").digest() for key in keys)
        self._lifetime = lifetime

    def sign(self, token: VisitToken) -> str:
        body = _encode(token)
        return _text(body + self._mac(self._keys[0], body))

    def verify(self, text: str, now: datetime) -> VisitToken:
        """The token that `text` is. Raises ForgedToken or ExpiredToken."""
        try:
            signed = _bytes(text)
        except (ValueError, binascii.Error):
            raise ForgedToken("not a token") from None
        body, mac = signed[:-MAC_BYTES], signed[-MAC_BYTES:]
        if not any(hmac.compare_digest(self._mac(key, body), mac) for key in self._keys):
            raise ForgedToken("the signature does not fit")
        token = _decode(body)
        if now.timestamp() - token.issued > self._lifetime.total_seconds():
            raise ExpiredToken("the token is too old")
        return token

    @staticmethod
    def _mac(key: bytes, body: bytes) -> bytes:
        return hashlib.blake2s(body, key=key, digest_size=MAC_BYTES).digest()


_TO_URL, _FROM_URL = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_+/", b"+/**")
"""A base64 that needs no quoting; the signs that it has not are no signs."""


def _text(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL, b"=").decode()


def _bytes(text: str) -> bytes:
    if len(text) > LONGEST_TOKEN:
        raise ValueError("too long")
    padded = text.encode("ascii").translate(_FROM_URL) + b"===="[: -len(text) % 4]
    return binascii.a2b_base64(padded, strict_mode=True)
