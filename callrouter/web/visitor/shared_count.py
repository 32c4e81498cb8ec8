"""Counts that all processes share, in the lease store, for as long as they matter. Knows no addresses, only names."""

from __future__ import annotations

from datetime import timedelta

from callrouter.pool.coalesce import RedisClient
from callrouter.pool.keys import NAMESPACE
from callrouter.pool.store import FAILURES


class SharedCount:
    """`guard.Counter`, in Redis or Valkey. While the store is away nothing counts: it leases nothing then either."""

    def __init__(self, client: RedisClient, namespace: str = NAMESPACE) -> None:
        self._client = client
        self._namespace = namespace

    async def __call__(self, name: str, window: int, amount: int, span: timedelta) -> tuple[int, int]:
        key = self._key(name)
        pipeline = self._client.pipeline(transaction=False)
        pipeline.incrby(f"{key}{window}", amount)
        pipeline.expire(f"{key}{window}", 2 * span)
        pipeline.get(f"{key}{window - 1}")
        try:
            count, _, before = await pipeline.execute()
        except FAILURES:
            return 0, 0
        return int(count), int(before or 0)

    async def first(self, name: str, window: int, whom: str, span: timedelta) -> bool:
        """Whether nobody asked this about `whom` in this window before; False while nobody can know."""
        try:
            key = f"{self._key(name)}{window}:{whom}"
            return bool(await self._client.execute_command("SET", key, 1, "NX", "EX", int(2 * span.total_seconds())))
        except FAILURES:
            return False

    def _key(self, name: str) -> str:
        return f"{self._namespace}:{{edge:{name}}}:"
