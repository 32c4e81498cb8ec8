"""The web's edge without a web: addresses, buckets, allowances, time limits, places."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callrouter.clock import SystemClock
from callrouter.numbers import Number
from callrouter.pool.directory import Directory, NumberEntry, PoolChoice, Site
from callrouter.web.problem import Refusal
from callrouter.web.seen import Traces
from callrouter.web.visitor.addresses import Addresses, cut, household
from callrouter.web.visitor.desk import Desk
from callrouter.web.visitor.entrance import Entrance
from callrouter.web.visitor.guard import Allowances, Buckets, Guard, Limits
from callrouter.web.visitor.messages import VisitAnswer
from callrouter.web.visitor.places import UNDEFINED, Places, check_places
from callrouter.web.visitor.sifting import without_cards
from callrouter.web.watch import Watch
from tests.unit.mmdb import written_database


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # not a proxy of ours: its word counts for nothing
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.2", "198.51.100.1"),  # 1.1.1.1 was written by the visitor
        ("10.0.0.1", "", ""),
        ("10.0.0.1", "unknown", ""),
        ("", "198.51.100.1", "198.51.100.1"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
        ("10.0.0.1", "198.51.100.1:5000", "198.51.100.1"),
        ("fe80::1%eth0", "", "fe80::1"),
    ],
)
def test_the_visitors_address_is_the_last_that_is_no_proxy_of_ours(peer: str, forwarded: str, address: str) -> None:
    assert Addresses(("10.0.0.0/8",)).of(peer, forwarded) == address


@given(st.text(), st.text())
def test_hostile_addresses_never_raise(peer: str, forwarded: str) -> None:
    address = Addresses(("10.0.0.0/8", "::1")).of(peer, forwarded)
    assert household(address) == household(address)
    assert isinstance(cut(address), str)


def test_a_household_is_a_64_and_a_cut_address_names_nobody() -> None:
    assert household("2001:db8:1:2:3:4:5:6") == household("2001:db8:1:2::1") != household("2001:db8:1:3::1")
    assert (cut("203.0.113.77"), cut("2001:db8:1:2::1"), cut("")) == ("203.0.113.0", "2001:db8:1::", "")


def test_a_bucket_lets_a_burst_through_and_then_the_rate() -> None:
    buckets = Buckets()
    assert sum(buckets.take("a", 10, 2, 100.0) for _ in range(100)) == 20
    assert sum(buckets.take("a", 10, 2, 101.0) for _ in range(100)) == 10
    assert buckets.take("b", 10, 2, 101.0)


def test_buckets_forget_rather_than_grow() -> None:
    buckets = Buckets(most=100)
    for key in range(10_000):
        buckets.take(key, 1, 10, 0.0)
    assert len(buckets._rest) <= 100


@pytest.mark.parametrize(
    ("numbers", "shared", "peak", "address", "site"),
    [
        (2, False, None, 1, 0), (10, False, None, 5, 0), (10, True, None, 5, 8), (100, True, None, 25, 80),
        (1000, False, None, 250, 0), (1000, False, 30.0, 250, 0), (1000, True, 30.5, 250, 153),
        (1000, True, 0.1, 250, 5), (1000, True, 900.0, 250, 800),
    ],
)  # fmt: skip
def test_allowances_follow_the_size_of_the_pool_and_its_plan(
    numbers: int, shared: bool, peak: float | None, address: int, site: int
) -> None:
    own = Site(id=1, account=2, pools=(PoolChoice(pool=1),))
    other = Site(id=2, account=2, pools=(PoolChoice(pool=1 if shared else 2),))
    planned = {} if peak is None else {1: peak}
    entries = tuple(NumberEntry(number=Number(f"7495{n:07}"), account=1, pool=1) for n in range(numbers))
    directory = Directory(sites=(own, other), numbers=entries, pools=(1, 2), leased_peaks=planned)
    found = Allowances().of(own, directory)
    assert (found.address, found.site) == (address, site)


class Counts:
    """What the lease store counts for all processes, in this one."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, int], int] = {}
        self.heard: set[tuple[str, int, str]] = set()

    async def __call__(self, name: str, window: int, amount: int, span: timedelta) -> tuple[int, int]:
        self.known[name, window] = self.known.get((name, window), 0) + amount
        return self.known[name, window], self.known.get((name, window - 1), 0)

    async def first(self, name: str, window: int, whom: str, span: timedelta) -> bool:
        before = len(self.heard)
        self.heard.add((name, window, whom))
        return len(self.heard) > before


