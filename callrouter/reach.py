"""Tries each server that the configuration names, and tells which cannot be used, where it is named, and the mend."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from urllib.parse import urlsplit

import asyncpg
from redis import asyncio as redis
from redis.exceptions import AuthenticationError, RedisError

from callrouter.config import Config, PbxConfig, address
from callrouter.configfile import Loaded
from callrouter.db.migrate import MigrationError, require_schema

WITHIN = 3.0
"""Seconds that a server may take to answer."""

OLDEST_POSTGRES = 15


async def unreachable(loaded: Loaded, *, pbx: bool = True) -> list[str]:
    """One complaint for each server that cannot be used; empty if all can. `pbx`: try the PBXs too."""
    config, where = loaded.config, loaded.source.where
    trials = [
        _told(where("postgres.url"), "Postgres", _try_postgres(config)),
        _told(where("redis.url"), "Redis/Valkey", _try_redis(config)),
    ]
    for index, each in enumerate(config.pbx if pbx else ()):
        trials.append(_told(where(f"pbx.{index}.ami"), f"AMI of {each.name}", _try_ami(each)))
        if each.attach == "ari":
            trials.append(_told(where(f"pbx.{index}.ari_url"), f"ARI of {each.name}", _try_port(each.ari_url)))
    return [complaint for complaint in await asyncio.gather(*trials) if complaint]


class _Unusable(Exception):
    """Reached, but of no use as it is; the text says the mend."""


async def _told(place: str, server: str, trial: Awaitable[None]) -> str | None:
    try:
        async with asyncio.timeout(WITHIN):
            await trial
    except _Unusable as error:
        return f"{place}: {server}: {error}"
    except TimeoutError:
        return f"{place}: {server} did not answer within {WITHIN:g} s; is the address right, does a firewall drop it?"
    except (ValueError, asyncpg.InterfaceError) as error:
        return f"{place}: {server}: the address cannot be used: {error}"
    except (OSError, RedisError, asyncpg.PostgresError) as error:
        return f"{place}: {server} cannot be reached: {error}; is it running, and is the address right?"
    except EOFError as error:
        return f"{place}: {server} does not answer as one does: {error}; is the address right?"
    return None


async def _try_postgres(config: Config) -> None:
    try:
        conn = await asyncpg.connect(config.postgres.url, timeout=WITHIN)
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise _Unusable(f"refuses the login ({error}); check the user and `password_file`") from None
    except asyncpg.InvalidCatalogNameError as error:
        raise _Unusable(f"{error}; create it: createdb") from None
    try:
        if conn.get_server_version().major < OLDEST_POSTGRES:
            raise _Unusable(
                f"is version {conn.get_server_version().major}; callrouter needs {OLDEST_POSTGRES} or newer"
            )
        if await conn.fetchval("SELECT to_regclass('appeals')") is None:
            raise _Unusable("has no tables yet; run: callrouter db migrate")
        try:
            await require_schema(conn)
        except MigrationError as error:
            raise _Unusable(str(error)) from None
    finally:
        await conn.close()


async def _try_redis(config: Config) -> None:
    client = redis.from_url(config.redis.url, socket_timeout=WITHIN, socket_connect_timeout=WITHIN)
    try:
        await client.ping()
    except AuthenticationError as error:
        raise _Unusable(f"refuses the login ({error}); check the user and `password_file`") from None
    finally:
        await client.aclose()


@contextlib.asynccontextmanager
async def _open(host: str, port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _try_ami(pbx: PbxConfig) -> None:
    await _try_login(pbx, "ami", pbx.ami_user, pbx.ami_secret, "manager_callrouter.conf")
    if pbx.callback_user:
        await _try_login(pbx, "callback", pbx.callback_user, pbx.callback_secret, "manager_callrouter_callback.conf")


async def _try_login(pbx: PbxConfig, key: str, user: str, secret: str, file: str) -> None:
    async with _open(*address(pbx.ami)) as (reader, writer):
        banner = await reader.readline()
        if not banner.startswith(b"Asterisk Call Manager"):
            raise _Unusable(f"answers {banner[:40]!r}, which is no Asterisk manager interface")
        login = f"Action: Login\r\nUsername: {user}\r\nSecret: {secret}\r\nEvents: off\r\n\r\n"
        writer.write(login.encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        if b"Response: Success" not in answer:
            raise _Unusable(f"refuses user {user!r}; compare {key}_secret with {file}")


async def _try_port(url: str) -> None:
    parts = urlsplit(url)
    async with _open(parts.hostname or "", parts.port or 80):
        pass
