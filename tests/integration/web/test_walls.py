"""Every route, of the description and of the pages, tried with another company's ids: nothing is told, nothing is
changed. A new route that is not tried fails a test."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import asyncpg
from litestar.routes import HTTPRoute

from callrouter.db.connect import Pool, scoped
from tests.integration.web.journal import START, Journal, an_appeal, play, put, put_visit
from tests.integration.web.people import House, living

SECRET = "чужая тайна"
PHONE = "79990001122"
THEIRS: dict[str, Any] = {
    "appeal": an_appeal(1, account=3).id, "client": 77, "merge": 1, "session": "their-session", "number": "74959990000",
    "site": 3, "user": 1, "token": 3, "account": 3, "deal": 1, "pool": 1, "binding": 1, "view": 1,
    "schedule": 1, "cost": 1, "saved": 1, "upload": "00000000-0000-4000-8000-000000000003",
    "currency": "USD", "day": "2026-03-02", "name": "channels",
}  # fmt: skip
OPENED = {"opened_at": "2026-03-02", "revenue": "1"}
BODIES: dict[str, Any] = {
    "/accounts": {"name": "ours now"}, "/accounts/{account}": {"currency": "EUR"},
    "/appeals": {"site": 3, "kind": "chat", "phone": PHONE, "text": "x"},
    "/appeals/{appeal}": {"spam": True, "comment": "ours now"},
    "/clients/{client}": {"note": "ours now"}, "/clients/{client}/merge": {"other": 78},
    "/clients/{client}/split": {"identities": [{"kind": "phone", "value": PHONE}]},
    "/costs/{day}": {"items": [{"amount": "1", "site": 3}]}, "/rates/{currency}/{day}": {"rate": "1"},
    "/deals": OPENED | {"client": 77}, "/deals/{deal}": {"title": "ours now"},
    "/numbers": {"pool": SECRET, "numbers": [{"number": "74959990000"}]},
    "/numbers/changes": {"numbers": ["74959990000"], "disabled": True}, "/pools": {"name": "ours now"},
    "/schedules": {
        "name": "ours now", "report": "channels", "period": "yesterday", "format": "csv", "every": "day", "at": "09:00",
        "site": 3, "recipients": ["dan@doors.example"],
    },
    "/schedules/{schedule}": {"name": "ours now", "enabled": False},
    "/sites": {"domains": ["theirs.example"], "own_numbers": ["74959990000"]}, "/sites/{site}": {"name": "ours now"},
    "/static-bindings": {"number": "74959990000", "site": "Двери", "channel": "x", "account": "Двери"},
    "/static-bindings/{binding}": {"until": "2026-03-03T00:00:00Z"},
    "/tokens": {"name": "ours now", "scopes": ["appeals:read"], "account": 3},
    "/users": {"email": "new@doors.example", "role": "viewer", "account": 3},
    "/users/{user}": {"disabled": True}, "/users/{user}/password": {},
    "/views": {"name": "ours now", "shared": True}, "/views/{view}": {"name": "ours now", "shared": True},
}  # fmt: skip
"""So that each write would be done, were it nobody else's."""
QUERIES = {"/costs/{day}": "origin=x", "/leases": "number=74959990000", "/appeals/values": "field=campaign"}
NOTHING_TO_SAY = frozenset({"/clients/{client}/merges/{merge}/undo", "/schedules/{schedule}/send"})
WALLED = """
SELECT c.relname::text AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'account_id'
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace ORDER BY 1"""


async def state_of(postgres: Pool) -> dict[str, str]:
    """All that account 3 has, table by table: whichever tables there are."""
    found = {}
    for row in await postgres.fetch(WALLED):
        name = row["name"]
        found[name] = await postgres.fetchval(
            f"SELECT coalesce(md5(string_agg(t::text, '' ORDER BY t::text)), '') FROM {name} t WHERE account_id = 3"
        )
    return found


