"""What happens just now is on the watcher's screen at once, and on nobody else's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest

from callrouter.appeals.settings import Settings
from callrouter.appeals.store import write
from callrouter.db.connect import connect, open_pool
from callrouter.journal.live import MOST_WAITING, Feed, Missed, Notice, Watcher
from callrouter.journal.news import CallNews, decode_call, encode_call
from callrouter.numbers import Number
from callrouter.pool.model import Attribution, Resolution
from callrouter.ringing import Ringing
from callrouter.web.api import live as api_live
from tests.integration.web.journal import START, Journal, an_appeal, play, put

SECONDS = 20.0
WITHIN = 1.0
"""What is promised; a stalled machine is given more, in which it may not be the median."""


class Screen:
    """The events that a watcher got."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    async def next(self, *names: str) -> Any:
        """The next event of one of the names."""
        async with asyncio.timeout(SECONDS):
            while True:
                name, data = await self.events.get()
                if name in names:
                    return data


@contextlib.asynccontextmanager
async def watching(here: Journal, query: str = "", account: int = 2) -> AsyncIterator[Screen]:
    """A browser's event source, spoken to as a server speaks to the application."""
    screen, left, text = Screen(), asyncio.Event(), ""
    path = "/api/v1/appeals/live"
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(b"authorization", f"Bearer {here.tokens[account]}".encode())],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        if not scope.get("asked"):
            scope["asked"] = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal text
        if message["type"] == "http.response.start":
            assert message["status"] == 200
            assert dict(message["headers"])[b"content-type"].startswith(b"text/event-stream")
            return
        text += message.get("body", b"").decode()
        if not message.get("more_body"):
            screen.events.put_nowait(("over", None))
        while "\n\n" in text:
            block, _, text = text.partition("\n\n")
            lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "event" in lines:
                screen.events.put_nowait((lines["event"], json.loads(lines["data"])))

    task = asyncio.create_task(here.app(scope, receive, send))
    try:
        await screen.next("hello")
        yield screen
    finally:
        left.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SECONDS):
                await task


def rings(customer: str = "79160000001") -> Resolution:
    who = Attribution(method="holder", confidence=0.9, account=2, site=1, session="s1")
    return Resolution(number=Number("74952232725"), caller=Number(customer), at=START, attribution=who)


def test_appeals_and_ringing_calls_are_on_the_screen_of_their_account_at_once(valkey_url: str, database: str) -> None:
    async def scene(here: Journal) -> None:
        async with watching(here) as ours, watching(here, "channel=direct") as some, watching(here, "", 3) as theirs:
            seconds = []
            for n in range(5):
                began = time.monotonic()
                async with here.postgres.acquire() as conn:
                    await write(conn, [an_appeal(n, client_id=None)], Settings(accounts=frozenset({2})))
                row = await ours.next("appeal")
                seconds.append(time.monotonic() - began)
                assert (row["id"], row["customer"]) == (str(an_appeal(n).id), f"7916000{n:04}")
                assert await some.next("gone", "appeal") == {"id": row["id"]}
            assert sorted(seconds)[2] < WITHIN, seconds
            await here.told(f"/appeals/{an_appeal(1).id}", method="PATCH", body={"tags": ["a"]}, if_match="*")
            assert (await ours.next("appeal"))["tags"] == ["a"]

            ringing = Ringing(here.postgres)
            ringing.start()
            began = time.monotonic()
            ringing.rings("pbx1", "1.1", rings())
            told = await ours.next("ringing")
            assert time.monotonic() - began < WITHIN
            client = await here.postgres.fetchval("SELECT client_id FROM client_identities WHERE value = '79160000001'")
            assert (told["client"], told["call"]["customer"], told["call"]["site"]) == (client, "79160000001", 1)
            ringing.ended("pbx1", "1.1", "1.1", rings(), START)
            over = await ours.next("ended")
            assert over["call"]["call"] == told["call"]["call"]
            await ringing.stop()

            await here.postgres.execute("SELECT pg_notify('callrouter_appeals', '{\"account\": 2, \"ids\": []}')")
            assert await ours.next("missed") == {}
            await here.postgres.execute("SELECT pg_notify('callrouter_appeals', 'nonsense')")
            await here.postgres.execute(
                """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE query LIKE 'LISTEN%ringing%' AND datname = current_database()"""
            )
            assert await ours.next("missed") == {}, "the connection was lost, and is there again"
            await put(here.postgres, an_appeal(1, account=3))
            notice = json.dumps({"account": 3, "ids": [str(an_appeal(1, account=3).id)]})
            await here.postgres.execute("SELECT pg_notify('callrouter_appeals', $1)", notice)
            seen = await theirs.next("appeal", "ringing", "ended")
            assert seen["id"] == str(an_appeal(1, account=3).id), "and nothing of ours before"

    play(valkey_url, database, scene)


