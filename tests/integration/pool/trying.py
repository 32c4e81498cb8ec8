"""Runs the machine: how many histories, drawn how, on which server."""

from __future__ import annotations

import asyncio
import os

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from callrouter.pool.coalesce import RedisClient
from callrouter.pool.connect import close_client, open_client
from tests.integration.pool.close_quarters import CloseQuarters

LONG = int(os.environ.get("CALLROUTER_TEST_EXAMPLES", "0"))
"""How many histories are tried; docs/concepts/guarantees.md."""


def profile(examples: int, *, steps: int = 40, shrink: bool = True) -> settings:
    phases = [Phase.explicit, Phase.generate, *([Phase.shrink] if shrink else [])]
    return settings(
        max_examples=LONG or examples, stateful_step_count=steps, deadline=None, report_multiple_bugs=False,
        derandomize=not LONG, database=None, phases=phases, suppress_health_check=list(HealthCheck), print_blob=False,
    )  # fmt: skip


async def _open(url: str) -> RedisClient:
    return open_client(url)


def run_machine(url: str, how: settings, *, seeded: int | None = None) -> None:
    """Try random histories on the server at `url`; fails with the steps that went wrong.

    `seeded`: other histories for another seed, the same for the same; None: as `how` says.
    """
    with asyncio.Runner() as runner:
        CloseQuarters.runner = runner
        CloseQuarters.client = runner.run(_open(url))
        machine = CloseQuarters if seeded is None else seed(seeded)(type("Seeded", (CloseQuarters,), {}))
        try:
            run_state_machine_as_test(machine, settings=how)
        finally:
            runner.run(close_client(CloseQuarters.client))
