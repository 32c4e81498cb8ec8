"""Whether an ID token may be believed (OpenID Connect Core 3.1.3.7), and what it says. Pure: time and keys are given.

Signed by a key of the provider, by an asymmetric algorithm: `none` and shared secrets are no algorithms here.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

import jwt
import msgspec
from jwt.algorithms import Algorithm, get_default_algorithms

from callrouter.people.openid import Identity

ALGORITHMS = frozenset(
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
)  # fmt: skip
KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
LEEWAY_SECONDS = 60
"""Clocks may differ by so much."""
OLDEST_SECONDS = 600
"""A token was made just now, for it comes straight from the provider."""
LONGEST_TOKEN = 64 * 1024
LONGEST_SUBJECT = 255
_jws = jwt.PyJWS(algorithms=sorted(ALGORITHMS), options={"enforce_minimum_key_length": True})

Claims = Mapping[str, Any]
Keys = Iterable[Mapping[str, Any]]


class Untrusted(Exception):
    """What the provider's side sent cannot be believed; the text says why, without saying what it was."""


class UnknownKey(Untrusted):
    """The provider may have a key that we have not fetched yet."""


class Expected(msgspec.Struct, frozen=True):
    issuer: str
    client_id: str
    nonce: str
    algorithms: frozenset[str] = ALGORITHMS
    """Those that the provider says it uses, of ours."""


def believed(token: str, keys: Keys, expected: Expected, now: float) -> Claims:
    """The token's claims. Raises Untrusted; UnknownKey if none of `keys` is the one it names."""
    claims = _signed_by_one_of(token, keys, expected.algorithms)
    _require_ours(claims, expected)
    _require_timely(claims, now)
    return claims


def identity(issuer: str, claims: Claims) -> Identity:
    """Who it is, by an ID token or by what the provider tells of a user."""
    email = claims.get("email")
    name = claims.get("name")
    return Identity(
        issuer=issuer,
        subject=subject(claims),
        email=email if isinstance(email, str) else "",
        verified=claims.get("email_verified") is True or claims.get("email_verified") == "true",  # some spell it so
        name=name if isinstance(name, str) else "",
    )


def subject(claims: Claims) -> str:
    told = claims.get("sub")
    if not isinstance(told, str) or not 0 < len(told) <= LONGEST_SUBJECT or not told.isprintable():
        raise Untrusted("it names no subject")
    return told


def _signed_by_one_of(token: str, keys: Keys, algorithms: frozenset[str]) -> Claims:
    if len(token) > LONGEST_TOKEN:
        raise Untrusted("the ID token is too long")
    try:
        header = _jws.get_unverified_header(token)
    except jwt.InvalidTokenError:
        raise Untrusted("the ID token is none") from None
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise Untrusted(f"the ID token is signed by {str(algorithm)[:20]!r}, which is not taken")
    if "crit" in header:
        raise Untrusted("the ID token has critical headers that are not known")
    key = _key(keys, algorithm, header.get("kid"))
    try:
        claims = msgspec.json.decode(_jws.decode(token, key=key, algorithms=[algorithm]))
    except jwt.InvalidKeyError:
        raise Untrusted("the provider's key is too short") from None
    except (jwt.InvalidTokenError, msgspec.DecodeError, UnicodeDecodeError):
        raise Untrusted("the ID token's signature is not the provider's") from None
    if not isinstance(claims, dict):
        raise Untrusted("the ID token is none")
    return claims


def _key(keys: Keys, algorithm: str, kid: object) -> Any:
    """The provider's key that the token names; without a name, its only one that fits."""
    fitting = [
        key for key in keys
        if key.get("kty") == KEY_TYPES[algorithm[:2]] and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm and (kid is None or key.get("kid") == kid)
    ]  # fmt: skip
    if len(fitting) != 1:
        raise UnknownKey("the ID token is signed by a key that the provider does not show")
    method: Algorithm = get_default_algorithms()[algorithm]
    try:
        return method.from_jwk(dict(fitting[0]))
    except (jwt.InvalidKeyError, ValueError, TypeError, KeyError, AttributeError):
        raise Untrusted("the provider's key cannot be read") from None


def _require_ours(claims: Claims, expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise Untrusted("the ID token is another issuer's")
    told = claims.get("aud")
    audience = told if isinstance(told, list) else [told]
    if expected.client_id not in audience:
        raise Untrusted("the ID token is for another client")
    if claims.get("azp", expected.client_id if len(audience) == 1 else None) != expected.client_id:
        raise Untrusted("the ID token was given to another client")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise Untrusted("the ID token is not of this attempt")
    subject(claims)


def _require_timely(claims: Claims, now: float) -> None:
    ends, made = claims.get("exp"), claims.get("iat")
    if not _is_time(ends) or not _is_time(made):
        raise Untrusted("the ID token has no times")
    if now >= ends + LEEWAY_SECONDS:
        raise Untrusted(f"the ID token ended {now - ends:.0f} s ago: are both clocks right?")
    if not made - LEEWAY_SECONDS <= now <= made + OLDEST_SECONDS:
        raise Untrusted(f"the ID token was made {now - made:.0f} s ago: are both clocks right?")
    begins = claims.get("nbf")
    if begins is not None and not (_is_time(begins) and now >= begins - LEEWAY_SECONDS):
        raise Untrusted("the ID token does not count yet: are both clocks right?")


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
