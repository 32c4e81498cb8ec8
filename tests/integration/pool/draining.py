"""`python -m tests.integration.pool.draining REDIS POSTGRES POOL`: drains one pool's log until it is killed."""

from __future__ import annotations

import asyncio
import sys

from callrouter.db.connect import open_pool
from callrouter.pool.connect import open_client
from callrouter.pool.history import History
from callrouter.pool.keys import pool_slot


async def drain(redis: str, postgres: str, pool: int) -> None:
    slots = [pool_slot(pool)]
    history = History(open_client(redis), await open_pool(postgres), lambda: slots, batch=3, idle_seconds=0.01)
    sys.stdout.write("draining\n")
    sys.stdout.flush()
    await history.run()


if __name__ == "__main__":
    asyncio.run(drain(sys.argv[1], sys.argv[2], int(sys.argv[3])))
