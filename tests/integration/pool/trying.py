"""Runs the machine on a server: whole histories, or each situation of a small world by itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from callrouter.pool.coalesce import RedisClient
from callrouter.pool.connect import close_client, open_client
from tests.integration.pool.close_quarters import SITUATIONS, CloseQuarters, Situation

LONG = int(os.environ.get("CALLROUTER_TEST_EXAMPLES", "0"))
"""How many histories are tried; docs/concepts/guarantees.md."""
SITUATION_TRIED = 25
"""Times that each situation is brought about in a run of the tests; what it finds, it finds within a dozen."""


def profile(examples: int, *, steps: int = 40, shrink: bool = True) -> settings:
    phases = [Phase.explicit, Phase.generate, *([Phase.shrink] if shrink else [])]
    return settings(
        max_examples=LONG or examples, stateful_step_count=steps, deadline=None, report_multiple_bugs=False,
        derandomize=not LONG, database=None, phases=phases, suppress_health_check=list(HealthCheck), print_blob=False,
    )  # fmt: skip


def run_machine(url: str, how: settings, *, seeded: int | None = None) -> None:
    """Try random histories on the server at `url`; fails with the steps that went wrong.

    `seeded`: other histories for another seed, the same for the same; None: as `how` says.
    """
    machine = CloseQuarters if seeded is None else seed(seeded)(type("Seeded", (CloseQuarters,), {}))
    with _connected(url):
        run_state_machine_as_test(machine, settings=how)


def run_situations(url: str, how: settings, *only: str, seeded: int | None = None) -> None:
    """Each situation (or `only` these) by itself, in pools where nothing was before; as often as `how` has examples."""
    with _connected(url):
        for name in only or SITUATIONS:
            comes_about = how(given(st.data())(_situation(name, SITUATIONS[name])))
            (comes_about if seeded is None else seed(seeded)(comes_about))()


def _situation(name: str, where: Situation) -> Callable[[st.DataObject], None]:
    def situation(data: st.DataObject) -> None:
        machine = CloseQuarters()
        machine.furnish(data.draw(st.sampled_from(where.worlds)))
        machine.anybody = False
        getattr(machine, name)(**{what: data.draw(told, what) for what, told in where.drawn.items()})
        machine.teardown()

    return situation


@contextmanager
def _connected(url: str) -> Iterator[None]:
    with asyncio.Runner() as runner:
        CloseQuarters.runner = runner
        CloseQuarters.client = runner.run(_open(url))
        try:
            yield
        finally:
            runner.run(close_client(CloseQuarters.client))


async def _open(url: str) -> RedisClient:
    return open_client(url)
