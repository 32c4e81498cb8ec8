"""State, nonce and PKCE verifier of an attempt to sign in, bound to the browser that began it. Pure.

Nothing is kept here: the browser has a secret in a cookie, the provider is given a state, and all else follows from
both and from our key. So a state is of no use to another browser, nor a cookie without our key to who has a code.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import NamedTuple

LASTS_SECONDS = 600
"""So long somebody may take to sign in at the provider."""
CLOCKS_SECONDS = 60
"""By so much the clocks of two web processes may differ."""
STATE = re.compile(r"[A-Za-z0-9_-]{22}\.[0-9a-f]{1,12}\.[A-Za-z0-9_-]{43}")
SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


class Attempt(NamedTuple):
    state: str
    nonce: str
    verifier: str
    """PKCE's (RFC 7636): 43 characters."""

    @property
    def challenge(self) -> str:
        return _text(hashlib.sha256(self.verifier.encode()).digest())


class Attempts:
    """Under the first of `keys`; attempts under the others are still known."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(hashlib.blake2b(key, digest_size=32, person=b"openid").digest() for key in keys)

    @staticmethod
    def new_secret() -> str:
        """For the cookie of a browser that has none."""
        return secrets.token_urlsafe(32)

    def begin(self, secret: str, now: float) -> Attempt:
        """`secret` is the browser's. Several attempts of one browser go on side by side."""
        return self._of(self._keys[0], secret, f"{secrets.token_urlsafe(16)}.{int(now):x}")

    def find(self, secret: str, state: str, now: float) -> Attempt | None:
        """The attempt that came back; None: not this browser's, not ours, or begun too long ago."""
        if not SECRET.fullmatch(secret) or not STATE.fullmatch(state):
            return None
        mark = state.rpartition(".")[0]
        begun = int(mark.partition(".")[2], 16)
        if not begun - CLOCKS_SECONDS <= now <= begun + LASTS_SECONDS:
            return None
        attempts = (self._of(key, secret, mark) for key in self._keys)
        return next((each for each in attempts if hmac.compare_digest(each.state, state)), None)

    @staticmethod
    def _of(key: bytes, secret: str, mark: str) -> Attempt:
        def drawn(what: str) -> str:
            return _text(hmac.digest(key, f"{what}\n{secret}\n{mark}".encode(), "sha256"))

        return Attempt(f"{mark}.{drawn('state')}", drawn("nonce"), drawn("verifier"))


def _text(digest: bytes) -> str:
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
