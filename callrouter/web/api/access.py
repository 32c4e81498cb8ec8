"""Who asks, and whether he may: a program by its bearer token, or a person by the cookie of a signed-in browser.

Whoever tries wrong tokens is slowed down. A token that was right lately is not slowed: others may come from the same
address (a proxy's) as one who guesses.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from litestar import Request

from callrouter.people import browser_sessions
from callrouter.people.browser_sessions import Lifetime
from callrouter.people.model import Caller, Person
from callrouter.people.roles import Scope
from callrouter.web import cookies
from callrouter.web.api.reading import Reading
from callrouter.web.api.tokens import TOKEN, find_caller, hashed
from callrouter.web.problem import Refusal
from callrouter.web.visitor.addresses import Addresses

ApiRequest = Request[Any, Any, Any]
NOT_VALID = "It is unknown, revoked or expired, or whoever made it is disabled."
WRONG_TRIES = 10
"""Per address, and a minute's pause gives one back every six seconds."""
REFILL_SECONDS = 6.0
REMEMBERED = 10_000
RIGHT_SECONDS = 300.0


class Access:
    """One per web process: the one gate of all handlers, of the API and of the pages."""

    def __init__(
        self, reading: Reading, addresses: Addresses, *, monotonic: Callable[[], float] = time.monotonic,
        life: Lifetime | None = None,
    ) -> None:  # fmt: skip
        self._reading = reading
        self._addresses = addresses
        self._monotonic = monotonic
        self.life = life or Lifetime()
        self._wrong: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Address → wrong tries not yet forgiven, and when that was."""
        self._right: OrderedDict[bytes, float] = OrderedDict()

    async def caller(self, request: ApiRequest, scope: Scope) -> Caller:
        """Who asks. Raises Refusal: 401 without a valid token or signed-in browser, 403 without the scope, or for a
        browser's write without its form key, 429 after too many wrong tokens."""
        if "authorization" in request.headers or not cookies.shown(request, cookies.SESSION):
            caller = await self._by_token(request)
        else:
            caller = await self._by_browser(request)
        if scope not in caller.scopes:
            raise Refusal(403, "missing-scope", "That is not allowed to you", f"It needs the scope {scope}.")
        return caller

    async def person(self, request: ApiRequest) -> Person | None:
        """Whose browser it is; None: nobody is signed in. A page's handler asks this; what writes asks more."""
        secret = cookies.shown(request, cookies.SESSION)
        if not browser_sessions.SECRET.fullmatch(secret):
            return None
        async with self._reading.as_service() as conn:
            return await browser_sessions.find(conn, secret, self.life)

    def address(self, request: ApiRequest) -> str:
        """Of the asker, behind trusted proxies too."""
        peer = request.client.host if request.client else ""
        return self._addresses.of(peer, request.headers.get("x-forwarded-for", "")) or peer

    async def _by_browser(self, request: ApiRequest) -> Caller:
        person = await self.person(request)
        if person is None:
            raise Refusal(401, "signed-out", "You are signed out", "Sign in again.")
        if person.must_change_password:
            raise Refusal(403, "password-to-change", "Choose a password of your own first")
        if request.method not in cookies.SAFE:
            cookies.require_own_page(request, request.headers.get(cookies.FORM_KEY_HEADER, ""), person.form_key)
        return person.caller

    async def _by_token(self, request: ApiRequest) -> Caller:
        secret = _secret(request)
        address = self.address(request)
        digest = hashed(secret)
        if not self._is_known(digest) and self._tries(address) >= WRONG_TRIES:
            raise Refusal(429, "too-many-wrong-tokens", "Too many wrong tokens", "Wait a minute.")
        caller = None
        if TOKEN.fullmatch(secret):
            async with self._reading.as_service() as conn:
                caller = await find_caller(conn, secret)
        if caller is None:
            self._right.pop(digest, None)
            self._note_wrong(address)
            raise Refusal(401, "invalid-token", "The token is not valid", NOT_VALID)
        _keep(self._right, digest, self._monotonic())
        return caller

    def _is_known(self, digest: bytes) -> bool:
        return self._monotonic() - self._right.get(digest, -RIGHT_SECONDS) < RIGHT_SECONDS

    def _tries(self, address: str) -> float:
        tries, at = self._wrong.get(address, (0.0, 0.0))
        return max(0.0, tries - (self._monotonic() - at) / REFILL_SECONDS)

    def _note_wrong(self, address: str) -> None:
        _keep(self._wrong, address, (self._tries(address) + 1, self._monotonic()))


def _keep(kept: OrderedDict[Any, Any], key: object, value: object) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > REMEMBERED:
        kept.popitem(last=False)


def _secret(request: ApiRequest) -> str:
    scheme, _, secret = str(request.headers.get("authorization", "")).partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Refusal(401, "no-token", "A bearer token is wanted", "Send the header Authorization: Bearer …")
    return secret.strip()
