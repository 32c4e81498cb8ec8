"""The servers that the web stands on are those of the pool's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.conftest import administer, database_url
from tests.integration.pool.conftest import cluster_url, valkey_server, valkey_url

__all__ = ["cluster_url", "valkey_server", "valkey_url"]


@pytest.fixture(scope="module")
def people_database(postgres_url: str, migrated_template: str) -> Iterator[str]:
    """One for all tests of a module with people in them: each begins it afresh."""
    administer(postgres_url, f"CREATE DATABASE people TEMPLATE {migrated_template}")
    yield database_url(postgres_url, "people")
    administer(postgres_url, "DROP DATABASE people WITH (FORCE)")
