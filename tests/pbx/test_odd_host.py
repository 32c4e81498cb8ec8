"""Names are not resolved, the clock is stepped: calls ring as ever, and each has one right appeal."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Literal

import pytest

from callrouter.demo import section
from tests.pbx.odd_host import DOMAIN, NEEDED, OddHost
from tests.pbx.scene import DEADLINE, SETTLED, USUAL, Scene, connected, on_stage, rang, several, told_right
from tests.waiting import until

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason=NEEDED)
PlayOdd = Callable[[Callable[[Scene, OddHost], Coroutine[Any, Any, None]]], None]


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlayOdd]:
    """Runs a scenario on a product whose router knows all servers by name, on a host that may be odd."""
    host = OddHost(tmp_path_factory.mktemp("host"))

    async def begin() -> Scene:
        scene: Scene = await stage.__aenter__()
        stack = scene.stack
        await stack.stop("router")
        stack.postgres = stack.postgres.replace("127.0.0.1", f"postgres.{DOMAIN}")
        stack.redis = stack.redis.replace("127.0.0.1", f"valkey.{DOMAIN}")
        stack.environ = host.environ
        stack.configure(section(scene.pbx, "agi") | {"ami": f"asterisk.{DOMAIN}:{scene.pbx.ami_port}"})
        await stack.start("router")
        await until(lambda: connected(scene))
        return scene

    with asyncio.Runner() as runner:
        stage = on_stage(tmp_path_factory.mktemp("stage"))
        scene = runner.run(begin())
        try:
            yield lambda scenario: runner.run(scenario(scene, host))
        finally:
            runner.run(stage.__aexit__(None, None, None))


def test_a_router_started_while_no_name_is_resolved_lets_calls_through(play: PlayOdd) -> None:
    async def scenario(scene: Scene, host: OddHost) -> None:
        people = [await scene.visitor() for _ in range(4)]
        await scene.stack.stop("router")
        host.names("silent")
        began = time.monotonic()
        await scene.stack.start("router")
        assert time.monotonic() - began < 15
        calls = await asyncio.gather(*(scene.call(one, talk_s=0.5) for one in people))
        rang(calls, USUAL + DEADLINE)
        began = time.monotonic()
        await scene.stack.stop("router")
        assert time.monotonic() - began < 15
        await scene.stack.start("router")
        going = asyncio.ensure_future(scene.call(await scene.visitor(), talk_s=8.0))
        host.names("known")
        await until(lambda: connected(scene), 30)
        calls.append(await going)
        rang(calls, USUAL + DEADLINE)
        told_right(calls, await scene.appeals(*calls, seconds=60, having=f"{SETTLED} AND complete"))

    play(scenario)


@pytest.mark.parametrize("how", ["silent", "refused"])
def test_servers_that_come_back_while_no_name_is_resolved_hold_up_no_call(
    play: PlayOdd, how: Literal["silent", "refused"]
) -> None:
    async def scenario(scene: Scene, host: OddHost) -> None:
        going = await several(scene, [3.0, 5.0])
        host.names(how)
        async with scene.without("valkey", "killed"), scene.without("postgres", "killed"):
            pass
        unasked = await several(scene, [0.3, 0.6, 2.0])
        calls = await unasked
        rang(calls, USUAL + DEADLINE)
        began = time.monotonic()
        host.names("known")
        rows = await scene.appeals(*calls, seconds=60, having=SETTLED)
        assert time.monotonic() - began < 60
        told_right(calls, rows, complete=True)
        before = await going
        rang(before, USUAL)
        told_right(before, await scene.appeals(*before, seconds=60, having=SETTLED), complete=True)
        usual = await several(scene, [0.3])
        told_right(await usual, await scene.appeals(*await usual, seconds=20), late=False, complete=True)

    play(scenario)


HOUR = 3600


@pytest.mark.parametrize("seconds", [2 * HOUR, -2 * HOUR, 400 * 24 * HOUR])
def test_a_clock_that_is_stepped_under_calls_changes_nothing_of_them(play: PlayOdd, seconds: int) -> None:
    async def scenario(scene: Scene, host: OddHost) -> None:
        before = await several(scene, [3.0, 6.0])
        await asyncio.sleep(0)
        host.step(seconds)
        meanwhile = await several(scene, [0.3, 2.0])
        calls = [*await meanwhile, *await before]
        host.step(0)
        after = await (await several(scene, [0.3]))
        rang([*calls, *after], USUAL)
        rows = await scene.appeals(*calls, *after, seconds=30, having=SETTLED)
        told_right([*calls, *after], rows, late=False, complete=True)
        for call, row in zip([*calls, *after], rows, strict=True):
            assert abs((row["started_at"] - call.truth.started_at).total_seconds()) < 1
            assert abs(row["talk_s"] - call.truth.talk_s) < 0.5
            assert row["agi_ms"] <= DEADLINE * 1000

    play(scenario)


def test_a_router_started_with_a_wrong_clock_attributes_rightly_once_it_is_set(play: PlayOdd) -> None:
    async def scenario(scene: Scene, host: OddHost) -> None:
        await scene.stack.stop("router")
        host.step(-300 * 24 * HOUR)
        await scene.stack.start("router")
        await until(lambda: connected(scene), 30)
        early = await several(scene, [0.3, 5.0])
        await asyncio.sleep(1)  # a call begins by the one clock and ends by the other
        host.step(0)
        calls = await early
        rang(calls, USUAL)
        told_right(calls, await scene.appeals(*calls, seconds=30, having=SETTLED), complete=True)

    play(scenario)
