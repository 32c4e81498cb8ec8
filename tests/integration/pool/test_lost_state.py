"""The lease store loses its data: it is told, the numbers come back by themselves, the history has the last word."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from structlog.testing import capture_logs

from callrouter.appeals.directory import load_settings
from callrouter.appeals.enrich import enrich
from callrouter.appeals.late import attribute, needs_history
from callrouter.appeals.model import CallAppeal
from callrouter.calls.record import CallRecord
from callrouter.clock import SystemClock
from callrouter.db.connect import Connection
from callrouter.numbers import Number
from callrouter.pool.directory import Directory
from callrouter.pool.holders import Store, holding
from callrouter.pool.keys import pool_slot
from callrouter.pool.late import LateAttribution
from callrouter.pool.loading import PoolLoader
from callrouter.pool.lost import LostLeases
from callrouter.pool.model import Resolution
from callrouter.pool.resolver import Resolver
from callrouter.pool.sweeper import Sweeper, load_pools
from tests.call_samples import a_call
from tests.integration.pool.history_bench import POOL, SLOT, Bench, bench
from tests.integration.pool.visitors import CALLER, visit

MINUTE = timedelta(minutes=1)


def loader(here: Bench) -> PoolLoader:
    return PoolLoader(here.client, here.leases, here.postgres, lambda: here.directory)


def lost_leases(here: Bench) -> LostLeases:
    return LostLeases(here.client, here.leases, here.postgres, pool_slot)


async def flush(here: Bench) -> None:
    await here.client.execute_command("FLUSHALL")


async def lease(here: Bench, session: str, visitor: str, at: datetime) -> Number:
    found = (await here.leases.allocate(SLOT, visit(session, visitor), now=at)).number
    assert found
    return found


def appeal_of(resolution: Resolution | None, number: Number) -> CallAppeal:
    now = datetime.now(UTC) - timedelta(seconds=10)
    call = msgspec.structs.replace(
        a_call(), caller=CALLER, customer=CALLER, called=number, started_at=now, answered_at=None,
        ended_at=now + timedelta(seconds=40),
    )  # fmt: skip
    return CallAppeal(call=call, resolution=resolution)


async def settled(here: Bench, appeal: CallAppeal, directory: Directory | None = None) -> CallAppeal:
    """As the publisher has it attributed."""
    late = LateAttribution(here.client, here.leases, lambda: directory or here.directory, SystemClock())

    async def ask(connection: Connection, call: CallRecord) -> Resolution | None:
        return await late.attribute(connection, Number(call.called or ""), CALLER, call.started_at)

    async with here.postgres.acquire() as connection:
        return await attribute(connection, appeal, ask)


@pytest.mark.parametrize("loaded_again", [False, True])
def test_a_call_after_the_store_lost_its_data_is_credited_from_the_history(
    valkey_url: str, database: str, loaded_again: bool
) -> None:
    async def scenario() -> None:
        async with bench(valkey_url, database) as here:
            number = await lease(here, "s1", "ann", datetime.now(UTC) - MINUTE)
            await here.drained()
            await flush(here)
            if loaded_again:
                await load_pools(here.leases, here.directory)
            resolver = Resolver(here.leases, lambda: here.directory)
            live = await resolver.resolve(number, CALLER, datetime.now(UTC))
            assert (live.attribution.method, live.provisional) == ("unattributed", True)
            waiting = appeal_of(live, number)
            assert needs_history(waiting)
            async with here.postgres.acquire() as connection:
                row = enrich(waiting, await load_settings(connection))
            assert row
            assert row.attribution_pending
            if not loaded_again:
                assert (await settled(here, waiting)).resolution == live, "a worker has to load the number first"
                await load_pools(here.leases, here.directory)
            found = (await settled(here, waiting)).resolution
            assert found
            assert (found.attribution.session, found.late, found.provisional) == ("s1", True, False)

    asyncio.run(scenario())


def test_a_call_on_a_number_that_never_had_a_visitor_is_told_as_the_dialplan_was(
    valkey_url: str, database: str
) -> None:
    async def scenario() -> None:
        async with bench(valkey_url, database) as here:
            live = await Resolver(here.leases, lambda: here.directory).resolve(POOL[0], CALLER, datetime.now(UTC))
            assert live.provisional, "loaded just now: the history may know more"
            found = (await settled(here, appeal_of(live, POOL[0]))).resolution
            assert found == msgspec.structs.replace(live, provisional=False)

    asyncio.run(scenario())


def test_a_number_that_the_pool_has_had_for_the_whole_window_is_nobodys_without_asking_history(
    valkey_url: str, database: str
) -> None:
    async def scenario() -> None:
        async with bench(valkey_url, database) as here:
            at = datetime.now(UTC) + here.leases.lifetimes.window + MINUTE
            live = await Resolver(here.leases, lambda: here.directory).resolve(POOL[0], CALLER, at, live=False)
            assert (live.attribution.method, live.provisional) == ("unattributed", False)

    asyncio.run(scenario())


def test_a_call_while_its_number_is_between_two_pools_is_credited_from_the_history(
    valkey_url: str, database: str
) -> None:
    async def scenario() -> None:
        async with bench(valkey_url, database) as here:
            number = await lease(here, "s1", "ann", datetime.now(UTC) - MINUTE)
            entries = [
                msgspec.structs.replace(entry, pool=2) if entry.number == number else entry
                for entry in here.directory.numbers
            ]
            moving: Directory = msgspec.structs.replace(
                here.directory, numbers=tuple(entries), pools=(1, 2), version=here.directory.version + 1
            )
            resolver = Resolver(here.leases, lambda: moving)
            live = await resolver.resolve(number, CALLER, datetime.now(UTC))
            assert live.provisional
            waiting = appeal_of(live, number)
            assert (await settled(here, waiting, moving)).resolution == live, "no worker has moved it yet"
            await load_pools(here.leases, moving)
            assert (await settled(here, waiting, moving)).resolution == live, "its old pool's log is not written yet"
            await here.drained()
            found = (await settled(here, waiting, moving)).resolution
            assert found
            assert (found.attribution.method, found.attribution.session) == ("holder", "s1")

    asyncio.run(scenario())


def test_lost_live_state_is_told_and_its_numbers_are_loaded_again(valkey_url: str, database: str) -> None:
    async def scenario() -> None:
        async with bench(valkey_url, database) as here:
            await lease(here, "s1", "ann", datetime.now(UTC))
            await here.drained()
            watching, another = loader(here), loader(here)
            for each in (watching, another):
                with capture_logs() as told:
                    await each.load()
                assert not told
                await flush(here)
                nudged = asyncio.Event()
                sweeper = Sweeper(here.leases, lambda: here.directory, on_missing=nudged.set)
                await sweeper.sweep(SLOT)
                assert nudged.is_set()
                with capture_logs() as told:
                    assert await each.load() == 2
                (lost,) = told
                assert (lost["event"], lost["log_level"], lost["pool"]) == ("LIVE-STATE-LOST", "warning", 1)
                assert (lost["numbers"], lost["leases"]) == (2, 1)
                nudged.clear()
                await sweeper.sweep(SLOT)
                assert not nudged.is_set()
            await flush(here)
            with capture_logs() as told:
                await loader(here).load()
            assert [each["event"] for each in told] == ["LIVE-STATE-LOST"], "a worker that starts sees it, too"

    asyncio.run(scenario())


def test_the_first_numbers_of_a_pool_are_no_loss(valkey_url: str, database: str) -> None:
    async def scenario() -> None:
        async with bench(valkey_url, database) as here:
            await flush(here)
            numbers, here.directory = here.directory, msgspec.structs.replace(here.directory, numbers=())
            with capture_logs() as told:
                fresh = loader(here)
                await fresh.load()
                here.directory = numbers
                assert await fresh.load() == 2
            assert not told

    asyncio.run(scenario())


def test_a_lost_lease_ends_when_the_history_last_heard_that_it_would(valkey_url: str, database: str) -> None:
    """The visitor opened pages for an hour, which the history heard of; his lease began with half an hour to go."""

    async def scenario() -> None:
        async with bench(valkey_url, database) as here:
            begun = datetime.now(UTC) - 200 * MINUTE
            number = await lease(here, "s1", "ann", begun)
            for step in range(1, 5):
                await here.leases.renew(SLOT, "s1", request=f"p{step}", page="/", now=begun + step * 20 * MINUTE)
            await here.drained()
            await flush(here)
            await load_pools(here.leases, here.directory)
            store = Store(here.leases, here.client)
            async with here.postgres.acquire() as connection:
                told = await holding(connection, store, number, begun + 90 * MINUTE)
                assert (told.certain, told.state) == (False, "free")
                assert "lost" in told.why
                before = await here.late.attribute(connection, number, CALLER, begun + 90 * MINUTE)
                assert await lost_leases(here).end_all() == 1
                told = await holding(connection, store, number, begun + 90 * MINUTE)
                assert told.certain
                assert told.holder
                assert (told.holder.session, told.holder.end_reason) == ("s1", "lost")
                assert told.holder.ended_at
                assert abs(told.holder.ended_at - (begun + 110 * MINUTE)) < timedelta(seconds=1)
                after = await here.late.attribute(connection, number, CALLER, begun + 90 * MINUTE)
                assert before
                assert after
                assert before.attribution == after.attribution
                assert (after.attribution.method, after.attribution.session) == ("holder", "s1")
            assert await lost_leases(here).end_all() == 0

    asyncio.run(scenario())


def test_leases_that_the_store_knows_or_whose_end_is_on_its_way_are_left_alone(valkey_url: str, database: str) -> None:
    async def scenario() -> None:
        async with bench(valkey_url, database) as here:
            begun = datetime.now(UTC) - 60 * MINUTE
            await lease(here, "s1", "ann", begun)
            await lease(here, "s2", "bob", begun)
            await here.drained()
            for step in (25, 50):
                await here.leases.renew(SLOT, "s1", now=begun + step * MINUTE)
            await here.leases.sweep(SLOT)  # ends the other, and the history has not heard of it
            assert await lost_leases(here).end_all() == 0
            await here.drained()
            ends = {row["session"]: row["end_reason"] for row in await here.postgres.fetch("SELECT * FROM leases")}
            assert ends == {"s1": None, "s2": "expired"}

    asyncio.run(scenario())


def test_many_lost_leases_are_ended_a_few_at_a_time(valkey_url: str, database: str) -> None:
    async def scenario() -> None:
        async with bench(valkey_url, database) as here:
            await lease(here, "s1", "ann", datetime.now(UTC) - 90 * MINUTE)
            await lease(here, "s2", "bob", datetime.now(UTC) - 80 * MINUTE)
            await here.drained()
            await flush(here)
            assert await lost_leases(here).end_all(step=1) == 2

    asyncio.run(scenario())
