"""Passwords: hashed by argon2id, checked in the same time for users who exist and who do not, and refused when weak."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from callrouter.pool.inventory import Refused

SHORTEST, LONGEST = 10, 200
FEWEST_SIGNS = 5
"""Different ones: `aaaaaaaaaa` is no password."""
AT_ONCE = 2
"""Hashes computed at a time in a process: each takes 64 MiB and a core."""
COMMON = frozenset([
    "1234567890", "12345678910", "0123456789", "0987654321", "9876543210", "qwertyuiop", "1q2w3e4r5t", "1qaz2wsx3edc",
    "password12", "password123", "password1234", "passw0rd123", "qwerty12345", "qwerty123456", "administrator",
    "adminadmin", "letmein123", "welcome123", "changeme123", "iloveyou123", "йцукенгшщз", "пароль1234", "callrouter",
])  # fmt: skip
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Of generated passwords: none that is taken for another when read aloud or copied by hand."""

_hasher = PasswordHasher()
_nobody = "$argon2id$v=19$m=65536,t=3,p=4$6+d7VzV2VDus4PKpODjHEQ$l0v+FiVxB/QGjdww9ylZh0ZaRpZFeAUSdvLPLpqa5oQ"
"""Of a password that nobody knows; as costly as any. A constant, for a hash at each start of a process costs too."""


class WeakPassword(Refused):
    """It is short, or one of the first that others would try."""


def normal(password: str) -> str:
    """The same from whatever keyboard."""
    return unicodedata.normalize("NFC", password)


def require_strong(password: str, *, email: str, name: str = "") -> None:
    """Raises WeakPassword. Length counts, and that it is not what anybody tries first; no rules of composition."""
    given = normal(password)
    folded = given.casefold()
    if len(given) < SHORTEST:
        raise WeakPassword("the password has fewer than {least} characters", least=SHORTEST)
    if len(given) > LONGEST:
        raise WeakPassword("the password has more than {most} characters", most=LONGEST)
    own = {email.casefold(), email.partition("@")[0].casefold(), name.strip().casefold()} - {""}
    if folded in own or any(folded.strip("0123456789!.-_ ") == each for each in own):
        raise WeakPassword("the password is made of the e-mail or the name")
    if folded in COMMON or len(set(folded)) < FEWEST_SIGNS:
        raise WeakPassword("the password is one of the first that anybody tries")


def generated() -> str:
    """Three groups of five: 74 bits."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(5)) for _ in range(3))


class Passwords:
    """Hashes and checks beside the event loop, a few at a time. One per event loop."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def hash(self, password: str) -> str:
        async with self._turns:
            return await asyncio.to_thread(_hasher.hash, normal(password))

    async def mark(self, password: str, key: str) -> str:
        """The same for the same two: by which a repeated request is known. As hard to guess from as a hash."""
        salt = hashlib.sha256(key.encode()).digest()[:16]
        async with self._turns:
            return await asyncio.to_thread(_hasher.hash, normal(password), salt=salt)

    async def fits(self, stored: str | None, password: str) -> bool:
        """False after the same time if there is nothing stored."""
        async with self._turns:
            right = await asyncio.to_thread(_fits, stored or _nobody, normal(password)[:LONGEST])
        return right and stored is not None


def needs_rehash(stored: str) -> bool:
    """It was hashed by an earlier version's parameters."""
    return _hasher.check_needs_rehash(stored)


def _fits(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False
