"""Opens the lease store's client: one server or a cluster, with time-outs on everything. Knows no keys."""

from __future__ import annotations

from typing import Any, cast

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from callrouter.pool.coalesce import RedisClient


def open_client(
    url: str, *, cluster: bool = False, timeout: float = 1.0, connections: int = 32, retries: int = 2
) -> RedisClient:
    """A client that never waits longer than `timeout` for a connection, a free place in its pool, or an answer.

    Lost replies are asked for again (`retries` times, at once at first): every script of ours may be repeated.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "health_check_interval": 15,
        "retry": Retry(ExponentialBackoff(cap=0.1, base=0.01), retries),
    }
    if cluster:
        client = RedisCluster.from_url(url, max_connections=connections, **options)
        return cast(RedisClient, client)
    pool = BlockingConnectionPool.from_url(url, max_connections=connections, **options)
    pool.timeout = timeout
    return cast(RedisClient, Redis.from_pool(pool))


async def close_client(client: RedisClient) -> None:
    await cast(Redis, client).aclose()
