"""Requests that no page of ours makes, and what they must not do."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from callrouter.pool.keys import pool_slot
from callrouter.pool.store import Ask
from tests.integration.pool.telling import ended_leases
from tests.integration.pool.visitors import NOON, numbers, store, visit

SLOT = pool_slot(76)


def test_a_request_under_anothers_name_takes_nobodys_number(valkey_url: str) -> None:
    """Not even where a closed lease would be taken for a new visitor."""

    async def scenario() -> None:
        async with store(valkey_url) as leases:
            await leases.load_numbers(SLOT, dict.fromkeys(numbers(1), True), now=NOON)
            await leases.allocate(SLOT, visit("s1", "ann"), now=NOON)
            await leases.renew(SLOT, "s1", closed=True, now=NOON)
            later = NOON + timedelta(minutes=6)
            forged = await leases.allocate(SLOT, visit("s1", "eve"), policy="nearest_end", now=later)
            assert forged.outcome == "foreign"
            kept = await leases.renew(SLOT, "s1", now=later)
            assert (kept.outcome, kept.number) == ("live", numbers(1)[0])
            assert (await leases.allocate(SLOT, visit("s2", "bob"), now=later)).outcome == "overflow"
            await leases.sweep(SLOT, now=later + timedelta(days=1))
            told = await ended_leases(leases._client, SLOT)
            assert [lease.session for lease in told[numbers(1)[0]]] == ["s1"]

    asyncio.run(scenario())


def test_requests_under_anothers_name_leave_no_trace_on_a_free_number(valkey_url: str) -> None:
    async def scenario() -> None:
        async with store(valkey_url) as leases:
            await leases.load_numbers(SLOT, dict.fromkeys(numbers(1), True), now=NOON)
            await leases.allocate(SLOT, visit("s1", "ann"), now=NOON)
            await leases.release(SLOT, "s1", now=NOON)
            for _ in range(3):
                forged = await leases.allocate(SLOT, visit("s1", "eve"), now=NOON)
                assert forged.outcome == "foreign"
            await leases.allocate(SLOT, visit("s2", "bob"), now=NOON)
            known = await leases.resolve(Ask(SLOT, 76, numbers(1)[0], None), now=NOON)
            assert [lease.session for lease in known.leases] == ["s2", "s1"]

    asyncio.run(scenario())


def test_a_number_bears_any_count_of_calls_whose_end_is_never_told(valkey_url: str) -> None:
    """The router may hear questions and no hangups, and somebody may dial one number on and on."""

    async def scenario() -> None:
        async with store(valkey_url) as leases:
            await leases.load_numbers(SLOT, dict.fromkeys(numbers(1), True), now=NOON)
            await leases.allocate(SLOT, visit("s1", "ann"), now=NOON)
            calls = [f"{which:04}" + "c" * 60 for which in range(1200)]
            for each in calls:
                known = await leases.resolve(Ask(SLOT, 76, numbers(1)[0], None, each), now=NOON)
            assert [lease.session for lease in known.leases] == ["s1"]
            standing = await leases.standing(SLOT, numbers(1)[0])
            assert standing
            assert calls[-1] in standing.calls
            later = NOON + leases.lifetimes.call + timedelta(minutes=1)
            await leases.call_started(SLOT, numbers(1)[0], "new", now=later)
            standing = await leases.standing(SLOT, numbers(1)[0])
            assert standing
            assert list(standing.calls) == ["new"], "calls that cannot last so long are forgotten"

    asyncio.run(scenario())


def test_a_clock_that_went_back_makes_no_request_look_at_the_whole_pool(valkey_url: str) -> None:
    many = 1500

    async def scenario() -> None:
        async with store(valkey_url) as leases:
            await leases.load_numbers(SLOT, dict.fromkeys(numbers(many), True), now=NOON)
            for which in range(many):
                await leases.allocate(SLOT, visit(f"s{which}", f"v{which}"), now=NOON)
                await leases.release(SLOT, f"s{which}", now=NOON)
            earlier = NOON - timedelta(hours=1)
            assert (await leases.allocate(SLOT, visit("s", "ann"), now=earlier)).outcome == "overflow"
            assert await leases._client.execute_command("SCARD", f"{SLOT}resting") < many / 2
            assert (await leases.allocate(SLOT, visit("t", "bob"), now=NOON)).outcome == "leased"

    asyncio.run(scenario())
