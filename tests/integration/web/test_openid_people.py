"""Whose a provider's identity is: users are bound to it, refused, made anew, and never caught by another account."""

from __future__ import annotations

from typing import Any

from callrouter.people import users
from callrouter.people.openid import Newcomers
from callrouter.people.roles import SCOPES_OF
from tests.integration.web.openid_scene import provider, quick_hashes, serving_provider, sign_in, with_provider
from tests.integration.web.people import House
from tests.openid_provider import Provider

__all__ = ["provider", "quick_hashes", "serving_provider"]


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


def test_an_address_of_newcomers_is_caught_by_no_other_account(people_database: str, provider: Provider) -> None:
    async def scene(here: House) -> None:
        dan, op = await here.signed_in("dan"), await here.signed_in("op")
        told = {"email": "New@Windows.example", "role": "viewer"}
        refused = await dan.api("POST", "/users", told)
        assert (refused.status_code, refused.json()["type"]) == (422, "/problems/refused")
        assert "windows.example" in refused.json()["title"]
        by_page = await dan.post("/settings/users", email=told["email"], role="viewer")
        assert (by_page.status_code, "become users elsewhere" in by_page.text) == (422, True)
        program = await here.token(3, "users:write", *SCOPES_OF["viewer"])
        assert (await here.browser().api("POST", "/users", told, **program)).status_code == 422
        assert (await dan.api("POST", "/users", told | {"email": "new@doors.example"})).status_code == 201
        async with here.postgres.acquire() as conn:  # as he could before newcomers were configured
            caught = await users.add_user(conn, 3, "boss@windows.example", role="viewer")
        provider.claims |= {"sub": "boss", "email": "Boss@windows.example"}
        boss = here.browser()
        assert await sign_in(boss) == "/sign-in?openid=elsewhere"
        assert "another company has added it" in (await boss.get("/sign-in?openid=elsewhere")).text
        assert boss.cookie() == ""
        assert "sign_in.refused" in await here.actions(3)
        async with here.postgres.acquire() as conn:
            await users.change_email(conn, 3, caught.id, "boss@doors.example")
        assert await sign_in(boss) == "/"
        whose = await here.postgres.fetchval("SELECT account_id FROM users WHERE oidc_subject = 'boss'")
        assert whose == 2
        provider.claims |= {"sub": "op", "email": "op@operator.example"}
        assert await sign_in(here.browser()) == "/", "the operator's people may have any address"
        assert (await op.api("POST", "/users", told | {"account": 3})).status_code == 201, "he knows what he does"

    newcomers = Newcomers(role="viewer", account="Windows", domains=("windows.example", "operator.example"))
    with_provider(people_database, provider, scene, newcomers=newcomers)
