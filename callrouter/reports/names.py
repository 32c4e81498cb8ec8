"""What an account's sites and pools are called. Knows SQL."""

from __future__ import annotations

from collections.abc import Sequence

from callrouter.db.connect import Connection

SITES = "SELECT id, name FROM sites WHERE account_id = $1 ORDER BY name, id"
POOLS = "SELECT id, name FROM pools WHERE id = ANY ($1)"


async def site_names(connection: Connection, account: int) -> dict[int, str]:
    return {row["id"]: row["name"] for row in await connection.fetch(SITES, account)}


async def pool_names(connection: Connection, pools: Sequence[int]) -> dict[int, str]:
    return {row["id"]: row["name"] for row in await connection.fetch(POOLS, list(pools))}
