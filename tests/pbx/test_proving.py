"""Calls that nobody watched: the PBX's own record tells of them, and each is there once, as it was."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

from callrouter.lab.asterisk import AsteriskFailed
from callrouter.lab.plan import CallPlan, Outcome, Truth
from tests.pbx.scene import Play, Row, Scene, in_hand, rang, several
from tests.waiting import until

PATIENCE = 60.0
NEAR = timedelta(seconds=1)


def as_it_was(truths: list[Truth], rows: list[Row]) -> None:
    for truth, row in zip(truths, rows, strict=True):
        told = (row["status"], row["lost_reason"], row["final_group"], row["employee"], row["direction"])
        assert told == (truth.status, truth.lost_reason, truth.group, truth.employee, truth.direction), truth
        assert abs(row["talk_s"] - truth.talk_s) < 1
        assert abs(row["wait_s"] - truth.wait_s) < 1
        assert abs(row["started_at"] - truth.started_at) < NEAR
        assert abs(row["ended_at"] - truth.ended_at) < NEAR


def plans() -> list[CallPlan]:
    """The caller talks on for longer than a busy machine takes to carry out a transfer."""
    outcomes = (Outcome.ANSWERED_IN_QUEUE, Outcome.BUSY, Outcome.ABANDONED_IN_QUEUE, Outcome.ATTENDED_TRANSFER)
    return [
        CallPlan(outcome=outcome, caller=f"791655810{n:02}", did=f"74952223{n:03}", talk_s=1.5, wait_s=3.0)
        for n, outcome in enumerate(outcomes)
    ]


def test_calls_while_the_router_was_dead_are_told_as_if_it_had_watched(play: Play) -> None:
    """One ends unseen, one goes on until a router is back, four begin and end in between."""

    async def scenario(scene: Scene) -> None:
        before = await scene.conn.fetchval("SELECT count(*) FROM appeals")
        going, ending = await several(scene, [9.0]), await several(scene, [2.0])
        await until(lambda: in_hand(scene, 2))
        await scene.stack.stop("router", by=signal.SIGKILL)
        unseen = await asyncio.gather(*(scene.pbx.place(plan) for plan in plans()))
        ended = await ending
        await scene.stack.start("router")
        calls = await going + ended
        rang(calls, 2)
        truths = [call.truth for call in calls] + list(unseen)
        as_it_was(truths, await scene.appeals(*truths, seconds=PATIENCE, having="complete"))
        assert await scene.conn.fetchval("SELECT count(*) FROM appeals") - before == len(truths)
        await until(lambda: "RECONCILE-MISSING" in scene.stack.log("router"))
        assert await scene.metric("router", 'callrouter_reconcile_missing_total{pbx="pbx1"}') >= len(unseen)

    play(scenario)


async def through(scene: Scene, end: Callable[[], Awaitable[None]], plan: CallPlan) -> list[Row]:
    """The appeals of a call that went on when the router was killed and the PBX ended, once both are back."""
    before = scene.pbx.cel_file.read_text().count("BRIDGE_ENTER") + 1
    call = asyncio.ensure_future(scene.pbx.place(plan))
    await until(lambda: in_hand(scene, 1))
    await until(lambda: scene.pbx.cel_file.read_text().count("BRIDGE_ENTER") > before)
    await scene.stack.stop("router", by=signal.SIGKILL)
    ended = time.time()
    await end()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await scene.stack.start("router")
    rows: list[Row] = []

    async def told() -> bool:
        rows[:] = await scene.conn.fetch("SELECT * FROM appeals WHERE customer = $1", plan.caller)
        return bool(rows)

    await until(told, PATIENCE)
    for row in rows:
        assert row["ended_at"].timestamp() < ended + 3
        assert 0 <= row["talk_s"] < 10
    return rows


async def restarted(scene: Scene) -> None:
    """Asterisk hangs up all calls, and says so in CEL."""
    with contextlib.suppress(AsteriskFailed):
        await scene.pbx.rx("core stop now")
    await until(lambda: not scene.pbx.running)
    await scene.pbx.restart()


async def killed(scene: Scene) -> None:
    await scene.pbx.kill()
    await asyncio.sleep(1.5)  # it is started by the second, and says since when in whole seconds
    await scene.pbx.restart()


def test_a_restart_of_the_pbx_that_nobody_watched_ends_its_calls_when_it_was(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        rows = await through(scene, lambda: restarted(scene), CallPlan(
            outcome=Outcome.DIRECT, caller="79165582001", did="74952223201", talk_s=60,
        ))  # fmt: skip
        assert [(row["status"], row["employee"], row["complete"]) for row in rows] == [("answered", "241", True)]

    play(scenario)


def test_a_pbx_killed_while_nobody_watched_leaves_an_incomplete_appeal_of_each_call(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        rows = await through(scene, lambda: killed(scene), CallPlan(
            outcome=Outcome.DIRECT, caller="79165582002", did="74952223202", talk_s=60,
        ))  # fmt: skip
        assert [(row["status"], row["employee"], row["complete"]) for row in rows] == [("answered", "241", False)]

    play(scenario)
