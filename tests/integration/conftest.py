"""Real servers for the integration tests: started once a session, a fresh migrated database for each test that asks."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from callrouter.db.migrate import migrate
from callrouter.lab.servers import EmbeddedPostgres

_serial = itertools.count(1)


def database_url(server_url: str, name: str) -> str:
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


def administer(server_url: str, *statements: str) -> None:
    """Run statements that no transaction may hold, such as CREATE DATABASE."""

    async def run() -> None:
        connection = await asyncpg.connect(server_url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Postgres server of this test session; its own database stays empty."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), durable=False)
    url = server.start()
    try:
        yield url
    finally:
        server.stop()


@pytest.fixture(scope="session")
def migrated_template(postgres_url: str) -> str:
    """The name of a migrated database to copy from."""
    administer(postgres_url, "CREATE DATABASE migrated")
    asyncio.run(migrate(database_url(postgres_url, "migrated"), lambda _line: None))
    return "migrated"


@pytest.fixture
def database(postgres_url: str, migrated_template: str) -> Iterator[str]:
    """The URL of a fresh, migrated database."""
    name = f"test_{next(_serial)}"
    administer(postgres_url, f"CREATE DATABASE {name} TEMPLATE {migrated_template}")
    try:
        yield database_url(postgres_url, name)
    finally:
        administer(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_database(postgres_url: str) -> Iterator[str]:
    """The URL of a fresh database without any schema."""
    name = f"empty_{next(_serial)}"
    administer(postgres_url, f"CREATE DATABASE {name}")
    try:
        yield database_url(postgres_url, name)
    finally:
        administer(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")
