"""Accounts, users, tokens and the record by the API: what each role may, what it never may, and whose rows they are."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest
from argon2 import PasswordHasher

from callrouter.people import passwords
from callrouter.people.accounts import Account
from callrouter.people.audit import Entry
from callrouter.people.roles import SCOPES, SCOPES_OF
from callrouter.people.users import User
from callrouter.web.api import examples
from callrouter.web.api.tokens import Made, Token
from callrouter.web.api.users import AddedUser
from tests.integration.web.people import Browser, House, living

NEW = {"email": "new@windows.example", "role": "viewer"}


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def refused(answer: httpx.Response, status: int, kind: str = "") -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"].endswith(kind)


async def ids(here: House, browser: Browser, path: str) -> list[int]:
    answer = await browser.api("GET", path)
    assert answer.status_code == 200, answer.text
    return sorted(item["id"] for item in answer.json()["items"])


def test_each_account_sees_and_changes_its_own_people_and_tokens_only(people_database: str) -> None:
    async def scene(here: House) -> None:
        ann, dan, op = [await here.signed_in(who) for who in ("ann", "dan", "op")]
        token = (await ann.api("POST", "/tokens", {"name": "CRM", "scopes": ["appeals:read"]})).json()["id"]
        ours = sorted(here.people[who].id for who in ("ann", "max", "vic"))
        assert await ids(here, ann, "/users") == ours
        assert await ids(here, dan, "/users") == [here.people["dan"].id]
        assert await ids(here, op, "/users?account=2") == ours
        assert await ids(here, op, "/users") == sorted(user.id for user in here.people.values())
        assert (await ids(here, dan, "/tokens"), await ids(here, op, "/tokens")) == ([], [token])
        assert (await ids(here, dan, "/accounts"), await ids(here, op, "/accounts")) == ([3], [1, 2, 3])
        max_ = here.people["max"].id
        before = await here.postgres.fetch("SELECT * FROM users WHERE account_id = 2 ORDER BY id")
        for method, path, body in (
            ("GET", "/users?account=2", None), ("GET", "/tokens?account=2", None), ("GET", "/audit?account=2", None),
            ("GET", f"/users/{max_}", None), ("PATCH", f"/users/{max_}", {"disabled": True}),
            ("POST", f"/users/{max_}/password", {}), ("POST", "/users", NEW | {"account": 2}),
            ("POST", "/tokens", {"name": "x", "scopes": ["appeals:read"], "account": 2}),
            ("DELETE", f"/tokens/{token}", None), ("GET", "/accounts/2", None),
            ("PATCH", "/accounts/2", {"currency": "USD"}), ("PATCH", "/accounts/1", {"currency": "USD"}),
        ):  # fmt: skip
            answer = await dan.api(method, path, body)
            refused(answer, 404)
            missing = await dan.api(method, path.replace("=2", "=999").replace("/2", "/999"), body)
            assert "windows" not in answer.text.lower()
            assert missing.status_code in (404, 400)
        assert await here.postgres.fetch("SELECT * FROM users WHERE account_id = 2 ORDER BY id") == before
        assert await here.postgres.fetchval("SELECT revoked_at FROM tokens WHERE id = $1", token) is None
        seen = (await dan.api("GET", "/audit")).text
        assert "windows" not in seen
        assert "sign_in" in seen
        for path in (f"/settings/users/{max_}", "/settings/accounts", "/settings/accounts/2"):
            assert (await dan.get(path)).status_code in (403, 404)
        assert (await dan.post(f"/settings/users/{max_}", do="disable")).status_code == 404
        assert (await dan.post(f"/settings/users/{max_}/password")).status_code == 404
        assert (await dan.post(f"/settings/tokens/{token}/revoke")).status_code == 404
        answer = await dan.post("/settings/users", email="x@windows.example", role="viewer", account="2")
        assert answer.status_code == 404

    living(people_database, scene)


def test_the_operators_people_choose_which_account_they_look_at_and_others_look_at_their_own(
    people_database: str,
) -> None:
    async def scene(here: House) -> None:
        op, dan = await here.signed_in("op"), await here.signed_in("dan")
        assert (await op.post("/looking-at", account="2")).status_code == 303
        page = (await op.get("/settings/accounts")).text
        assert '<meta name="account" content="2">' in page
        assert (await op.post("/looking-at", account="999999")).status_code == 404
        assert (await op.post("/looking-at")).status_code == 303
        assert '<meta name="account"' not in (await op.get("/settings/accounts")).text
        assert (await dan.post("/looking-at", account="2")).status_code == 403
        dan.http.cookies.set("callrouter-account", "2", domain="127.0.0.1")
        assert '<meta name="account"' not in (await dan.get("/own")).text

    living(people_database, scene)


def test_each_route_wants_the_scope_that_the_role_has_or_has_not(people_database: str) -> None:
    async def scene(here: House) -> None:
        routes = (
            ("GET", "/users", None, "users:read"), ("POST", "/users", NEW, "users:write"),
            ("GET", "/tokens", None, "users:read"), ("GET", "/audit", None, "audit:read"),
            ("POST", "/tokens", {"name": "x", "scopes": ["appeals:read"]}, "users:write"),
            ("GET", "/accounts", None, "settings:read"),
            ("PATCH", "/accounts/2", {"currency": "EUR"}, "settings:write"),
            ("POST", "/accounts", {"name": "Roofs"}, "operate"), ("DELETE", "/tokens/999", None, "users:write"),
        )  # fmt: skip
        for who, role in (("vic", "viewer"), ("max", "manager"), ("ann", "admin")):
            browser = await here.signed_in(who)
            for method, path, body, scope in routes:
                answer = await browser.api(method, path, body)
                allowed = scope in SCOPES_OF[role]  # type: ignore[index]
                assert (answer.status_code != 403) == allowed, (who, method, path, answer.text)
        token = await here.token(2, *SCOPES)
        refused(await here.browser().api("POST", "/accounts", {"name": "Roofs"}, **token), 403, "operator-only")
        assert await here.postgres.fetchval("SELECT count(*) FROM accounts") == 3

    living(people_database, scene)


def test_a_token_may_no_more_than_its_maker_may_now(people_database: str) -> None:
    async def scene(here: House) -> None:
        ann, op, robot = await here.signed_in("ann"), await here.signed_in("op"), here.browser()
        made = await ann.api(
            "POST", "/tokens", {"name": "CRM", "scopes": ["users:read", "users:write", "clients:read"]}
        )
        program = {"authorization": f"Bearer {made.json()['secret']}"}
        child = await robot.api("POST", "/tokens", {"name": "its own", "scopes": ["users:read"]}, **program)
        nobodys, whose = await here.token(2, "users:read"), here.people["ann"].id
        programs = program, {"authorization": f"Bearer {child.json()['secret']}"}, nobodys

        async def answers(path: str = "/users") -> list[int]:
            return [(await robot.api("GET", path, **each)).status_code for each in programs]

        assert await answers() == [200, 200, 200]
        await here.postgres.execute("UPDATE users SET role = 'viewer' WHERE id = $1", whose)
        assert await answers() == [403, 403, 200]
        assert (await answers("/clients"))[0] == 200
        listed = (await op.api("GET", "/tokens?account=2")).json()["items"]
        assert sorted((each["scopes"], each["maker"], each["stopped"]) for each in listed if each["maker"]) == [
            ([], "ann@windows.example", False), (["clients:read"], "ann@windows.example", False),
        ]  # fmt: skip
        await here.postgres.execute("UPDATE users SET role = 'admin', disabled_at = now() WHERE id = $1", whose)
        assert await answers() == [401, 401, 200]
        page = (await op.get("/settings/tokens")).text
        assert (page.count("ann@windows.example"), page.count('class="tag bad"')) == (2, 2)
        await here.postgres.execute("UPDATE users SET disabled_at = NULL WHERE id = $1", whose)
        assert await answers() == [200, 200, 200]

    living(people_database, scene)


def test_nobody_gives_more_than_he_has(people_database: str) -> None:
    async def scene(here: House) -> None:
        ann, program = await here.signed_in("ann"), await here.token(2, "users:write", "users:read", "appeals:read")
        robot = here.browser()
        refused(await robot.api("POST", "/tokens", {"name": "x", "scopes": ["deals:write"]}, **program), 403)
        refused(await robot.api("POST", "/users", NEW | {"role": "admin"}, **program), 422, "refused")
        refused(await robot.api("PATCH", f"/users/{here.people['max'].id}", {"role": "admin"}, **program), 422)
        refused(await robot.api("PATCH", f"/users/{here.people['ann'].id}", {"disabled": True}, **program), 422)
        refused(await robot.api("POST", f"/users/{here.people['ann'].id}/password", {}, **program), 422)
        refused(await ann.api("POST", "/users", NEW | {"role": "operator"}), 422)
        refused(await ann.api("PATCH", f"/users/{here.people['ann'].id}", {"role": "viewer"}), 422)
        refused(await ann.api("PATCH", f"/users/{here.people['ann'].id}", {"disabled": True}), 422)
        made = await robot.api("POST", "/tokens", {"name": "x", "scopes": ["appeals:read"]}, **program)
        assert made.status_code == 201
        op = await here.signed_in("op")
        refused(await op.api("POST", "/users", NEW | {"role": "operator", "account": 2}), 422)
        assert (await op.api("POST", "/users", NEW | {"role": "admin", "account": 2})).status_code == 201
        assert (await op.api("POST", "/users", NEW | {"email": "o@o.example", "role": "operator"})).status_code == 201

    living(people_database, scene)


def test_a_write_told_twice_is_done_once_and_tells_no_secret_again(people_database: str) -> None:
    async def scene(here: House) -> None:
        ann, dan = await here.signed_in("ann"), await here.signed_in("dan")
        key = {"idempotency-key": "one"}
        first = (await ann.api("POST", "/users", NEW, **key)).json()
        again = await ann.api("POST", "/users", NEW, **key)
        assert again.status_code == 201
        assert again.json() == {"user": first["user"], "password": None}
        assert len(first["password"]) > 10
        refused(await ann.api("POST", "/users", NEW | {"role": "admin"}, **key), 422, "key-used")
        refused(await ann.api("POST", "/tokens", {"name": "x", "scopes": ["appeals:read"]}, **key), 422, "key-used")
        body = {"name": "CRM", "scopes": ["appeals:read", "appeals:read"]}
        made = (await ann.api("POST", "/tokens", body, **{"idempotency-key": "two"})).json()
        assert made["scopes"] == ["appeals:read"]
        repeated = (await ann.api("POST", "/tokens", body, **{"idempotency-key": "two"})).json()
        assert (repeated["id"], repeated["secret"]) == (made["id"], "")
        assert (await dan.api("POST", "/tokens", body, **{"idempotency-key": "two"})).json()["id"] != made["id"]
        given = f"/users/{here.people['vic'].id}/password"
        drawn, none = [(await ann.api("POST", given, {}, **{"idempotency-key": "three"})).json() for _ in range(2)]
        assert (none["user"], none["password"]) == (drawn["user"], None)
        assert len(drawn["password"]) > 10
        assert (await here.actions()).count("user.password") == 1
        chosen, four = {"password": "correct horse 1"}, {"idempotency-key": "four"}
        told = [(await ann.api("POST", given, chosen, **four)).json() for _ in range(2)]
        assert told[0] == told[1] == {"user": drawn["user"], "password": None}
        refused(await ann.api("POST", given, {"password": "correct horse 2"}, **four), 422, "key-used")
        assert (await here.actions()).count("user.password") == 2
        stored = await here.postgres.fetchval("SELECT string_agg(r::text, ' ') FROM repeated_writes r")
        assert first["password"] not in stored
        assert drawn["password"] not in stored
        assert made["secret"] not in stored
        await ann.get("/settings/tokens")
        form = {"name": "form", "once": "abc", "scope deals:read": "yes"}
        assert "crt_" in (await ann.post("/settings/tokens", **form)).text.split('id="token">')[1]
        assert "sent before" in (await ann.post("/settings/tokens", **form)).text
        assert await here.postgres.fetchval("SELECT count(*) FROM tokens WHERE name = 'form'") == 1
        refused(await ann.api("POST", "/users", NEW | {"email": "dan@doors.example"}), 422, "refused")

    living(people_database, scene)


def test_who_changes_what_another_changed_meanwhile_is_told_and_changes_nothing(people_database: str) -> None:
    async def scene(here: House) -> None:
        ann, op = await here.signed_in("ann"), await here.signed_in("op")
        max_ = f"/users/{here.people['max'].id}"
        read = (await ann.api("GET", max_)).headers["etag"]
        assert (await op.api("PATCH", max_, {"role": "viewer"})).status_code == 200
        refused(await ann.api("PATCH", max_, {"name": "Max"}, **{"if-match": read}), 412, "changed-meanwhile")
        fresh = (await ann.api("GET", max_)).headers["etag"]
        assert (await ann.api("PATCH", max_, {"name": "Max"}, **{"if-match": f'"x", {fresh}'})).status_code == 200
        read = (await ann.api("GET", "/accounts/2")).headers["etag"]
        changed = await ann.api("PATCH", "/accounts/2", {"time_zone": "Asia/Almaty"}, **{"if-match": read})
        assert (changed.status_code, changed.json()["time_zone"], changed.headers["etag"]) != (200, "", read)
        refused(await op.api("PATCH", "/accounts/2", {"currency": "KZT"}, **{"if-match": read}), 412)
        for bad in ({"time_zone": "Mars/Olympus"}, {"currency": "XXZ"}, {"multichannel_touches": 1},
                    {"multichannel_days": 10**12}):  # fmt: skip
            refused(await ann.api("PATCH", "/accounts/2", bad), 422, "refused")
        refused(await ann.api("PATCH", "/accounts/2", {"name": "Doors"}), 400)
        page = (await ann.get(f"/settings{max_}")).text
        was = page.split('name="read" value="')[1].split('"')[0].replace("&#34;", '"')
        await op.api("PATCH", max_, {"role": "manager"})
        answer = await ann.post(f"/settings{max_}", read=was, role="admin", name="Max", locale="en")
        assert (answer.status_code, "Somebody else changed" in answer.text) == (412, True)
        assert await here.postgres.fetchval("SELECT role FROM users WHERE email LIKE 'max%'") == "manager"

    living(people_database, scene)


def test_who_did_what_is_written_and_can_be_asked_for(people_database: str) -> None:
    async def scene(here: House) -> None:
        ann, op = await here.signed_in("ann"), await here.signed_in("op")
        for name in ("a", "b", "c"):
            await ann.api("POST", "/tokens", {"name": name, "scopes": ["appeals:read"]})
        await op.api("PATCH", f"/users/{here.people['max'].id}", {"role": "viewer"})
        told = (await ann.api("GET", "/audit?action=token.add&limit=2")).json()
        assert [item["subject"] for item in told["items"]] == ["c", "b"]
        rest = (
            await ann.api("GET", f"/audit?action=token.add&limit=2&cursor={told['next'].replace('+', '%2B')}")
        ).json()
        assert ([item["subject"] for item in rest["items"]], rest["next"]) == (["a"], None)
        [change] = (await ann.api("GET", "/audit?action=user.change")).json()["items"]
        assert change["user"] == here.people["op"].id
        assert (change["user_name"], change["details"]) == (None, {"role": ["manager", "viewer"]})
        page = (await ann.get("/settings/record?action=user.change")).text
        assert "the operator" in page
        assert "op@operator.example" not in page
        for bad in ("cursor=nonsense", "cursor=~~", "since=yesterday", "limit=0", "user=0"):
            refused(await ann.api("GET", f"/audit?{bad}"), 400)
        for cursor in ("2026-01-01T00:00:00%2B00:00~" + "9" * 30, "x~1"):
            refused(await ann.api("GET", f"/audit?cursor={cursor}"), 400)
        async with here.postgres.acquire() as conn, conn.transaction():
            await conn.execute("SET LOCAL ROLE callrouter_scoped")
            with pytest.raises(Exception, match="permission denied"):
                await conn.execute("DELETE FROM audit")

    living(people_database, scene)


HOSTILE: tuple[Any, ...] = (
    "",
    "\x00",
    "x" * 5000,
    "\u202e",
    "a\nb",
    7,
    None,
    [],
    {},
    True,
    -1,
    10**30,
    "'; DROP TABLE users; --",
)


def test_what_does_not_fit_is_refused_and_no_fault_of_ours(people_database: str) -> None:
    async def scene(here: House) -> None:
        ann, op = await here.signed_in("ann"), await here.signed_in("op")
        max_ = here.people["max"].id
        for value in HOSTILE:
            for method, path, body in (
                ("POST", "/users", NEW | {"email": value}), ("POST", "/users", NEW | {"name": value, "email": "q@q.q"}),
                ("POST", "/users", NEW | {"role": value}),
                ("POST", "/users", NEW | {"password": value, "email": "r@q.q"}),
                ("PATCH", f"/users/{max_}", {"name": value}), ("PATCH", f"/users/{max_}", {"locale": value}),
                ("PATCH", "/accounts/2", {"time_zone": value}), ("PATCH", "/accounts/2", {"multichannel_days": value}),
                ("POST", "/tokens", {"name": value, "scopes": ["appeals:read"]}),
                ("POST", "/tokens", {"name": "x", "scopes": value}), ("POST", "/users", value),
                ("POST", "/tokens", {"name": "x", "scopes": ["appeals:read"], "expires_at": value}),
                ("POST", f"/users/{max_}/password", {"password": value}),
            ):  # fmt: skip
                answer = await ann.api(method, path, body)
                assert answer.status_code < 500, (method, path, body, answer.text)
            assert (await op.api("POST", "/accounts", {"name": value})).status_code < 500
            for path in ("/users/{}", "/tokens/{}", "/accounts/{}", "/users?account={}", "/audit?action={}&user={}"):
                text = str(value).replace("\x00", "%00").replace("\n", "%0A")[:1000]
                assert (await op.api("GET", path.replace("{}", text))).status_code < 500
            form = {
                name: str(value) for name in ("email", "name", "role", "locale", "account", "currency", "time_zone")
            }
            for path in ("/settings/users", "/settings/tokens", "/settings/account", f"/settings/users/{max_}", "/own",
                         "/own/password", "/settings/accounts"):  # fmt: skip
                assert (await op.post(path, **form)).status_code < 500, (path, value)
        assert (
            await op.http.post("/own", content=b"\xff\xfe", headers={"content-type": "text/plain"})
        ).status_code == 403
        multipart = {"content-type": "multipart/form-data; boundary=x"}
        assert (await op.http.post("/own", content=b"--x\r\nnonsense", headers=multipart)).status_code in (400, 403)
        assert (await op.http.post("/own", data={"x": "y" * 400_000})).status_code == 413

    living(people_database, scene)


def test_the_examples_of_the_description_are_what_is_answered() -> None:
    [entry] = msgspec.convert(examples.AUDIT["items"], list[dict[str, Any]])
    described: tuple[tuple[dict[str, Any], type[Any]], ...] = (
        (examples.ACCOUNT, Account), (examples.USER, User), (examples.TOKEN, Token), (examples.MADE_TOKEN, Made),
        (examples.ADDED_USER, AddedUser), (entry, Entry),
    )  # fmt: skip
    for example, kind in described:
        assert set(example) == set(kind.__struct_fields__)
        msgspec.convert(example, kind, strict=False)
