"""Deals and costs in Postgres: whose they are, what they were, and what they are owed to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from callrouter.appeals.merging import merge
from callrouter.appeals.touching import judge_marked
from callrouter.db.connect import Connection
from callrouter.pool.inventory import Refused
from callrouter.reports import costs, deals
from callrouter.reports.deal_import import put, settle, settle_few
from callrouter.reports.deals import Deal, Told
from callrouter.reports.owner import Who
from callrouter.reports.table_file import Table
from tests.integration.publishing import shop

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MOSCOW = ZoneInfo("Europe/Moscow")


@asynccontextmanager
async def connected(database: str) -> AsyncIterator[Connection]:
    async with shop(database) as pool, pool.acquire() as connection:
        yield connection


async def tell(connection: Connection, *, who: Who | None = None, **told: Any) -> Deal:
    facts = {"revenue": Decimal("10.5"), "opened_at": NOON, **told}
    async with connection.transaction():
        return await deals.tell(connection, 7, Told(who=who or Who(), **facts), by="token 1")


def test_deals_are_one_clients_by_whatever_tells_of_him(database: str) -> None:
    async def run() -> None:
        async with connected(database) as connection:
            by_phone = await tell(connection, who=Who(phone="79161234567"))
            by_email = await tell(connection, who=Who(email="a@example.com"))
            assert by_phone.client != by_email.client
            both = await tell(connection, who=Who(phone="79161234567", email="a@example.com", crm_client="C1"))
            assert both.client == by_phone.client
            assert await connection.fetchval("SELECT count(DISTINCT client_id) FROM deals") == 1
            assert (await tell(connection, who=Who(crm_client="C1"))).client == both.client
            assert (await tell(connection)).client is None
            with pytest.raises(Refused, match="no client 999"):
                await tell(connection, who=Who(client=999))

    asyncio.run(run())


def test_deal_is_a_browsers_client_by_the_ids_of_google_and_yandex(database: str) -> None:
    async def run() -> None:
        async with connected(database) as connection:
            await connection.execute(
                """INSERT INTO visits (account_id, started_at, session, visitor, site_id, seen_at, channel, source,
                       medium, ga_client_id) VALUES (7, $1, 's', 'v', 70, $1, 'social', 'vk', '', 'GA1.2')""",
                NOON,
            )
            deal = await tell(connection, ga_client_id="GA1.2", who=Who(phone="79161234567"))
            other = await tell(connection, ga_client_id="GA1.2")
            assert other.client == deal.client
            assert (await tell(connection, ym_client_id="nobody's")).client is None

    asyncio.run(run())


def test_deal_told_again_is_changed_and_its_history_tells_how(database: str) -> None:
    async def run() -> None:
        async with connected(database) as connection:
            first = await tell(connection, crm="bitrix24", crm_id="D1", stage="new")
            again = await tell(
                connection, crm="bitrix24", crm_id="D1", stage="won", won=True, revenue=Decimal("10.5000")
            )
            assert (again.id, again.stage, again.version) == (first.id, "won", 2)
            (entry,) = again.history
            assert entry["changes"] == {"stage": ["new", "won"], "won": [None, True]}
            assert entry["by"] == "token 1"
            assert await tell(connection, crm="bitrix24", crm_id="D1") == again
            assert await connection.fetchval("SELECT count(*) FROM deals") == 1

    asyncio.run(run())


def test_deal_is_owed_to_the_last_appeal_before_it_else_to_the_first_after(database: str) -> None:
    async def run() -> None:
        async with connected(database) as connection:
            deal = await tell(connection, who=Who(phone="79161234567"))

            async def owed() -> str | None:
                while await judge_marked(connection):
                    pass
                return (await deals.deal_numbered(connection, 7, deal.id)).appeal

            assert await owed() is None
            for number, hours in ((3, 5), (2, 2), (1, -1), (4, -9)):
                await connection.execute(
                    "INSERT INTO appeals (account_id, started_at, id, kind, client_id) VALUES (7, $1, $2, 'call', $3)",
                    NOON + hours * HOUR, UUID(int=number), deal.client,
                )  # fmt: skip
                expected = {3: 3, 2: 2, 1: 1, 4: 1}[number]
                assert await owed() == str(UUID(int=expected))
            await connection.execute("DELETE FROM appeals WHERE id = $1", UUID(int=1))
            assert await owed() == str(UUID(int=4))

    asyncio.run(run())


async def imported(connection: Connection, table: Table[Told]) -> None:
    @asynccontextmanager
    async def begin() -> AsyncIterator[Connection]:
        async with connection.transaction():
            yield connection

    settled = await settle(begin, 7, table.rows)
    async with connection.transaction():
        await put(connection, 7, settled, by="import f")


def test_a_client_who_becomes_another_during_an_import_takes_his_deals_along(database: str) -> None:
    async def run() -> None:
        async with connected(database) as connection:
            for phone in ("79160000001", "79160000002"):
                await tell(connection, who=Who(phone=phone))
            table = deals.read_file(
                b"opened_at,revenue,phone,client,crm,crm_id\n2026-03-01,1,+79160000002,,,\n2026-03-01,2,,2,x,1\n"
                b"2026-03-02,3,,,x,1\n", MOSCOW, "RU",
            )  # fmt: skip
            async with connection.transaction():
                settled = await settle_few(connection, 7, table.rows)
            async with connection.transaction():
                await merge(connection, 7, 1, 2, kind="phone", value="79160000002")
            with pytest.raises(Refused, match="line 3: client 2 became another"):
                async with connection.transaction():
                    await put(connection, 7, settled, by="import f")
            async with connection.transaction():
                await put(connection, 7, settled[:1], by="import f")
            rows = await connection.fetch("SELECT client_id FROM deals ORDER BY id")
            assert [row["client_id"] for row in rows] == [1, 1, 1]

    asyncio.run(run())


def test_a_deal_that_a_file_tells_twice_is_added_and_then_changed(database: str) -> None:
    async def run() -> None:
        async with connected(database) as connection:
            rows = "2026-03-01,1,x,1,", "2026-03-01,2,x,1,+79160000001", "2026-03-01,9,,,"
            text = "\n".join(["opened_at,revenue,crm,crm_id,phone", *rows])
            await imported(connection, deals.read_file(text.encode(), MOSCOW, "RU"))
            found = await connection.fetch("SELECT revenue, client_id, linked_by, history FROM deals ORDER BY id")
            assert [(row["revenue"], row["client_id"], row["linked_by"]) for row in found] == [
                (Decimal(2), 1, "phone"), (Decimal(9), None, ""),
            ]  # fmt: skip
            (entry,) = found[0]["history"]
            assert entry["changes"] == {"revenue": ["1", "2"], "client_id": [None, 1]}

    asyncio.run(run())


def test_file_of_deals_is_taken_whole_or_not_at_all(database: str) -> None:
    async def run() -> None:
        async with connected(database) as connection:
            good = "opened_at;revenue;phone;crm;crm_id\n2026-03-01;1 500,25;8 916 123-45-67;x;1\n2026-03-02;7;;x;2\n"
            table = deals.read_file(good.encode(), MOSCOW, "RU")
            for _ in range(2):
                await imported(connection, table)
            assert await connection.fetchval("SELECT sum(revenue) FROM deals") == Decimal("1507.25")
            bad = deals.read_file((good + "2026-03-03;8;;;;\n2026-03-03;9\nx;y\n").encode(), MOSCOW, "RU")
            assert "line 6" in str(bad.faults[-1])
            foreign = deals.read_file(b"opened_at,revenue,client\n2026-03-01,1,\n2026-03-01,1,5\n", MOSCOW, "RU")
            with pytest.raises(Refused, match="line 3: there is no client 5"):
                await imported(connection, foreign)
            assert await connection.fetchval("SELECT count(*) FROM deals") == 2

    asyncio.run(run())


def test_costs_told_again_replace_what_the_same_origin_told_of_the_day(database: str) -> None:
    async def run() -> None:
        async with connected(database) as connection:
            table = costs.read_file(b"day,amount,source,medium\n2026-03-01,5,yandex,cpc\n2026-03-02,7.5,google,cpc\n")
            other = costs.read_file(b"day,amount,site\n2026-03-01,100,70\n")
            for origin, each in (("a", table), ("b", other), ("a", table)):
                async with connection.transaction():
                    await costs.import_costs(connection, 7, origin, each)
            rows = await costs.read_costs(connection, 7, NOON.date() - timedelta(days=90), NOON.date())
            assert [(row.origin, row.amount, row.channel, row.currency) for row in rows] == [
                ("b", "100", "", "RUB"), ("a", "5", "paid_search", "RUB"), ("a", "7.5", "paid_search", "RUB"),
            ]  # fmt: skip
            foreign = costs.read_file(b"day,amount,site\n2026-03-01,100,80\n")
            with pytest.raises(Refused, match="no site 80"):
                await costs.import_costs(connection, 7, "b", foreign)

    asyncio.run(run())
