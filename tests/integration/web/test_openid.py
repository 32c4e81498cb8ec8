"""Signing in by OpenID Connect, against a provider that takes nothing but what the specifications say, or lies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from argon2 import PasswordHasher

from callrouter.lab.ports import free_port
from callrouter.people import passwords
from callrouter.people.openid import Newcomers
from callrouter.web.openid import kept
from callrouter.web.openid import provider as provider_module
from callrouter.web.openid.settings import OpenIdSettings
from tests.integration.web.people import PASSWORD, Browser, House, living
from tests.openid_provider import CLIENT, LEFT_OUT, SECRET, Provider, serving

BACK = "/sign-in/openid/callback"


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a hash costs is of no interest here."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", quick)
    monkeypatch.setattr(passwords, "_nobody", quick.hash("nobody"))


@pytest.fixture(scope="module")
def serving_provider() -> Iterator[Provider]:
    with serving(Provider()) as found:
        found.registered |= {f"http://localhost{BACK}", f"https://calls.example{BACK}"}
        yield found


@pytest.fixture
def provider(serving_provider: Provider) -> Iterator[Provider]:
    serving_provider.honest()
    serving_provider.asked.clear()
    yield serving_provider
    assert serving_provider.faults == []


Scene = Callable[[House], Awaitable[None]]


def with_provider(database: str, provider: Provider, scene: Scene, **settings: Any) -> None:
    openid = OpenIdSettings(
        **{"issuer": provider.url, "client_id": CLIENT, "client_secret": SECRET, "label": "Corp ID"} | settings
    )
    living(database, scene, openid=openid)


async def sent_back(browser: Browser, *, wanted: str = "") -> str:
    """Begins, and is sent back by the provider; where to."""
    answer = await browser.get(f"/sign-in/openid?next={wanted}")
    assert answer.status_code == 303, answer.text
    async with httpx.AsyncClient(trust_env=False) as outside:
        back = await outside.get(answer.headers["location"])
    assert back.status_code == 302, back.text
    return back.headers["location"]


async def sign_in(browser: Browser, *, wanted: str = "") -> str:
    """Where he ends up."""
    answer = await browser.get(await sent_back(browser, wanted=wanted))
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def bound(here: House) -> dict[str, str | None]:
    rows = await here.postgres.fetch("SELECT email, oidc_subject FROM users ORDER BY email")
    return {row["email"][:3]: row["oidc_subject"] for row in rows}


def test_who_has_a_verified_email_is_in_and_bound_to_his_identity(people_database: str, provider: Provider) -> None:
    async def scene(here: House) -> None:
        browser = here.browser()
        page = await browser.get("/sign-in?next=/settings/users?x=1")
        assert "Sign in with Corp ID" in page.text
        provider.claims["email"] = "Ann@Windows.example"
        assert await sign_in(browser, wanted="/settings/users%3Fx=1") == "/settings/users?x=1"
        assert "ann@windows.example" in (await browser.get("/own")).text
        assert (await bound(here))["ann"] == "ann-at-the-provider"
        told = await here.postgres.fetch("SELECT action, details FROM audit WHERE action LIKE ANY($1) ORDER BY id",
                                         ["sign%", "user.bind"])  # fmt: skip
        assert [row["action"] for row in told] == ["user.bind", "sign_in"]
        assert told[0]["details"] == {"issuer": provider.url}
        assert told[1]["details"]["way"] == "openid"
        await browser.post("/sign-out")
        assert (await browser.get("/own")).status_code == 303, "our session is over"
        provider.claims |= {"email": "anna@elsewhere.example", "email_verified": False}
        assert await sign_in(browser) == "/", "he is known by his subject now, whatever becomes of his e-mail"
        assert "ann@windows.example" in (await browser.get("/own")).text

    with_provider(people_database, provider, scene)


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
        assert not any((await bound(here)).values())

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


def test_nobody_gets_in_who_is_unknown_unverified_disabled_or_another(people_database: str, provider: Provider) -> None:
    async def scene(here: House) -> None:
        await here.postgres.execute("UPDATE users SET disabled_at = now() WHERE email LIKE 'max%'")
        provider.in_userinfo = True
        cases: list[tuple[str, str, dict[str, Any]]] = [
            ("unknown", "nobody", {"email": "nobody@windows.example"}),
            ("unverified", "liar", {"email": "ann@windows.example", "email_verified": False}),
            ("unverified", "silent", {"email": "ann@windows.example", "email_verified": None}),
            ("unverified", "bare", {"email": None}), ("unverified", "odd", {"email": "ann@windows.example\n<x>"}),
            ("disabled", "max", {"email": "max@windows.example"}),
            ("unverified", "kelvin", {"email": "dan@doors.example".replace("d", "\u212a")}),
        ]  # fmt: skip
        for outcome, subject, claims in cases:
            provider.claims = {"sub": subject, "email_verified": True} | claims
            browser = here.browser()
            assert await sign_in(browser) == f"/sign-in?openid={outcome}", subject
            assert browser.cookie() == ""
        assert not any((await bound(here)).values())
        provider.honest()
        assert await sign_in(here.browser()) == "/"
        provider.claims["sub"] = "somebody else who got her address"
        assert await sign_in(here.browser()) == "/sign-in?openid=other"
        refused = await here.postgres.fetch(
            "SELECT user_id, details->>'why' AS why FROM audit WHERE action = 'sign_in.refused' ORDER BY id"
        )
        ann, max_ = here.people["ann"].id, here.people["max"].id
        assert [(row["user_id"], row["why"]) for row in refused] == [(ann, "unverified"), (max_, "disabled")]

    with_provider(people_database, provider, scene)


def test_a_letter_that_becomes_another_in_lower_case_is_not_that_other(
    people_database: str, provider: Provider
) -> None:
    async def scene(here: House) -> None:
        await here.postgres.execute("UPDATE users SET email = 'kim@windows.example' WHERE email LIKE 'vic%'")
        provider.claims |= {"sub": "mallory", "email": "\u212aim@windows.example"}  # the Kelvin sign
        assert await sign_in(here.browser()) == "/sign-in?openid=unverified"
        provider.claims["email"] = "KIM@windows.example"
        assert await sign_in(here.browser()) == "/"

    with_provider(people_database, provider, scene)


def test_a_bound_user_who_is_disabled_is_refused_and_one_who_is_unbound_goes_by_email_again(
    people_database: str, provider: Provider
) -> None:
    async def scene(here: House) -> None:
        provider.claims["email"] = "max@windows.example"
        browser = here.browser()
        assert await sign_in(browser) == "/"
        ann = await here.signed_in("ann")
        user = here.people["max"].id
        assert "signs in by it" in (await ann.get(f"/settings/users/{user}")).text
        answer = await ann.post(f"/settings/users/{user}/unbind")
        assert answer.headers["location"] == f"/settings/users/{user}?note=unbound"
        assert (await browser.get("/own")).status_code == 303, "he is out"
        assert (await ann.post(f"/settings/users/{user}/unbind")).status_code == 422
        assert (await ann.post(f"/settings/users/{here.people['dan'].id}/unbind")).status_code == 404
        provider.claims["sub"] = "max-anew"
        assert await sign_in(browser) == "/"
        await ann.post(f"/settings/users/{user}", do="disable")
        assert (await browser.get("/own")).status_code == 303
        assert await sign_in(browser) == "/sign-in?openid=disabled"
        viewer = await here.signed_in("vic")
        assert (await viewer.post(f"/settings/users/{user}/unbind")).status_code == 403
        assert {"user.bind", "user.unbind"} <= set(await here.actions())

    with_provider(people_database, provider, scene)


def test_after_a_change_of_provider_users_are_bound_anew(people_database: str, provider: Provider) -> None:
    async def scene(here: House) -> None:
        await here.postgres.execute(
            "UPDATE users SET oidc_issuer = 'https://old.example', oidc_subject = 'a' WHERE email LIKE 'ann%'"
        )
        assert await sign_in(here.browser()) == "/"
        assert (await bound(here))["ann"] == "ann-at-the-provider"

    with_provider(people_database, provider, scene)


def test_who_has_no_password_or_one_to_change_is_not_asked_for_it(people_database: str, provider: Provider) -> None:
    async def scene(here: House) -> None:
        await here.postgres.execute("UPDATE users SET must_change_password = true WHERE email LIKE 'ann%'")
        browser = here.browser()
        assert await sign_in(browser) == "/"
        assert "Change the password" in (await browser.get("/own")).text
        by_password = here.browser()
        assert (await by_password.sign_in("ann@windows.example")).status_code == 303
        assert (await by_password.get("/own")).headers["location"] == "/own/password"
        await here.postgres.execute("UPDATE users SET password_hash = NULL WHERE email LIKE 'ann%'")
        assert "You have none, and need none" in (await browser.get("/own")).text

    with_provider(people_database, provider, scene)


def test_newcomers_are_made_users_only_as_configured(people_database: str, provider: Provider) -> None:
    async def scene(here: House) -> None:
        for email, outcome in (
            ("new@doors.example", "/"), ("new@evil.example", "/sign-in?openid=unknown"),
            ("new@sub.doors.example", "/sign-in?openid=unknown"), ("new@evil.example@doors.example", "unverified"),
        ):  # fmt: skip
            provider.claims = {"sub": email, "email": email, "email_verified": True, "name": "New\u202e  <b>One"}
            assert (await sign_in(here.browser())).endswith(outcome), email
        row = await here.postgres.fetchrow("SELECT * FROM users WHERE email LIKE 'new%'")
        assert (row["account_id"], row["role"], row["locale"], row["password_hash"]) == (3, "viewer", "en", None)
        assert row["name"] == "", "such a name is nobody's"
        provider.claims = {"sub": "x", "email": "other@doors.example", "email_verified": False}
        assert await sign_in(here.browser()) == "/sign-in?openid=unverified"
        assert await here.postgres.fetchval("SELECT count(*) FROM users") == 6

    newcomers = Newcomers(role="viewer", account="Doors", domains=("doors.example",))
    with_provider(people_database, provider, scene, newcomers=newcomers)


def test_newcomers_of_an_account_that_is_not_there_are_refused(people_database: str, provider: Provider) -> None:
    async def scene(here: House) -> None:
        provider.claims["email"] = "new@doors.example"
        assert await sign_in(here.browser()) == "/sign-in?openid=unknown"

    newcomers = Newcomers(role="viewer", account="Dores", domains=("doors.example",))
    with_provider(people_database, provider, scene, newcomers=newcomers)


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
