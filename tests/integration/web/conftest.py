"""The servers that the web stands on are those of the pool's tests."""

from tests.integration.pool.conftest import cluster_url, valkey_server, valkey_url

__all__ = ["cluster_url", "valkey_server", "valkey_url"]
