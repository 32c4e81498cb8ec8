"""Saved views and lists of values by API: whose they are, what is refused, and that calls that ring are remembered."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec

from callrouter.journal.live import MOST_CALLS, Feed
from callrouter.journal.news import CallNews, encode_call
from tests.integration.web.journal import START, Journal, an_appeal, play, put, refused


def test_values_are_those_that_appeals_have(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        await put(here.postgres, *(an_appeal(n) for n in range(7)), an_appeal(8, campaign="100%_sure"))
        await put(here.postgres, an_appeal(1, account=3, campaign="theirs"))
        told = await here.told("/appeals/values?field=campaign")
        assert told["items"][0] == {"value": "campaign 0", "appeals": 3}
        assert {each["value"] for each in told["items"]} == {"campaign 0", "campaign 1", "campaign 2", "100%_sure"}
        assert [each["value"] for each in (await here.told("/appeals/values?field=campaign&has=%25_S"))["items"]] == [
            "100%_sure"
        ]
        assert (await here.told("/appeals/values?field=keyword"))["items"] == []
        assert (await here.told("/appeals/values?field=site&limit=1"))["items"] == [{"value": "1", "appeals": 8}]
        assert (await here.told("/appeals/values?field=campaign&until=2026-03-01"))["items"] == []
        refused(await here.ask("/appeals/values?field=talk_s"), 400, "bad-field")
        refused(await here.ask("/appeals/values?field=nonsense"), 400, "bad-field")

    play(valkey_url, database, scene)


def test_a_view_is_saved_once_changed_by_who_saw_it_and_deleted(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        view = {"name": "Летняя", "query": "period=today&campaign.has=лето", "columns": ["who", "hash"], "shared": True}
        made = await here.told("/views", method="POST", body=view, idempotency_key="k1")
        again = await here.told("/views", method="POST", body=view, idempotency_key="k1")
        assert made == again
        assert (made["columns"], made["sort"]) == (["who", "hash"], "")
        assert [each["id"] for each in (await here.told("/views"))["items"]] == [made["id"]]
        assert (await here.told("/views", account=3))["items"] == []
        path = f"/views/{made['id']}"
        tag = (await here.ask(path)).headers["etag"]
        changed = await here.ask(path, method="PATCH", body={"sort": "-talk_s"}, if_match=tag)
        assert changed.json()["sort"] == "-talk_s"
        refused(await here.ask(path, method="PATCH", body={"sort": "talk_s"}, if_match=tag), 412, "changed-meanwhile")
        for wrong in (
            {"name": "ЛЕТНЯЯ"}, {"name": "x", "query": "nonsense=1"}, {"name": "x", "sort": "nonsense"},
            {"name": "x", "columns": ["nonsense"]}, {"name": "  "}, {"name": "x", "query": "a=1&" * 1000},
        ):  # fmt: skip
            refused(await here.ask("/views", method="POST", body={"shared": True} | wrong), 422, "refused")
        refused(await here.ask("/views", method="POST", body={"name": "own"}), 422, "refused")
        refused(await here.ask(path, account=3), 404, "unknown")
        refused(await here.ask(path, account=3, method="DELETE"), 404, "unknown")
        assert (await here.ask(path, method="DELETE")).status_code == 204
        refused(await here.ask(path), 404, "unknown")

    play(valkey_url, database, scene)


def test_what_becomes_of_shared_views_is_recorded(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        async def recorded() -> list[tuple[str, dict[str, Any]]]:
            rows = await here.postgres.fetch(
                "SELECT subject, details FROM audit WHERE account_id = 2 AND action = 'view.change' ORDER BY at, id"
            )
            return [(row["subject"], row["details"]) for row in rows]

        made = await here.told("/views", method="POST", body={"name": "Наше", "query": "q=a", "shared": True})
        path = f"/views/{made['id']}"
        await here.told(path, method="PATCH", body={"query": "q=b"}, if_match="*")
        await here.told(path, method="PATCH", body={"name": "Иначе"}, if_match="*")
        await here.ask(path, method="DELETE")
        names = ["Наше", "Наше", "Иначе", "Иначе"]
        assert await recorded() == list(zip(names, [{"added": True}, {}, {}, {"removed": True}], strict=True))

    play(valkey_url, database, scene)


def test_calls_that_ring_are_remembered_until_they_end_and_no_longer_than_calls_last() -> None:
    async def never() -> Any:
        raise ConnectionRefusedError

    def news(call: int, state: Any = "ringing", hours: int = 0) -> str:
        at = msgspec.convert(f"2026-03-02T{9 + hours:02}:00:00Z", type(START))
        return encode_call(CallNews(state=state, account=2, call=UUID(int=call), at=at))

    async def run() -> None:
        feed = Feed(never)
        for call in (1, 2):
            feed._call(None, 0, "", news(call))
        assert [each.call.int for each in feed.calls_of(2)] == [1, 2]
        assert feed.calls_of(3) == []
        feed._call(None, 0, "", news(1, "ended"))
        assert [each.call.int for each in feed.calls_of(2)] == [2]
        feed._call(None, 0, "", news(3, hours=3))
        assert [each.call.int for each in feed.calls_of(2)] == [3], "an end that was never told"
        for call in range(10, 12 + MOST_CALLS):
            feed._call(None, 0, "", news(call, hours=3))
        assert len(feed.calls_of(2)) == MOST_CALLS

    asyncio.run(run())
