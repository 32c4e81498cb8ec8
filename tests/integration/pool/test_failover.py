"""A server of the lease store dies or hangs under load and a replica takes over: what is lost, how long, and for whom.

Redis and Valkey replicate asynchronously: what a master acknowledged in its last moments may be gone. That is measured
here and said (docs/concepts/guarantees.md); all else must hold.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import structlog

from callrouter.db.connect import Pool, open_pool
from callrouter.lab.cluster import EmbeddedValkeyCluster
from callrouter.lab.servers import EmbeddedValkey
from callrouter.pool.coalesce import RedisClient
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.history import History
from callrouter.pool.keys import Slot, pool_slot
from callrouter.pool.store import LeaseStore
from tests.integration.pool.faulty import faulty_way
from tests.integration.pool.judge import Row, broken, overlaps, rows_of
from tests.integration.pool.test_faults import all_ended
from tests.integration.pool.visiting import Promise, Storm, Told, in_processes, visit_at_random
from tests.integration.pool.visitors import numbers, visit
from tests.waiting import until

log = structlog.get_logger()

SLOTS = [pool_slot(pool) for pool in range(81, 93)]
NUMBERS = numbers(12 * 8)
TIMEOUT_MS = 1000
"""After which the nodes call another dead; 15 s is a server's own default."""
LOST_WITHIN = 1.0
"""Seconds before the death: what was acknowledged earlier is never lost."""
NOTICED = 2.5
"""Seconds that a question to a pool elsewhere may take meanwhile; a shared machine has its moments.
A hanging master would delay it by three time-outs of a second."""


@asynccontextmanager
async def draining(client: RedisClient, postgres: Pool, slots: list[Slot]) -> AsyncIterator[None]:
    """Two workers drain history meanwhile; afterwards all of it is in Postgres."""
    workers = [History(client, postgres, lambda: slots, batch=100, idle_seconds=0.1) for _ in range(2)]
    running = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        yield
    finally:
        for worker in workers:
            worker.stop()
        await asyncio.gather(*running)
    while await workers[0].drain_all():
        pass
    for slot in slots:
        assert not await client.execute_command("XLEN", slot + "refused")


async def stocked(client: RedisClient) -> None:
    store = LeaseStore(client)
    for place, slot in enumerate(SLOTS):
        await store.load_numbers(slot, dict.fromkeys(NUMBERS[place::12], True))


def lost(promises: list[Promise], rows: list[Row], died_at: float) -> list[Promise]:
    """What was acknowledged and is not in history; all of it was said in the last moments before the death."""
    gone = broken(promises, rows)
    early = [promise for promise in gone if not died_at - LOST_WITHIN < promise.answered_at < died_at + 0.1]
    assert [round(promise.answered_at - died_at, 2) for promise in early] == []
    return gone


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hangs"])
def test_a_cluster_goes_on_when_one_of_its_masters_does_not(tmp_path: Path, database: str, how: signal.Signals) -> None:
    async def scenario(cluster: EmbeddedValkeyCluster, url: str) -> None:
        client, postgres = open_client(url, cluster=True), await open_pool(database)
        await stocked(client)
        victim = cluster.leader_of(SLOTS[0])
        assert victim
        hit = {slot for slot in SLOTS if cluster.leader_of(slot) is victim}
        base = Storm(
            url=url, slots=tuple(SLOTS), name="here", seed=1, visitors=24, clients=2, cluster=True, faithful=True
        )
        away = msgspec.structs.replace(base, name="there", seconds=5.0, visitors=12)
        over = asyncio.Event()
        async with draining(client, postgres, SLOTS):
            storming = [
                asyncio.create_task(visit_at_random(base, over.is_set)), asyncio.create_task(in_processes([away])),
            ]  # fmt: skip
            await until(lambda: history_has(postgres, 40))
            victim.signal(how)
            died_at = time.monotonic()
            await until(lambda: led_by_another(cluster, victim))
            moved_after = time.monotonic() - died_at
            await until(lambda: served(LeaseStore(client), SLOTS[0]))
            served_after = time.monotonic() - died_at
            if how is signal.SIGSTOP:
                victim.signal(signal.SIGCONT)
            before = await history_of(postgres)
            await until(lambda: history_has(postgres, before + 40))
            over.set()
            told, more = await asyncio.gather(*storming)
            told.promises += more.promises  # it may have connected for the first time meanwhile, which takes its time
            await all_ended(client, SLOTS)
        rows = await rows_of(postgres)
        gone = judge(told, rows, hit, died_at)
        concerned = [promise for promise in told.promises if promise.slot in hit and promise.answered_at < died_at]
        log.info(
            "failover", promises=len(concerned), lost=len(gone), moved_after=round(moved_after, 2),
            served_after=round(served_after, 2), elsewhere=len(told.promises) - len(concerned),
            longest_elsewhere=round(max(took for slot, took in told.longest.items() if slot not in hit), 3),
            longest=round(max(told.longest.values()), 3), leases=len(rows),
        )  # fmt: skip
        await close_client(client)
        await postgres.close()

    def judge(told: Told, rows: list[Row], hit: set[Slot], died_at: float) -> list[Promise]:
        assert overlaps(rows) == []
        gone = lost(told.promises, rows, died_at)
        assert {promise.slot for promise in gone} <= hit
        elsewhere = [slot for slot in SLOTS if slot not in hit]
        assert not any(told.unanswered.get(slot) for slot in elsewhere)
        assert max(told.longest[slot] for slot in elsewhere) < NOTICED
        during = [p for p in told.promises if p.slot in elsewhere and 0.2 < p.answered_at - died_at < 1.0]
        assert len(during) > 20
        return gone

    cluster = EmbeddedValkeyCluster(tmp_path, replicas=1, timeout_ms=TIMEOUT_MS)
    try:
        asyncio.run(scenario(cluster, cluster.start()))
    finally:
        cluster.stop()


