"""Signing in to the pages, on a real Postgres: who gets in, who is slowed down, and what a cookie is good for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from argon2 import PasswordHasher

from callrouter.people import browser_sessions, passwords
from callrouter.people.browser_sessions import Lifetime
from tests.integration.web.people import PASSWORD, Browser, House, living


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a hash costs is of no interest here."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", quick)
    monkeypatch.setattr(passwords, "_nobody", quick.hash("nobody"))


async def is_in(browser: Browser) -> bool:
    answer = await browser.get("/own")
    assert answer.status_code in (200, 303)
    return answer.status_code == 200


def test_who_signs_in_comes_to_the_page_he_asked_for_and_may_sign_out(people_database: str) -> None:
    async def scene(here: House) -> None:
        browser = here.browser()
        asked = await browser.get("/settings/users?x=1")
        assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in?next=/settings/users%3Fx%3D1")
        answer = await browser.sign_in("  ANN@windows.example ", wanted="/settings/users?x=1")
        assert (answer.status_code, answer.headers["location"]) == (303, "/settings/users?x=1")
        page = await browser.get("/settings/users?x=1")
        assert page.status_code == 200
        assert "max@windows.example" in page.text
        assert "dan@doors.example" not in page.text
        assert page.headers["cache-control"] == "no-store"
        assert "script-src 'self';" in page.headers["content-security-policy"]
        stored = await here.postgres.fetchval("SELECT string_agg(s::text, ' ') FROM browser_sessions s")
        assert browser.cookie() not in stored
        cookie = browser.cookie()
        assert (await browser.post("/sign-out")).headers["location"] == "/sign-in?note=signed-out"
        assert browser.cookie() == ""
        browser.show(cookie)
        assert not await is_in(browser), "the cookie is good for nothing any more"
        assert [a for a in await here.actions() if a.startswith("sign")] == ["sign_in", "sign_out"]

    living(people_database, scene)


@pytest.mark.parametrize("wanted", ["//evil.example", "/\\evil.example", "https://evil.example", "/\tx", "/sign-in"])
def test_nobody_is_sent_elsewhere_after_signing_in(people_database: str, wanted: str) -> None:
    async def scene(here: House) -> None:
        answer = await here.browser().sign_in("ann@windows.example", wanted=wanted)
        assert answer.headers["location"] == "/"

    living(people_database, scene)


def test_wrong_unknown_and_disabled_are_one_answer_after_one_hash_each(
    people_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes: list[str] = []
    fits = passwords._fits

    def counted(stored: str, given: str) -> bool:
        hashes.append(stored)
        return fits(stored, given)

    monkeypatch.setattr(passwords, "_fits", counted)

    async def scene(here: House) -> None:
        await here.postgres.execute("UPDATE users SET disabled_at = now() WHERE email LIKE 'max%'")
        await here.postgres.execute("UPDATE users SET password_hash = NULL WHERE email LIKE 'vic%'")
        said = set()
        tries = (
            ("ann@windows.example", "wrong"), ("nobody@windows.example", PASSWORD), ("max@windows.example", PASSWORD),
            ("vic@windows.example", PASSWORD), ("\x00' OR 1=1", "\x00"),
        )  # fmt: skip
        for email, password in tries:
            browser = here.browser()
            await browser.get("/sign-in")
            answer = await browser.post("/sign-in", email=email, password=password)
            assert answer.status_code == 422
            assert browser.cookie() == ""
            said.add("E-mail or password is wrong." in answer.text)
        assert said == {True}
        assert len(hashes) == len(tries)

    living(people_database, scene)


def test_who_guesses_waits_and_the_user_elsewhere_does_not(people_database: str) -> None:
    async def scene(here: House) -> None:
        guesser = here.browser(address="198.51.100.7")
        answers = [await guesser.sign_in("ann@windows.example", f"guess {n}") for n in range(8)]
        assert [answer.status_code for answer in answers] == [422] * 5 + [429] * 3
        assert (await guesser.sign_in("ann@windows.example")).status_code == 429, "also with the right one, for now"
        assert (await here.browser(address="198.51.100.8").sign_in("ann@windows.example")).status_code == 303
        actions = await here.actions()
        assert actions.count("sign_in.refused") == 1, "the record cannot be filled by guessing"

    living(people_database, scene)


def test_a_browser_that_signed_in_before_is_not_slowed_by_who_guesses_from_its_office(people_database: str) -> None:
    async def scene(here: House) -> None:
        office = "198.51.100.7"
        ann = here.browser(address=office)
        await ann.sign_in("ann@windows.example")
        await ann.post("/sign-out")
        guesser = here.browser(address=office)
        for n in range(7):
            await guesser.sign_in("ann@windows.example", f"guess {n}")
        assert (await here.browser(address=office).sign_in("ann@windows.example")).status_code == 429
        assert (await ann.sign_in("ann@windows.example")).status_code == 303
        forger = here.browser(address=office)
        forger.show(ann.cookie("callrouter-device")[:-1] + "x", "callrouter-device")
        assert (await forger.sign_in("ann@windows.example")).status_code == 429
        other = here.browser(address=office)
        other.show(ann.cookie("callrouter-device"), "callrouter-device")
        for n in range(7):
            await other.sign_in("max@windows.example", f"guess {n}")
        assert (await other.sign_in("max@windows.example")).status_code == 429, "it is for one user only"

    living(people_database, scene)


def test_a_form_of_another_site_changes_nothing(people_database: str) -> None:
    async def scene(here: House) -> None:
        browser = await here.signed_in("ann")
        forged = await browser.http.post("/own", data={"name": "Mallory", "locale": "en"})
        assert forged.status_code == 403
        forged = await browser.http.post("/own", data={"name": "Mallory", "form_key": "x" * 32})
        assert forged.status_code == 403
        elsewhere = {"sec-fetch-site": "cross-site"}
        cross = await browser.http.post("/own", data={"name": "Mallory", "form_key": browser.key}, headers=elsewhere)
        assert cross.status_code == 403
        body = {"name": "t", "scopes": ["appeals:read"]}
        for headers in ({"x-form-key": ""}, {"x-form-key": "x" * 32}, {"sec-fetch-site": "same-site"}):
            assert (await browser.api("POST", "/tokens", body, **headers)).status_code == 403
        assert await here.postgres.fetchval("SELECT count(*) FROM tokens") == 0
        assert await here.postgres.fetchval("SELECT name FROM users WHERE email LIKE 'ann%'") == ""
        assert (await browser.api("POST", "/tokens", body)).status_code == 201
        stranger = here.browser()
        assert (
            await stranger.http.post("/sign-in", data={"email": "ann@windows.example", "password": PASSWORD})
        ).status_code == 403

    living(people_database, scene)


def test_cookies_are_bound_to_the_host_and_to_tls_but_on_loopback(people_database: str) -> None:
    async def scene(here: House) -> None:
        outside = here.browser(base="https://calls.example")
        answer = await outside.sign_in("ann@windows.example")
        [session] = [c for c in answer.headers.get_list("set-cookie") if c.startswith("__Host-callrouter=")]
        for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
            assert part in session
        assert "Domain" not in session
        assert await is_in(outside)
        plain = here.browser(base="http://calls.example")
        answer = await plain.sign_in("ann@windows.example")
        assert answer.status_code == 403
        assert "https://" in answer.text
        local = here.browser(base="http://127.0.0.1:8080")
        answer = await local.sign_in("ann@windows.example")
        assert "Secure" not in "".join(answer.headers.get_list("set-cookie"))
        renamed = here.browser(base="https://calls.example")
        renamed.show(outside.cookie("__Host-callrouter"))
        assert not await is_in(renamed), "a cookie that a neighbouring host may have set"

    living(people_database, scene)


def test_a_cookie_is_renewed_by_age_and_a_copy_of_the_old_one_ends_the_session(people_database: str) -> None:
    async def scene(here: House) -> None:
        browser = await here.signed_in("ann")
        old = browser.cookie()
        assert await is_in(browser)
        assert browser.cookie() == old
        await here.postgres.execute("UPDATE browser_sessions SET renewed_at = now() - interval '2 hours'")
        lost = here.browser()
        lost.show(old)
        assert await is_in(lost)
        fresh = lost.cookie()
        assert fresh != old, "renewed, but this answer is lost: the browser goes on with the old one"
        assert await is_in(browser)
        browser.show(fresh)
        assert await is_in(browser)
        late = here.browser()
        late.show(old)
        assert await is_in(late), "requests under way are answered"
        await here.postgres.execute("UPDATE browser_sessions SET confirmed_at = now() - interval '5 minutes'")
        late.show(old)
        assert not await is_in(late)
        assert not await is_in(browser), "whoever of the two is the thief"
        assert (await here.actions())[-1] == "session.stolen"

    living(people_database, scene)


def test_a_session_ends_when_nobody_uses_it_and_after_its_time_anyway(people_database: str) -> None:
    async def scene(here: House) -> None:
        browser = await here.signed_in("ann")
        await here.postgres.execute("UPDATE browser_sessions SET seen_at = now() - interval '50 minutes'")
        assert await is_in(browser)
        seen = await here.postgres.fetchval("SELECT now() - seen_at FROM browser_sessions")
        assert seen < timedelta(minutes=1), "it was used"
        await here.postgres.execute("UPDATE browser_sessions SET seen_at = now() - interval '61 minutes'")
        assert not await is_in(browser)
        assert (await browser.api("GET", "/users")).json()["type"] == "/problems/signed-out"
        await here.postgres.execute("UPDATE browser_sessions SET seen_at = now(), expires_at = now() - interval '1 s'")
        assert not await is_in(browser)
        async with here.postgres.acquire() as conn:
            assert await browser_sessions.forget_ended(conn, Lifetime(timedelta(hours=1))) == 1

    living(people_database, scene, signed_in=Lifetime(timedelta(hours=1), timedelta(days=1)))


def test_a_new_sign_in_is_a_new_cookie_and_ends_the_old_one(people_database: str) -> None:
    async def scene(here: House) -> None:
        browser = await here.signed_in("ann")
        old = browser.cookie()
        page = await browser.get("/sign-in")
        assert page.status_code == 303, "he is signed in already"
        browser.show("f" * 43, "callrouter-form")
        browser.key = "f" * 43
        answer = await browser.post("/sign-in", email="dan@doors.example", password=PASSWORD)
        assert answer.status_code == 303
        assert browser.cookie() not in ("", old)
        assert "dan@doors.example" in (await browser.get("/own")).text
        thief = here.browser()
        thief.show(old)
        assert not await is_in(thief)

    living(people_database, scene)


def test_who_is_disabled_or_given_another_password_is_out_at_once(people_database: str) -> None:
    async def scene(here: House) -> None:
        ann, max_, vic = [await here.signed_in(who) for who in ("ann", "max", "vic")]
        await ann.get(f"/settings/users/{here.people['max'].id}")
        answer = await ann.post(f"/settings/users/{here.people['max'].id}", do="disable")
        assert answer.headers["location"] == "/settings/users?note=disabled"
        assert not await is_in(max_)
        assert (await here.browser().sign_in("max@windows.example")).status_code == 422
        answer = await ann.post(f"/settings/users/{here.people['vic'].id}/password")
        given = answer.text.split('<code id="password">')[1].split("<")[0]
        assert not await is_in(vic)
        assert (await here.browser().sign_in("vic@windows.example")).status_code == 422
        back = here.browser()
        assert (await back.sign_in("vic@windows.example", given)).status_code == 303
        assert (await back.get("/own")).headers["location"] == "/own/password", "it is to be changed first"
        assert (await back.api("GET", "/users")).json()["type"] == "/problems/password-to-change"
        await back.get("/own/password")
        for old, new, again, why in (
            (given, "short", "short", "fewer than 10"), ("wrong", "a long new one", "a long new one", "not right"),
            (given, "a long new one", "another one", "differ"), (given, given, given, "the present one"),
            (given, "vic@windows.example", "vic@windows.example", "e-mail or the name"),
            (given, "1234567890", "1234567890", "anybody tries"),
        ):  # fmt: skip
            answer = await back.post("/own/password", old=old, new=new, again=again)
            assert answer.status_code == 422
            assert why in answer.text
        answer = await back.post("/own/password", old=given, new="a long new one", again="a long new one")
        assert answer.headers["location"] == "/own?note=password"
        assert await is_in(back)
        assert (await here.browser().sign_in("vic@windows.example", "a long new one")).status_code == 303

    living(people_database, scene)


def test_a_user_signs_out_his_other_browsers_and_nobody_elses(people_database: str) -> None:
    async def scene(here: House) -> None:
        first, second, other = [await here.signed_in(who) for who in ("ann", "ann", "max")]
        sessions = await here.postgres.fetch("SELECT id FROM browser_sessions ORDER BY id")
        assert (await first.post(f"/own/browsers/{sessions[2]['id']}/end")).status_code == 404
        assert (await first.post(f"/own/browsers/{'9' * 30}/end")).status_code in (400, 404)
        assert await is_in(other)
        assert (await first.post(f"/own/browsers/{sessions[1]['id']}/end")).status_code == 303
        assert not await is_in(second)
        third = await here.signed_in("ann")
        await first.post("/own/browsers/end")
        assert (await is_in(first), await is_in(third), await is_in(other)) == (True, False, True)
        changed = await here.signed_in("ann")
        await first.get("/own/password")
        await first.post("/own/password", old=PASSWORD, new="a long new one", again="a long new one")
        assert (await is_in(first), await is_in(changed)) == (True, False)

    living(people_database, scene)


def test_stored_script_is_shown_as_text(people_database: str) -> None:
    async def scene(here: House) -> None:
        script = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
        browser = await here.signed_in("ann")
        assert (await browser.post("/own", name=script, locale="en")).status_code == 303
        await here.postgres.execute("UPDATE accounts SET name = $1 WHERE id = 2", script)
        await here.postgres.execute("UPDATE browser_sessions SET browser = $1", script)
        made = {f"scope {scope}": "yes" for scope in ("appeals:read",)}
        await browser.post("/settings/tokens", name=script, once="1", **made)
        asked = f"/settings/record?since={script}&before={script}&action={script}"
        settings = (f"/settings/{name}" for name in ("users", "tokens", "record", "account"))
        for path in ("/own", *settings, asked, f"/sign-in?next=/{script}"):
            answer = await browser.get(path)
            assert "<script>alert" not in answer.text
            assert "<img src=x" not in answer.text
        stranger = await here.browser().get(f"/sign-in?next=/{script}&language={script}")
        assert "<script>alert" not in stranger.text

    living(people_database, scene)


def test_errors_are_pages_to_people_and_problem_documents_to_programs(people_database: str) -> None:
    async def scene(here: House) -> None:
        viewer = await here.signed_in("vic")
        answer = await viewer.get("/settings/users")
        assert answer.status_code == 403
        assert "That is not for your role" in answer.text
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        answer = await here.browser().get("/nonsense", **{"accept-language": "ru-RU,ru;q=0.9"})
        assert answer.status_code == 404
        assert "Такой страницы нет" in answer.text
        answer = await here.browser().get("/api/v1/nonsense")
        assert answer.headers["content-type"] == "application/problem+json"
        answer = await viewer.get("/static/nothing.css", accept="*/*")
        assert answer.status_code == 404

    living(people_database, scene)
