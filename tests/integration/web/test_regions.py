"""A site's pools by its visitors' regions, from the visitor's address to the number on the page."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from callrouter.clock import SystemClock
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.directory import Directory, NumberEntry, PoolChoice, Site
from callrouter.pool.store import LeaseStore
from callrouter.pool.sweeper import load_pools
from callrouter.web.visitor.desk import Browser, Desk
from callrouter.web.visitor.guard import Guard, Limits
from callrouter.web.visitor.messages import VisitRequest
from callrouter.web.visitor.places import Places
from callrouter.web.visitor.shared_count import SharedCount
from callrouter.web.visitor.tokens import TokenSigner
from tests.integration.pool.visitors import numbers
from tests.integration.web.test_visitor_calls import CHROME, KEY
from tests.unit.mmdb import written_database

LOCAL, OTHER = numbers(2)


@pytest.mark.parametrize("region", ["RU", "RU-MOS", "Московская область", "Химки"])
def test_a_pool_of_a_region_serves_visitors_from_there_and_no_others(
    valkey_url: str, tmp_path: Path, region: str
) -> None:
    file = written_database(tmp_path / "places.mmdb", {"203.0.113.0/24": ("Россия", "Московская область", "Химки")})
    site = Site(
        id=1, account=2, leases_per_address=0, pools=(PoolChoice(pool=1, regions=(region,)), PoolChoice(pool=2))
    )
    entries = (NumberEntry(number=LOCAL, account=1, pool=1), NumberEntry(number=OTHER, account=1, pool=2))
    directory = Directory(sites=(site,), numbers=entries, pools=(1, 2))

    async def scenario() -> None:
        client = open_client(valkey_url)
        store, clock = LeaseStore(client), SystemClock()
        await load_pools(store, directory)
        guard = Guard(Limits(), clock, SharedCount(client), KEY)
        desk = Desk(store, lambda: directory, TokenSigner([KEY]), guard, places=Places(file), clock=clock)
        for address, number in (("203.0.113.77", LOCAL), ("198.51.100.1", OTHER)):
            said = VisitRequest(url="https://shop.example/", human=True)
            answer = await desk.visit(site, said, Browser(CHROME, address=address))
            assert (answer.number, answer.leased) == (number, True)
        await close_client(client)

    asyncio.run(scenario())
