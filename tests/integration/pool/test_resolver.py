"""Number + caller + time → visit, over a real Valkey, single and clustered."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
import pytest

from callrouter.numbers import Number
from callrouter.pool.coalesce import RedisClient
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.directory import Account, Directory, NumberEntry, PoolChoice, Site
from callrouter.pool.keys import pool_slot
from callrouter.pool.model import StaticBinding
from callrouter.pool.resolver import Resolver
from callrouter.pool.routing import RouteRule
from callrouter.pool.store import LeaseStore, RefusedRequest, StoreUnavailable
from callrouter.pool.sweeper import load_pools
from tests.integration.pool.visitors import CALLER, NOON, numbers, store, visit

POOL = numbers(3)
STATIC, OWN, STRANGE = Number("74951111111"), Number("74952222222"), Number("74953333333")
SLOT = pool_slot(1)
DIRECTORY = Directory(
    accounts=(Account(id=1, default_route="operator"), Account(id=2, default_route="two"), Account(id=3)),
    sites=(
        Site(id=1, account=2, route="sales", own_numbers=(OWN,), pools=(PoolChoice(pool=1),)),
        Site(id=2, account=3, pools=(PoolChoice(pool=1),)),
    ),
    numbers=(
        *(NumberEntry(number=number, account=1, pool=1) for number in POOL),
        NumberEntry(number=STATIC, account=2, route="newspaper"),
    ),
    bindings=(
        StaticBinding(
            number=STATIC, account=2, site=1, channel="offline", source="newspaper", medium="print", campaign="",
            valid_from=NOON,
        ),
    ),
    pools=(1,),
)  # fmt: skip


def test_a_call_to_a_leased_number_is_its_visitors(valkey_url: str) -> None:
    async def scenario() -> None:
        async with store(valkey_url) as leases:
            assert await load_pools(leases, DIRECTORY) == 3
            assert await load_pools(leases, DIRECTORY) == 0
            leased = await leases.allocate(SLOT, visit("s1", "ann", page="https://shop.example/"), now=NOON)
            await leases.renew(SLOT, "s1", page="https://shop.example/окна", now=NOON + timedelta(minutes=1))
            resolver = Resolver(leases, lambda: DIRECTORY)
            assert leased.number
            at = NOON + timedelta(minutes=2)
            found = await resolver.resolve(leased.number, CALLER, at, live=False)
            assert (found.attribution.method, found.attribution.session) == ("holder", "s1")
            assert found.attribution.confidence > 0.9
            assert found.visit
            assert (found.visit.page, found.visit.pages) == ("https://shop.example/окна", 2)
            assert found.visit.traffic.keyword == "купить окна"
            assert (found.route, found.unique, found.client) == ("sales", True, None)
            await resolver.remember(found, client="17")
            again = await resolver.resolve(leased.number, CALLER, at, live=False)
            assert (again.unique, again.client) == (False, "17")

    asyncio.run(scenario())


def test_a_sites_rules_route_its_calls_by_source_and_by_who_calls(valkey_url: str) -> None:
    rules = (
        RouteRule(route="manager", caller="managed"), RouteRule(route="again", caller="known"),
        RouteRule(route="leads", sources=("yandex",)),
    )  # fmt: skip
    sites = (msgspec.structs.replace(DIRECTORY.sites[0], routing=rules), DIRECTORY.sites[1])
    directory = msgspec.structs.replace(DIRECTORY, sites=sites)

    async def scenario() -> None:
        async with store(valkey_url) as leases:
            await load_pools(leases, directory)
            number = (await leases.allocate(SLOT, visit("s1", "ann"), now=NOON)).number
            assert number
            resolver = Resolver(leases, lambda: directory)
            found = await resolver.resolve(number, CALLER, NOON, live=False)
            assert (found.route, found.manager) == ("leads", "")
            await resolver.remember(found, client="17")
            again = await resolver.resolve(number, CALLER, NOON, live=False)
            assert (again.route, again.manager) == ("again", "")
            known = Number(""), CALLER
            for employee in ("101", ""):  # a call that nobody answers takes no manager away
                await leases.remember(
                    SLOT, known[1], account=2, at=NOON, number=known[0], client="17", employee=employee,
                    own_number=False,
                )  # fmt: skip
            await leases.remember(SLOT, CALLER, account=3, at=NOON, number=known[0], employee="909", own_number=False)
            managed = await resolver.resolve(number, CALLER, NOON, live=False)
            assert (managed.route, managed.manager, managed.client) == ("manager", "101", "17")
            own = await resolver.resolve(OWN, Number("79990000000"), NOON, live=False)
            assert own.route == "sales", "of a call without a source"

    asyncio.run(scenario())


def test_a_returning_caller_is_credited_to_his_own_visit(valkey_url: str) -> None:
    async def scenario() -> None:
        async with store(valkey_url) as leases:
            await leases.load_numbers(SLOT, {POOL[0]: True}, now=NOON)
            resolver = Resolver(leases, lambda: DIRECTORY)
            await leases.allocate(SLOT, visit("s1", "ann"), now=NOON)
            await resolver.remember(await resolver.resolve(POOL[0], CALLER, NOON, live=False))
            later = NOON + timedelta(hours=20)
            await leases.allocate(SLOT, visit("s2", "bob", account=3, site=2), now=later)
            stranger = await resolver.resolve(POOL[0], Number("79990000000"), later, live=False)
            assert stranger.attribution.session == "s2"
            ann = await resolver.resolve(POOL[0], CALLER, later, live=False)
            assert (ann.attribution.method, ann.attribution.session) == ("caller_memory", "s1")
            assert ann.attribution.account == 2
            assert ann.visit
            assert ann.visit.visitor == "ann"

    asyncio.run(scenario())


def test_a_free_number_is_its_last_holders(valkey_url: str) -> None:
    async def scenario() -> None:
        async with store(valkey_url) as leases:
            await leases.load_numbers(SLOT, {POOL[0]: True}, now=NOON)
            await leases.allocate(SLOT, visit("s1", "ann"), now=NOON)
            resolver = Resolver(leases, lambda: DIRECTORY)
            for swept in (False, True):
                at = NOON + timedelta(hours=2)
                if swept:
                    assert await leases.sweep(SLOT, now=at) == (1, 1)
                found = await resolver.resolve(POOL[0], None, at, live=False)
                assert (found.attribution.method, found.attribution.session) == ("last_holder", "s1")
                assert found.visit

    asyncio.run(scenario())


def test_static_own_and_strange_numbers_need_no_lease(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # What is known of a caller comes late on a busy machine.
    monkeypatch.setattr("callrouter.pool.resolver.HINTS_SECONDS", 10.0)

    async def scenario() -> None:
        async with store(valkey_url) as leases:
            resolver = Resolver(leases, lambda: DIRECTORY)
            static = await resolver.resolve(STATIC, CALLER, NOON)
            assert (static.attribution.method, static.route, static.unique) == ("static", "newspaper", True)
            assert static.binding
            await resolver.remember(static, client="5")
            assert (await resolver.resolve(STATIC, CALLER, NOON)).client == "5"
            before = await resolver.resolve(STATIC, CALLER, NOON - timedelta(seconds=1))
            assert before.attribution.method == "unattributed"
            own = await resolver.resolve(OWN, CALLER, NOON)
            assert (own.attribution.method, own.attribution.site, own.route) == ("unattributed", 1, "sales")
            strange = await resolver.resolve(STRANGE, CALLER, NOON)
            assert (strange.attribution.account, strange.route, strange.unique) == (None, "operator", None)

    asyncio.run(scenario())


def test_without_a_store_only_static_numbers_are_answered() -> None:
    async def scenario() -> None:
        client = open_client("redis://127.0.0.1:1/0", timeout=0.2)
        resolver = Resolver(LeaseStore(client), lambda: DIRECTORY)
        static = await resolver.resolve(STATIC, CALLER, NOON)
        assert (static.attribution.method, static.unique, static.client) == ("static", None, None)
        with pytest.raises(StoreUnavailable):
            await resolver.resolve(POOL[0], CALLER, NOON)
        await close_client(client)

    asyncio.run(scenario())


def test_many_calls_at_once_are_each_answered_for_their_own_number(valkey_url: str) -> None:
    async def scenario() -> None:
        async with store(valkey_url) as leases:
            await leases.load_numbers(SLOT, dict.fromkeys(numbers(200), True))
            other = pool_slot(2)
            moved = [Number(str(int(number) + 500)) for number in numbers(200)]
            await leases.load_numbers(other, dict.fromkeys(moved, True))
            held: dict[Number, str] = {}
            for place in range(200):
                for slot, name in ((SLOT, "a"), (other, "b")):
                    leased = await leases.allocate(slot, visit(f"{name}{place}", f"{name}{place}"))
                    assert leased.number
                    held[leased.number] = leased.session
            entries = (*(NumberEntry(number=n, account=1, pool=1) for n in numbers(200)),
                       *(NumberEntry(number=n, account=1, pool=2) for n in moved))  # fmt: skip
            directory = Directory(numbers=entries, pools=(1, 2))
            resolver = Resolver(leases, lambda: directory)
            found = await asyncio.gather(*(resolver.resolve(number, CALLER, NOON) for number in held))
            assert [each.attribution.session for each in found] == list(held.values())

    asyncio.run(scenario())


def test_a_cancelled_question_leaves_the_others_alone(valkey_url: str) -> None:
    async def scenario() -> None:
        async with store(valkey_url) as leases:
            await load_pools(leases, DIRECTORY)
            resolver = Resolver(leases, lambda: DIRECTORY)
            asked = [asyncio.create_task(resolver.resolve(POOL[place % 3], CALLER, NOON)) for place in range(30)]
            await asyncio.sleep(0)
            for task in asked[::2]:
                task.cancel()
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert all(isinstance(answer, asyncio.CancelledError) for answer in answers[::2])
            assert not any(isinstance(answer, BaseException) for answer in answers[1::2])

    asyncio.run(scenario())


def test_scripts_survive_a_flush_of_the_script_cache(valkey_url: str) -> None:
    async def scenario() -> None:
        client = open_client(valkey_url)
        leases = LeaseStore(client)
        await leases.load_numbers(SLOT, {POOL[0]: True})
        await client.execute_command("SCRIPT", "FLUSH")
        assert (await leases.allocate(SLOT, visit("s1", "ann"))).outcome == "leased"
        await client.execute_command("SCRIPT", "FLUSH")
        resolver = Resolver(leases, lambda: DIRECTORY)
        found = await asyncio.gather(*(resolver.resolve(POOL[0], CALLER, NOON) for _ in range(5)))
        assert {each.attribution.session for each in found} == {"s1"}
        await close_client(client)

    asyncio.run(scenario())


def test_a_lost_reply_leases_no_second_number(valkey_url: str) -> None:
    """The client asks again when a reply is lost: here every script is carried out twice."""

    class Stutter:
        def __init__(self, client: RedisClient) -> None:
            self.client = client
            self.eval = client.eval
            self.pipeline = client.pipeline
            self.execute_command = client.execute_command

        async def evalsha(self, *words: object) -> object:
            await self.client.evalsha(*words)  # type: ignore[arg-type] # passed on as they came
            return await self.client.evalsha(*words)  # type: ignore[arg-type]

    async def scenario() -> None:
        client = open_client(valkey_url)
        plain = LeaseStore(client)
        await plain.load_numbers(SLOT, dict.fromkeys(POOL, True))
        await plain.allocate(SLOT, visit("s0", "zoe"))
        leases = LeaseStore(Stutter(client))
        first = await leases.allocate(SLOT, visit("s1", "ann"))
        second = await leases.allocate(SLOT, visit("s2", "ann"))
        assert (second.session, second.number, second.pages) == ("s1", first.number, 2)
        assert (await leases.renew(SLOT, "s1", request="r1", page="/p3")).pages == 3
        assert (await plain.occupancy(SLOT)).leased == 2
        await close_client(client)

    asyncio.run(scenario())


def test_a_hold_under_the_minimum_and_strange_ids_are_refused(valkey_url: str) -> None:
    async def scenario() -> None:
        async with store(valkey_url) as leases:
            with pytest.raises(RefusedRequest, match="minimum"):
                await leases.allocate(SLOT, visit("s1", "ann"), hold=timedelta(minutes=4))
            with pytest.raises(RefusedRequest, match="no id"):
                await leases.allocate(SLOT, visit("s1", "ann\x1f"))

    asyncio.run(scenario())


def test_when_the_pool_is_empty_a_site_may_take_the_closed_lease_nearest_to_its_end(valkey_url: str) -> None:
    async def scenario() -> None:
        async with store(valkey_url) as leases:
            await leases.load_numbers(SLOT, {POOL[0]: True, POOL[1]: True}, now=NOON)
            await leases.allocate(SLOT, visit("s1", "ann"), now=NOON)
            closed = await leases.renew(SLOT, "s1", closed=True, now=NOON)
            await leases.allocate(SLOT, visit("s2", "bob"), now=NOON)
            for minutes, outcome in ((4, "overflow"), (5, "leased")):
                at = NOON + timedelta(minutes=minutes)
                got = await leases.allocate(SLOT, visit(f"t{minutes}", "cid"), policy="nearest_end", now=at)
                assert got.outcome == outcome
            assert got.number == closed.number
            late = await leases.allocate(SLOT, visit("s4", "dan"), policy="nearest_end", now=at)
            assert late.outcome == "overflow", "an open page keeps its number"

    asyncio.run(scenario())


def test_the_same_code_runs_on_a_cluster(cluster_url: str) -> None:
    async def scenario() -> None:
        async with store(cluster_url, cluster=True) as leases:
            pools = range(10, 22)
            for pool in pools:
                slot = pool_slot(pool)
                await leases.load_numbers(slot, {Number(str(74960000000 + pool)): True})
                assert (await leases.allocate(slot, visit(f"s{pool}", "ann"))).outcome == "leased"
            entries = tuple(NumberEntry(number=Number(str(74960000000 + p)), account=1, pool=p) for p in pools)
            directory = Directory(numbers=entries, pools=tuple(pools))
            resolver = Resolver(leases, lambda: directory)
            found = await asyncio.gather(*(resolver.resolve(e.number, CALLER, NOON) for e in entries))
            assert [each.attribution.session for each in found] == [f"s{pool}" for pool in pools]
            assert (await leases.occupancy(pool_slot(10))).leased == 1

    asyncio.run(scenario())


def test_many_clients_at_once_never_lease_a_number_twice(valkey_url: str) -> None:
    async def scenario() -> None:
        clients = [open_client(valkey_url) for _ in range(4)]
        stores = [LeaseStore(client) for client in clients]
        await stores[0].load_numbers(SLOT, dict.fromkeys(numbers(100), True))
        asked = [stores[place % 4].allocate(SLOT, visit(f"s{place}", f"v{place % 150}")) for place in range(300)]
        got = await asyncio.gather(*asked)
        holders: dict[Number, set[str]] = {}
        for allocation in got:
            if allocation.number:
                holders.setdefault(allocation.number, set()).add(allocation.session)
        assert len(holders) == 100
        assert all(len(sessions) == 1 for sessions in holders.values())
        assert sum(allocation.outcome == "overflow" for allocation in got) == 100
        for client in clients:
            await close_client(client)

    asyncio.run(scenario())


def test_a_number_that_moves_to_another_pool_ends_its_lease_there(valkey_url: str) -> None:
    async def scenario() -> None:
        async with store(valkey_url) as leases:
            other = pool_slot(2)
            await leases.load_numbers(SLOT, {POOL[0]: True}, now=NOON)
            await leases.allocate(SLOT, visit("s1", "ann"), now=NOON)
            await leases.load_numbers(SLOT, {}, now=NOON)
            await leases.load_numbers(other, {POOL[0]: True}, now=NOON)
            assert (await leases.renew(SLOT, "s1", now=NOON)).outcome == "lost"
            assert (await leases.allocate(other, visit("s2", "bob"), now=NOON)).outcome == "leased"
            assert (await leases.occupancy(SLOT)).numbers == 0

    asyncio.run(scenario())