def test_a_flood_from_one_address_uses_up_neither_its_sites_rate_nor_its_sites_leases() -> None:
    count = Counts()

    async def scenario() -> None:
        site = Site(id=1, account=2, pools=(PoolChoice(pool=1),), leases_per_address=8, leases_per_site=40)
        guard = Guard(Limits(requests_per_address=1, requests_per_site=20), SystemClock(), count, b"secret")
        directory = Directory(sites=(site,), pools=(1,))
        granted = [await guard.lease(site, "203.0.113.1", directory) for _ in range(500)]
        assert granted.count("") == 8
        assert [await guard.lease(site, f"198.51.100.{n}", directory) for n in range(32)] == [""] * 32
        assert await guard.lease(site, "198.51.100.99", directory) == "site-leases"
        await guard.returned(site, "198.51.100.1")
        refusals = 0
        for _ in range(200):
            try:
                guard.request(site, "203.0.113.1")
            except Refusal:
                refusals += 1
        assert refusals == 190
        guard.request(site, "198.51.100.1")
        assert not any("203.0.113" in name for name, _ in count.known), "no address in the store"

    asyncio.run(scenario())


def test_a_watch_gives_up_what_takes_too_long_and_nothing_else() -> None:
    async def scenario() -> None:
        watch = Watch(0.05)
        with watch.span():
            await asyncio.sleep(0)
        with pytest.raises(TimeoutError), watch.span():
            await asyncio.sleep(5)
        await asyncio.sleep(0.1)  # what was over is not given up later
        with watch.span():
            await asyncio.sleep(0)

    asyncio.run(scenario())


def test_places_come_from_the_configured_database_only(tmp_path: Path) -> None:
    file = written_database(tmp_path / "places.mmdb", {"203.0.113.0/24": ("Россия", "Московская область", "Химки")})
    check_places(file)
    for cut_addresses in (True, False):
        places = Places(file, cut_addresses=cut_addresses)
        assert places.of("203.0.113.77") == "Россия, Московская область, Химки"
        assert places.of("198.51.100.1") == places.of("") == places.of("2001:db8::1") == UNDEFINED
        places.close()
    assert Places().of("203.0.113.77") == UNDEFINED
    (tmp_path / "no").write_bytes(b"no database")
    with pytest.raises(ValueError, match="no database of places"):
        check_places(tmp_path / "no")


class SlowDesk:
    """Sites 1 and 2, whose pages wait until they are let go."""

    knows_sites = True

    def __init__(self) -> None:
        self.let_go = asyncio.Event()

    def site(self, site: int) -> Site | None:
        return Site(id=site, account=2) if site in {1, 2} else None

    async def visit(self, *_: object) -> VisitAnswer:
        await self.let_go.wait()
        return VisitAnswer(number=None, display="", token="", hold_s=1800, session="", visitor="", leased=False)


def test_more_than_a_process_can_hold_is_told_to_come_again_and_no_site_takes_all_of_it() -> None:
    async def scenario() -> None:
        desk, told = SlowDesk(), list[tuple[int, dict[bytes, bytes]]]()
        nobody: Any = None
        guard = Guard(Limits(), SystemClock(), nobody, b"k" * 16)
        entrance = Entrance(
            cast("Desk", desk), guard, Addresses(()), nobody, forms=nobody, callbacks=nobody, in_hand=8,
            traces=cast("Traces", SimpleNamespace(note=lambda *_: None)),
        )  # fmt: skip

        async def visit(site: int) -> None:
            async def receive() -> dict[str, object]:
                return {"type": "http.request", "body": b'{"url":"https://shop.example/"}'}

            async def send(message: dict[str, Any]) -> None:
                if "status" in message:
                    told.append((message["status"], dict(message["headers"])))

            scope = {"type": "http", "method": "POST", "path": f"/v/{site}/visit", "headers": [], "client": ("", 0)}
            await entrance(scope, receive, send)

        waiting = [asyncio.create_task(visit(1)) for _ in range(7)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [(status, headers[b"retry-after"]) for status, headers in told] == [(503, b"2")] * 3, "half is a site's"
        waiting += [asyncio.create_task(visit(2)) for _ in range(5)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(told) == 4, "another site has room, for as many"
        desk.let_go.set()
        await asyncio.gather(*waiting)
        assert [status for status, _ in told[4:]] == [200] * 8, "those who waited are answered"
        await visit(1)
        assert told[-1][0] == 200, "nothing is left in hand"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("карта 4111 1111 1111 1111, до 12/26", "карта **** **** **** ****, до 12/26"),
        ("4111111111111111 12 26 123", "**************** 12 26 123"),
        ("1 4111\u20111111\u20111111\u20111111", "1 ****\u2011****\u2011****\u2011****"),
        ("8 916 123-45-67, 8 495 222-22-22", "8 916 123-45-67, 8 495 222-22-22"),
        ("+4111 1111 1111 1111", "+4111 1111 1111 1111"),
        ("1 " * 2000, "1 " * 2000),
    ],
)
def test_a_cards_number_is_taken_out_of_a_text_however_it_is_written(said: str, kept: str) -> None:
    assert without_cards(said) == kept
