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
        key = f"{self._namespace}:{{edge:{name}}}:"
        pipeline = self._client.pipeline(transaction=False)
        pipeline.incrby(f"{key}{window}", amount)
        pipeline.expire(f"{key}{window}", 2 * span)
        pipeline.get(f"{key}{window - 1}")
        try:
            count, _, before = await pipeline.execute()
        except FAILURES:
            return 0, 0
        return int(count), int(before or 0)
