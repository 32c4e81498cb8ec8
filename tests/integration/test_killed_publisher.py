"""kill -9 at any moment: what was said to be durable stands in Postgres exactly once after the next start."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path

from tests.integration.publishing import journal_rows, publish, shop

LIVES = 7
CALLS_A_LIFE = 150


def live_until_killed(database: str, folder: Path, first: int, lines_before_death: int) -> set[int]:
    """Run the process and kill it after so many lines of its output (or let it end); returns what it called durable."""
    command = [sys.executable, "-m", "tests.integration.appending_process", database, str(folder), str(first)]
    with subprocess.Popen([*command, str(CALLS_A_LIFE)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        durable = set()
        for line in process.stdout:
            durable.add(int(line))
            if len(durable) >= lines_before_death:
                process.kill()
                durable |= {int(rest) for rest in process.stdout if rest.endswith("\n")}
        process.wait(30)
    return durable


def test_killed_at_random_moments_every_durable_call_stands_exactly_once(database: str, tmp_path: Path) -> None:
    chance = random.Random(20261121)

    async def run() -> None:
        async with shop(database) as pool:
            durable: set[int] = set()
            for life in range(LIVES):
                lines = chance.randrange(1, CALLS_A_LIFE)
                durable |= await asyncio.to_thread(live_until_killed, database, tmp_path, life * CALLS_A_LIFE, lines)
            await publish(pool, tmp_path, [])
            rows = await journal_rows(pool, "linkedid, customer, is_unique, client_id")
            stands = [int(row["linkedid"].split(".")[1]) for row in rows]
            assert len(stands) == len(set(stands))
            assert durable <= set(stands)
            assert len(durable) > LIVES
            # Exactly the first call of each caller is unique, and each caller is one client.
            assert [row["customer"] for row in rows if row["is_unique"]] == list(
                dict.fromkeys(row["customer"] for row in rows)
            )
            assert len({row["client_id"] for row in rows}) == len({row["customer"] for row in rows})

    asyncio.run(run())