def test_a_stream_ends_by_time_however_much_happens(
    valkey_url: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(here: Journal) -> None:
        await put(here.postgres, an_appeal(1))
        notice = json.dumps({"account": 2, "ids": [str(an_appeal(1).id)]})

        async def busy() -> None:
            while True:
                await here.postgres.execute("SELECT pg_notify('callrouter_appeals', $1)", notice)
                await asyncio.sleep(0.02)

        loading = asyncio.create_task(busy())
        soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        async with watching(here, urlencode({"until": soon})) as period:
            await period.next("over")
        monkeypatch.setattr(api_live, "LONGEST_SECONDS", 0.5)
        async with watching(here) as screen:
            await screen.next("appeal")
            await screen.next("over")
        assert not loading.done()
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)

    play(valkey_url, database, scene)


def test_who_missed_something_is_told_anew_which_calls_last() -> None:
    async def never() -> Any:
        await asyncio.Event().wait()

    class Told:
        """A watcher's filters, without a database behind them."""

        account, lasts = 2, 60.0

        async def told(self, news: list[Any]) -> AsyncIterator[bytes]:
            for each in news:
                calls = isinstance(each, CallNews)
                yield api_live.event(each.state if calls else "missed", each.call if calls else None)

    async def run() -> None:
        feed = Feed(never)
        feed._listening.set()

        def tell(call: int, state: Any = "ringing") -> None:
            feed._call(None, 0, "", encode_call(CallNews(state=state, account=2, call=UUID(int=call), at=START)))

        for call in (1, 2):
            tell(call)
        stream = api_live._events(feed, Told())  # type: ignore[arg-type]

        async def told(count: int) -> list[tuple[str, int]]:
            blocks = [(await anext(stream)).decode().split("\n") for _ in range(count)]
            return [(block[0].removeprefix("event: "), block[1].count("0001")) for block in blocks]

        await anext(stream)
        assert await told(3) == [("hello", 0), ("ringing", 1), ("ringing", 0)]
        tell(1, "ended")
        for _ in range(MOST_WAITING + 1):  # which he takes too slowly
            feed._tell(Notice(2, (UUID(int=9),)))
        assert await told(3) == [("hello", 0), ("missed", 0), ("ringing", 0)], "the first does not ring on"
        await feed.stop()

    asyncio.run(run())


def test_who_watches_too_slowly_is_told_that_he_missed_something() -> None:
    watcher = Watcher()
    for _ in range(MOST_WAITING + 1):
        watcher.tell(Notice(2, (UUID(int=1),)))
    assert asyncio.run(watcher.take()) == Missed()


def test_a_feed_without_postgres_stays_and_says_so_when_it_is_back(database: str) -> None:
    async def run() -> None:
        tries = 0

        async def link() -> Any:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise ConnectionRefusedError
            return await connect(database)

        feed = Feed(link)
        with feed.watching(2) as watcher:
            assert len(feed) == 1
            async with asyncio.timeout(SECONDS):
                assert await watcher.take() == Missed()
        assert (tries, len(feed)) == (2, 0)
        await feed.stop()

    asyncio.run(run())


def test_news_of_a_call_go_through_whatever_the_visitor_wrote() -> None:
    hostile = "x\0\ud800'" + "я" * 5000
    news = CallNews(state="ringing", account=2, call=UUID(int=1), at=START, campaign=hostile, keyword=hostile,
                    landing_page=hostile, location=hostile, customer=hostile, source=hostile)  # fmt: skip
    text = encode_call(news)
    assert len(text.encode()) < 8000
    assert decode_call(text).campaign.startswith("x\ufffd?'я")


def test_ringing_calls_cost_nothing_while_postgres_is_away() -> None:
    async def run() -> None:
        postgres = await open_pool("postgresql://x@127.0.0.1:1/x", lazy=True)
        ringing = Ringing(postgres)
        ringing.start()
        began = time.monotonic()
        for n in range(5000):
            ringing.rings("pbx1", str(n), rings())
        assert time.monotonic() - began < SECONDS / 4
        await asyncio.sleep(0)
        await ringing.stop()
        postgres.terminate()

    asyncio.run(run())
