"""The provider by HTTP: its description and its keys, fetched anew now and then, and a code turned into an identity.

Asks only what the description names, over TLS (or on loopback), within a few seconds, and never twice at once. What
goes wrong is Away (nobody can sign in by it now) or Untrusted (this one cannot). Secrets go in headers and bodies only.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
import msgspec

from callrouter.clock import Clock
from callrouter.config import is_safe_url
from callrouter.people.openid import Identity
from callrouter.web.openid import token
from callrouter.web.openid.attempts import Attempt
from callrouter.web.openid.kept import Kept
from callrouter.web.openid.settings import OpenIdSettings
from callrouter.web.openid.token import ALGORITHMS, Claims, Expected, UnknownKey, Untrusted

ANSWER_SECONDS = 5.0
LARGEST = 1024 * 1024
SCOPES = "openid email profile"
ERROR = re.compile(r"[a-z_]{1,40}")
OK = 200


class Away(Exception):
    """Nobody can sign in by the provider at this time: it does not answer, or not as one does."""


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What we need of a provider's own description (OpenID Connect Discovery)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    response_types_supported: frozenset[str] = frozenset(["code"])
    token_endpoint_auth_methods_supported: frozenset[str] = frozenset(["client_secret_basic"])
    id_token_signing_alg_values_supported: frozenset[str] = ALGORITHMS
    code_challenge_methods_supported: frozenset[str] = frozenset(["S256"])
    authorization_response_iss_parameter_supported: bool = False


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser came back with."""

    code: str
    redirect_uri: str
    issuer: str
    """As the answer names it (RFC 9207); '' if it does not."""


class Provider:
    """One per web process; open until `close`."""

    def __init__(self, settings: OpenIdSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self._http: httpx.AsyncClient | None = None
        self._description = Kept(self._fetch_description, clock)
        self._keys = Kept(self._fetch_keys, clock)

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def try_out(self) -> None:
        """Its description and keys are there, and of use. Raises Away."""
        await self._keys.get()

    async def entrance(self, attempt: Attempt, redirect_uri: str, locale: str) -> str:
        """Where a browser is sent. Raises Away."""
        url = (await self._description.get()).authorization_endpoint
        asked = {
            "response_type": "code", "client_id": self.settings.client_id, "redirect_uri": redirect_uri,
            "scope": SCOPES, "state": attempt.state, "nonce": attempt.nonce, "ui_locales": locale,
            "code_challenge": attempt.challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(asked)}"

    async def identity(self, arrival: Arrival, attempt: Attempt) -> Identity:
        """Who came back. Raises Away, and Untrusted."""
        description = await self._description.get()
        if arrival.issuer != description.issuer and (
            arrival.issuer or description.authorization_response_iss_parameter_supported
        ):
            raise Untrusted("the answer is another issuer's")
        tokens = await self._exchange(description, arrival, attempt)
        claims = await self._believed(description, tokens.get("id_token"), attempt)
        found = token.identity(description.issuer, claims)
        if found.verified or not description.userinfo_endpoint:
            return found
        told = await self._told(description, tokens.get("access_token"))
        if token.subject(told) != found.subject:
            raise Untrusted("what it tells of the user is somebody else's")
        return token.identity(description.issuer, told)

    async def _exchange(self, description: Description, arrival: Arrival, attempt: Attempt) -> Claims:
        settings = self.settings
        form = {
            "grant_type": "authorization_code", "code": arrival.code, "redirect_uri": arrival.redirect_uri,
            "code_verifier": attempt.verifier,
        }  # fmt: skip
        by_header = "client_secret_basic" in description.token_endpoint_auth_methods_supported
        if by_header:  # RFC 6749 2.3.1: both as in a form
            auth = httpx.BasicAuth(quote_plus(settings.client_id), quote_plus(settings.client_secret))
        else:
            auth = None
            form |= {"client_id": settings.client_id, "client_secret": settings.client_secret}
        status, answer = await self._ask("POST", description.token_endpoint, data=form, auth=auth)
        if status == OK:
            return answer
        error = answer.get("error")
        if error == "invalid_grant":
            raise Untrusted("the code is not taken")
        told = error if isinstance(error, str) and ERROR.fullmatch(error) else "no reason"
        raise Away(f"the token endpoint answers {status}: {told}")

    async def _believed(self, description: Description, text: object, attempt: Attempt) -> Claims:
        if not isinstance(text, str):
            raise Untrusted("there is no ID token")
        expected = Expected(
            description.issuer, self.settings.client_id, attempt.nonce,
            ALGORITHMS & description.id_token_signing_alg_values_supported,
        )  # fmt: skip
        now = self.clock.now().timestamp()
        try:
            return token.believed(text, await self._keys.get(), expected, now)
        except UnknownKey:
            return token.believed(text, await self._keys.get(anew=True), expected, now)

    async def _told(self, description: Description, access_token: object) -> Claims:
        if not isinstance(access_token, str) or not access_token.isascii() or not access_token.isprintable():
            raise Untrusted("there is no access token")
        bearer = {"Authorization": f"Bearer {access_token}"}
        status, answer = await self._ask("GET", description.userinfo_endpoint, headers=bearer)
        if status != OK:
            raise Away(f"the userinfo endpoint answers {status}")
        return answer

    async def _fetch_description(self) -> Description:
        issuer = self.settings.issuer
        status, answer = await self._ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if status != OK:
            raise Away(f"its description is not there: it answers {status}")
        try:
            found = msgspec.convert(answer, Description)
        except msgspec.ValidationError as error:
            raise Away(f"its description lacks something: {error}") from None
        _require_usable(found, issuer)
        return found

    async def _fetch_keys(self) -> list[dict[str, Any]]:
        status, answer = await self._ask("GET", (await self._description.get()).jwks_uri)
        keys = answer.get("keys")
        if status != OK or not isinstance(keys, list):
            raise Away(f"its keys are not there: it answers {status}")
        return [key for key in keys if isinstance(key, dict)]

    async def _ask(
        self, method: str, url: str, *, data: dict[str, str] | None = None, auth: httpx.Auth | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:  # fmt: skip
        """Status, and the JSON object that was answered ({} if it was none). Raises Away."""
        if self._http is None:
            self._http = httpx.AsyncClient(timeout=ANSWER_SECONDS, headers={"Accept": "application/json"})
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                async with self._http.stream(method, url, data=data, auth=auth, headers=headers) as answer:
                    return answer.status_code, _object(await _body(answer))
        except TimeoutError:
            raise Away(f"no answer within {ANSWER_SECONDS:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise Away(str(error) or type(error).__name__) from None


async def _body(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for part in answer.aiter_bytes():
        body += part
        if len(body) > LARGEST:
            raise Away("it sends without end")
    return bytes(body)


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _require_usable(found: Description, issuer: str) -> None:
    """Raises Away, with what is to be set otherwise at the provider or here."""
    if found.issuer != issuer:
        raise Away(f"it calls itself {found.issuer[:200]!r}: write exactly that as issuer")
    for url in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri, found.userinfo_endpoint):
        if url and not is_safe_url(url):
            raise Away("its description names an address without TLS")
    if "code" not in found.response_types_supported:
        raise Away("it does not know the authorization code flow")
    if "S256" not in found.code_challenge_methods_supported:
        raise Away("it does not know PKCE with S256")
    if not {"client_secret_basic", "client_secret_post"} & found.token_endpoint_auth_methods_supported:
        raise Away("it does not take a client secret")
    if not ALGORITHMS & found.id_token_signing_alg_values_supported:
        raise Away("it signs by no asymmetric algorithm")
