"""Signing in by OpenID Connect, against a provider that takes nothing but what the specifications say, or lies."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from callrouter.lab.ports import free_port
from callrouter.web.openid import kept
from callrouter.web.openid import provider as provider_module
from tests.integration.web.openid_scene import (
    BACK,
    provider,
    quick_hashes,
    sent_back,
    serving_provider,
    sign_in,
    with_provider,
)
from tests.integration.web.people import PASSWORD, House, living
from tests.openid_provider import LEFT_OUT, SECRET, Provider

__all__ = ["provider", "quick_hashes", "serving_provider"]


def test_what_stands_in_addresses_and_cookies_is_no_secret(people_database: str, provider: Provider) -> None:
    async def scene(here: House) -> None:
        browser = here.browser()
        begun = await browser.get("/sign-in/openid?next=/journal%3Fcustomer=79161234567")
        asked = {name: each for name, (each,) in parse_qs(urlsplit(begun.headers["location"]).query).items()}
        assert "7916" not in begun.headers["location"], "where he wants to go is not the provider's business"
        [cookie] = begun.headers.get_list("set-cookie")
        for part in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=600"):
            assert part in cookie
        for drawn in ("state", "nonce", "code_challenge"):
            assert asked[drawn] not in cookie
        assert asked["ui_locales"] == "en"
        answer = await browser.get(await sent_back(browser))
        assert urlsplit(answer.headers["location"]).query == "", "the code is gone from the address"
        assert 'callrouter-openid=""' in "".join(answer.headers.get_list("set-cookie"))
        outside = here.browser(base="https://calls.example")
        cookies = (await outside.get("/sign-in/openid")).headers.get_list("set-cookie")
        assert cookies[0].startswith("__Host-callrouter-openid=")
        assert "Secure" in cookies[0]
        assert await sign_in(outside) == "/"

    with_provider(people_database, provider, scene)


def test_only_the_browser_that_began_gets_in_and_once(people_database: str, provider: Provider) -> None:
    async def scene(here: House) -> None:
        ann, mallory = here.browser(), here.browser()
        back = await sent_back(ann)
        await mallory.get("/sign-in/openid")
        refused = await mallory.get(back)
        assert refused.headers["location"] == "/sign-in?openid=cookie"
        page = await mallory.get("/sign-in?openid=cookie")
        assert "begun in another browser" in page.text
        assert provider.asked.count("POST /token") == 0, "nor is his code used up"
        own = await sent_back(ann)
        guessed = await ann.get(own.replace("code=", "code=x&was="))
        assert guessed.headers["location"] == "/sign-in?openid=untrusted"
        ann = here.browser()
        back = await sent_back(ann)
        assert (await ann.get(back)).headers["location"] == "/"
        assert (await ann.get(back)).headers["location"] == "/", "signed in already"
        await ann.get("/own")
        await ann.post("/sign-out")
        assert (await ann.get(back)).headers["location"] == "/sign-in?openid=cookie"
        assert (await here.browser().get(back)).headers["location"] == "/sign-in?openid=cookie"

    with_provider(people_database, provider, scene)


def test_a_code_of_another_attempt_is_refused_by_verifier_and_nonce(people_database: str, provider: Provider) -> None:
    async def scene(here: House) -> None:
        ann, mallory = here.browser(), here.browser()
        code = parse_qs(urlsplit(await sent_back(ann)).query)["code"][0]
        mine = urlsplit(await sent_back(mallory))
        own_code = parse_qs(mine.query)["code"][0]
        injected = await mallory.get(f"{BACK}?{mine.query.replace(own_code, code)}")
        assert injected.headers["location"] == "/sign-in?openid=untrusted"
        assert provider.faults == ["token: redirect_uri or verifier is not that of the question"]
        provider.faults.clear()
        assert mallory.cookie() == ""

    with_provider(people_database, provider, scene)


LIES: dict[str, dict[str, Any]] = {
    "nonce": {"claims": {"nonce": "of another attempt"}}, "audience": {"claims": {"aud": "another client"}},
    "expired": {"claims": {"exp": 1_700_000_000, "iat": 1_699_999_000}}, "issuer": {"claims": {"iss": "https://evil"}},
    "no token": {"tokens": {"id_token": None}}, "nonsense": {"tokens": {"id_token": "x.y.z"}},
    "another's answer": {"answer": {"iss": "https://evil.example"}}, "nobody's answer": {"answer": {"iss": LEFT_OUT}},
    "no code": {"answer": {"code": LEFT_OUT}}, "another code": {"answer": {"code": "x" * 5000}},
}  # fmt: skip


def test_whatever_a_provider_lies_about_nobody_gets_in(people_database: str, provider: Provider) -> None:
    async def scene(here: House) -> None:
        for name, lie in LIES.items():
            provider.lies = lie
            browser = here.browser()
            assert await sign_in(browser) == "/sign-in?openid=untrusted", name
            assert browser.cookie() == ""
        page = await browser.get("/sign-in?openid=untrusted")
        assert "could not be trusted" in page.text
        assert (await browser.sign_in("ann@windows.example")).status_code == 303, "a password still does"
        assert not await here.postgres.fetchval("SELECT count(oidc_subject) FROM users")

    with_provider(people_database, provider, scene)


def test_tokens_without_signature_or_by_shared_secret_are_refused(people_database: str, provider: Provider) -> None:
    async def scene(here: House) -> None:
        for algorithm, key in (("none", ""), ("HS256", SECRET * 4)):
            provider.described = {"id_token_signing_alg_values_supported": ["RS256", algorithm]}
            provider.sign = lambda claims, key=key, algorithm=algorithm: jwt.encode(  # type: ignore[misc]
                claims, key, algorithm=algorithm, headers={"kid": provider.kid}
            )
            assert await sign_in(here.browser()) == "/sign-in?openid=untrusted"

    with_provider(people_database, provider, scene)


def test_a_new_key_of_the_provider_is_fetched_but_not_again_and_again(
    people_database: str, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(here: House) -> None:
        browser = here.browser()
        assert await sign_in(browser) == "/"
        provider.new_key()
        assert await sign_in(here.browser()) == "/sign-in?openid=untrusted", "its keys were fetched just now"
        assert provider.asked.count("GET /jwks") == 1
        monkeypatch.setattr(kept, "ANEW_SECONDS", 0.0)
        assert await sign_in(here.browser()) == "/"
        assert await sign_in(here.browser()) == "/"
        assert provider.asked.count("GET /jwks") == 2
        assert provider.asked.count("GET /.well-known/openid-configuration") == 1

    with_provider(people_database, provider, scene)


@pytest.mark.parametrize(
    ("path", "described"),
    [
        ("/.well-known/openid-configuration", {}), ("/jwks", {}), ("/token", {}),
        ("", {"issuer": "https://other.example"}), ("", {"token_endpoint": "http://other.example/token"}),
        ("", {"code_challenge_methods_supported": ["plain"]}), ("", {"response_types_supported": ["id_token"]}),
        ("", {"token_endpoint_auth_methods_supported": ["private_key_jwt"]}), ("", {"jwks_uri": 7}),
        ("", {"id_token_signing_alg_values_supported": ["HS256", "none"]}),
    ],
)  # fmt: skip
def test_a_provider_that_is_away_or_of_no_use_is_told_and_passwords_do(
    people_database: str, provider: Provider, path: str, described: dict[str, Any]
) -> None:
    async def scene(here: House) -> None:
        provider.statuses, provider.described = ({path: 503} if path else {}), described
        browser = here.browser()
        answer = await browser.get("/sign-in/openid?next=/own")
        if path in ("/jwks", "/token"):
            async with httpx.AsyncClient(trust_env=False) as outside:
                back = await outside.get(answer.headers["location"])
            answer = await browser.get(back.headers["location"])
        assert answer.headers["location"] == "/sign-in?openid=away&next=%2Fown"
        page = await browser.get(answer.headers["location"])
        assert "Corp ID does not answer as it should" in page.text
        assert (await browser.sign_in("ann@windows.example", PASSWORD)).status_code == 303

    with_provider(people_database, provider, scene)


def test_a_provider_that_answers_nothing_is_given_up(
    people_database: str, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_module, "ANSWER_SECONDS", 0.3)

    async def scene(here: House) -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(1000):
                pass
            writer.close()

        async with await asyncio.start_server(silent, "127.0.0.1", int(dead.rpartition(":")[2])) as server:
            answers = await asyncio.gather(*(here.browser().get("/sign-in/openid") for _ in range(5)))
            assert {answer.headers["location"] for answer in answers} == {"/sign-in?openid=away"}
            server.close()

    dead = f"http://127.0.0.1:{free_port()}"
    with_provider(people_database, provider, scene, issuer=dead)


def test_who_says_no_at_the_provider_is_told_so(people_database: str, provider: Provider) -> None:
    async def scene(here: House) -> None:
        for error, trouble in (("access_denied", "cancelled"), ("server_error", "away"), ("<script>", "away")):
            browser = here.browser()
            begun = await browser.get("/sign-in/openid")
            state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
            answer = await browser.http.get(BACK, params={"error": error, "error_description": "<b>", "state": state})
            assert answer.headers["location"] == f"/sign-in?openid={trouble}"
        assert (await browser.get(f"{BACK}?error=access_denied&state=x")).headers["location"].endswith("cookie")

    with_provider(people_database, provider, scene)


def test_nobody_is_sent_elsewhere_by_the_way_of_the_provider(people_database: str, provider: Provider) -> None:
    async def scene(here: House) -> None:
        for wanted in ("//evil.example", "/%5Cevil.example", "https://evil.example", "/%09x", "/sign-in/openid"):
            assert await sign_in(here.browser(), wanted=wanted) == "/"
        browser = here.browser()
        back = await sent_back(browser)
        cookie = browser.cookie("callrouter-openid").strip('"').partition(".")[0]
        browser.show(f"{cookie}.//evil.example", "callrouter-openid")
        assert (await browser.get(back)).headers["location"] == "/"
        odd = await browser.http.get("/sign-in/openid", headers={"host": "evil.example/x?"})
        assert odd.status_code in (303, 400)
        assert "evil.example/x?" not in odd.headers.get("location", "")

    with_provider(people_database, provider, scene)


def test_who_tries_too_often_waits(people_database: str, provider: Provider) -> None:
    async def scene(here: House) -> None:
        provider.lies = {"claims": {"nonce": "x"}}
        ends = [await sign_in(here.browser(address="198.51.100.7")) for _ in range(41)]
        assert ends == ["/sign-in?openid=untrusted"] * 40 + ["/sign-in?openid=slowed"]
        provider.lies = {}
        assert await sign_in(here.browser(address="198.51.100.8")) == "/", "others do not"
        assert (await here.browser(address="198.51.100.7").sign_in("ann@windows.example")).status_code == 303

    with_provider(people_database, provider, scene)


def test_without_a_provider_there_is_no_other_way_in(people_database: str) -> None:
    async def scene(here: House) -> None:
        browser = here.browser()
        assert "openid" not in (await browser.get("/sign-in?openid=away")).text
        for path in ("/sign-in/openid", f"{BACK}?code=x&state=y"):
            assert (await browser.get(path)).status_code == 404

    living(people_database, scene)
