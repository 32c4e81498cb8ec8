"""Requests that arrive again, late, or without what their first answer told; calls told in another order."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from callrouter.pool.choice import lease_from
from callrouter.pool.directory import Directory, NumberEntry, PoolChoice, Site
from callrouter.pool.keys import pool_slot
from callrouter.pool.live import Allocation
from callrouter.pool.model import CallerMemory
from callrouter.pool.recall import PastCall, recall
from callrouter.pool.store import Ask, LeaseStore
from callrouter.pool.sweeper import load_pools
from tests.integration.pool.visitors import CALLER, NOON, numbers, store, visit

FIRST, SECOND = pool_slot(1), pool_slot(2)
NUMBERS = numbers(2)
SITE = Site(id=1, account=2, pools=(PoolChoice(pool=1), PoolChoice(pool=2)))
DIRECTORY = Directory(
    sites=(SITE,), pools=(1, 2),
    numbers=tuple(NumberEntry(number=number, account=1, pool=pool) for pool, number in enumerate(NUMBERS, 1)),
)  # fmt: skip
HOUR = timedelta(hours=1)


async def opened(leases: LeaseStore, session: str, visitor: str, pools: tuple[int, ...] = (1, 2)) -> Allocation:
    """As of who has no token."""
    placed = await lease_from(leases, DIRECTORY, SITE, pools, visit(session, visitor), repeated=True, now=NOON)
    return placed.allocation


def test_a_first_request_repeated_keeps_its_number_though_a_pool_before_has_one_now(valkey_url: str) -> None:
    async def scenario() -> None:
        async with store(valkey_url) as leases:
            await load_pools(leases, DIRECTORY, now=NOON)
            assert (await opened(leases, "s1", "ann")).number == NUMBERS[0]
            assert (await opened(leases, "s2", "bob")).number == NUMBERS[1]
            await leases.release(FIRST, "s1", now=NOON)
            again = await opened(leases, "s2", "bob")
            assert (again.outcome, again.number, again.pages) == ("kept", NUMBERS[1], 1)
            assert await leases.visit(FIRST, "s2") is None
            assert (await opened(leases, "s3", "eve")).number == NUMBERS[0]

    asyncio.run(scenario())


def test_a_late_repetition_leaves_the_number_to_the_visitors_newer_visit(valkey_url: str) -> None:
    async def scenario() -> None:
        async with store(valkey_url) as leases:
            await leases.load_numbers(FIRST, {NUMBERS[0]: True}, now=NOON)
            old, later = visit("s1", "ann"), NOON + HOUR
            await leases.allocate(FIRST, old, campaign="spring", now=NOON)
            newer = await leases.allocate(FIRST, visit("s2", "ann"), campaign="autumn", now=later)
            assert (newer.session, newer.number) == ("s2", NUMBERS[0])
            late = await leases.allocate(FIRST, old, campaign="spring", now=later + timedelta(minutes=1))
            assert (late.outcome, late.session, late.number, late.pages) == ("kept", "s2", NUMBERS[0], 1)
            assert (await leases.renew(FIRST, "s2", now=later + timedelta(minutes=2))).outcome == "live"

    asyncio.run(scenario())


def test_a_request_under_anothers_name_is_foreign_also_where_another_pool_may_be_asked(valkey_url: str) -> None:
    async def scenario() -> None:
        async with store(valkey_url) as leases:
            await leases.load_numbers(FIRST, {NUMBERS[0]: True}, now=NOON)
            await leases.allocate(FIRST, visit("s1", "ann"), now=NOON)
            for known in (False, True):
                forged = await leases.allocate(FIRST, visit("s1", "eve"), trial=True, now=NOON)
                assert forged.outcome == "foreign", known
                await leases.allocate(FIRST, visit("s2", "eve"), wants_number=False, now=NOON)

    asyncio.run(scenario())


def test_an_older_call_told_later_is_not_remembered_in_place_of_a_newer_one(valkey_url: str) -> None:
    async def scenario() -> None:
        async with store(valkey_url) as leases:
            await leases.load_numbers(FIRST, {NUMBERS[0]: True}, now=NOON)
            calls = [(visit("s2", "bob"), NOON + HOUR), (visit("s1", "ann"), NOON)]
            for who, at in calls:
                await leases.remember(FIRST, CALLER, account=2, at=at, number=NUMBERS[0], visit=who)
            live = await leases.resolve(Ask(FIRST, 1, NUMBERS[0], CALLER), now=NOON + 2 * HOUR)
            told = [
                PastCall(CallerMemory(visit=who, called_at=at, number=NUMBERS[0]), NOON + HOUR, own_number=True)
                for who, at in calls
            ]
            late = recall(told, NUMBERS[0], NOON + 2 * HOUR, timedelta(days=90))
            assert live.same_number
            assert live.same_number.visit.session == "s2"
            assert late == (live.same_number, live.newest)

    asyncio.run(scenario())
