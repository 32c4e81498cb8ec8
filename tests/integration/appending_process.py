"""A process that journals and publishes numbered calls until it is killed. It says on stdout which are durable.

Run as: python -m tests.integration.appending_process DATABASE FOLDER FIRST COUNT
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from callrouter.appeals.journal import Journal
from callrouter.appeals.publish import Publisher
from callrouter.clock import SystemClock
from callrouter.db.connect import open_pool
from tests.call_samples import NOON, a_call, a_resolution, an_appeal
from tests.integration.publishing import nobody_knows


async def main(database: str, folder: Path, first: int, count: int) -> None:
    journal = Journal(folder, segment_bytes=8_000)
    async with await open_pool(database, size=2) as pool:
        publisher = Publisher(pool, journal, nobody_knows, SystemClock(), batch=7)
        running = asyncio.create_task(publisher.run())

        async def hang_up(number: int) -> None:
            call = a_call(f"1.{number}", NOON + timedelta(seconds=number), caller=f"7916000000{number % 9}")
            await journal.append(an_appeal(call, a_resolution(7, 70)))
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()

        for start in range(first, first + count, 5):
            await asyncio.gather(*(hang_up(number) for number in range(start, min(start + 5, first + count))))
        await publisher.stop()
        await running
    journal.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
