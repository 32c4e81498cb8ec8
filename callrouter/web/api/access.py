"""A request's bearer token → who asks and whether he may. Whoever tries wrong tokens is slowed down.

A token that was right lately is not slowed: others may come from the same address (a proxy's) as one who guesses.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from litestar import Request

from callrouter.web.api.reading import Reading
from callrouter.web.api.tokens import TOKEN, Caller, Scope, find_caller, hashed
from callrouter.web.problem import Refusal
from callrouter.web.visitor.addresses import Addresses

ApiRequest = Request[Any, Any, Any]
WRONG_TRIES = 10
"""Per address, and a minute's pause gives one back every six seconds."""
REFILL_SECONDS = 6.0
REMEMBERED = 10_000
RIGHT_SECONDS = 300.0


class Access:
    """One per web process."""

    def __init__(
        self, reading: Reading, addresses: Addresses, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._reading = reading
        self._addresses = addresses
        self._monotonic = monotonic
        self._wrong: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Address → wrong tries not yet forgiven, and when that was."""
        self._right: OrderedDict[bytes, float] = OrderedDict()

    async def caller(self, request: ApiRequest, scope: Scope) -> Caller:
        """Who asks. Raises Refusal: 401 without a valid token, 403 without the scope, 429 after too many wrong ones."""
        secret = _secret(request)
        address = self._address(request)
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
            raise Refusal(401, "invalid-token", "The token is not valid", "It is unknown, revoked or expired.")
        _keep(self._right, digest, self._monotonic())
        if scope not in caller.scopes:
            raise Refusal(403, "missing-scope", "The token may not do this", f"It lacks the scope {scope}.")
        return caller

    def _address(self, request: ApiRequest) -> str:
        peer = request.client.host if request.client else ""
        return self._addresses.of(peer, request.headers.get("x-forwarded-for", "")) or peer

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
