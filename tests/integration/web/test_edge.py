"""The web's edge, with the real web process: floods, slow senders, replays, and who must not suffer from them."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from callrouter.db.connect import connect
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.directory_source import read_directory
from callrouter.pool.store import LeaseStore
from callrouter.pool.sweeper import load_pools
from callrouter.web.app import create_app
from callrouter.web.settings import WebSettings
from callrouter.web.visitor.guard import Limits
from tests.integration.web.process import web_process
from tests.integration.web.test_visitor_calls import CHROME, KEY, ORIGIN, LaterClock

INVENTORY = """
INSERT INTO accounts (id, name) VALUES (2, 'Окна'), (3, 'Двери');
INSERT INTO sites (account_id, id, name, domains, own_numbers) VALUES
    (2, 1, 'Окна', '{shop.example}', '{74952222222}'), (3, 2, 'Двери', '{doors.example}', '{74953333333}');
INSERT INTO pools (id, name) VALUES (1, 'Москва');
INSERT INTO site_pools (account_id, site_id, pool_id) VALUES (2, 1, 1), (3, 2, 1);
INSERT INTO numbers (number, pool_id) SELECT '7495000' || lpad(n::text, 4, '0'), 1 FROM generate_series(0, 99) n;
"""
NUMBERS = 100
LOST = 8
"""Leases that a stall of the machine may cost: they count although nobody was told of them. As many as are asked
at once."""


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


@pytest.fixture
def port(settings: WebSettings, tmp_path: Path) -> Iterator[int]:
    with web_process(settings, tmp_path) as port:
        yield port


class Crowd:
    """Visitors of one site, each from the address that is asked for."""

    def __init__(self, port: int, site: int = 1, origin: str = ORIGIN) -> None:
        self.url, self.site, self.origin = f"http://127.0.0.1:{port}", site, origin

    async def visit(self, client: httpx.AsyncClient, address: str, **said: Any) -> httpx.Response:
        headers = {"origin": self.origin, "user-agent": CHROME, "x-forwarded-for": address}
        body = json.dumps({"url": f"{self.origin}/", **said})
        return await client.post(f"{self.url}/v/{self.site}/visit", content=body, headers=headers)

    async def leased(self, count: int, address: str = "") -> int:
        """How many of `count` visits got a number; all from one address, or each from its own."""
        async with httpx.AsyncClient(timeout=20) as client:
            line = asyncio.Semaphore(8)

            async def one(n: int) -> bool:
                async with line:
                    deadline = time.monotonic() + 10
                    while True:
                        answer = (await self.visit(client, address or f"198.51.{n // 250}.{n % 250 + 1}")).json()
                        # A crowded machine makes the lease store look away: the page would ask again.
                        if not answer.get("retry_s") or time.monotonic() > deadline:
                            return bool(answer.get("leased"))
                        await asyncio.sleep(0.2)

            return sum(await asyncio.gather(*(one(n) for n in range(count))))


def refused(port: int, reason: str) -> float:
    for line in httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text.splitlines():
        if line.startswith(f'callrouter_web_refused_total{{reason="{reason}"}}'):
            return float(line.split()[-1])
    return 0.0


def test_a_flood_from_one_address_leaves_the_pool_to_others(port: int) -> None:
    async def scenario() -> None:
        shop, doors = Crowd(port), Crowd(port, 2, "https://doors.example")
        assert NUMBERS // 4 - LOST <= await shop.leased(300, "203.0.113.7") <= NUMBERS // 4
        assert await shop.leased(20) == 20, "others get their numbers"
        assert await doors.leased(20) == 20, "another site on the same process and pool, too"
        async with httpx.AsyncClient(timeout=20) as client:
            still = await shop.visit(client, "203.0.113.7")
            assert (still.status_code, still.json()["number"], still.json()["leased"]) == (200, "74952222222", False)

    asyncio.run(scenario())
    assert refused(port, "address-leases") > 200


def test_a_flood_from_one_ipv6_household_counts_as_one(port: int) -> None:
    async def scenario() -> int:
        async with httpx.AsyncClient(timeout=20) as client:
            answers = [await Crowd(port).visit(client, f"2001:db8:1:2::{n:x}") for n in range(1, 60)]
            other = await Crowd(port).visit(client, "2001:db8:1:3::1")
            assert other.json()["leased"]
            return sum(answer.json()["leased"] for answer in answers)

    assert NUMBERS // 4 - LOST <= asyncio.run(scenario()) <= NUMBERS // 4


def test_a_flood_from_many_addresses_on_one_site_leaves_numbers_to_the_others(port: int) -> None:
    async def scenario() -> None:
        assert NUMBERS * 0.8 - LOST <= await Crowd(port).leased(150) <= NUMBERS * 0.8
        assert await Crowd(port, 2, "https://doors.example").leased(10) == 10

    asyncio.run(scenario())
    assert refused(port, "site-leases") > 0


def test_two_processes_and_two_hosts_share_the_count(settings: WebSettings, tmp_path: Path) -> None:
    async def scenario(ports: tuple[int, int]) -> int:
        counts = await asyncio.gather(*(Crowd(port).leased(100, "203.0.113.7") for port in ports))
        return sum(counts)

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with web_process(settings, tmp_path / "a", workers=2) as one, web_process(settings, tmp_path / "b") as other:
        # The first quarter of the allowance is given without asking, by each of the three.
        assert NUMBERS // 4 - LOST <= asyncio.run(scenario((one, other))) <= NUMBERS // 4 + 3 * (NUMBERS // 16)


def test_an_office_behind_one_address_is_not_hindered(port: int) -> None:
    assert asyncio.run(Crowd(port).leased(20, "203.0.113.9")) == 20


def test_a_replayed_request_is_no_second_visitor(port: int) -> None:
    async def scenario() -> set[str]:
        async with httpx.AsyncClient(timeout=20) as client:
            answers = [await Crowd(port).visit(client, "203.0.113.5", request="r-1") for _ in range(50)]
            return {answer.json()["session"] for answer in answers}

    assert len(asyncio.run(scenario())) == 1


def test_requests_beyond_the_rate_are_refused_by_address_and_by_site(settings: WebSettings, tmp_path: Path) -> None:
    limits = Limits(requests_per_address=1, address_burst=2, requests_per_site=4, site_burst=2)

    async def scenario(port: int) -> None:
        async with httpx.AsyncClient(timeout=20) as client:
            mine = [(await Crowd(port).visit(client, "203.0.113.7", human=False)).status_code for _ in range(30)]
            assert mine.count(429) > 10
            assert (await Crowd(port).visit(client, "203.0.113.8", human=False)).status_code == 200
            crowd = [await Crowd(port).visit(client, f"198.51.100.{n}", human=False) for n in range(60)]
            beyond = [answer for answer in crowd if answer.status_code == 429]
            assert len(beyond) > 10
            assert beyond[-1].headers["content-type"] == "application/problem+json"
            assert beyond[-1].headers["retry-after"]
            other = await Crowd(port, 2, "https://doors.example").visit(client, "198.51.100.1", human=False)
            assert other.status_code == 200

    with web_process(msgspec.structs.replace(settings, limits=limits), tmp_path) as port:
        asyncio.run(scenario(port))
        assert refused(port, "address-rate") > 0
        assert refused(port, "site-rate") > 0


def test_a_site_may_have_limits_of_its_own(settings: WebSettings, tmp_path: Path) -> None:
    async def change() -> None:
        connection = await connect(settings.postgres_url)
        await connection.execute("UPDATE sites SET leases_per_address = 3, leases_per_site = 7 WHERE id = 1")
        await connection.close()

    asyncio.run(change())
    with web_process(settings, tmp_path) as port:
        assert asyncio.run(Crowd(port).leased(10, "203.0.113.7")) == 3
        assert asyncio.run(Crowd(port).leased(10)) == 4


def test_slow_and_broken_senders_are_dropped_while_others_are_served(port: int) -> None:
    head = b"POST /v/1/visit HTTP/1.1\r\nHost: x\r\nUser-Agent: x\r\nContent-Length: 900\r\n\r\n{"
    slow = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(40)]
    silent = socket.create_connection(("127.0.0.1", port), 30)
    try:
        for each in slow:
            each.sendall(head)
        slow.pop().close()
        assert asyncio.run(Crowd(port).leased(5)) == 5
        slow[0].settimeout(10)
        assert b" 408 " in slow[0].recv(100)
        assert silent.recv(1) == b"", "closed, for no request came"
    finally:
        for each in (*slow, silent):
            each.close()
    assert refused(port, "slow-body") > 0


def test_nobody_forges_an_address_without_a_trusted_proxy(settings: WebSettings, tmp_path: Path) -> None:
    with web_process(msgspec.structs.replace(settings, trusted_proxies=()), tmp_path) as port:
        assert NUMBERS // 4 - LOST <= asyncio.run(Crowd(port).leased(60)) <= NUMBERS // 4, "all of these are 127.0.0.1"


def test_numbers_that_an_address_goes_on_holding_count_in_the_next_hold_too(settings: WebSettings) -> None:
    """Windows follow the web's clock, leases the store's: no lease ends here."""

    async def scenario() -> None:
        clock, tokens = LaterClock(), dict[str, str]()
        app = create_app(settings, clock=clock)
        outside = httpx.ASGITransport(app, client=("203.0.113.7", 1))
        headers = {"origin": ORIGIN, "user-agent": CHROME}
        async with app.lifespan(), httpx.AsyncClient(transport=outside, base_url="http://web") as client:

            async def told(call: str, **said: Any) -> dict[str, Any]:
                body = json.dumps({"url": f"{ORIGIN}/", **said})
                answer: dict[str, Any] = (await client.post(f"/v/1/{call}", content=body, headers=headers)).json()
                return answer

            async def new() -> int:
                answers = [await told("visit") for _ in range(30)]
                tokens.update({each["number"]: each["token"] for each in answers if each["leased"]})
                return sum(each["leased"] for each in answers)

            assert await new() == NUMBERS // 4
            clock.shift = timedelta(minutes=30)
            for number, token in tokens.items():
                alive = await told("alive", token=token)
                assert alive["number"] == number
                assert alive["token"] != token, "it is counted once in a hold"
                tokens[number] = alive["token"]
            assert await new() == 0
            clock.shift = timedelta(minutes=60)
            for number, token in tokens.items():
                assert (await told("visit", token=token))["number"] == number
            assert await new() == 0

    asyncio.run(scenario())


def test_a_crowd_behind_many_addresses_takes_no_more_of_a_pool_by_staying(settings: WebSettings) -> None:
    """Each of its visits is plausible, has a human sign, and goes on telling that it is alive."""

    async def scenario() -> None:
        clock, tokens = LaterClock(), dict[str, str]()
        app = create_app(settings, clock=clock)
        behind = httpx.ASGITransport(app, client=("127.0.0.1", 1))
        async with app.lifespan(), httpx.AsyncClient(transport=behind, base_url="http://web") as client:

            async def told(call: str, address: str, site: int = 1, **said: Any) -> dict[str, Any]:
                origin = ORIGIN if site == 1 else "https://doors.example"
                headers = {"origin": origin, "user-agent": CHROME, "x-forwarded-for": address}
                body = json.dumps({"url": f"{origin}/", **said})
                deadline = time.monotonic() + 30
                while True:  # a crowded machine makes the lease store look away
                    response = await client.post(f"/v/{site}/{call}", content=body, headers=headers)
                    answer: dict[str, Any] = response.json()
                    if (not answer.get("retry_s") and answer.get("state") != "away") or time.monotonic() > deadline:
                        return answer
                    await asyncio.sleep(0.2)

            async def come(first: int) -> int:
                answers = {f"198.51.{first}.{n}": await told("visit", f"198.51.{first}.{n}") for n in range(NUMBERS)}
                tokens.update({address: each["token"] for address, each in answers.items() if each["leased"]})
                return sum(each["leased"] for each in answers.values())

            assert await come(0) == NUMBERS * 0.8
            for hold in range(1, 4):
                clock.shift = timedelta(minutes=30) * hold
                for address, token in tokens.items():
                    for _ in range(2):  # sent again, it counts once
                        await told("alive", address, token=token)
                assert await come(hold) == 0
            assert (await told("visit", "203.0.113.1", 2))["leased"], "the other site's visitors have theirs"

    asyncio.run(scenario())


def test_who_asks_again_without_his_token_counts_in_each_hold(settings: WebSettings) -> None:
    async def scenario() -> None:
        clock = LaterClock()
        app = create_app(settings, clock=clock)
        outside = httpx.ASGITransport(app, client=("203.0.113.7", 1))
        headers = {"origin": ORIGIN, "user-agent": CHROME}
        async with app.lifespan(), httpx.AsyncClient(transport=outside, base_url="http://web") as client:

            async def come(people: range) -> int:
                said = [json.dumps({"url": f"{ORIGIN}/", "visitor": f"somebody-{n}", "request": f"{n}-{clock.shift}"})
                        for n in people]  # fmt: skip
                answers = [(await client.post("/v/1/visit", content=each, headers=headers)).json() for each in said]
                return sum(each["leased"] for each in answers)

            assert await come(range(30)) == NUMBERS // 4
            clock.shift = timedelta(minutes=30)
            assert await come(range(NUMBERS // 4)) <= NUMBERS // 4
            assert await come(range(100, 130)) == 0

    asyncio.run(scenario())
