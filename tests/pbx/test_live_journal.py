"""What an employee sees while it rings, and the journal after the hangup: how long after the real PBX's own moments."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from statistics import median
from typing import Any

import httpx

from callrouter.web.api.tokens import add_token
from tests.pbx.scene import Play, Scene
from tests.waiting import until

CALLS = 8
RINGS_WITHIN, APPEARS_WITHIN = 0.3, 1.0
"""What is promised. A machine that stalls is given three times that, in which it may not be the median."""


class Watched:
    """The events of the live feed, each with the time at which it came."""

    def __init__(self) -> None:
        self.came: list[tuple[str, Any, datetime]] = []

    def __call__(self, name: str) -> list[tuple[Any, datetime]]:
        return [(data, at) for each, data, at in self.came if each == name]


@contextlib.asynccontextmanager
async def watching(scene: Scene) -> AsyncIterator[Watched]:
    account = await scene.conn.fetchval("SELECT account_id FROM sites ORDER BY id LIMIT 1")
    token = await add_token(scene.conn, account, "screen", ("appeals:read",))
    watched = Watched()

    async def watch() -> None:
        asked = {"headers": {"authorization": f"Bearer {token.secret}"}, "timeout": None}
        async with scene.browser.stream("GET", "/api/v1/appeals/live", **asked) as answer:  # type: ignore[arg-type]
            name = ""
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    watched.came.append((name, json.loads(line.removeprefix("data: ")), datetime.now(UTC)))

    task = asyncio.ensure_future(watch())
    try:
        await until(lambda: bool(watched("hello")), 30)
        yield watched
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, httpx.HTTPError):
            await task


def test_who_calls_is_on_the_screen_while_it_rings_and_the_appeal_right_after_the_hangup(play: Play) -> None:
    async def scenario(scene: Scene) -> None:
        async with watching(scene) as watched:
            placed = [await scene.call(await scene.visitor(), talk_s=0.3) for _ in range(CALLS)]
            numbers = {call.truth.caller: call for call in placed}

            def all_there() -> bool:
                return numbers.keys() <= {row["customer"] for row, _ in watched("appeal")}

            await until(all_there, 30)
        rang = {told["call"]["customer"]: (told["call"], at) for told, at in watched("ringing")}
        appeared = {row["customer"]: at for row, at in reversed(watched("appeal"))}
        pops = [(rang[number][1] - call.truth.started_at).total_seconds() for number, call in numbers.items()]
        rows = [(appeared[number] - call.truth.ended_at).total_seconds() for number, call in numbers.items()]
        assert {rang[number][0]["source"] for number in numbers} == {call.source for call in placed}
        assert len(watched("ended")) >= CALLS
        print(f"screen pop after the INVITE: {told(pops)}; appeal after the hangup: {told(rows)}")  # noqa: T201
        assert min(pops) < RINGS_WITHIN, pops
        assert min(rows) < APPEARS_WITHIN, rows
        assert median(pops) < 3 * RINGS_WITHIN, pops
        assert median(rows) < 3 * APPEARS_WITHIN, rows

    play(scenario)


def told(seconds: list[float]) -> str:
    return f"median {median(seconds) * 1000:.0f} ms, worst of {len(seconds)} {max(seconds) * 1000:.0f} ms"
