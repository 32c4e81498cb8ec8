"""Every route of the served description, tried with another company's ids: nothing is told, nothing is changed."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import quote, urlencode

from tests.integration.web.journal import START, Journal, an_appeal, play, put, put_visit

SECRET = "чужая тайна"
PHONE = "79990001122"
THEIRS: dict[str, Any] = {
    "appeal": an_appeal(1, account=3).id, "client": 77, "merge": 1, "session": "their-session", "number": "74959990000",
    "site": 3, "user": 1, "token": 3, "account": 3, "deal": 1, "pool": 1, "binding": 1, "view": 1,
    "schedule": 1,
    "currency": "USD", "day": "2026-03-02", "name": "channels",
}  # fmt: skip
BODIES: dict[str, Any] = {
    "/clients/{client}/merge": {"other": 78},
    "/clients/{client}/split": {"identities": [{"kind": "phone", "value": PHONE}]},
    "/appeals/{appeal}": {"spam": True, "comment": "ours now"},
    "/views/{view}": {"name": "ours now", "shared": True},
    "/appeals": {"site": 3, "kind": "chat", "phone": PHONE, "text": "x"},
}  # fmt: skip
STATE = """
SELECT md5(string_agg(t.row, '' ORDER BY t.row)) FROM (
    SELECT to_jsonb(a)::text AS row FROM appeals a WHERE account_id = 3
    UNION ALL SELECT to_jsonb(c)::text FROM clients c WHERE account_id = 3
    UNION ALL SELECT to_jsonb(i)::text FROM client_identities i WHERE account_id = 3
    UNION ALL SELECT to_jsonb(n)::text FROM appeal_notes n WHERE account_id = 3
    UNION ALL SELECT to_jsonb(v)::text FROM visits v WHERE account_id = 3
    UNION ALL SELECT to_jsonb(d)::text FROM deals d WHERE account_id = 3
    UNION ALL SELECT to_jsonb(s)::text FROM sites s WHERE account_id = 3
    UNION ALL SELECT to_jsonb(w)::text FROM views w WHERE account_id = 3
    UNION ALL SELECT to_jsonb(r)::text FROM scheduled_reports r WHERE account_id = 3
    UNION ALL SELECT to_jsonb(u)::text FROM users u WHERE account_id = 3) t"""


async def their_things(here: Journal) -> None:
    """Of account 3, with secrets in all that is text."""
    said = dict.fromkeys(
        ("person", "campaign", "keyword", "title", "page", "final_group", "employee", "location"), SECRET
    )
    for number, client in ((1, 77), (2, 78)):
        await put(here.postgres, an_appeal(number, account=3, client_id=client, customer=PHONE, email=SECRET, **said))
    await put_visit(here.postgres, "their-session", "their-visitor", START, account=3, title=SECRET, campaign=SECRET)
    await here.postgres.execute(
        "INSERT INTO client_identities VALUES (3, 'visitor', 'their-visitor', 77, $1, $1)", START
    )
    await here.postgres.execute(
        "INSERT INTO appeal_notes (account_id, appeal_id, comment, tags) VALUES (3, $1, $2, $3)",
                                THEIRS["appeal"], SECRET, [SECRET])  # fmt: skip
    await here.postgres.execute(
        """INSERT INTO deals (account_id, client_id, title, currency, opened_at) VALUES (3, 77, $1, 'RUB', $2)""",
        SECRET, START,
    )  # fmt: skip
    await here.postgres.execute("INSERT INTO views (account_id, name, shared, query) VALUES (3, $1, true, $1)", SECRET)
    await here.postgres.execute(
        """INSERT INTO scheduled_reports
            (account_id, name, report, model, period, format, every, minute, locale, recipients)
        VALUES (3, $1, 'channels', 'last', 'yesterday', 'csv', 'day', 540, 'ru', ARRAY[$1])""",
        SECRET,
    )
    await here.postgres.execute(
        "INSERT INTO client_merges (account_id, survivor_id, merged_id, kind, value) VALUES (3, 77, 79, 'phone', $1)",
        PHONE,
    )


def filled(path: str) -> str:
    for name, value in THEIRS.items():
        for spelled in (name, f"{name}_id"):
            path = path.replace(f"{{{spelled}}}", str(value))
    return path


def test_no_route_tells_or_changes_anything_of_another_account(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        await their_things(here)
        paths = (await here.told("/openapi.json"))["paths"]
        tried = []
        before = await here.postgres.fetchval(STATE)
        for path, methods in paths.items():
            if not path.startswith("/api/v1/") or path.endswith("/live"):
                continue
            own = path.removeprefix("/api/v1")
            asked = filled(own)
            assert "{" not in asked, f"give {own} an id of another account's in THEIRS"
            for method in sorted({"get", "post", "put", "patch", "delete"} & set(methods)):
                for query in ("", "?account=3"):
                    body = None if method in {"get", "delete"} else BODIES.get(own, {})
                    answer = await here.ask(asked + query, method=method.upper(), body=body, if_match="*")
                    named = "{" in own or query
                    assert answer.status_code < 500, (method, path, answer.text)
                    for secret in (SECRET, PHONE, "their-session", "their-visitor"):
                        if not (named and secret in asked):
                            assert secret not in answer.text, (method, path, answer.text)
                    tried.append((method, own))
        assert await here.postgres.fetchval(STATE) == before
        assert {("get", "/appeals"), ("patch", "/appeals/{appeal}"), ("delete", "/clients/{client}"),
                ("post", "/clients/{client}/merge"), ("get", "/visits/{session}")} <= set(tried)  # fmt: skip

    play(valkey_url, database, scene)


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
        prefixes = ("/api/v1/appeals", "/api/v1/clients", "/api/v1/visits")
        asked = [
            (path, told["get"]) for path, told in paths.items()
            if path.startswith(prefixes) and "get" in told and not path.endswith("/live")
        ]  # fmt: skip
        for _ in range(250):
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
            if answer.status_code != 200:
                assert answer.headers["content-type"] == "application/problem+json", (full, query)

    play(valkey_url, database, scene)
