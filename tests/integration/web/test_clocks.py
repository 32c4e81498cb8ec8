"""Web processes whose hosts' clocks are hours off: leases and visits are timed by the lease store's own."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from callrouter.db.connect import connect
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.directory_source import read_directory
from callrouter.pool.model import Lease
from callrouter.pool.store import Ask, LeaseStore
from callrouter.web.settings import WebSettings
from tests.integration.web.test_visitor_calls import LaterClock, Page, settings, web

__all__ = ["settings"]


@pytest.mark.parametrize("hours", [(5, -5), (-20, 3), (0, 23)])
def test_clocks_of_web_hosts_that_are_hours_off_change_no_lease(settings: WebSettings, hours: tuple[int, int]) -> None:
    async def scenario() -> None:
        first, second = LaterClock(), LaterClock()
        first.shift, second.shift = (timedelta(hours=each) for each in hours)
        async with web(settings, first) as one, web(settings, second) as two:
            began = datetime.now(UTC) - timedelta(milliseconds=1)
            visited = (await Page(one).visit(request="r1")).json()
            assert visited["leased"]
            alive = (await Page(two).alive(visited["token"])).json()
            assert (alive["state"], alive["number"]) == ("live", visited["number"])
            back = (await Page(two).visit(token=visited["token"], request="r2")).json()
            assert (back["session"], back["number"]) == (visited["session"], visited["number"])
            other = (await Page(two).visit(request="r3")).json()
            assert other["number"] not in (visited["number"], None)
            for shown in (visited, other):
                lease = await holder(settings, shown["number"])
                assert lease.session == shown["session"]
                assert began <= lease.started_at <= lease.seen_at <= datetime.now(UTC)
                assert timedelta(minutes=29) < lease.expires_at - datetime.now(UTC) <= timedelta(minutes=30)

    asyncio.run(scenario())


async def holder(settings: WebSettings, number: str) -> Lease:
    connection, client = await connect(settings.postgres_url), open_client(settings.redis_url)
    directory = await read_directory(connection)
    entry = directory.number(number)
    assert entry
    assert entry.pool
    live = await LeaseStore(client).resolve(Ask(directory.slot_of_pool(entry.pool), entry.pool, entry.number, None))
    await close_client(client)
    await connection.close()
    return live.leases[0]
