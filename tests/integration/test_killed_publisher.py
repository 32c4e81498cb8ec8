"""kill -9 at any moment: what was said to be durable stands in Postgres exactly once after the next start."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from callrouter.appeals.segments import frame, segment_path, segment_sizes
from callrouter.db.connect import Pool
from tests.integration.publishing import journal_rows, publish, shop

LIVES = 3
CALLS_A_LIFE = 150
DEATHS = int(os.environ.get("CALLROUTER_TEST_EXAMPLES", "40"))
CALLS_BEFORE_DEATH = 6


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


async def stand_exactly_once(pool: Pool, durable: set[int]) -> None:
    """Each call once; exactly the first call of each caller is unique, and each caller is one client."""
    rows = await journal_rows(pool, "linkedid, customer, is_unique, client_id")
    stands = [int(row["linkedid"].split(".")[1]) for row in rows]
    assert len(stands) == len(set(stands))
    assert durable <= set(stands)
    firsts = list(dict.fromkeys(row["customer"] for row in rows))
    assert [row["customer"] for row in rows if row["is_unique"]] == firsts
    assert len({row["client_id"] for row in rows}) == len(firsts)


def test_killed_at_random_moments_every_durable_call_stands_exactly_once(database: str, tmp_path: Path) -> None:
    chance = random.Random(20261121)

    async def run() -> None:
        async with shop(database) as pool:
            durable: set[int] = set()
            for life in range(LIVES):
                lines = chance.randrange(1, CALLS_A_LIFE)
                durable |= await asyncio.to_thread(live_until_killed, database, tmp_path, life * CALLS_A_LIFE, lines)
            await publish(pool, tmp_path, [])
            assert len(durable) > LIVES
            await stand_exactly_once(pool, durable)

    asyncio.run(run())


class Lives:
    """Begun one after another, each with calls of its own."""

    def __init__(self, orders: IO[str], told: IO[str]) -> None:
        self._orders, self._told = orders, told
        self._first = 0
        self.durable: set[int] = set()

    def live(self, dies_at: int) -> int:
        """Returns how many instructions it ran if it was let live, else 0."""
        self._orders.write(f"{self._first} {CALLS_BEFORE_DEATH} {dies_at}\n")
        self._orders.flush()
        self._first += CALLS_BEFORE_DEATH
        ran = 0
        while not (line := self._told.readline()).startswith("end "):
            assert line
            line = line.strip()
            if line.startswith("="):
                ran = int(line[1:])
            elif line.isdecimal():  # and no warning of a torn tail
                self.durable.add(int(line))
        assert line.strip() in ("end 0", f"end -{signal.SIGKILL}")
        return ran


@contextmanager
def lives(database: str, folder: Path) -> Iterator[Lives]:
    command = [sys.executable, "-m", "tests.integration.dying_process", database, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        yield Lives(process.stdin, process.stdout)
        process.stdin.close()


def test_killed_at_any_instruction_every_durable_call_stands_exactly_once(database: str, tmp_path: Path) -> None:
    """From the first instruction of journal, publisher and store to the last, in whichever thread; and torn tails."""
    chance = random.Random(20261122)

    def die_again_and_again() -> set[int]:
        with lives(database, tmp_path) as each:
            whole = each.live(0)
            for death in range(DEATHS):
                ran = each.live(1 + int(whole * (death + chance.random()) / DEATHS))
                if not ran and death % 3 == 0:
                    tear(tmp_path, chance)
            return each.durable

    async def run() -> None:
        async with shop(database) as pool:
            durable = await asyncio.to_thread(die_again_and_again)
            assert len(durable) > DEATHS
            await publish(pool, tmp_path, [])
            await stand_exactly_once(pool, durable)

    asyncio.run(run())


def tear(folder: Path, chance: random.Random) -> None:
    """As a power cut leaves it: what was not yet durable is there in part, or as nonsense."""
    number = max(segment_sizes(folder), default=0)
    if number:
        record = frame(b"a record that was never said to be durable")
        with segment_path(folder, number).open("ab") as segment:
            segment.write(chance.choice([record[: chance.randrange(1, len(record))], chance.randbytes(40), b"\0" * 64]))
