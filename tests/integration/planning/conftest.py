"""A Valkey server for plans."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from callrouter.lab.servers import EmbeddedValkey


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    valkey = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
    valkey.start()
    try:
        yield valkey
    finally:
        valkey.stop()
