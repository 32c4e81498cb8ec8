"""Embedded servers: data outlives them, orphans are stopped, and nobody gets in without the password."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import asyncpg
import pytest
from redis import asyncio as aioredis
from redis.exceptions import AuthenticationError

from callrouter.lab.cluster import embedded_valkey_cluster
from callrouter.lab.servers import EmbeddedPostgres, embedded_postgres, embedded_valkey


async def _told(url: str, statement: str) -> object:
    conn = await asyncpg.connect(url)
    try:
        return await conn.fetchval(statement)
    finally:
        await conn.close()


def test_postgres_keeps_its_data_over_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with embedded_postgres(tmp_path) as url:
            await _told(url, "CREATE TABLE kept AS SELECT 'Привет' AS word")
        async with embedded_postgres(tmp_path) as url:
            assert await _told(url, "SELECT lower(word) FROM kept") == "привет"

    asyncio.run(scenario())


def test_postgres_left_by_a_killed_process_is_stopped_first(tmp_path: Path) -> None:
    orphan = EmbeddedPostgres(tmp_path)
    orphan.start()
    successor = EmbeddedPostgres(tmp_path)
    url = successor.start()
    try:
        assert asyncio.run(_told(url, "SELECT 1")) == 1
        assert successor.port != orphan.port
    finally:
        successor.stop()
        orphan.stop()


def test_killed_postgres_recovers(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path)
    url = server.start()
    asyncio.run(_told(url, "CREATE TABLE kept AS SELECT 7 AS n"))
    os.kill(int((tmp_path / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    server.stop()
    url = server.start()
    try:
        assert asyncio.run(_told(url, "SELECT n FROM kept")) == 7
    finally:
        server.stop()


def test_password_is_asked_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with embedded_postgres(tmp_path / "pg") as url, embedded_valkey(tmp_path / "vk") as valkey:
            with pytest.raises(asyncpg.InvalidPasswordError):
                await asyncpg.connect(url.replace("callrouter:", "callrouter:x"))
            with pytest.raises(AuthenticationError):
                await aioredis.from_url(valkey.replace("redis://:", "redis://:x")).ping()
        for name in ("pg", "vk"):
            assert (tmp_path / name / "password").stat().st_mode & 0o077 == 0

    asyncio.run(scenario())


def test_durable_valkey_keeps_its_data(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with embedded_valkey(tmp_path, durable=True) as url, aioredis.from_url(url) as client:
            await client.set("a", "1")
        async with embedded_valkey(tmp_path, durable=True) as url, aioredis.from_url(url) as client:
            assert await client.get("a") == b"1"

    asyncio.run(scenario())


def test_cluster_serves_all_slots(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with embedded_valkey_cluster(tmp_path) as url:
            client = aioredis.RedisCluster.from_url(url)
            for n in range(30):
                await client.set(f"key{n}", n)
            nodes = [client.get_node_from_key(f"key{n}") for n in range(30)]
            assert {node.port for node in nodes if node} == {node.port for node in client.get_primaries()}
            await client.aclose()

    asyncio.run(scenario())
