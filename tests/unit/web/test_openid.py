"""What is believed of an ID token, which attempts are a browser's own, and how often a provider is asked."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from callrouter.web.openid.attempts import LASTS_SECONDS, Attempts
from callrouter.web.openid.kept import ANEW_SECONDS, KEPT_SECONDS, PAUSE_SECONDS, Kept
from callrouter.web.openid.token import Expected, UnknownKey, Untrusted, believed, identity

NOW = 1_800_000_000.0
ISSUER, CLIENT = "https://login.example", "callrouter"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY, ED_KEY = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
KEYS: list[dict[str, Any]] = [
    {**RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True), "kid": "r", "use": "sig"},
    {**ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True), "kid": "e", "alg": "ES256"},
    {**OKPAlgorithm.to_jwk(ED_KEY.public_key(), as_dict=True), "kid": "d"},
    {**RSAAlgorithm.to_jwk(OTHER_KEY.public_key(), as_dict=True), "kid": "o", "use": "enc"},
    {"kty": "oct", "kid": "s", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"},
]
TRUE = {"iss": ISSUER, "aud": CLIENT, "sub": "7", "nonce": "n", "iat": NOW - 1, "exp": NOW + 300}
EXPECTED = Expected(ISSUER, CLIENT, "n")


def signed(claims: dict[str, Any], key: Any = RSA_KEY, algorithm: str = "RS256", **headers: Any) -> str:
    kept = {name: value for name, value in claims.items() if value is not ...}
    return jwt.encode(kept, key, algorithm=algorithm, headers={"kid": "r"} | headers)


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"), [(RSA_KEY, "RS256", "r"), (RSA_KEY, "PS512", "r"), (EC_KEY, "ES256", "e"),
                                  (ED_KEY, "EdDSA", "d")],
)  # fmt: skip
def test_a_token_by_any_asymmetric_key_of_the_provider_is_believed(key: Any, algorithm: str, kid: str) -> None:
    assert believed(signed(TRUE, key, algorithm, kid=kid), KEYS, EXPECTED, NOW)["sub"] == "7"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"iss": "https://evil.example"}, "another issuer"), ({"iss": ISSUER + "/"}, "another issuer"),
        ({"aud": "other"}, "another client"), ({"aud": ["other"]}, "another client"), ({"aud": ...}, "another client"),
        ({"aud": [CLIENT, "other"]}, "given to another"), ({"azp": "other"}, "given to another"),
        ({"aud": [CLIENT, "other"], "azp": "other"}, "given to another"),
        ({"nonce": "m"}, "not of this attempt"), ({"nonce": ...}, "not of this attempt"), ({"nonce": 1}, "attempt"),
        ({"exp": NOW - 60}, "ended"), ({"exp": ...}, "no times"), ({"exp": "soon"}, "times"), ({"exp": True}, "times"),
        ({"iat": NOW + 61}, "made"), ({"iat": NOW - 601}, "made"), ({"iat": ...}, "no times"),
        ({"nbf": NOW + 61}, "not count yet"), ({"sub": ""}, "no subject"), ({"sub": ...}, "no subject"),
        ({"sub": "x" * 256}, "no subject"), ({"sub": "a\nb"}, "no subject"),
    ],
)  # fmt: skip
def test_a_token_that_says_something_else_is_not(change: dict[str, Any], why: str) -> None:
    with pytest.raises(Untrusted, match=why):
        believed(signed(TRUE | change), KEYS, EXPECTED, NOW)


@pytest.mark.parametrize(
    "change", [{"aud": [CLIENT]}, {"aud": [CLIENT, "other"], "azp": CLIENT}, {"azp": CLIENT}, {"exp": NOW - 59},
               {"iat": NOW + 59}, {"nbf": NOW}],
)  # fmt: skip
def test_what_the_specification_allows_is_taken(change: dict[str, Any]) -> None:
    assert believed(signed(TRUE | change), KEYS, EXPECTED, NOW)["sub"] == "7"


PUBLIC = RSA_KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)  # fmt: skip


def by_shared_secret() -> str:
    """The public key taken for a shared secret: the oldest trick."""
    body = jwt.utils.base64url_encode(json.dumps({"alg": "HS256", "kid": "r"}).encode())
    body += b"." + jwt.utils.base64url_encode(json.dumps(TRUE).encode())
    return (body + b"." + jwt.utils.base64url_encode(hmac.digest(PUBLIC, body, "sha256"))).decode()


def changed_after_signing() -> str:
    head, _, mac = signed(TRUE).split(".")
    return ".".join((head, jwt.utils.base64url_encode(json.dumps(TRUE | {"sub": "8"}).encode()).decode(), mac))


FORGED: dict[str, Callable[[], str]] = {
    "no algorithm": lambda: jwt.encode(TRUE, "", algorithm="none", headers={"kid": "r"}),
    "public key as a secret": by_shared_secret,
    "shared secret": lambda: signed(TRUE, "secret-secret-secret-secret-secret", "HS256", kid="s"),
    "another's key": lambda: signed(TRUE, OTHER_KEY),
    "changed after signing": changed_after_signing,
    "without signature": lambda: signed(TRUE).rpartition(".")[0] + ".",
    "critical headers": lambda: signed(TRUE, crit=["x"], x=1),
    "no token": lambda: "what?",
    "empty": lambda: "",
    "endless": lambda: "a" * 100_000,
    "not ASCII": lambda: "й.й.й",
}


@pytest.mark.parametrize("how", FORGED)
def test_a_forged_token_is_not_believed(how: str) -> None:
    with pytest.raises(Untrusted):
        believed(FORGED[how](), KEYS, EXPECTED, NOW)


def test_a_key_that_is_not_shown_may_be_a_new_one() -> None:
    for token in (signed(TRUE, kid="new"), signed(TRUE, OTHER_KEY, kid="o")):
        with pytest.raises(UnknownKey):
            believed(token, KEYS, EXPECTED, NOW)
    unnamed = jwt.encode(TRUE, RSA_KEY, algorithm="RS256")
    assert believed(unnamed, KEYS, EXPECTED, NOW)["sub"] == "7", "the only one that fits"


@pytest.mark.filterwarnings("ignore:.*key:jwt.InsecureKeyLengthWarning")
def test_a_short_key_of_the_provider_is_refused() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    keys = [{**RSAAlgorithm.to_jwk(weak.public_key(), as_dict=True), "kid": "r"}]
    with pytest.raises(Untrusted, match="too short"):
        believed(signed(TRUE, weak), keys, EXPECTED, NOW)


def test_an_email_is_verified_only_if_it_is_said() -> None:
    for said, verified in ((True, True), ("true", True), (False, False), (None, False), (1, False), ("yes", False)):
        found = identity(ISSUER, {"sub": "7", "email": "a@b.example", "email_verified": said})
        assert found.verified is verified
    assert identity(ISSUER, {"sub": "7", "email": ["a@b.example"], "email_verified": True}).email == ""


def test_an_attempt_is_of_one_browser_one_server_and_ten_minutes() -> None:
    attempts, browser, other = Attempts([b"key"]), Attempts.new_secret(), Attempts.new_secret()
    begun = attempts.begin(browser, NOW)
    assert attempts.find(browser, begun.state, NOW + LASTS_SECONDS) == begun
    assert attempts.find(browser, begun.state, NOW + LASTS_SECONDS + 1) is None
    assert attempts.find(other, begun.state, NOW) is None
    assert Attempts([b"other"]).find(browser, begun.state, NOW) is None
    assert Attempts([b"new", b"key"]).find(browser, begun.state, NOW) == begun, "the key was changed meanwhile"
    for state in ("", "x", begun.state[:-1], begun.state[1:], begun.state + "\n", begun.state.replace(".", ".f", 1)):
        assert attempts.find(browser, state, NOW) is None
    second = attempts.begin(browser, NOW)
    assert len({*begun, *second, browser}) == 7, "nothing is used twice"
    assert attempts.find(browser, begun.state, NOW) == begun, "in another tab"


class HandClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds


def test_a_provider_is_asked_seldom_by_one_at_a_time_and_not_just_after_it_failed() -> None:
    async def scene() -> None:
        clock, asked, broken = HandClock(), 0, False

        async def fetch() -> int:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0)
            if broken:
                raise OSError("away")
            return asked

        kept = Kept(fetch, clock)
        assert await asyncio.gather(*(kept.get() for _ in range(5))) == [1] * 5
        assert await kept.get(anew=True) == 1, "it was fetched just now"
        clock.seconds += ANEW_SECONDS
        assert (await kept.get(), await kept.get(anew=True), await kept.get(anew=True)) == (1, 2, 2)
        clock.seconds += KEPT_SECONDS
        broken = True
        for _ in range(3):
            with pytest.raises(OSError, match="away"):
                await kept.get()
        assert asked == 3
        broken = False
        clock.seconds += PAUSE_SECONDS
        assert await kept.get() == 4

    asyncio.run(scene())
