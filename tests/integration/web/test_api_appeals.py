"""Chats and e-mails told by programs: once each, of their client and visit, in their own account."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from callrouter.db.connect import connect
from callrouter.web.api.tokens import add_token
from callrouter.web.settings import WebSettings
from tests.integration.web.test_forms import appeals, with_journal
from tests.integration.web.test_visitor_calls import Page, problem, settings, web

__all__ = ["settings"]


async def token(settings: WebSettings, *scopes: Any, account: int = 2) -> dict[str, str]:
    connection = await connect(settings.postgres_url)
    await connection.execute("INSERT INTO accounts (id, name) VALUES (3, 'Двери') ON CONFLICT DO NOTHING")
    made = await add_token(connection, account, "test", scopes or ("appeals:write",))
    await connection.close()
    return {"authorization": f"Bearer {made.secret}"}


async def tell(client: Any, headers: dict[str, str], **told: Any) -> Any:
    key = told.pop("key", None)
    more = {"idempotency-key": key} if key else {}
    return await client.post("/api/v1/appeals", json={"site": 1, "kind": "chat", **told}, headers=headers | more)


def test_a_chat_is_one_appeal_of_its_visit_and_client_however_often_it_is_told(
    settings: WebSettings, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with web(with_journal(settings, tmp_path)) as client:
            headers, visit = await token(settings), (await Page(client).visit()).json()
            chat = {"session": visit["session"], "phone": "8 916 123-45-67", "name": "Анна", "text": "Есть окна?"}
            first, again = [await tell(client, headers, key="chat-1", **chat) for _ in range(2)]
            assert (first.status_code, first.json()["visit"]) == (201, True)
            assert again.json() == first.json()
            letter = {"kind": "email", "email": "Anna@Example.com", "phone": "79161234567", "subject": "=1+1"}
            assert (await tell(client, headers, **letter)).json()["visit"] is False
            by_token = await tell(client, headers, token=visit["token"], text="ещё")
            assert by_token.json()["visit"] is True
            rows = await appeals(settings.postgres_url, 3)
        assert [row["kind"] for row in rows] == ["chat", "email", "chat"]
        assert (rows[0]["source"], rows[0]["session"], rows[0]["visitor"], rows[0]["method"]) == (
            "yandex", visit["session"], visit["visitor"], "page",
        )  # fmt: skip
        assert (rows[0]["customer"], rows[0]["person"], rows[0]["details"]) == (
            "79161234567", "Анна", {"text": "Есть окна?"},
        )  # fmt: skip
        assert (rows[1]["email"], rows[1]["method"], rows[1]["details"]) == (
            "anna@example.com", "unattributed", {"subject": "=1+1"},
        )  # fmt: skip
        assert rows[0]["client_id"] == rows[1]["client_id"] == rows[2]["client_id"]

    asyncio.run(scenario())


def test_a_visit_of_long_ago_is_found_in_the_history(settings: WebSettings, tmp_path: Path) -> None:
    async def scenario() -> None:
        connection = await connect(settings.postgres_url)
        await connection.execute(
            """INSERT INTO visits (account_id, started_at, session, visitor, site_id, seen_at, channel, source, medium)
               VALUES (2, now() - interval '3 days', 'session-of-old', 'v-of-old', 1, now() - interval '3 days',
                       'organic search', 'google', 'organic'),
                      (3, now(), 'session-of-others', 'v-of-others', 3, now(), 'direct', '(direct)', '(none)')"""
        )
        await connection.close()
        async with web(with_journal(settings, tmp_path)) as client:
            headers = await token(settings)
            assert (await tell(client, headers, session="session-of-old")).json()["visit"] is True
            problem(await tell(client, headers, session="session-of-others"), 422, "nobody")
            rows = await appeals(settings.postgres_url, 1)
        assert [(row["source"], row["visitor"]) for row in rows] == [("google", "v-of-old")]

    asyncio.run(scenario())


def test_only_a_token_that_may_write_appeals_of_this_site_may(settings: WebSettings, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with web(with_journal(settings, tmp_path)) as client:
            problem(await tell(client, {}, phone="79161234567"), 401, "no-token")
            problem(
                await tell(client, await token(settings, "appeals:read"), phone="79161234567"), 403, "missing-scope"
            )
            problem(await tell(client, await token(settings, account=3), phone="79161234567"), 404, "unknown-site")
            operator = await token(settings, account=1)
            assert (await tell(client, operator, phone="79161234567")).status_code == 201
            problem(await tell(client, operator, site=99, phone="79161234567"), 404, "unknown-site")
            (row,) = await appeals(settings.postgres_url, 1)
            assert (row["account_id"], row["site_id"]) == (2, 1)
        async with web(settings) as client:
            problem(await tell(client, operator, phone="79161234567"), 503, "no-journal")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("told", "status", "kind"),
    [
        ({}, 422, "nobody"),
        ({"visitor": "x"}, 422, "nobody"),
        ({"phone": "12"}, 422, "bad-phone"),
        ({"token": "forged", "session": "{a}"}, 422, "nobody"),
        ({"phone": "79161234567", "at": "yesterday"}, 400, "bad-time"),
        ({"phone": "79161234567", "at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}, 400, "bad-time"),
        ({"phone": "79161234567", "at": "2001-01-01T00:00:00Z"}, 400, "bad-time"),
        ({"phone": "79161234567", "kind": "call"}, 400, "blank"),
        ({"phone": "79161234567", "site": "x"}, 400, "blank"),
        ({"phone": "79161234567", "unknown": 1}, 400, "blank"),
        ({"phone": "79161234567", "text": "x" * 10_001}, 400, "blank"),
        ({"phone": "79161234567", "text": "x" * 70_000}, 413, "blank"),
        ({"phone": "79161234567", "name": ["x"]}, 400, "blank"),
        ({"phone": "79161234567", "key": "k" * 300}, 400, "blank"),
    ],
)
def test_what_does_not_fit_is_refused(
    settings: WebSettings, tmp_path: Path, told: dict[str, Any], status: int, kind: str
) -> None:
    async def scenario() -> None:
        async with web(with_journal(settings, tmp_path)) as client:
            problem(await tell(client, await token(settings), **told), status, kind)

    asyncio.run(scenario())


def test_hostile_text_is_kept_as_text(settings: WebSettings, tmp_path: Path) -> None:
    async def scenario() -> None:
        hostile = "<script>\x00'; DROP TABLE appeals;-- \u202e😀 =cmd|'/c'!A1"
        async with web(with_journal(settings, tmp_path)) as client:
            told = await tell(client, await token(settings), email=hostile, name=hostile, text=hostile, page=hostile)
            assert told.status_code == 201, told.text
            (row,) = await appeals(settings.postgres_url, 1)
        assert row["details"]["text"] == hostile.replace("\x00", "\ufffd")

    asyncio.run(scenario())


def test_the_description_tells_of_it(settings: WebSettings) -> None:
    async def scenario() -> None:
        async with web(settings) as client:
            described = msgspec.json.decode((await client.get("/api/v1/openapi.json")).content)
        told = described["paths"]["/api/v1/appeals"]["post"]
        assert {"201", "401", "403", "422", "503"} <= set(told["responses"])
        assert "Idempotency-Key" in {each["name"] for each in told["parameters"]}

    asyncio.run(scenario())


def test_a_body_that_is_no_text_or_nested_without_end_is_refused(settings: WebSettings, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with web(with_journal(settings, tmp_path)) as client:
            for headers in (await token(settings), {}):
                for body in (b'{"site": 1, "kind": "\xff"}', b"[" * 60_000, b'{"site": 1, "text": "\xed\xa0\xbd"}'):
                    answer = await client.post("/api/v1/appeals", content=body, headers=headers)
                    assert (answer.status_code, answer.json()["type"]) == (400, "about:blank")

    asyncio.run(scenario())


def test_a_chat_told_again_days_later_is_still_one_appeal(settings: WebSettings, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with web(with_journal(settings, tmp_path)) as client:
            headers = await token(settings)
            of_old = (datetime.now(UTC) - timedelta(days=20)).isoformat()
            for key, at in (("one", of_old), ("one", ""), ("other", "")):
                assert (await tell(client, headers, key=key, at=at, phone="79161234567")).status_code == 201
            rows = await appeals(settings.postgres_url, 2)
        assert [row["started_at"].isoformat() for row in rows[:1]] == [of_old]
        assert len(rows) == 2, "the same key, and another"

    asyncio.run(scenario())
