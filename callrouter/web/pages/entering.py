"""Signing in: whether e-mail and password fit, asked no oftener than is good, and the session that begins.

A browser that has signed in as a user before carries a signed cookie that says so; its tries are counted apart from
those of its address, so that whoever guesses from the same office does not slow it down. Knows no HTML.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

from callrouter.people import audit, browser_sessions
from callrouter.people.browser_sessions import Begun, Lifetime
from callrouter.people.model import Caller
from callrouter.people.passwords import Passwords, needs_rehash
from callrouter.people.tries import Tries
from callrouter.people.users import find_login
from callrouter.web import metrics
from callrouter.web.api.reading import Reading
from callrouter.web.problem import Refusal
from callrouter.web.visitor.addresses import cut, household

WAITING = 32
"""Sign-ins under way in a process. More would only wait for each other."""
REFUSAL_NOTED_SECONDS = 60.0
"""Wrong passwords for a user stand in the record once in so long: nobody fills it."""
DEVICE_BYTES = 16
LONGEST_EMAIL = 256


class Entered(NamedTuple):
    """What came of it; `device` and `begun` if it was right, `wait_s` if it came too soon."""

    outcome: Literal["right", "wrong", "slowed"]
    begun: Begun | None = None
    device: str = ""
    wait_s: int = 0


class Entering:
    """One per web process."""

    def __init__(
        self, reading: Reading, keys: tuple[bytes, ...], life: Lifetime, *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._reading = reading
        self._keys = tuple(hashlib.blake2b(key, digest_size=32, person=b"known browser").digest() for key in keys)
        self._life = life
        self._monotonic = monotonic
        self._passwords = Passwords()
        self._tries = Tries()
        self._noted: dict[int, float] = {}
        self._under_way = 0

    @property
    def passwords(self) -> Passwords:
        return self._passwords

    async def enter(self, email: str, password: str, *, address: str, browser: str, device: str) -> Entered:
        """Sign in, or not. Raises Refusal 503 while too many try."""
        known = email.strip().lower()[:LONGEST_EMAIL]
        line = device if self._is_of(device, known) else household(address)
        wait = self._tries.wait(line, known, self._monotonic())
        if wait > 0:
            return self._came("slowed", wait_s=math.ceil(wait))
        if self._under_way >= WAITING:
            metrics.SIGN_INS.labels(outcome="busy").inc()
            raise Refusal(503, "busy", "Too many sign in at this moment", "Try again in a few seconds.", retry_s=5)
        self._tries.begin(line, known, self._monotonic())
        self._under_way += 1
        try:
            return await self._try(known, password, line, address=address, browser=browser)
        finally:
            self._under_way -= 1

    async def is_his(self, email: str, password: str, *, session: int) -> bool:
        """Whether it is the password of the user who is signed in: a browser left alone is no way to guess it."""
        line = f"session {session}"
        if self._tries.wait(line, email, self._monotonic()) > 0:
            return False
        self._tries.begin(line, email, self._monotonic())
        async with self._reading.as_service() as conn:
            login = await find_login(conn, email)
        right = await self._passwords.fits(login.password_hash if login else None, password)
        if right:
            self._tries.was_right(line, email)
        return right

    async def _try(self, email: str, password: str, line: str, *, address: str, browser: str) -> Entered:
        async with self._reading.as_service() as conn:
            login = await find_login(conn, email)
        stored = login.password_hash if login else None
        if not await self._passwords.fits(stored, password) or login is None:
            if login:
                await self.note_refused(login.account, login.user, address)
            return self._came("wrong")
        self._tries.was_right(line, email)
        fresh = await self._passwords.hash(password) if stored and needs_rehash(stored) else None
        async with self._reading.as_service() as conn:
            if fresh:
                await conn.execute(REHASH, login.account, login.user, fresh)
            begun = await browser_sessions.begin(
                conn, login.account, login.user, self._life, browser=browser, address=cut(address)
            )
        return self._came("right", begun=begun, device=self.device_for(email))

    def device_for(self, email: str) -> str:
        """For the cookie of a browser that has signed in."""
        nonce = secrets.token_urlsafe(DEVICE_BYTES)
        return f"{nonce}.{self._mac(self._keys[0], nonce, email)}"

    def _is_of(self, device: str, email: str) -> bool:
        nonce, _, mac = device.partition(".")
        return bool(mac) and any(hmac.compare_digest(mac.encode(), self._mac(key, nonce, email).encode())
                                 for key in self._keys)  # fmt: skip

    @staticmethod
    def _mac(key: bytes, nonce: str, email: str) -> str:
        return hmac.digest(key, f"{nonce}\n{email}".encode(), "sha256").hex()

    async def note_refused(self, account: int, user: int, address: str, **why: object) -> None:
        """In the record of who did what, now and then."""
        now = self._monotonic()
        if now - self._noted.get(user, -REFUSAL_NOTED_SECONDS) < REFUSAL_NOTED_SECONDS:
            return
        self._noted[user] = now
        by = Caller(account, None, frozenset(), user)
        async with self._reading.as_service() as conn:
            await audit.record(conn, account, by, "sign_in.refused", address=cut(address), **why)

    @staticmethod
    def _came(
        outcome: Literal["right", "wrong", "slowed"], *, begun: Begun | None = None, device: str = "", wait_s: int = 0
    ) -> Entered:
        metrics.SIGN_INS.labels(outcome=outcome).inc()
        return Entered(outcome, begun, device, wait_s)


REHASH = "UPDATE users SET password_hash = $3 WHERE account_id = $1 AND id = $2"