async def their_things(postgres: Pool) -> None:
    """Of account 3, with secrets in all that is text."""
    said = dict.fromkeys(
        ("person", "campaign", "keyword", "title", "page", "final_group", "employee", "location"), SECRET
    )
    for number, client in ((1, 77), (2, 78)):
        await put(postgres, an_appeal(number, account=3, client_id=client, customer=PHONE, email=SECRET, **said))
    await put_visit(postgres, "their-session", "their-visitor", START, account=3, title=SECRET, campaign=SECRET)
    for statement in THINGS.split(";"):
        await postgres.execute(statement.replace("'SECRET'", f"'{SECRET}'").replace("'PHONE'", f"'{PHONE}'"))


THINGS = """
INSERT INTO client_identities VALUES (3, 'visitor', 'their-visitor', 77, '2026-03-02', '2026-03-02');
INSERT INTO appeal_notes (account_id, appeal_id, comment, tags)
    SELECT 3, id, 'SECRET', ARRAY['SECRET'] FROM appeals WHERE account_id = 3 AND client_id = 77;
INSERT INTO deals (account_id, client_id, title, currency, opened_at) VALUES (3, 77, 'SECRET', 'RUB', '2026-03-02');
INSERT INTO costs (account_id, day, campaign, amount, currency, imported_from)
    VALUES (3, '2026-03-02', 'SECRET', 1, 'RUB', 'SECRET');
INSERT INTO views (account_id, name, shared, query) VALUES (3, 'SECRET', true, 'SECRET');
INSERT INTO scheduled_reports
    (account_id, name, report, model, period, format, every, minute, locale, recipients)
    VALUES (3, 'SECRET', 'channels', 'last', 'yesterday', 'csv', 'day', 540, 'ru', ARRAY['SECRET']);
INSERT INTO client_merges (account_id, survivor_id, merged_id, kind, value) VALUES (3, 77, 79, 'phone', 'PHONE');
INSERT INTO pools (account_id, name) VALUES (3, 'SECRET');
INSERT INTO numbers (account_id, number, pool_id, note) SELECT 3, '74959990000', max(id), 'SECRET' FROM pools;
INSERT INTO static_bindings (account_id, site_id, number, channel) VALUES (3, 3, '74959990000', 'SECRET');
INSERT INTO uploads (account_id, id, user_id, kind, name, content)
    VALUES (3, '00000000-0000-4000-8000-000000000003', 5, 'deals', 'SECRET', 'SECRET')"""


def filled(path: str, known: Mapping[str, Any] = THEIRS) -> str:
    for name, value in {**THEIRS, **known}.items():
        path = path.replace(f"{{{name}}}", str(value))
    return path


