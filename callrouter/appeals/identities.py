"""Who sent a form: client by phone (which `store` has set), else by e-mail, else by visitor id; and their ties.

Knows SQL. An identity that two clients claim stays with the one that has it: merging clients is done elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable

from callrouter.appeals.row import AppealRow
from callrouter.db.connect import Connection

LOCK = """
SELECT count(pg_advisory_xact_lock(hashtextextended('callrouter.identity ' || identity, 0)))
FROM (SELECT unnest($1::text[]) AS identity ORDER BY 1) identities"""

KNOWN = """
SELECT client_id FROM client_identities WHERE account_id = $1
    AND ((kind = 'email' AND value = $2) OR (kind = 'visitor' AND value = $3)) ORDER BY kind LIMIT 1"""

NEW = "INSERT INTO clients (account_id, first_touch_at, name) VALUES ($1, $2, $3) RETURNING id"

NAMED = "UPDATE clients SET name = $3 WHERE account_id = $1 AND id = $2 AND name IS NULL"

TIE = """
INSERT INTO client_identities AS i (account_id, kind, value, client_id, first_seen_at, last_seen_at)
VALUES ($1, $2, $3, $4, $5, $5)
ON CONFLICT (account_id, kind, value) DO UPDATE SET first_seen_at = least(i.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(i.last_seen_at, excluded.last_seen_at)"""


async def identify(connection: Connection, rows: Iterable[AppealRow]) -> None:
    """Set `client_id` of rows that are no calls, in the transaction that writes them."""
    forms = [row for row in rows if row.kind != "call" and (row.customer or row.email or row.visitor)]
    if not forms:
        return
    claimed = {f"{row.account_id} {value}" for row in forms for value in (row.email, row.visitor) if value}
    await connection.fetchval(LOCK, sorted(claimed))
    for row in forms:
        await _identify(connection, row)


async def _identify(connection: Connection, row: AppealRow) -> None:
    if row.client_id is None:
        row.client_id = await connection.fetchval(KNOWN, row.account_id, row.email, row.visitor)
    if row.client_id is None:
        row.client_id = await connection.fetchval(NEW, row.account_id, row.started_at, row.person)
    elif row.person:
        await connection.execute(NAMED, row.account_id, row.client_id, row.person)
    for kind, value in (("email", row.email), ("visitor", row.visitor)):
        if value:
            await connection.execute(TIE, row.account_id, kind, value, row.client_id, row.started_at)
