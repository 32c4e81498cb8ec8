"""The line to the PBX lost in each way, with calls in progress: the router goes on with them, and each is told whole.

The truth is the phones'. What went unseen is completed from the PBX's own record.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from callrouter.demo import section
from callrouter.lab.asterisk import AsteriskFailed
from callrouter.lab.cable import Cable
from callrouter.lab.plan import CallPlan, Outcome
from tests.pbx.scene import SETTLED, USUAL, Play, Scene, connected, entered_bridges, in_hand, rang, several, told_right
from tests.pbx.test_proving import PATIENCE, as_it_was, plans
from tests.waiting import until

WHOLE = f"complete AND {SETTLED}"
"""A busy machine may answer the dialplan late; then the call is credited soon afterwards."""
LONG = [
    CallPlan(outcome=outcome, caller=f"791655830{n:02}", did=f"74952225{n:03}", talk_s=seconds, wait_s=seconds)
    for n, (outcome, seconds) in enumerate({
        Outcome.ANSWERED_IN_QUEUE: 12.0, Outcome.ABANDONED_IN_QUEUE: 12.0, Outcome.RING_GROUP: 12.0,
        Outcome.ATTENDED_TRANSFER: 6.0,
    }.items())
]  # fmt: skip


@asynccontextmanager
async def over_a_cable(scene: Scene) -> AsyncIterator[Cable]:
    """The router reaches the manager interface over it."""
    cable = Cable(scene.pbx.ami_port)
    await configured(scene, await cable.open())
    try:
        yield cable
    finally:
        await configured(scene, scene.pbx.ami_port)
        await cable.close()


async def configured(scene: Scene, ami_port: int) -> None:
    await scene.stack.stop("router")
    scene.stack.configure(section(scene.pbx, "agi") | {"ami": f"127.0.0.1:{ami_port}"})
    await scene.stack.start("router")
    await until(lambda: connected(scene))


async def lost(scene: Scene) -> float:
    return await scene.metric("router", "callrouter_ami_lost_total")


def test_a_line_that_dies_without_a_word_and_is_cut_costs_no_call_and_no_second_of_one(play: Play) -> None:
    """Calls of each kind go on across it, are transferred or end in the dark, begin and end in it, begin in it."""

    async def scenario(scene: Scene) -> None:
        async with over_a_cable(scene) as cable:
            before = await scene.conn.fetchval("SELECT count(*) FROM appeals")
            across = [asyncio.ensure_future(scene.pbx.place(plan)) for plan in LONG]
            over, ending = await several(scene, [12.0, 13.0]), await several(scene, [2.5])
            await until(lambda: in_hand(scene, len(LONG) + 3))
            cable.go_dead()
            unseen = asyncio.gather(*(scene.pbx.place(plan) for plan in plans()[1:3]))
            ended = await ending
            begun = await several(scene, [10.0])
            await until(lambda: noticed(scene), 30)
            for _ in range(3):
                await until(lambda: connected(scene))
                cable.cut()
            calls = await over + ended + await begun
            rang(calls, USUAL)
            told_right(calls, await scene.appeals(*calls, seconds=PATIENCE, having=WHOLE))
            truths = [call.truth for call in calls] + await asyncio.gather(*across) + await unseen
            as_it_was(truths, await scene.appeals(*truths, seconds=PATIENCE, having=WHOLE))
            assert await scene.conn.fetchval("SELECT count(*) FROM appeals") - before == len(truths)

    play(scenario)


async def noticed(scene: Scene) -> bool:
    return "no answer to a ping" in scene.stack.log("router")


def test_a_reload_of_the_pbx_interrupts_nothing(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        before = await lost(scene)
        going = await several(scene, [0.5, 3.0, 4.0])
        queue = asyncio.ensure_future(scene.pbx.place(plans()[0]))
        await until(lambda: in_hand(scene, 4))
        for _ in range(2):
            await scene.pbx.rx("core reload")
            await until(lambda: in_hand(scene, 2))
        calls = await going
        rang(calls, USUAL + 1)
        told_right(calls, await scene.appeals(*calls, having=WHOLE))
        truth = await queue
        as_it_was([truth], await scene.appeals(truth, having=WHOLE))
        assert await lost(scene) == before

    play(scenario)


async def restarts(scene: Scene, how: str) -> None:
    """`core restart …`, the second half of which the lab does: its Asterisk cannot find its libraries by itself."""
    with contextlib.suppress(AsteriskFailed):
        await scene.pbx.rx(how)
    await until(lambda: not scene.pbx.running)
    await scene.pbx.restart()
    await until(lambda: connected(scene))


def test_a_restart_of_the_pbx_ends_its_calls_and_new_ones_are_followed(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        plan = CallPlan(outcome=Outcome.ABANDONED_IN_QUEUE, caller="79165584001", did="74952225101", wait_s=60)
        before = entered_bridges(scene)
        going, waiting = await several(scene, [60, 60]), asyncio.ensure_future(scene.pbx.place(plan))
        await until(lambda: in_hand(scene, 3))
        await until(lambda: entered_bridges(scene) >= before + 4)
        await restarts(scene, "core restart now")
        calls = await going
        told_right(calls, await scene.appeals(*calls, having=WHOLE))
        await asyncio.wait({waiting})
        after = await scene.call(await scene.visitor())
        rang([after], USUAL)
        told_right([after], await scene.appeals(after, having=WHOLE))

    play(scenario)


def test_a_graceful_restart_lets_calls_end_and_tells_them_whole(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        before = entered_bridges(scene)
        going = await several(scene, [0.5, 2.0, 3.0])
        await until(lambda: entered_bridges(scene) >= before + 6)  # a PBX that is to end rings nobody any more
        await restarts(scene, "core restart gracefully")
        calls = [*await going, await scene.call(await scene.visitor())]
        rang(calls, USUAL)
        rows = await scene.appeals(*calls, having=WHOLE)
        told_right(calls, rows)
        as_it_was([call.truth for call in calls], rows)

    play(scenario)
