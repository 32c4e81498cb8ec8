"""A page's calls over HTTP, against a real Valkey and Postgres."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import AsyncTestClient

from callrouter.clock import SystemClock
from callrouter.db.connect import connect
from callrouter.lab.ports import free_port
from callrouter.lab.servers import EmbeddedValkey
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.directory_source import read_directory
from callrouter.pool.store import LeaseStore
from callrouter.pool.sweeper import load_pools
from callrouter.web.app import Web, create_app
from callrouter.web.settings import WebSettings
from callrouter.web.visitor.tokens import ExpiredToken, ForgedToken, TokenSigner, VisitToken
from tests.waiting import until

KEY = b"a key of the tests, long enough"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36"
)
ORIGIN = "https://shop.example"
INVENTORY = """
INSERT INTO accounts (id, name) VALUES (2, 'Окна');
INSERT INTO sites (account_id, id, name, domains, own_numbers, display_pattern) VALUES
    (2, 1, 'Окна', '{shop.example}', '{74952222222}', '8 (###) ###-##-##'), (2, 2, 'Без пула', '{}', '{}', ''),
    (2, 3, 'Другой', '{other.example}', '{}', '');
INSERT INTO pools (id, name) VALUES (1, 'Москва');
INSERT INTO site_pools (account_id, site_id, pool_id) VALUES (2, 1, 1);
INSERT INTO numbers (number, pool_id) VALUES ('74950000000', 1), ('74950000001', 1);
"""


class LaterClock(SystemClock):
    """The system's, shifted."""

    def __init__(self) -> None:
        self.shift = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.shift


class Page:
    """A browser's page: sends text/plain with its origin."""

    def __init__(self, client: Any, *, origin: str = ORIGIN, user_agent: str = CHROME) -> None:
        self.client = client
        self.headers = {"content-type": "text/plain", "user-agent": user_agent}
        if origin:
            self.headers["origin"] = origin

    async def visit(self, site: int | str = 1, **said: Any) -> Any:
        return await self.post(f"/v/{site}/visit", {"url": f"{ORIGIN}/?utm_source=yandex&utm_medium=cpc", **said})

    async def alive(self, token: str, site: int = 1, **said: Any) -> Any:
        return await self.post(f"/v/{site}/alive", {"token": token, **said})

    async def post(self, path: str, body: Any) -> Any:
        if isinstance(body, bytes):
            return await self.client.post(path, content=body, headers=self.headers)
        return await self.client.post(path, content=json.dumps(body), headers=self.headers)


@pytest.fixture
def settings(valkey_url: str, database: str) -> WebSettings:
    async def prepare() -> None:
        connection = await connect(database)
        client = open_client(valkey_url)
        await connection.execute(INVENTORY)
        await load_pools(LeaseStore(client), await read_directory(connection))
        await close_client(client)
        await connection.close()

    asyncio.run(prepare())
    return WebSettings(redis_url=valkey_url, postgres_url=database, token_keys=(KEY,))


@contextlib.asynccontextmanager
async def web(settings: WebSettings, clock: LaterClock | None = None) -> AsyncIterator[Any]:
    async with AsyncTestClient(create_app(settings, clock=clock)) as client:
        yield client


def behind_a_proxy(app: Web) -> Web:
    entrance = app.entrance

    async def through(scope: Any, receive: Any, send: Any) -> None:
        scope["client"] = ("127.0.0.1", 1)
        await entrance(scope, receive, send)

    app.entrance = through  # type: ignore[assignment]
    return app


