"""Opens the lease store's client: one server or a cluster, with time-outs on everything. Knows no keys."""

from __future__ import annotations

from typing import Any, cast

from redis.asyncio import BlockingConnectionPool, Connection, Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from callrouter.pool.coalesce import RedisClient, flights_of
from callrouter.pool.line import Line, Place


class _Client(Redis):
    """A client with a line beside it, closed with it."""

    line: Line | None = None

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        if self.line is not None:
            self.line.close()
        await super().aclose(close_connection_pool)


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
    single = cast(_Client, _Client.from_pool(pool))
    single.line = _line(pool, timeout)
    return cast(RedisClient, single)


def line_of(client: RedisClient) -> Line | None:
    """The client's own line; None for a cluster, TLS or a Unix socket, which are asked by the client."""
    return client.line if isinstance(client, _Client) else None


def _line(pool: BlockingConnectionPool, timeout: float) -> Line | None:
    if pool.connection_class is not Connection:
        return None
    options = pool.connection_kwargs
    user, password, database = (options.get(name) for name in ("username", "password", "db"))
    greeting: list[tuple[str, ...]] = []
    if password:
        greeting.append(("AUTH", user, password) if user else ("AUTH", password))
    if database:
        greeting.append(("SELECT", str(database)))
    host, port = options.get("host", "localhost"), options.get("port", 6379)
    return Line(Place(host=host, port=port, greeting=tuple(greeting), timeout=timeout))


async def close_client(client: RedisClient) -> None:
    """Whoever still waits for an answer is told that there will be none."""
    line = line_of(client)
    if line is not None:
        line.close()
        await line.closed()
    await flights_of(client).stop(again=0.2)
    await cast(Redis, client).aclose()
