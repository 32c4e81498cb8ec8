"""Orders to be called back, over HTTP: taken once, with their visit; and strangers who would have others called."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from litestar.testing import AsyncTestClient

from callrouter.appeals.orders import claim, miss_stale
from callrouter.db.connect import connect
from callrouter.web.app import create_app
from callrouter.web.settings import WebSettings
from tests.integration.web.test_forms import appeals, with_journal
from tests.integration.web.test_visitor_calls import ORIGIN, LaterClock, Page, behind_a_proxy, problem, settings, web

__all__ = ["settings"]

ON = {"enabled": True, "route": "sales", "per_visitor": 3, "per_site": 6}
CLIENT = "+7 916 123-45-67"
_others = itertools.count(79_161_234_000)


@pytest.fixture
def taking(settings: WebSettings, tmp_path: Path) -> WebSettings:
    asyncio.run(switch(settings, **ON))
    return with_journal(settings, tmp_path)


async def switch(settings: WebSettings, **callback: Any) -> None:
    connection = await connect(settings.postgres_url)
    await connection.execute("UPDATE sites SET callback = $1 WHERE id = 1", callback)
    await connection.close()


async def send(page: Page, phone: str = CLIENT, **said: Any) -> Any:
    return await page.post("/v/1/callback", {"url": f"{ORIGIN}/order", "title": "Заказ", "phone": phone, **said})


async def orders(settings: WebSettings, wanted: int = 0) -> list[asyncpg.Record]:
    await appeals(settings.postgres_url, wanted)
    connection = await connect(settings.postgres_url)
    rows = await connection.fetch("SELECT * FROM callback_orders ORDER BY serial")
    await connection.close()
    return rows


def test_an_order_is_one_appeal_of_its_visit_and_one_order_however_often_it_is_sent(taking: WebSettings) -> None:
    async def scenario() -> None:
        async with web(taking) as client:
            page = Page(client)
            visit = (await page.visit()).json()
            said = {"token": visit["token"], "request": "r1", "name": "Анна", "comment": "Про окна"}
            first, again = await send(page, **said), await send(page, **said)
            assert first.status_code == 200, first.text
            assert first.json() == again.json()
            twice = await send(page, "8 916 123 45 67", request="r2", token=visit["token"])
            assert twice.status_code == 200
            late = datetime.now(UTC) + timedelta(days=2)
            other = (await send(page, "79161234568", at=late.isoformat())).json()
            assert datetime.fromisoformat(other["due"]) == late
            rows, kept = await appeals(taking.postgres_url, 2), await orders(taking, 2)
        assert [(str(row["id"]), row["kind"], row["direction"], row["customer"], row["status"]) for row in rows] == [
            (first.json()["order"], "callback", "outbound", "79161234567", None),
            (other["order"], "callback", "outbound", "79161234568", None),
        ]
        assert (rows[0]["session"], rows[0]["source"], rows[0]["method"], rows[0]["page"], rows[0]["person"]) == (
            visit["session"], "yandex", "page", f"{ORIGIN}/order", "Анна",
        )  # fmt: skip
        assert rows[0]["details"]["comment"] == "Про окна"
        assert [(row["id"], row["phone"], row["state"], row["pbx"]) for row in kept] == [
            (rows[0]["id"], "79161234567", "waiting", ""), (rows[1]["id"], "79161234568", "waiting", ""),
        ]  # fmt: skip
        assert (kept[1]["due_at"], kept[1]["latest_at"]) == (late, late + timedelta(hours=1))

    asyncio.run(scenario())


def test_without_consent_the_order_is_tied_to_nobodys_visit(taking: WebSettings) -> None:
    async def scenario() -> None:
        async with web(taking) as client:
            page = Page(client)
            visit = (await page.visit()).json()
            await send(page, token=visit["token"], consent=False)
            (row,) = await appeals(taking.postgres_url, 1)
            assert (row["session"], row["visitor"], row["method"]) == (None, None, "unattributed")
            assert len(await orders(taking, 1)) == 1

    asyncio.run(scenario())


def test_a_site_that_did_not_ask_for_it_has_nobody_called(settings: WebSettings, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with web(with_journal(settings, tmp_path)) as client:
            problem(await send(Page(client)), 403, "no-callbacks")
        await switch(settings, **{**ON, "ring_s": 100_000})  # what cannot be read is as if nothing were set
        async with web(with_journal(settings, tmp_path)) as client:
            problem(await send(Page(client)), 403, "no-callbacks")
        await switch(settings, **ON)
        async with web(settings) as client:
            problem(await send(Page(client)), 503, "no-journal")
        assert await orders(settings) == []

    asyncio.run(scenario())


def test_hostile_orders_are_refused_by_their_reasons(taking: WebSettings) -> None:
    async def scenario() -> None:
        async with web(taking) as client:
            page = Page(client)
            for phone, kind in (
                ("112", "bad-phone"), ("8 809 505 12 34", "costly-phone"), ("+1 876 555 0123", "foreign-phone"),
                ("79161234567\r\nAction: Command", "bad-phone"), ("\u0000", "bad-phone"), ("😀" * 300, "bad-phone"),
                ("+7 100 000-00-00", "bad-phone"), ("7 495 222-22-22", "own-phone"),
            ):  # fmt: skip
                problem(await send(page, phone), 422, kind)
            problem(await send(page, at="yesterday"), 422, "bad-time")
            problem(await page.post("/v/1/callback", {"url": ORIGIN, "phone": None}), 400, "malformed-body")
            problem(await send(page, url="https://evil.example/"), 403, "foreign-page")
            problem(await send(Page(client, origin="https://evil.example")), 403, "foreign-origin")
            hostile = await send(page, name="\x00<script>", comment="'; DROP TABLE appeals;--\x00", token="forged")
            assert hostile.status_code == 200, hostile.text
            assert len(await orders(taking, 1)) == 1

    asyncio.run(scenario())


def test_a_number_that_is_leased_to_visitors_is_not_called(taking: WebSettings) -> None:
    async def scenario() -> None:
        connection = await connect(taking.postgres_url)
        await connection.execute("INSERT INTO numbers (number, pool_id) VALUES ('74951234567', 1)")
        await connection.close()
        async with web(taking) as client:
            problem(await send(Page(client), "74951234567"), 422, "own-phone")

    asyncio.run(scenario())


def test_one_address_one_number_and_one_site_have_so_many_orders_an_hour(taking: WebSettings) -> None:
    async def scenario() -> None:
        clock = LaterClock()
        async with AsyncTestClient(behind_a_proxy(create_app(taking, clock=clock))) as client:

            async def ordered(phone: str, address: str, **said: Any) -> Any:
                page = Page(client)
                page.headers["x-forwarded-for"] = address
                return await send(page, phone, **said)

            for _ in range(3):
                assert (await ordered(str(next(_others)), "203.0.113.7")).status_code == 200
            problem(await ordered(str(next(_others)), "203.0.113.7"), 429, "callback-limit")
            for place in range(3):
                assert (await ordered(CLIENT, f"203.0.113.{20 + place}", request=f"r{place}")).status_code == 200
            problem(await ordered(CLIENT, "203.0.113.30"), 429, "callback-limit")
            problem(await ordered(str(next(_others)), "203.0.113.31"), 429, "callback-limit")  # the site's share
            clock.shift = timedelta(hours=2, minutes=1)
            assert (await ordered(str(next(_others)), "203.0.113.7")).status_code == 200

    asyncio.run(scenario())


def test_what_slips_through_while_counts_are_away_is_stopped_where_orders_are_kept(taking: WebSettings) -> None:
    async def scenario() -> None:
        away = msgspec.structs.replace(taking, redis_url="redis://127.0.0.1:1/0", redis_timeout_s=0.1)
        async with web(away) as client:
            for _ in range(9):
                assert (await send(Page(client), str(next(_others)))).status_code == 200
            kept, rows = await orders(taking, 9), await appeals(taking.postgres_url, 9)
        assert [row["state"] for row in kept] == ["waiting"] * 6 + ["missed"] * 3
        assert [row["details"].get("outcome") for row in rows] == [None] * 6 + ["too_many"] * 3
        assert {row["lost_reason"] for row in rows[6:]} == {"rejected"}

    asyncio.run(scenario())


def test_orders_that_no_router_takes_up_are_missed_and_seen(taking: WebSettings) -> None:
    async def scenario() -> None:
        connection = await connect(taking.postgres_url)
        async with web(taking) as client:
            await send(Page(client))
            await send(Page(client), "79161234568")
            await orders(taking, 2)
            (begun,) = await claim(connection, "pbx1", "router", timedelta(0), 1)
            assert await claim(connection, "pbx2", "router", timedelta(0), 0) == []
            assert await miss_stale(connection, timedelta(0)) == []
            past = "UPDATE callback_orders SET due_at = due_at - interval '3 h', latest_at = now() - interval '2 h'"
            await connection.execute(past)
            assert sorted(await miss_stale(connection, timedelta(0))) == ["too_late", "unseen"]
            assert await miss_stale(connection, timedelta(0)) == []
            rows = {row["customer"]: row for row in await appeals(taking.postgres_url, 2)}
        assert rows[begun.phone]["details"]["outcome"] == "unseen"
        other = next(row for phone, row in rows.items() if phone != begun.phone)
        assert (other["status"], other["lost_reason"], other["details"]["outcome"]) == ("lost", "failed", "too_late")
        await connection.close()

    asyncio.run(scenario())


def test_two_routers_never_claim_the_same_order(taking: WebSettings) -> None:
    async def scenario() -> None:
        async with web(taking) as client:
            for _ in range(3):
                await send(Page(client), str(next(_others)))
            await orders(taking, 3)
        connections = [await connect(taking.postgres_url) for _ in range(6)]
        lease = timedelta(seconds=30)
        found = await asyncio.gather(*(claim(each, "pbx1", f"r{n}", lease, 2) for n, each in enumerate(connections)))
        serials = [order.serial for claimed in found for order in claimed]
        assert len(serials) == len(set(serials)) == 3
        assert await claim(connections[0], "pbx1", "r9", lease, 9) == []
        for each in connections:
            await each.close()

    asyncio.run(scenario())