def problem(response: Any, status: int, kind: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"].endswith(kind)


def test_a_page_is_leased_a_number_and_keeps_it(settings: WebSettings) -> None:
    async def scenario() -> None:
        async with web(settings) as client:
            page = Page(client)
            response = await page.visit(request="r1")
            assert response.status_code == 200
            assert response.headers["access-control-allow-origin"] == ORIGIN
            first = response.json()
            assert first["number"] in ("74950000000", "74950000001")
            assert first["display"].startswith("8 (495) 000-00-0")
            assert (first["hold_s"], first["leased"]) == (1800, True)
            assert (await page.visit(request="r1", visitor=first["visitor"])).json()["number"] == first["number"]
            second = (await page.visit(token=first["token"], url=f"{ORIGIN}/two")).json()
            assert (second["session"], second["number"]) == (first["session"], first["number"])
            alive = (await page.alive(second["token"], url=f"{ORIGIN}/three", closed=True)).json()
            assert (alive["state"], alive["number"]) == ("live", first["number"])

    asyncio.run(scenario())


def test_a_page_that_was_left_after_another_was_opened_closes_nothing(settings: WebSettings) -> None:
    async def closed() -> set[str]:
        client = open_client(settings.redis_url)
        found = set(await client.execute_command("KEYS", "*}:shut"))
        await close_client(client)
        return found

    async def scenario() -> None:
        async with web(settings) as client:
            page = Page(client)
            first = (await page.visit(request="one")).json()
            second = (await page.visit(token=first["token"], request="two")).json()
            await page.alive(second["token"], request="one", closed=True)
            assert not await closed(), "the second page is open"
            await page.alive(second["token"], request="two", closed=True)
            assert await closed()

    asyncio.run(scenario())


def test_a_new_campaign_begins_a_new_visit_and_keeps_the_number(settings: WebSettings) -> None:
    async def scenario() -> None:
        async with web(settings) as client:
            page = Page(client)
            first = (await page.visit()).json()
            same = (await page.visit(token=first["token"])).json()
            assert same["session"] == first["session"], "a reload is no new campaign"
            other = (await page.visit(token=first["token"], url=f"{ORIGIN}/?gclid=1")).json()
            assert other["session"] != first["session"]
            assert other["number"] == first["number"]

    asyncio.run(scenario())


def test_bots_and_unseen_pages_get_a_page_but_no_lease(settings: WebSettings) -> None:
    async def scenario() -> None:
        async with web(settings) as client:
            bot = (await Page(client, user_agent="Googlebot/2.1").visit()).json()
            assert (bot["number"], bot["leased"], bot["session"]) == ("74952222222", False, "")
            page = Page(client)
            unseen = (await page.visit(human=False)).json()
            assert (unseen["number"], unseen["leased"]) == ("74952222222", False)
            assert (await page.alive(unseen["token"])).json()["state"] == "bare"
            seen = (await page.visit(token=unseen["token"], again=True)).json()
            assert (seen["leased"], seen["session"]) == (True, unseen["session"])

    asyncio.run(scenario())


def test_an_empty_pool_shows_the_sites_own_number(settings: WebSettings) -> None:
    async def scenario() -> None:
        async with web(settings) as client:
            answers = [(await Page(client).visit()).json() for _ in range(3)]
            assert [answer["leased"] for answer in answers] == [True, True, False]
            assert answers[2]["number"] == "74952222222"
            assert answers[2]["session"]
            bare = (await Page(client, origin="").visit(site=2, url="https://any.example/")).json()
            assert (bare["number"], bare["display"], bare["leased"]) == (None, "", False)

    asyncio.run(scenario())


def test_what_does_not_fit_is_refused_with_a_problem_document(settings: WebSettings) -> None:
    async def scenario() -> None:
        clock = LaterClock()
        async with web(settings, clock) as client:
            page = Page(client)
            problem(await page.visit(site=77), 404, "unknown-site")
            problem(await page.visit(site="abc"), 404, "unknown-site")
            problem(await page.visit(site="9" * 30), 404, "unknown-site")
            problem(await page.visit(site="²"), 404, "unknown-site")
            problem(await Page(client, origin="https://evil.example").visit(), 403, "foreign-origin")
            problem(await Page(client, origin="https://notshop.example").visit(), 403, "foreign-origin")
            problem(await page.visit(url="https://evil.example/"), 403, "foreign-page")
            for body in (b"", b"{", b"[]", b'{"url": 1}', b"\xff\xfe", b'{"url": "\\ud800"}', b"[" * 9000, b"null"):
                problem(await page.post("/v/1/visit", body), 400, "malformed-body")
            problem(await page.post("/v/1/visit", b"x" * 20_000), 413, "large-body")
            for token in ("", "x", "=", "я", "A" * 600, "eyJhbGciOiJub25lIn0"):
                problem(await page.alive(token), 403, "forged-token")
            token = (await page.visit()).json()["token"]
            problem(await page.alive(token[:-2] + "AA"), 403, "forged-token")
            problem(await Page(client, origin="").alive(token, site=3), 403, "forged-token")
            clock.shift = timedelta(days=2)
            problem(await page.alive(token), 410, "expired-token")
            assert (await page.visit(token=token)).status_code == 200
            assert (await client.get("/v/1/visit")).status_code == 405
            assert (await client.get("/nothing")).status_code == 404

    asyncio.run(scenario())


def test_hostile_text_is_kept_as_text(settings: WebSettings) -> None:
    async def scenario() -> None:
        async with web(settings) as client:
            hostile = "\x00<script>'; DROP TABLE visits;--=cmd|'/c'!A1 \u202e🙂" * 20
            said = dict.fromkeys(("title", "referrer", "visitor", "request", "token", "ga_client_id"), hostile)
            response = await Page(client).visit(url=f"{ORIGIN}/?utm_campaign={hostile}", **said)
            assert response.status_code == 200
            assert response.json()["leased"]

    asyncio.run(scenario())


def test_a_dead_lease_store_never_hangs_a_page(settings: WebSettings) -> None:
    async def scenario() -> None:
        dead = WebSettings(redis_url="redis://127.0.0.1:1/0", postgres_url=settings.postgres_url, token_keys=(KEY,))
        async with web(dead) as client:
            page = Page(client)
            for _ in range(3):
                answer = (await page.visit()).json()
                assert (answer["number"], answer["leased"], answer["retry_s"]) == ("74952222222", False, 30)
            token = TokenSigner([KEY]).sign(VisitToken(1, 1, "s1", "ann", int(SystemClock().now().timestamp())))
            assert (await page.alive(token)).json()["state"] == "away"
            assert (await client.get("/health")).status_code == 200
            ready = await client.get("/ready")
            assert (ready.status_code, ready.json()["directory"]) == (503, "ok")

    asyncio.run(scenario())


def test_the_processes_tell_how_they_are(settings: WebSettings) -> None:
    async def scenario() -> None:
        async with web(settings) as client:
            await Page(client).visit()
            assert (await client.get("/ready")).json() == {"status": "ok", "redis": "ok", "directory": "ok"}
            metrics = (await client.get("/metrics")).text
            assert 'callrouter_web_visits_total{outcome="leased"}' in metrics

    asyncio.run(scenario())


def test_tokens_outlive_a_change_of_keys_but_not_their_time() -> None:
    old, new = b"the old key, which is long", b"the new key, which is long"
    now = SystemClock().now()
    token = VisitToken(1, 2, "s1", "ann", int(now.timestamp()))
    signed = TokenSigner([old]).sign(token)
    assert TokenSigner([new, old]).verify(signed, now) == token
    with pytest.raises(ForgedToken):
        TokenSigner([new]).verify(signed, now)
    with pytest.raises(ExpiredToken):
        TokenSigner([old]).verify(signed, now + timedelta(days=2))
    with pytest.raises(ValueError, match="at least"):
        TokenSigner([b"short"])


SERVE = """
import msgspec, sys
from callrouter.web.settings import WebSettings
from callrouter.web.serve import serve

if __name__ == "__main__":
    settings = WebSettings(redis_url=sys.argv[1], postgres_url=sys.argv[2], token_keys=(sys.argv[3].encode(),))
    serve(settings, port=int(sys.argv[4]), workers=2)
"""


@pytest.fixture
def served(settings: WebSettings, tmp_path: Path) -> Iterator[str]:
    """The web in two processes of granian; the URL."""
    program, port = tmp_path / "serve.py", free_port()
    program.write_text(SERVE)
    words = [sys.executable, str(program), settings.redis_url, settings.postgres_url, KEY.decode(), str(port)]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=dict(os.environ))
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


