"""Whether Redis and Postgres answer now, for /health and /ready: asked every few seconds, in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping

from msgspec.structs import replace
from prometheus_client import Gauge

from callrouter.db.connect import TROUBLE, Pool
from callrouter.ops import Part
from callrouter.pool.coalesce import RedisClient
from callrouter.pool.store import FAILURES

PROBE_SECONDS = 2.0
UP = Gauge("callrouter_server_up", "1 if the server answered the latest probe.", ["server"])


class Probe:
    def __init__(self, redis: RedisClient, postgres: Pool) -> None:
        self._redis = redis
        self._postgres = postgres
        self._parts = {
            "redis": Part(ok=False, detail="not asked yet"),
            "postgres": Part(ok=False, detail="not asked yet"),
        }

    def parts(self, *, needed: bool = False) -> Mapping[str, Part]:
        return {name: replace(part, needed=needed) for name, part in self._parts.items()}

    async def run(self) -> None:
        while True:
            redis, postgres = await asyncio.gather(
                _answers(self._redis.execute_command("PING")), _answers(self._postgres.fetchval("SELECT 1"))
            )
            self._parts = {"redis": redis, "postgres": postgres}
            for name, part in self._parts.items():
                UP.labels(name).set(part.ok)
            await asyncio.sleep(PROBE_SECONDS)


async def _answers(question: Awaitable[object]) -> Part:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await question
    except (*FAILURES, *TROUBLE) as error:
        return Part(ok=False, detail=str(error) or type(error).__name__)
    return Part(ok=True)
