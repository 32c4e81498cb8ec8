"""Reports, deals and costs by the API: each account its own, exact, and no sense refused with the mend."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from callrouter.db.connect import connect
from callrouter.reports.deals import Deal
from callrouter.reports.figures import BY_NAME
from callrouter.web.api import report_examples
from callrouter.web.api.costs import Costs, Rates, Replaced
from callrouter.web.api.deals import Deals
from callrouter.web.api.reports import NumbersReport, PathsReport, PoolsReport, Report
from callrouter.web.settings import WebSettings
from tests.integration.web.test_api_appeals import token
from tests.integration.web.test_visitor_calls import settings, web

__all__ = ["settings"]

SCOPES = ("reports:read", "deals:read", "deals:write", "costs:read", "costs:write")
NOW = datetime.now(UTC)
DEAL = {"revenue": "1 000,25", "opened_at": "2026-03-02", "phone": "8 916 123-45-67", "crm": "x", "crm_id": "1"}


async def an_appeal(settings: WebSettings, account: int = 2) -> None:
    connection = await connect(settings.postgres_url)
    await connection.execute(
        """INSERT INTO appeals (account_id, started_at, id, kind, direction, status, channel, source, medium, is_unique)
           VALUES ($1, $2, gen_random_uuid(), 'call', 'inbound', 'answered', 'paid_search', 'yandex', 'cpc', true)""",
        account, NOW - timedelta(hours=1),
    )  # fmt: skip
    await connection.close()


def test_examples_are_of_the_types_that_are_answered() -> None:
    examples: dict[type, dict[str, Any]] = {
        Report: report_examples.REPORT, NumbersReport: report_examples.NUMBERS, PoolsReport: report_examples.POOLS,
        PathsReport: report_examples.PATHS, Deal: report_examples.DEAL, Deals: report_examples.DEALS,
        Costs: report_examples.COSTS, Replaced: report_examples.REPLACED, Rates: report_examples.RATES,
    }  # fmt: skip
    for kind, example in examples.items():
        assert set(msgspec.to_builtins(msgspec.convert(example, kind))) == set(example)


def test_deals_are_told_changed_and_removed_by_whoever_read_the_last_state(settings: WebSettings) -> None:
    async def scenario() -> None:
        async with web(settings) as client:
            mine, theirs = await token(settings, *SCOPES), await token(settings, *SCOPES, account=3)
            told = [
                await client.post("/api/v1/deals", json=DEAL, headers=mine | {"idempotency-key": "k"}) for _ in "12"
            ]
            assert [each.status_code for each in told] == [201, 201]
            deal = told[0].json()
            assert told[1].json() == deal
            assert (deal["revenue"], deal["currency"], deal["client"] is None) == ("1000.25", "RUB", False)
            path = f"/api/v1/deals/{deal['id']}"
            etag = (await client.get(path, headers=mine)).headers["etag"]
            changed = await client.patch(path, json={"won": True}, headers=mine | {"if-match": etag})
            assert (changed.status_code, changed.json()["won"], changed.json()["revenue"]) == (200, True, "1000.25")
            assert (await client.patch(path, json={"won": False}, headers=mine | {"if-match": etag})).status_code == 412
            for refused in (
                await client.get(path, headers=theirs), await client.delete(path, headers=theirs),
                await client.patch(path, json={"won": False}, headers=theirs),
                await client.get("/api/v1/deals?account=2", headers=theirs),
            ):  # fmt: skip
                assert refused.status_code == 404
            assert [each["id"] for each in (await client.get("/api/v1/deals", headers=mine)).json()["items"]] == [
                deal["id"]
            ]
            assert (await client.get("/api/v1/deals", headers=theirs)).json()["items"] == []
            await client.post("/api/v1/deals", json=DEAL | {"crm_id": "taken"}, headers=mine)
            twice = await client.patch(path, json={"crm_id": "taken"}, headers=mine)
            assert (twice.status_code, "taken" in twice.json()["title"]) == (422, True)
            assert (await client.delete(path, headers=mine)).status_code == 204
            assert (await client.get(path, headers=mine)).status_code == 404

    asyncio.run(scenario())


def test_what_makes_no_sense_is_refused_and_says_all_that_does_not(settings: WebSettings) -> None:
    async def scenario() -> None:
        async with web(settings) as client:
            mine = await token(settings, *SCOPES)
            bad = {
                **DEAL,
                "revenue": "1,234",
                "currency": "roubles"[:3] + "",
                "url": "javascript:alert(1)",
                "email": "x",
            }
            answer = await client.post("/api/v1/deals", json=bad, headers=mine)
            assert answer.status_code == 422
            assert all(word in answer.json()["detail"] for word in ("revenue", "url", "email"))
            for path, status in {
                "reports/none": 404, "reports/channels?nonsense=1": 400, "reports/channels?by=colour": 400,
                "reports/channels?since=2026-03-02&until=2026-03-01": 400, "reports/channels?since=1980-01-01": 400,
                "reports/channels?by=day&by=hour&by=site&by=channel": 400, "reports/channels?model=magic": 400,
                "reports/channels?account=3": 404, "costs?since=x&until=y": 400, "deals?cursor=x": 400,
            }.items():  # fmt: skip
                assert (await client.get(f"/api/v1/{path}", headers=mine)).status_code == status, path
            for data in ({"items": [{"amount": "x"}]}, {"items": [{"amount": "1", "campaign": "\u0000"}]},
                         {"items": [{"amount": "1", "site": 999}]}):  # fmt: skip
                answer = await client.put("/api/v1/costs/2026-03-01?origin=a", json=data, headers=mine)
                assert answer.status_code == 422, data
            less = await token(settings, "deals:read")
            assert (await client.get("/api/v1/reports/channels", headers=less)).status_code == 403

    asyncio.run(scenario())


def test_report_counts_the_accounts_own_with_costs_in_its_currency(settings: WebSettings) -> None:
    async def scenario() -> None:
        async with web(settings) as client:
            mine, theirs = await token(settings, *SCOPES), await token(settings, *SCOPES, account=3)
            await an_appeal(settings)
            for _ in range(2):
                day = NOW.date() - timedelta(days=1)
                told = await client.put(
                    f"/api/v1/costs/{day}?origin=direct", headers=mine,
                    json={"items": [{"amount": "10.10", "currency": "USD", "source": "yandex", "medium": "cpc"}]},
                )  # fmt: skip
                assert told.json() == {"origin": "direct", "day": str(day), "costs": 1}
            await client.put("/api/v1/rates/USD/2026-01-01", json={"rate": "90.5"}, headers=mine)

            async def told_by(path: str, headers: dict[str, str] = mine) -> Any:
                answer = await client.get(f"/api/v1/reports/{path}", headers=headers)
                assert answer.status_code == 200, (path, answer.text)
                return answer.json()

            report = await told_by("channels")
            (row,) = report["rows"]
            assert (row["key"], row["figures"]["calls"]) == ({"channel": "paid_search"}, 1)
            (money,) = row["figures"]["money"]
            assert (money["currency"], money["cost"], money["cost_per_call"]) == ("RUB", "914.05", "914.05")
            assert (await told_by("channels", theirs))["rows"] == []
            for name in BY_NAME:
                assert (await told_by(f"{name}?compare=previous&model=linear"))["total"]["calls"] == 1
            for name in ("numbers", "static", "pools", "paths"):
                assert await told_by(f"{name}?period=7d")
            assert (await told_by("channels?keyword.has=x"))["total"]["calls"] == 0
            assert (await told_by("channels?status=lost"))["total"]["visits"] is None

    asyncio.run(scenario())
