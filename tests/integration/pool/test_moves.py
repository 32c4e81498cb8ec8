"""Numbers that come, go and move while visitors hold them, and sites with several pools."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec

from callrouter.pool.choice import lease_from, pools_in_order
from callrouter.pool.directory import Directory, NumberEntry, PoolChoice, Site
from callrouter.pool.keys import pool_slot
from callrouter.pool.store import Ask, Lifetimes
from callrouter.pool.sweeper import load_pools
from callrouter.sessions.model import TrafficSource
from tests.integration.pool.visitors import NOON, numbers, store, visit

ONE, TWO = pool_slot(1), pool_slot(2)
FIRST, SECOND = numbers(2)
SITE = Site(id=1, account=2, pools=(PoolChoice(pool=1), PoolChoice(pool=2)))


def directory(pools: dict[str, int], *, version: int = 0, site: Site = SITE) -> Directory:
    entries = tuple(
        NumberEntry(number=number, account=1, pool=pools[number]) for number in numbers(2) if number in pools
    )
    return Directory(sites=(site,), numbers=entries, pools=(1, 2), version=version)


def test_a_moved_number_ends_its_lease_and_calls_still_reach_who_had_it(valkey_url: str) -> None:
    async def scenario() -> None:
        async with store(valkey_url) as leases:
            await load_pools(leases, directory({FIRST: 1}), now=NOON)
            await leases.allocate(ONE, visit("s1", "ann"), now=NOON)
            await leases.call_started(ONE, FIRST, "c1", now=NOON)
            later = NOON + timedelta(minutes=1)
            assert await load_pools(leases, directory({FIRST: 2}), now=later) == 2
            assert await load_pools(leases, directory({FIRST: 2}), now=later) == 0
            assert (await leases.renew(ONE, "s1", now=later)).outcome == "lost"
            for slot, pool in ((ONE, 1), (TWO, 2)):
                known = await leases.resolve(Ask(slot, pool, FIRST, None), now=later)
                assert [(lease.session, lease.end) for lease in known.leases] == [("s1", "moved")]
                assert known.visit
                assert known.visit.visitor == "ann"
            assert (await leases.allocate(TWO, visit("s2", "bob"), now=later)).outcome == "overflow", "a call is on it"
            assert await leases.call_ended(TWO, FIRST, "c1", now=later)
            soon = later + timedelta(hours=1)
            assert (await leases.allocate(TWO, visit("s3", "bob"), now=soon)).outcome == "leased"
            assert (await leases.occupancy(ONE)).numbers == 0

    asyncio.run(scenario())


def test_a_number_that_moves_back_brings_all_its_leases(valkey_url: str) -> None:
    async def scenario() -> None:
        async with store(valkey_url) as leases:
            at = NOON
            for turn, (pool, slot) in enumerate(((1, ONE), (2, TWO), (1, ONE))):
                await load_pools(leases, directory({FIRST: pool}), now=at)
                assert (await leases.allocate(slot, visit(f"s{turn}", f"v{turn}"), now=at)).number == FIRST
                at += timedelta(minutes=10)
            known = await leases.resolve(Ask(ONE, 1, FIRST, None), now=at)
            assert [lease.session for lease in known.leases] == ["s2", "s1", "s0"]

    asyncio.run(scenario())


def test_a_number_that_is_set_aside_stays_so_wherever_it_moves(valkey_url: str) -> None:
    async def scenario() -> None:
        async with store(valkey_url) as leases:
            for turn, (pool, active) in enumerate(((1, True), (2, False), (1, False), (1, True))):
                entry = NumberEntry(number=FIRST, account=1, pool=pool, active=active)
                here = Directory(sites=(SITE,), numbers=(entry,), pools=(1, 2))
                at = NOON + timedelta(minutes=turn)
                assert await load_pools(leases, here, now=at) > 0 or (pool, active) == (1, False)
                assert await load_pools(leases, here, now=at) == 0
                standing = await leases.standing(pool_slot(pool), FIRST)
                assert standing
                assert standing.state == ("free" if active else "disabled")
            assert (await leases.allocate(ONE, visit("s1", "ann"), now=at)).number == FIRST

    asyncio.run(scenario())


def test_a_process_with_an_older_inventory_is_refused_whatever_it_comes_between(valkey_url: str) -> None:
    async def scenario() -> None:
        async with store(valkey_url) as leases:
            old, new = directory({FIRST: 1}, version=5), directory({FIRST: 2}, version=6)
            await load_pools(leases, old)
            await asyncio.gather(*(load_pools(leases, each) for each in (new, old, new, old)))
            assert await load_pools(leases, old) == 0
            members = [[number async for number in leases.members(slot)] for slot in (ONE, TWO)]
            assert members == [[], [FIRST]]

    asyncio.run(scenario())


def test_the_next_pool_gives_a_number_when_the_first_is_empty(valkey_url: str) -> None:
    async def scenario() -> None:
        async with store(valkey_url) as leases:
            here = directory({FIRST: 1, SECOND: 2})
            await load_pools(leases, here, now=NOON)
            pools = pools_in_order(SITE)
            placed = [
                await lease_from(leases, here, SITE, pools, visit(f"s{turn}", f"v{turn}"), now=NOON)
                for turn in range(3)
            ]
            assert [(each.pool, each.allocation.outcome) for each in placed] == [
                (1, "leased"), (2, "leased"), (1, "overflow"),
            ]  # fmt: skip
            assert (await leases.renew(ONE, "s1", now=NOON)).outcome == "over", "no trace where nothing was given"
            again = await lease_from(leases, here, SITE, pools_in_order(SITE, known=2), visit("s9", "v1"), now=NOON)
            assert (again.pool, again.allocation.outcome, again.allocation.pages) == (2, "kept", 2)

    asyncio.run(scenario())


def test_who_found_all_pools_empty_keeps_his_source_when_another_pool_gives_him_a_number(valkey_url: str) -> None:
    async def scenario() -> None:
        async with store(valkey_url) as leases:
            here = directory({FIRST: 1, SECOND: 2})
            await load_pools(leases, here, now=NOON)
            await leases.allocate(ONE, visit("s1", "ann"), now=NOON)
            await leases.allocate(TWO, visit("s2", "bob"), now=NOON)
            came = visit("s3", "cid", page="https://shop.example/landing")
            direct = TrafficSource(channel="direct", source="(direct)", medium="(none)")
            assert (await lease_from(leases, here, SITE, (1, 2), came, now=NOON)).allocation.outcome == "overflow"
            await leases.release(TWO, "s2", now=NOON)
            await leases.renew(ONE, "s1", now=NOON + timedelta(minutes=29))
            for minutes, traffic, landing in (
                (1, came.traffic, came.landing_page),
                (31, direct, "https://shop.example/"),
            ):
                at = NOON + timedelta(minutes=minutes)
                hit = msgspec.structs.replace(visit(f"after-{minutes}", "cid"), traffic=direct)
                placed = await lease_from(leases, here, SITE, (1, 2), hit, known="s3", now=at)
                assert (placed.pool, placed.allocation.outcome) == (2, "leased")
                kept = await leases.visit(TWO, placed.allocation.session)
                assert kept
                assert (kept.traffic, kept.landing_page) == (traffic, landing)
                await leases.release(TWO, placed.allocation.session, now=at)

    asyncio.run(scenario())


def test_closed_leases_are_taken_only_when_all_pools_are_empty(valkey_url: str) -> None:
    async def scenario() -> None:
        site = msgspec.structs.replace(SITE, overflow="nearest_end")
        async with store(valkey_url) as leases:
            here = directory({FIRST: 1, SECOND: 2}, site=site)
            await load_pools(leases, here, now=NOON)
            await leases.allocate(ONE, visit("s1", "ann"), now=NOON)
            await leases.renew(ONE, "s1", closed=True, now=NOON)
            at = NOON + timedelta(minutes=6)
            got = [await lease_from(leases, here, site, (1, 2), visit(f"t{n}", f"w{n}"), now=at) for n in range(3)]
            assert [(each.pool, each.allocation.outcome) for each in got] == [
                (2, "leased"), (1, "leased"), (1, "overflow"),
            ]  # fmt: skip

    asyncio.run(scenario())


def test_pools_are_narrowed_by_region_and_source() -> None:
    choices = (PoolChoice(pool=1, regions=("77",)), PoolChoice(pool=2, sources=("yandex",)), PoolChoice(pool=3))
    site = Site(id=1, account=2, pools=choices)
    assert pools_in_order(site, regions=frozenset({"77"}), source="google") == (1, 3)
    assert pools_in_order(site, regions=frozenset({"78"}), source="yandex") == (2, 3)
    assert pools_in_order(site, known=1, regions=frozenset({"78"})) == (1, 3)
    assert pools_in_order(site, known=9) == (3,)


def test_the_account_clings_to_its_numbers_as_far_as_its_affinity_goes(valkey_url: str) -> None:
    async def scenario() -> None:
        for slot, affinity, expected in ((ONE, 4.0, SECOND), (TWO, 1.0, FIRST)):
            async with store(valkey_url, lifetimes=Lifetimes(affinity=affinity)) as leases:
                await leases.load_numbers(slot, {FIRST: True, SECOND: True}, now=NOON)
                first = await leases.allocate(slot, visit("s1", "ann", account=2), now=NOON)
                await leases.allocate(slot, visit("s2", "bob", account=3), now=NOON)
                await leases.release(slot, "s1", now=NOON + timedelta(minutes=1))
                await leases.release(slot, "s2", now=NOON + timedelta(minutes=2))
                assert first.number == FIRST
                got = await leases.allocate(slot, visit("s3", "cid", account=3), now=NOON + timedelta(minutes=5))
                assert got.number == expected
                assert got.rested == (180.0 if expected == SECOND else 240.0)

    asyncio.run(scenario())


def test_signs_of_life_are_kept_with_the_lease(valkey_url: str) -> None:
    async def scenario() -> None:
        async with store(valkey_url) as leases:
            await leases.load_numbers(ONE, {FIRST: True}, now=NOON)
            await leases.allocate(ONE, visit("s1", "ann"), now=NOON)
            for second in (0, 5, 15, 29, 30, 3000):
                at = NOON + timedelta(seconds=second)
                await leases.renew(ONE, "s1", hold=timedelta(hours=2), gap=timedelta(hours=2), now=at)
            known = await leases.resolve(Ask(ONE, 1, FIRST, None), now=at)
            assert known.leases[0].signs == (0, 15_000, 30_000, 3_000_000)
            for second in range(0, 15 * 100, 15):
                moment = at + timedelta(seconds=second)
                await leases.renew(ONE, "s1", hold=timedelta(hours=2), gap=timedelta(hours=2), now=moment)
            known = await leases.resolve(Ask(ONE, 1, FIRST, None), now=moment)
            assert len(known.leases[0].signs) == 64
            assert known.leases[0].signs[-1] == (moment - NOON) // timedelta(milliseconds=1)

    asyncio.run(scenario())