def test_no_route_tells_or_changes_anything_of_another_account(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        await their_things(here.postgres)
        await here.postgres.execute("ALTER TABLE sites ALTER COLUMN id RESTART WITH 50")
        await here.postgres.execute(
            "INSERT INTO users (account_id, email, name, role) VALUES (3, 'dan@doors.example', $1, 'admin')", SECRET
        )
        paths = (await here.told("/openapi.json"))["paths"]
        tried = []
        before = await state_of(here.postgres)
        assert {"appeals", "deals", "users", "tokens", "static_bindings", "scheduled_reports", "audit"} <= set(before)
        for path, methods in paths.items():
            if not path.startswith("/api/v1/") or path.endswith("/live"):
                continue
            own = path.removeprefix("/api/v1")
            asked = f"{filled(own)}?{QUERIES.get(own, '')}"
            assert "{" not in asked, f"give {own} an id of another account's in THEIRS"
            for method in sorted({"get", "post", "put", "patch", "delete"} & set(methods)):
                takes = {each["name"] for each in methods[method].get("parameters", [])}
                for query in ("", "&account=3") if "account" in takes else ("",):
                    body = None if method in {"get", "delete"} else BODIES.get(own)
                    answer = await here.ask(asked + query, method=method.upper(), body=body, if_match="*")
                    case = method, path, answer.status_code, answer.text
                    assert answer.status_code != 400, f"what is asked fits, in BODIES and QUERIES: {case}"
                    described = methods[method]["responses"]
                    assert {str(answer.status_code), "401", "403", "404", "429", "503"} <= set(described), case
                    assert body is not None or method in {"get", "delete"} or own in NOTHING_TO_SAY, case
                    assert answer.status_code >= 400 or not query, case
                    for secret in (SECRET, PHONE, "their-session", "their-visitor"):
                        if secret not in asked:
                            assert secret not in answer.text, case
                    tried.append((method, own))
        assert await state_of(here.postgres) == before
        assert {("get", "/appeals"), ("patch", "/appeals/{appeal}"), ("delete", "/clients/{client}"),
                ("post", "/clients/{client}/merge"), ("get", "/visits/{session}")} <= set(tried)  # fmt: skip

    play(valkey_url, database, scene)


def test_an_account_that_is_not_there_is_no_fault_of_ours(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        for table in ("accounts", "sites"):
            await here.postgres.execute(f"ALTER TABLE {table} ALTER COLUMN id RESTART WITH 50")
        paths = (await here.told("/openapi.json"))["paths"]
        for path, methods in paths.items():
            own = path.removeprefix("/api/v1")
            if not path.startswith("/api/v1/") or path.endswith("/live"):
                continue
            for method in sorted({"get", "post", "put", "patch", "delete"} & set(methods)):
                body = BODIES.get(own) if method not in {"get", "delete"} else None
                nowhere = body | {"account": 4711} if body and "account" in body else body
                asked = f"{filled(own)}?{QUERIES.get(own, '')}"
                if "account" in {each["name"] for each in methods[method].get("parameters", [])}:
                    asked += "&account=4711"
                answer = await here.ask(asked, account=1, method=method.upper(), body=nowhere, if_match="*")
                assert str(answer.status_code) in methods[method]["responses"], (method, path, answer.text)

    play(valkey_url, database, scene)


def test_a_statement_that_forgets_the_account_finds_and_changes_nothing_of_others(
    valkey_url: str, database: str
) -> None:
    async def scene(here: Journal) -> None:
        await their_things(here.postgres)
        before = await state_of(here.postgres)
        filled = {name for name, state in before.items() if state}
        assert {"appeals", "clients", "costs", "deals", "numbers", "visits", "views", "tokens"} <= filled
        async with scoped(here.postgres, 2) as conn:
            for name in before:
                for statement in (f"SELECT count(*) FROM {name} WHERE account_id = 3", f"DELETE FROM {name}"):
                    with contextlib.suppress(asyncpg.InsufficientPrivilegeError, asyncpg.ForeignKeyViolationError):
                        async with conn.transaction():
                            assert not await conn.fetchval(statement), name
        assert await state_of(here.postgres) == before

    play(valkey_url, database, scene)


FORMS: dict[str, dict[str, str]] = {
    "/clients/{client}/merge": {"other": "78"}, "/clients/{client}/erase": {"confirm": "77"},
    "/clients/{client}/note": {"note": "ours now", "read": ""}, "/clients/{client}/split": {"i.1": f"phone {PHONE}"},
    "/deals/{deal}/link": {"phone": PHONE}, "/appeals/{appeal}/note": {"comment": "ours now", "read": "0"},
    "/settings/pools/{pool}/numbers": {"numbers": "74959990001"},
    "/settings/pools/{pool}/changes": {"number 74959990000": "on", "do": "disable"},
}  # fmt: skip
NOBODYS = frozenset({"/static/{name}"})


def test_no_page_shows_or_changes_anything_of_another_account(database: str) -> None:
    async def scene(here: House) -> None:
        await here.postgres.execute("SELECT ensure_partitions(0, '2026-03-10')")
        await here.postgres.execute(
            "INSERT INTO sites (account_id, id, name, domains) VALUES (3, 3, $1, '{x}')", SECRET
        )
        await their_things(here.postgres)
        dan = await here.signed_in("dan")
        await here.token(3, "appeals:read")
        theirs = {"user": here.people["dan"].id, "token": 1}
        session = str(await here.postgres.fetchval("SELECT id FROM browser_sessions WHERE account_id = 3"))
        ann = await here.signed_in("ann")
        before = await state_of(here.postgres)
        tried = set()
        for route in here.app.routes:
            own = route.path_format
            if not isinstance(route, HTTPRoute) or "{" not in own or own.startswith(("/api/", "/w/", "/v/")):
                continue
            asked = own.replace("{session}", session) if own.startswith("/own/") else filled(own, theirs)
            assert "{" not in asked, f"give {own} an id of another account's in THEIRS"
            for method in sorted({"GET", "POST"} & route.methods if own not in NOBODYS else ()):
                form = FORMS.get(own, {"name": "ours now", "do": "disable", "note": "ours now"})
                answer = await (ann.get(asked) if method == "GET" else ann.post(asked, **form))
                assert answer.status_code < 500, (method, own, answer.text)
                if method == "GET":
                    assert answer.status_code in {403, 404}, (own, answer.status_code)
                for secret in (SECRET, PHONE, "their-visitor"):
                    assert secret not in answer.text, (method, own)
                tried.add((method, own))
        after = await state_of(here.postgres)
        assert {name for name in after if after[name] != before[name]} == set()
        assert {("GET", "/clients/{client}"), ("POST", "/deals/{deal}"), ("POST", "/settings/users/{user}")} <= tried
        assert (await dan.get("/own")).status_code == 200, "nor is anybody signed out"

    living(database, scene)


HOSTILE = (
    "", "\x00", "\ufffd", "'; DROP TABLE appeals;--", "=1+1", "x" * 3000, "-1", "1e999", "nan", "null", "true", "%",
    "9" * 40, "0001-01-01", "9999-12-31T23:59:59-23:59", "2026-02-30", "🙂", "\u202e", "../..", "[]", "7",
    "2026-03-02", "+7 916",
)  # fmt: skip


def test_whatever_is_asked_is_answered_or_refused_as_the_description_says(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        await put(here.postgres, *(an_appeal(n, client_id=7) for n in range(3)))
        chance = random.Random(11)
        paths = (await here.told("/openapi.json"))["paths"]
        lists = (
            "deals",
            "costs",
            "sites",
            "pools",
            "numbers",
            "static-bindings",
            "audit",
            "deals/export",
            "costs/export",
        )
        prefixes = ("/api/v1/appeals", "/api/v1/clients", "/api/v1/visits")
        asked = [
            (path, told["get"]) for path, told in paths.items()
            if (path.startswith(prefixes) or path.removeprefix("/api/v1/") in lists) and "get" in told
            and not path.endswith("/live")
        ]  # fmt: skip
        for _ in range(350):
            path, told = chance.choice(asked)
            names = [each["name"] for each in told.get("parameters", []) if each["in"] == "query"]
            query = [
                (name, chance.choice(HOSTILE)) for name in chance.sample(names, min(len(names), chance.randrange(4)))
            ]
            known = {"appeal": str(an_appeal(1).id), "client": "7", "session": "session-2-1"}
            full = path.removeprefix("/api/v1")
            for name, value in known.items():
                full = full.replace(
                    f"{{{name}}}", value if chance.random() < 0.8 else quote(chance.choice(HOSTILE), "")
                )
            answer = await here.ask(f"{full}?{urlencode(query)}")
            assert str(answer.status_code) in told["responses"], (full, query, answer.text)
            media = answer.headers["content-type"].partition(";")[0]
            assert media in told["responses"][str(answer.status_code)]["content"], (full, query)
            if answer.status_code != 200:
                assert answer.headers["content-type"] == "application/problem+json", (full, query)

    play(valkey_url, database, scene)
