"""A caller whose appeal was published is a known client at his next call, with the employee who talked with him."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from callrouter.appeals.row import AppealRow, appeal_id
from callrouter.numbers import Number
from callrouter.pool.resolver import Resolver
from callrouter.pool.sweeper import load_pools
from callrouter.regulars import Regulars
from tests.integration.pool.test_resolver import DIRECTORY, SLOT
from tests.integration.pool.visitors import CALLER, NOON, store, visit
from tests.waiting import until

WITNESS = Number("79165550009")


def row(
    caller: Number,
    *,
    account: int = 2,
    client: int | None = 17,
    direction: str = "inbound",
    employee: str | None = None,
    after: timedelta = timedelta(),
) -> AppealRow:
    return AppealRow(
        account_id=account, started_at=NOON + after, id=appeal_id("pbx1", caller), client_id=client, customer=caller,
        employee=employee,
        direction="inbound" if direction == "inbound" else "outbound",
    )  # fmt: skip


def test_the_next_call_of_a_published_caller_names_his_client(valkey_url: str) -> None:
    others = Number("79165550002"), Number("79165550003"), Number("79165550004")

    async def scenario() -> None:
        async with store(valkey_url) as leases:
            await load_pools(leases, DIRECTORY)
            leased = await leases.allocate(SLOT, visit("s1", "ann"), now=NOON)
            assert leased.number
            number, at = leased.number, NOON + timedelta(minutes=1)
            resolver = Resolver(leases, lambda: DIRECTORY)
            regulars = Regulars(leases, lambda: DIRECTORY)
            running = asyncio.create_task(regulars.run())
            regulars.note(
                [row(others[0], account=3), row(others[1], client=None), row(others[2], direction="outbound")]
            )
            regulars.note([row(CALLER, employee="101"), row(CALLER)])

            async def is_known() -> bool:
                found = await resolver.resolve(number, CALLER, at, live=False)
                return (found.client, found.unique, found.manager) == ("17", False, "101")

            await until(is_known)
            for other in others:
                found = await resolver.resolve(number, other, at, live=False)
                assert (found.client, found.unique) == (None, True)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scenario())


def test_the_manager_is_of_the_latest_call_in_whatever_order_calls_are_told(valkey_url: str) -> None:
    hour = timedelta(hours=1)

    async def scenario() -> None:
        async with store(valkey_url) as leases:
            await load_pools(leases, DIRECTORY)
            number = (await leases.allocate(SLOT, visit("s1", "ann"), now=NOON)).number
            assert number
            resolver = Resolver(leases, lambda: DIRECTORY)
            regulars = Regulars(leases, lambda: DIRECTORY)

            async def manager_after(*told: tuple[str | None, int]) -> str | None:
                """As a router that published these, one after another, knows him."""
                for employee, hours in told:
                    regulars.note([row(CALLER, employee=employee, after=hours * hour)])
                running = asyncio.create_task(regulars.run())
                await until(lambda: not regulars._waiting)
                # Whatever is told of somebody else last is known once all before is.
                regulars.note([row(WITNESS)])
                await until(lambda: not regulars._waiting)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                return (await resolver.resolve(number, CALLER, NOON + 100 * hour, live=False)).manager

            assert await manager_after(("102", 5), ("101", 4)) == "102", "told together"
            assert await manager_after(("103", 3)) == "102", "told after a later one"
            assert await manager_after((None, 6)) == "102", "whoever talked to nobody keeps his"
            assert await manager_after(("104", 7), (None, 8), ("105", 6)) == "104"
            assert await manager_after(("106", 9)) == "106"

    asyncio.run(scenario())
