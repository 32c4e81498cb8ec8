"""Background tasks: none fails unseen, and a lasting one does not stay away."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import REGISTRY

from callrouter import background
from callrouter.background import Background
from tests.waiting import until


def failures(task: str) -> float:
    return REGISTRY.get_sample_value("callrouter_background_failures_total", {"task": task}) or 0.0


def test_a_lasting_task_that_fails_is_counted_and_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "AGAIN_SECONDS", 0.0)
    begun: list[int] = []

    async def work() -> None:
        begun.append(len(begun))
        if len(begun) < 3:
            raise LookupError("a fault of ours")
        await asyncio.Event().wait()

    async def scenario() -> None:
        before, tasks = failures("lasting"), Background()
        tasks.keep("lasting", work)
        await until(lambda: len(begun) == 3)
        assert failures("lasting") == before + 2
        await tasks.stop()
        assert await tasks.drained(0)

    asyncio.run(scenario())


def test_a_lasting_task_that_ends_by_itself_is_not_begun_again() -> None:
    begun: list[int] = []

    async def work() -> None:
        begun.append(1)

    async def scenario() -> None:
        tasks = Background()
        await tasks.keep("ending", work)
        assert begun == [1]
        assert await tasks.drained(1)

    asyncio.run(scenario())
