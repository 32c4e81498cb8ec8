"""Any part away, slow, frozen or killed, with real calls under way: each rings, is answered, and has one right appeal.

One product serves most tests, one after another; each leaves it as it found it.
"""

from __future__ import annotations

import asyncio
import random
import re
import resource
import signal
import time
from dataclasses import replace

import pytest

from callrouter.demo import section
from callrouter.lab.asterisk import Attach
from callrouter.lab.cable import Cable
from callrouter.lab.stack import Stack, running
from callrouter.lab.verdict import Placed
from tests.pbx.scene import (
    DEADLINE,
    KNOWN,
    SETTLED,
    USUAL,
    WATCHDOG,
    Play,
    Scene,
    connected,
    entered_bridges,
    in_hand,
    rang,
    several,
    told_right,
)
from tests.waiting import until


def test_calls_whose_dialplan_cannot_ask_ring_at_once_and_are_attributed_late(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        usual = scene.pbx.attachment
        known = await scene.metric("router", KNOWN)
        asking = await several(scene, [2.0])
        await until(lambda: resolved(scene, known + 1))
        await scene.pbx.attach(replace(usual, agi="agi://127.0.0.1:9/resolve"))
        unasked = await several(scene, [0.3, 0.5, 2.5, 3.0])
        (asked,), calls = await asking, await unasked
        await scene.pbx.attach(usual)
        rang(calls, USUAL)
        told_right(calls, await scene.appeals(*calls, having=SETTLED), late=True, complete=True, agi_ms=None)
        told_right([asked], await scene.appeals(asked), late=False, complete=True)

    play(scenario)


async def resolved(scene: Scene, calls: float) -> bool:
    return await scene.metric("router", KNOWN) == calls


def test_a_stopped_router_hands_its_calls_to_its_successor(play: Play) -> None:
    """Those that outlive it with all their times; one that ends in between gets its end from the PBX's own record."""

    async def scenario(scene: Scene) -> None:
        going, ending = await several(scene, [0.2, 0.4, 5.5, 6.0]), await several(scene, [2.5])
        await until(lambda: in_hand(scene, 3))
        began = time.monotonic()
        await scene.stack.stop("router")
        assert time.monotonic() - began < 3
        unseen = await ending
        await scene.stack.start("router")
        calls = await going
        rang(calls + unseen, USUAL)
        rows = await scene.appeals(*calls, *unseen, seconds=30, having="complete")
        told_right(calls + unseen, rows, late=False)
        assert all(row["agi_ms"] <= DEADLINE * 1000 for row in rows)
        for call, row in zip(calls + unseen, rows, strict=True):
            assert abs(row["talk_s"] - call.truth.talk_s) < 0.5
            assert abs(row["wait_s"] - call.truth.wait_s) < 0.5

    play(scenario)


def test_a_router_killed_again_and_again_loses_and_doubles_nothing(play: Play) -> None:
    """Also of those calls that nobody saw end, or begin: the PBX's own record knows them."""

    async def scenario(scene: Scene) -> None:
        chance = random.Random(5)
        before = await scene.conn.fetchval("SELECT count(*) FROM appeals")
        going = await several(scene, [round(chance.uniform(0.2, 9.0), 2) for _ in range(12)])
        for _ in range(2):
            await asyncio.sleep(chance.uniform(0.3, 1.2))  # at any moment: not a wait for something
            await scene.stack.stop("router", by=signal.SIGKILL)
            await scene.stack.start("router")
            await until(lambda: connected(scene))
        calls = await going
        rang(calls, USUAL + WATCHDOG)
        told_right(calls, await scene.appeals(*calls, seconds=60, having=f"{SETTLED} AND complete"))
        assert await scene.conn.fetchval("SELECT count(*) FROM appeals") - before == len(calls)

    play(scenario)


def test_a_frozen_router_holds_calls_no_longer_than_the_watchdog(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        people = [await scene.visitor() for _ in range(4)]
        scene.stack.signal("router", signal.SIGSTOP)
        calls = [
            asyncio.ensure_future(scene.call(one, talk_s=talk))
            for one, talk in zip(people, (0.2, 0.4, 2.5, 3), strict=True)
        ]
        await asyncio.wait(calls[:2])
        scene.stack.signal("router", signal.SIGCONT)
        placed = await asyncio.gather(*calls)
        rang(placed, USUAL + WATCHDOG)
        assert min(call.truth.wait_s for call in placed) > WATCHDOG - 0.1
        told_right(placed, await scene.appeals(*placed, having=SETTLED), late=True, complete=True)
        assert await scene.metric("router", KNOWN) == 0

    play(scenario)


def test_a_frozen_lease_store_delays_no_call_beyond_the_deadline(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        going = await several(scene, [2.0, 2.5, 3.0, 3.5])
        with scene.frozen("valkey"):
            await until(lambda: answered_late(scene, 4))
        calls = await going
        rang(calls, USUAL + DEADLINE)
        told_right(calls, await scene.appeals(*calls, having=SETTLED), late=True, complete=True, agi_ms=150.0)

    play(scenario)


async def answered_late(scene: Scene, calls: int) -> bool:
    return await scene.metric("router", 'callrouter_agi_requests_total{status="late"}') >= calls


@pytest.mark.parametrize("how", ["frozen", "killed"])
def test_postgres_away_costs_nothing_but_delay(play: Play, how: str) -> None:
    async def scenario(scene: Scene) -> None:
        going = await several(scene, [0.3, 0.6, 0.9, 1.2])
        async with scene.without("postgres", how):
            calls = await going
            assert await scene.metric("router", "callrouter_journal_backlog_bytes") > 0
        rang(calls, USUAL)
        told_right(calls, await scene.appeals(*calls, seconds=20), late=False, complete=True)

    play(scenario)


def test_a_call_without_any_lease_store_rings_and_waits_for_its_attribution(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        going = await several(scene, [0.3, 0.6])
        async with scene.without("valkey", "killed"):
            calls = await going
            rang(calls, USUAL + DEADLINE)
            rows = await scene.appeals(*calls)
            assert {(row["method"], row["attribution_pending"]) for row in rows} == {("unattributed", True)}
        scene.owed += calls

    play(scenario)


@pytest.mark.parametrize("snapshot", [True, False], ids=["with-a-snapshot", "knowing-nothing"])
def test_a_router_started_while_postgres_is_away_lets_calls_through(play: Play, snapshot: bool) -> None:
    async def scenario(scene: Scene) -> None:
        people = [await scene.visitor() for _ in range(3)]
        await scene.stack.stop("router")
        if not snapshot:
            (scene.stack.folder / "journal/directory.json").unlink()
        async with scene.without("postgres", "killed"):
            starting = asyncio.ensure_future(scene.stack.start("router"))
            await until(lambda: connected(scene))
            calls = await asyncio.gather(*(scene.call(one, talk_s=0.4) for one in people))
            rang(calls, USUAL)
        await starting
        if snapshot:
            told_right(calls, await scene.appeals(*calls, seconds=20), late=False, complete=True)
        else:
            scene.owed += calls

    play(scenario)


def test_web_and_worker_started_without_postgres_work_as_soon_as_it_is_there(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        await scene.stack.stop("web", "worker")
        async with scene.without("postgres", "killed"):
            starting = asyncio.ensure_future(scene.stack.start("web", "worker"))
            await until(lambda: answers(scene, "web", 503))
            await until(lambda: answers(scene, "worker", 503))
        await starting
        call = await scene.call(await scene.visitor())
        told_right([call], await scene.appeals(call), late=False, complete=True)

    play(scenario)


async def answers(scene: Scene, process: str, status: int) -> bool:
    return (await scene.stack.fetch(f"{scene.stack.ops(process)}/ready"))[0] == status


def test_processes_stop_within_seconds_while_postgres_hangs(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        going = await several(scene, [0.2, 0.4])
        with scene.frozen("postgres"):
            calls = await going
            await until(lambda: in_hand(scene, 0))  # the phones are done; the router sees the end of it a moment later
            began = time.monotonic()
            await asyncio.gather(scene.stack.stop("router"), scene.stack.stop("worker"))
            assert time.monotonic() - began < 20
        await scene.stack.start("router", "worker")
        told_right(calls, await scene.appeals(*calls, seconds=20), late=False, complete=True)

    play(scenario)


def test_a_full_disk_under_the_journal_delays_appeals_and_loses_none(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        going = await several(scene, [0.3, 0.6])
        process = scene.stack.pid("router")
        _, most = resource.prlimit(process, resource.RLIMIT_FSIZE)
        resource.prlimit(process, resource.RLIMIT_FSIZE, (1, most))
        calls = await going
        await until(lambda: failing(scene))
        resource.prlimit(process, resource.RLIMIT_FSIZE, (most, most))
        rang(calls, USUAL)
        told_right(calls, await scene.appeals(*calls, seconds=15), late=False, complete=True)

    play(scenario)


async def failing(scene: Scene) -> bool:
    return '"journal":{"ok":false' in await scene.health()


def test_two_routers_on_one_pbx_tell_each_call_once(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        second = Stack(scene.folder / "second", postgres=scene.stack.postgres, redis=scene.stack.redis)
        second.configure(section(scene.pbx, "agi"))
        async with running(second, "router"):
            going = await several(scene, [0.3, 0.6, 2.5])
            calls = await going
            rows = await scene.appeals(*calls, having=SETTLED)
            await until(lambda: published(second, 3))
        rang(calls, USUAL)
        told_right(calls, rows, complete=True)
        await scene.appeals(*calls)

    play(scenario)


async def published(stack: Stack, appeals: int) -> bool:
    """The second to tell a call finds it told."""
    _, text = await stack.fetch(f"{stack.ops('router')}/metrics")
    return (
        sum(float(value) for value in re.findall(r"^callrouter_appeals_published_total\S+ (\S+)", text, re.MULTILINE))
        >= appeals
    )


def test_a_second_router_answers_for_one_that_is_frozen_or_dead(play: Play) -> None:
    """Also one whose own way to the lease store is slow, within its deadline."""

    async def scenario(scene: Scene) -> None:
        usual, way = scene.pbx.attachment, Cable(scene.port("valkey"))
        redis = scene.stack.redis.replace(f":{scene.port('valkey')}", f":{await way.open()}")
        second = Stack(scene.folder / "standby", postgres=scene.stack.postgres, redis=redis)
        second.configure(section(scene.pbx, "agi"))
        async with running(second, "router"):
            await scene.pbx.attach(replace(usual, agi_2=second.agi))
            people = [await scene.visitor() for _ in range(6)]
            scene.stack.signal("router", signal.SIGSTOP)
            frozen = await asyncio.gather(*(scene.call(one) for one in people[:2]))
            scene.stack.signal("router", signal.SIGCONT)
            await scene.stack.stop("router", by=signal.SIGKILL)
            dead = await asyncio.gather(*(scene.call(one) for one in people[2:4]))
            way.delay_s = DEADLINE
            slow = await asyncio.gather(*(scene.call(one, talk_s=3.0) for one in people[4:]))
            way.delay_s = 0.0
            told_right(dead, await scene.appeals(*dead, having=SETTLED), late=False, complete=True)
            told_right(slow, await scene.appeals(*slow, having=SETTLED), late=True, complete=True)
        await scene.stack.start("router")
        await scene.pbx.attach(usual)
        await way.close()
        rang(frozen, USUAL + WATCHDOG / 2)
        rang(dead, USUAL)
        rang(slow, USUAL + DEADLINE)
        told_right(frozen, await scene.appeals(*frozen, seconds=20, having=SETTLED), late=False)

    play(scenario)


@pytest.mark.parametrize("mode", ["ari", "watch"])
def test_calls_ring_and_are_attributed_whichever_way_the_pbx_is_attached(play: Play, mode: Attach) -> None:
    """The lease store frozen, Postgres killed, the router frozen and killed, in turn, under calls that go on."""

    async def scenario(scene: Scene) -> None:
        usual = scene.pbx.attachment
        people = iter([await scene.visitor() for _ in range(9)])

        async def calls(*talks: float) -> asyncio.Future[list[Placed]]:
            """Begun now, and answered."""
            before = entered_bridges(scene)
            placed = asyncio.gather(*(scene.call(next(people), talk_s=talk) for talk in talks))
            await until(lambda: entered_bridges(scene) >= before + 2 * len(talks))
            return placed

        await attached(scene, mode)
        with scene.frozen("valkey"):
            placed = [await calls(2.5, 3.0)]
        async with scene.without("postgres", "killed"):
            placed.append(await calls(0.5, 6.0))
        scene.stack.signal("router", signal.SIGSTOP)
        held = await calls(0.3)
        scene.stack.signal("router", signal.SIGCONT)
        placed.append(await calls(8.0))
        await scene.stack.stop("router", by=signal.SIGKILL)
        placed.append(await calls(0.5, 6.0))
        await scene.stack.start("router")
        told = [call for each in placed for call in await each]
        await attached(scene, "agi")
        await scene.pbx.attach(usual)
        rang(told, USUAL + DEADLINE)
        rang(await held, USUAL + (WATCHDOG if mode == "ari" else 0))
        told += await held
        told_right(told, await scene.appeals(*told, seconds=60, having=f"{SETTLED} AND complete"))

    play(scenario)


async def attached(scene: Scene, mode: Attach) -> None:
    await scene.stack.stop("router")
    scene.stack.configure(section(scene.pbx, mode))
    await scene.pbx.attach(replace(scene.pbx.attachment, mode=mode))
    await scene.stack.start("router")
    await until(lambda: connected(scene))


def test_what_nobody_could_attribute_is_settled_from_the_history(play: Play) -> None:
    """Of the tests above that left calls pending."""

    async def scenario(scene: Scene) -> None:
        rows = await scene.appeals(*scene.owed, having=SETTLED, seconds=60) if scene.owed else []
        told_right(scene.owed, rows, late=True, complete=True)

    play(scenario)
