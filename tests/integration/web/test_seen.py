"""Where a site was last seen, and how its pool stands: small questions to the lease store, on a real Valkey."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from callrouter.clock import SystemClock
from callrouter.lab.ports import free_port
from callrouter.numbers import Number
from callrouter.pool.census import census, standings
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.holders import Store
from callrouter.pool.keys import pool_slot
from callrouter.pool.store import LeaseStore, Lifetimes, StoreUnavailable
from callrouter.web.seen import EVERY_SECONDS, Seen, Traces, page_of
from tests.integration.pool.visitors import numbers, visit
from tests.waiting import until

SLOT = pool_slot(1)


class Hand(SystemClock):
    """A clock that is moved by hand."""

    moved = 0.0

    def monotonic(self) -> float:
        return self.moved


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("https://shop.example/окна?phone=79161234567#x", "shop.example/окна"),
        ("https://user:secret@Shop.Example:8443/a", "shop.example/a"),
        ("https://shop.example", "shop.example"),
        ("null", ""),
        ("http://[", ""),
        ("https://shop.example/\u202e\x00a" + "b" * 500, "shop.example/a" + "b" * 186),
        ("javascript:alert(1)", ""),
    ],
)
def test_of_a_page_only_host_and_path_are_kept(address: str, page: str) -> None:
    assert page_of(address) == page


def test_a_trace_is_written_now_and_then_and_read_by_any_process(valkey_url: str) -> None:
    async def scenario() -> None:
        client, clock = open_client(valkey_url), Hand()
        here, elsewhere = Traces(client, clock), Traces(client, clock)
        assert await elsewhere.of(1) == Seen()

        async def seen(page: str) -> bool:
            trace = (await elsewhere.of(1)).visit
            return trace is not None and trace.page == page

        here.note(1, "visit", "https://shop.example/a?b=c")
        await until(lambda: seen("shop.example/a"))
        here.note(1, "visit", "https://shop.example/too-soon")
        here.note(1, "refused", "https://evil.example")
        clock.moved = EVERY_SECONDS + 1
        here.note(1, "visit", "https://shop.example/later")
        await until(lambda: seen("shop.example/later"))
        told = await elsewhere.of(1)
        assert told.refused
        assert told.refused.page == "evil.example"
        assert told.script is None
        await here.stop()
        await close_client(client)

    asyncio.run(scenario())


def test_without_the_lease_store_a_trace_is_done_without_and_whoever_asks_is_told() -> None:
    async def scenario() -> None:
        client = open_client(f"redis://127.0.0.1:{free_port()}/0", retries=0)
        traces = Traces(client, SystemClock())
        for site in range(200):
            traces.note(site, "visit", "https://shop.example/")
        with pytest.raises(StoreUnavailable):
            await traces.of(1)
        await traces.stop()
        await close_client(client)

    asyncio.run(scenario())


def test_a_census_counts_each_number_once_by_how_it_stands(valkey_url: str) -> None:
    async def scenario() -> None:
        client = open_client(valkey_url)
        store = Store(LeaseStore(client, lifetimes=Lifetimes(rest=timedelta(minutes=10))), client)
        pool, now = numbers(6), datetime.now(UTC)
        await store.leases.load_numbers(SLOT, {number: number != pool[5] for number in pool})
        for name in ("ann", "bob"):
            await store.leases.allocate(SLOT, visit(f"s-{name}", name))
        given_back = await store.leases.release(SLOT, "s-bob")
        assert given_back
        calling = next(number for number in pool[:5] if number not in (given_back, pool[0], pool[1]))
        await store.leases.call_started(SLOT, calling, "call-1")
        told = await census(store, 1, now)
        assert (told.numbers, told.leased, told.resting, told.pinned, told.free, told.disabled) == (6, 1, 1, 1, 2, 1)
        each = await standings(store, 1, [*pool, Number("74951111111")], now)
        assert sorted(number.state for number in each.values()) == [
            "calling", "disabled", "free", "free", "leased", "resting", "unknown",
        ]  # fmt: skip
        assert each[given_back].site == 1
        assert each[given_back].until
        await close_client(client)
        away = Store(store.leases, open_client(f"redis://127.0.0.1:{free_port()}/0", retries=0))
        with pytest.raises(StoreUnavailable):
            await standings(away, 1, pool, now)

    asyncio.run(scenario())