def test_a_replica_takes_over_from_a_single_server(tmp_path: Path, database: str) -> None:
    async def scenario(master: EmbeddedValkey, replica: EmbeddedValkey) -> None:
        postgres = await open_pool(database)
        async with faulty_way(master.url, seed=1, often=0.0) as (way, url):
            client = open_client(url)
            await stocked(client)
            base = Storm(url=url, slots=tuple(SLOTS[:3]), name="here", seed=2)
            over = asyncio.Event()
            async with draining(client, postgres, SLOTS):
                storming = asyncio.create_task(visit_at_random(base, over.is_set))
                await until(lambda: history_has(postgres, 40))
                master.signal(signal.SIGKILL)
                died_at = time.monotonic()
                replica.promote()
                way.lead_to(replica.port)
                await until(lambda: served(LeaseStore(client), SLOTS[0]))
                served_after = time.monotonic() - died_at
                before = await history_of(postgres)
                await until(lambda: history_has(postgres, before + 40))
                over.set()
                told = await storming
                await all_ended(client, SLOTS)
            rows = await rows_of(postgres)
            assert overlaps(rows) == []
            gone = lost(told.promises, rows, died_at)
            concerned = [promise for promise in told.promises if promise.answered_at < died_at]
            log.info("promoted", promises=len(concerned), lost=len(gone), served_after=round(served_after, 2))
            await close_client(client)
        await postgres.close()

    master, replica = EmbeddedValkey(tmp_path / "master"), EmbeddedValkey(tmp_path / "replica")
    try:
        master.start()
        replica.password = master.password
        replica.start()
        replica.follow(master)
        asyncio.run(scenario(master, replica))
    finally:
        master.stop()
        replica.stop()


async def led_by_another(cluster: EmbeddedValkeyCluster, victim: EmbeddedValkey) -> bool:
    await asyncio.sleep(0.1)  # asking all nodes is work, and the clients under test have to run here too
    leader = await asyncio.to_thread(cluster.leader_of, SLOTS[0])
    return leader not in (None, victim)


async def served(store: LeaseStore, slot: Slot) -> bool:
    try:
        await store.sweep(slot)
    except ConnectionError:
        return False
    return True


async def history_of(postgres: Pool) -> int:
    return int(await postgres.fetchval("SELECT count(*) FROM leases"))


async def history_has(postgres: Pool, leases: int) -> bool:
    return await history_of(postgres) >= leases


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_logs_of_other_masters_are_written_while_one_is_dead(tmp_path: Path, database: str) -> None:
    async def scenario(cluster: EmbeddedValkeyCluster, url: str) -> None:
        client, postgres = open_client(url, cluster=True), await open_pool(database)
        try:
            await stocked(client)
            store = LeaseStore(client)
            for place, slot in enumerate(SLOTS):
                await store.allocate(slot, visit(f"s{place}", f"v{place}"))
            dead = cluster.leader_of(SLOTS[0])
            assert dead
            others = [slot for slot in SLOTS if cluster.leader_of(slot) is not dead]
            assert 0 < len(others) < len(SLOTS)
            dead.signal(signal.SIGKILL)
            history = History(client, postgres, lambda: SLOTS)
            running = asyncio.create_task(history.run())

            async def written() -> bool:
                sessions = {row["session"] for row in await postgres.fetch("SELECT session FROM leases")}
                return sessions == {f"s{SLOTS.index(slot)}" for slot in others}

            await until(written, seconds=30)
            history.stop()
            await running
        finally:
            await close_client(client)
            await postgres.close()

    cluster = EmbeddedValkeyCluster(tmp_path, timeout_ms=30_000)
    try:
        asyncio.run(scenario(cluster, cluster.start()))
    finally:
        cluster.stop()
        gc.collect()  # here, where its warnings are expected
