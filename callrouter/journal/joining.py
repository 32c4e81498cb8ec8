"""Clients joined and parted by hand. What `appeals.merging` does when identities say so, a person may say as well."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from callrouter.appeals.merging import merge, move_appeals
from callrouter.db.connect import Connection
from callrouter.pool.inventory import Refused

BY_HAND = "by_hand"
IDENTITIES_AT_ONCE = 100


class IdentityNamed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: Literal["phone", "email", "visitor", "crm"]
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class NotHis(Refused):
    """An identity that the client has not, or all that he has."""


async def merge_clients(conn: Connection, account: int, one: int, other: int) -> int | None:
    """In a transaction. Who survives: the older; None: one of them is no client of the account."""
    both = {one, other}
    if one == other or await conn.fetchval(BOTH, account, list(both)) != len(both):
        return None
    await _lock(conn, account, [one, other])
    return await merge(conn, account, one, other, kind=BY_HAND, value="")


async def split_client(
    conn: Connection, account: int, client: int, identities: tuple[IdentityNamed, ...]
) -> int | None:
    """In a transaction. A new client with these identities and the appeals that came by them; None: no such client.

    Raises NotHis. Deals stay: whose they are, a CRM knows better than we.
    """
    if not await conn.fetchval(BOTH, account, [client]):
        return None
    await _lock(conn, account, [client])
    his = {(row["kind"], row["value"]) for row in await conn.fetch(IDENTITIES, account, client)}
    wanted = {(each.kind, each.value.replace("\0", "\ufffd")) for each in identities}
    if not wanted <= his:
        raise NotHis("the client has not all of these identities")
    if wanted == his:
        raise NotHis("at least one identity must stay")
    new: int = await conn.fetchval(NEW, account, client)
    kinds, values = zip(*sorted(wanted), strict=True)
    await conn.execute(MOVE_IDENTITIES, account, client, new, list(kinds), list(values))
    await move_appeals(conn, account, client, new, wanted)
    await conn.execute(FIRST_TOUCH, account, [client, new])
    return new


async def appeals_by_identity(conn: Connection, account: int, client: int) -> dict[tuple[str, str], int]:
    """By kind and value: how many of his appeals would go with it, if it was split off."""
    return {(row["kind"], row["value"]): row["appeals"] for row in await conn.fetch(BY_IDENTITY, account, client)}


async def _lock(conn: Connection, account: int, clients: list[int]) -> None:
    """Publishers lock the identity rows of those whose appeals they write: none is written meanwhile."""
    await conn.execute(LOCK, account, clients)


BOTH = "SELECT count(*) FROM clients WHERE account_id = $1 AND id = ANY ($2)"
LOCK = """
SELECT FROM client_identities WHERE account_id = $1 AND client_id = ANY ($2) ORDER BY kind, value FOR UPDATE"""
IDENTITIES = "SELECT kind, value FROM client_identities WHERE account_id = $1 AND client_id = $2"
NEW = """
INSERT INTO clients (account_id, first_touch_at) SELECT account_id, first_touch_at FROM clients
WHERE account_id = $1 AND id = $2 RETURNING id"""
MOVE_IDENTITIES = """
UPDATE client_identities i SET client_id = $3 FROM unnest($4::text[], $5::text[]) AS w (kind, value)
WHERE i.account_id = $1 AND i.client_id = $2 AND i.kind = w.kind AND i.value = w.value"""
BY_IDENTITY = """
SELECT CASE WHEN customer IS NOT NULL THEN 'phone' WHEN email IS NOT NULL THEN 'email' ELSE 'visitor' END AS kind,
    coalesce(customer, email, visitor) AS value, count(*) AS appeals
FROM appeals WHERE account_id = $1 AND client_id = $2 AND coalesce(customer, email, visitor) IS NOT NULL
GROUP BY 1, 2"""
FIRST_TOUCH = """
UPDATE clients c SET first_touch_at = first.at FROM (
    SELECT client_id, min(started_at) AS at FROM appeals WHERE account_id = $1 AND client_id = ANY ($2)
    GROUP BY client_id
) first WHERE c.account_id = $1 AND c.id = first.client_id"""