async def ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/ready")).status_code == 200
    except httpx.TransportError:
        return False


async def heard(page: Page, token: str) -> dict[str, Any]:
    """A sign of life that reaches the store; on a busy machine it may seem away for a moment."""
    async with asyncio.timeout(20):
        while True:
            alive: dict[str, Any] = (await page.alive(token)).json()
            if alive["state"] != "away":
                return alive
            await asyncio.sleep(0.2)


def test_two_processes_serve_one_visit(served: str) -> None:
    async def scenario() -> None:
        async with httpx.AsyncClient(base_url=served) as client:
            await until(lambda: ready(client), seconds=60)
            first = (await Page(client).visit()).json()
            assert first["leased"]
        numbers = set()
        for _ in range(8):  # a connection each, so that both processes are met
            async with httpx.AsyncClient(base_url=served) as client:
                alive = await heard(Page(client), first["token"])
                numbers.add((alive["state"], alive["number"]))
                told = (await client.get("/metrics")).text
        assert numbers == {("live", first["number"])}
        assert 'callrouter_web_alive_total{outcome="live"} 8.0' in told

    asyncio.run(scenario())


def test_a_hung_lease_store_delays_a_page_by_a_moment_only(
    settings: WebSettings, valkey_server: EmbeddedValkey
) -> None:
    async def scenario() -> None:
        async with web(settings) as client:
            page = Page(client)
            first = (await page.visit()).json()
            with valkey_server.client() as admin:
                pid = int(admin.info("server")["process_id"])
            os.kill(pid, signal.SIGSTOP)
            try:
                began = asyncio.get_running_loop().time()
                for _ in range(5):
                    assert (await page.visit()).json()["number"] == "74952222222"
                assert asyncio.get_running_loop().time() - began < 1.5
            finally:
                os.kill(pid, signal.SIGCONT)
            for _ in range(200):
                again = (await page.visit(token=first["token"])).json()
                if again["leased"]:
                    break
                await asyncio.sleep(0.02)
            assert (again["number"], again["session"]) == (first["number"], first["session"])

    asyncio.run(scenario())
