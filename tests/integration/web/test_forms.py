"""What visitors send from pages: an appeal, once, with its visit and client, and without what is nobody's business."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from litestar.testing import AsyncTestClient
from prometheus_client import REGISTRY

from callrouter.appeals.merging import undo_merge
from callrouter.db.connect import connect, open_pool
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.history import History
from callrouter.pool.keys import pool_slot
from callrouter.web.app import create_app
from callrouter.web.settings import WebSettings
from callrouter.web.visitor.guard import Limits
from tests.integration.web.test_visitor_calls import ORIGIN, Page, behind_a_proxy, problem, settings, web

__all__ = ["settings"]

FIELDS = [
    {"name": "your-name", "value": " Анна ", "type": "text"},
    {"name": "tel", "value": "8 (916) 123-45-67", "type": "tel"},
    {"name": "mail", "value": "Anna@Example.com", "type": "email"},
    {"name": "size", "value": "=1+1 <script>alert(1)</script>", "type": "text"},
    {"name": "pwd", "value": "hunter2", "type": "password"},
    {"name": "user_password2", "value": "hunter2", "type": "text"},
    {"name": "csrf_token", "value": "abc", "type": "text"},
    {"name": "n", "value": "4111 1111 1111 1111", "type": "text", "autocomplete": ""},
    {"name": "m", "value": "4111.1111.1111.1111 12/26 123", "type": "text"},
    {"name": "x", "value": "123", "type": "text", "autocomplete": "cc-csc"},
    {"name": "sms_code", "value": "1234", "type": "text"},
    {"name": "PIN", "value": "1234", "type": "text"},
    {"name": "utm", "value": "1", "type": "hidden"},
]


async def appeals(url: str, wanted: int) -> list[asyncpg.Record]:
    connection = await connect(url)
    try:
        for _ in range(500):
            rows = await connection.fetch("SELECT * FROM appeals ORDER BY started_at")
            if len(rows) >= wanted:
                break
            await asyncio.sleep(0.02)
        return rows
    finally:
        await connection.close()


def with_journal(settings: WebSettings, folder: Path) -> WebSettings:
    return msgspec.structs.replace(settings, journal=folder)


async def send(page: Page, **said: Any) -> Any:
    return await page.post("/v/1/form", {"url": f"{ORIGIN}/order", "title": "Заказ", **said})


def test_a_form_is_one_appeal_of_its_visit_and_client(settings: WebSettings, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with web(with_journal(settings, tmp_path)) as client:
            page = Page(client)
            visit = (await page.visit()).json()
            said = {"token": visit["token"], "request": "f1", "form": "order", "fields": FIELDS}
            first, again = await send(page, **said), await send(page, **said)
            assert first.status_code == 200, first.text
            assert first.json() == again.json()
            await send(page, token=visit["token"], request="f2", email="anna@example.com", comment="Когда?")
            rows = await appeals(settings.postgres_url, 2)
        assert len(rows) == 2
        form, second = rows
        assert (form["kind"], form["customer"], form["email"], form["person"]) == (
            "form", "79161234567", "anna@example.com", "Анна",
        )  # fmt: skip
        assert form["details"] == {
            "form": "order",
            "fields": {
                "your-name": "Анна", "tel": "8 (916) 123-45-67", "mail": "Anna@Example.com",
                "size": "=1+1 <script>alert(1)</script>",
            },
        }  # fmt: skip
        assert (form["session"], form["visitor"], form["method"], form["confidence"]) == (
            visit["session"], visit["visitor"], "page", 1.0,
        )  # fmt: skip
        assert (form["source"], form["medium"], form["page"], form["title"]) == (
            "yandex", "cpc", f"{ORIGIN}/order", "Заказ",
        )  # fmt: skip
        assert (form["is_unique"], form["site_id"], form["account_id"]) == (False, 1, 2)
        assert form["client_id"] == second["client_id"]

    asyncio.run(scenario())


def test_a_form_without_consent_is_tied_to_nobodys_visit(settings: WebSettings, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with web(with_journal(settings, tmp_path)) as client:
            page = Page(client)
            visit = (await page.visit()).json()
            await send(page, token=visit["token"], consent=False, phone="+79161234567")
            await send(page, token="forged", phone="12")
            rows = await appeals(settings.postgres_url, 2)
        assert [(row["session"], row["visitor"], row["method"]) for row in rows] == [(None, None, "unattributed")] * 2
        assert rows[1]["details"]["phone"] == "12"

    asyncio.run(scenario())


def test_what_cannot_be_kept_is_refused(settings: WebSettings, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with web(settings) as client:
            problem(await send(Page(client), phone="+79161234567"), 503, "no-journal")
        async with web(with_journal(settings, tmp_path)) as client:
            page = Page(client)
            problem(await send(page), 422, "empty-form")
            problem(await send(page, fields=[FIELDS[4]]), 422, "empty-form")
            problem(await send(page, url="https://evil.example/", phone="1"), 403, "foreign-page")
            problem(await send(page, fields="x"), 400, "malformed-body")
            problem(await send(page, comment="x" * 20000), 413, "large-body")
            hostile = await send(page, fields={"a\u0000": "b\u0000", "😀": "\u202ex"}, phone="8 916 123 45 67")
            assert hostile.status_code == 200
            assert (await appeals(settings.postgres_url, 1))[0]["details"]["fields"]["😀"] == "\u202ex"

    asyncio.run(scenario())


def test_a_form_waits_on_disk_while_postgres_cannot_take_it(settings: WebSettings, tmp_path: Path) -> None:
    async def scenario() -> None:
        connection = await connect(settings.postgres_url)
        async with web(with_journal(settings, tmp_path)) as client:
            await connection.execute("ALTER TABLE appeals RENAME TO away")
            assert (await send(Page(client), phone="+79160000001")).status_code == 200
            assert await asyncio.to_thread(lambda: any(path.stat().st_size for path in tmp_path.glob("0/*.seg")))
            await connection.execute("ALTER TABLE away RENAME TO appeals")
            assert [row["customer"] for row in await appeals(settings.postgres_url, 1)] == ["79160000001"]
        await connection.close()

    asyncio.run(scenario())


def test_ids_of_analytics_that_come_late_reach_the_visit_and_its_appeals(settings: WebSettings, tmp_path: Path) -> None:
    early = {"ga_client_id": "1.2"}
    late: dict[str, Any] = {"ga_client_id": "1.2", "ga_session_id": "77", "ym_client_id": "16", "ym_counter": "4242"}

    async def written(postgres: Any, client: Any) -> Any:
        history = History(client, postgres, lambda: [pool_slot(1)])
        while await history.drain_all():
            pass
        row = await postgres.fetchrow("SELECT * FROM visits")
        assert row is not None
        return row

    async def scenario() -> None:
        postgres, store = await open_pool(settings.postgres_url, size=2), open_client(settings.redis_url)
        async with web(with_journal(settings, tmp_path)) as client:
            page = Page(client)
            token = (await page.visit(human=False, **early)).json()["token"]
            assert (await written(postgres, store))["ga_client_id"] == "1.2"
            assert (await page.alive(token, ga_client_id="x y<>", ym_counter='",\\"')).json()["state"] == "bare"
            assert (await page.alive(token, **late)).json()["state"] == "bare"
            row = await written(postgres, store)
            assert {name: row[name] for name in late} == late
            assert row["number"] is None, "no number was leased for it"
            await page.alive(token, ga_session_id="78")
            assert (await page.visit(token=token, ga_client_id="3.4", again=True)).json()["leased"]
            row = await written(postgres, store)
            assert {name: row[name] for name in late} == late | {"ga_session_id": "78", "ga_client_id": "3.4"}
            await send(page, token=token, phone="+79161234567", ym_counter="4343")
            appeal = (await appeals(settings.postgres_url, 1))[0]
            assert {name: appeal[name] for name in late} == late | {
                "ga_session_id": "78", "ga_client_id": "3.4", "ym_counter": "4343",
            }  # fmt: skip
        await close_client(store)
        await postgres.close()

    asyncio.run(scenario())


async def _clients(connection: asyncpg.Connection[Any]) -> list[tuple[int, str | None, list[str]]]:
    rows = await connection.fetch(
        """SELECT c.id, c.name, array_agg(i.kind || ' ' || i.value ORDER BY i.kind) AS ids FROM clients c
           JOIN client_identities i ON i.account_id = c.account_id AND i.client_id = c.id AND i.kind <> 'visitor'
           GROUP BY c.account_id, c.id ORDER BY c.id"""
    )
    return [tuple(row) for row in rows]


def test_a_form_with_the_phone_of_one_client_and_the_e_mail_of_another_makes_them_one_and_can_be_undone(
    settings: WebSettings, tmp_path: Path
) -> None:
    async def scenario() -> None:
        connection = await connect(settings.postgres_url)
        async with web(with_journal(settings, tmp_path)) as client:
            await send(Page(client), email="anna@example.com", name="Анна")
            await appeals(settings.postgres_url, 1)
            await send(Page(client), phone="+79161234567", name="А. Иванова")
            await appeals(settings.postgres_url, 2)
            apart = await _clients(connection)
            assert len(apart) == 2
            await send(Page(client), phone="+79161234567", email="anna@example.com")
            rows = await appeals(settings.postgres_url, 3)
        older = apart[0][0]
        assert {row["client_id"] for row in rows} == {older}
        assert await _clients(connection) == [(older, "Анна", ["email anna@example.com", "phone 79161234567"])]
        merged = await connection.fetchrow("SELECT * FROM client_merges")
        assert merged is not None
        assert (merged["survivor_id"], merged["merged_id"], merged["kind"]) == (older, apart[1][0], "email")
        assert await undo_merge(connection, 2, merged["id"])
        assert not await undo_merge(connection, 2, merged["id"])
        assert await _clients(connection) == apart
        owners = [row["client_id"] for row in await appeals(settings.postgres_url, 3)]
        assert owners == [older, apart[1][0], apart[1][0]], "an appeal is his whose phone it tells"
        await connection.close()

    asyncio.run(scenario())


def test_a_shared_browser_makes_one_client_of_two_only_without_a_second_phone_or_e_mail(
    settings: WebSettings, tmp_path: Path
) -> None:
    async def scenario() -> None:
        connection = await connect(settings.postgres_url)
        async with web(with_journal(settings, tmp_path)) as client:
            page = Page(client)
            token = (await page.visit()).json()["token"]
            said = ({"email": "anna@example.com"}, {"phone": "+79161234567"}, {"phone": "+79167654321"})
            for count, each in enumerate(said, 1):
                await send(page, token=token, **each)
                rows = await appeals(settings.postgres_url, count)
        anna, also_anna, another = (row["client_id"] for row in rows)
        assert anna == also_anna != another
        assert [ids for _, _, ids in await _clients(connection)] == [
            ["email anna@example.com", "phone 79161234567"], ["phone 79167654321"],
        ]  # fmt: skip
        await connection.close()

    asyncio.run(scenario())


def test_an_hour_has_so_many_forms_of_an_address_and_of_a_site(settings: WebSettings, tmp_path: Path) -> None:
    limits = Limits(forms_per_address=2, forms_per_site=3)

    async def scenario() -> None:
        limited = msgspec.structs.replace(with_journal(settings, tmp_path), limits=limits)
        async with AsyncTestClient(behind_a_proxy(create_app(limited))) as client:

            async def sent(address: str, **said: Any) -> Any:
                page = Page(client)
                page.headers["x-forwarded-for"] = address
                return await send(page, **said)

            problem(await sent("203.0.113.1"), 422, "empty-form")  # which does not count
            taken = [await sent("203.0.113.1", phone="+79161234567") for _ in range(2)]
            assert [answer.status_code for answer in taken] == [200, 200]
            refused = await sent("203.0.113.1", phone="+79161234567")
            problem(refused, 429, "form-address")
            assert int(refused.headers["retry-after"]) > 0
            assert (await sent("203.0.113.2", phone="+79161234567")).status_code == 200
            problem(await sent("203.0.113.3", phone="+79161234567"), 429, "form-site")
            assert REGISTRY.get_sample_value("callrouter_web_refused_total", {"reason": "form-address"})
            assert len(await appeals(settings.postgres_url, 3)) == 3

    asyncio.run(scenario())
