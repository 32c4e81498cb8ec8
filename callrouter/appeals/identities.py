"""Who sent a form: client by phone (which `store` has set), else by e-mail, else by visitor id; and their ties.

Knows SQL. Phone and e-mail of one form make one client of two (`merging`). A browser does so only while that gives
nobody a second phone or e-mail: families share one, and then the appeal is his whose phone or e-mail it has.
"""

from __future__ import annotations

from collections.abc import Sequence

from callrouter.appeals.merging import merge
from callrouter.appeals.row import AppealRow
from callrouter.db.connect import Connection

LOCK = """
SELECT count(pg_advisory_xact_lock(hashtextextended('callrouter.identity ' || identity, 0)))
FROM (SELECT unnest($1::text[]) AS identity ORDER BY 1) identities"""

KNOWN = "SELECT client_id FROM client_identities WHERE account_id = $1 AND kind = $2 AND value = $3"

BOTH_HAVE = """
SELECT EXISTS (
    SELECT FROM client_identities WHERE account_id = $1 AND client_id IN ($2, $3) AND kind IN ('phone', 'email')
    GROUP BY kind HAVING count(DISTINCT client_id) > 1)"""

NEW = "INSERT INTO clients (account_id, first_touch_at, name) VALUES ($1, $2, $3) RETURNING id"

NAMED = "UPDATE clients SET name = $3 WHERE account_id = $1 AND id = $2 AND name IS NULL"

TIE = """
INSERT INTO client_identities AS i (account_id, kind, value, client_id, first_seen_at, last_seen_at)
VALUES ($1, $2, $3, $4, $5, $5)
ON CONFLICT (account_id, kind, value) DO UPDATE SET first_seen_at = least(i.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(i.last_seen_at, excluded.last_seen_at)"""


async def identify(connection: Connection, rows: Sequence[AppealRow]) -> None:
    """Set `client_id` of rows that are no calls, in the transaction that writes them."""
    forms = [row for row in rows if row.kind != "call" and (row.customer or row.email or row.visitor)]
    if not forms:
        return
    claimed = {f"{row.account_id} {value}" for row in forms for value in (row.email, row.visitor) if value}
    await connection.fetchval(LOCK, sorted(claimed))
    for row in forms:
        before = row.client_id
        await _identify(connection, row)
        if before is not None and row.client_id != before:  # merged: other rows of the batch may be his
            for each in rows:
                if each.account_id == row.account_id and each.client_id == before:
                    each.client_id = row.client_id


async def _identify(connection: Connection, row: AppealRow) -> None:
    claims = (("email", row.email), ("visitor", row.visitor))
    for kind, value in claims:
        known = await connection.fetchval(KNOWN, row.account_id, kind, value) if value else None
        if row.client_id is None:
            row.client_id = known
        elif value and known not in (None, row.client_id) and await _are_one(connection, row, kind, known):
            row.client_id = await merge(
                connection, row.account_id, row.client_id, known, kind=kind, value=value
            )  # fmt: skip
    if row.client_id is None:
        row.client_id = await connection.fetchval(NEW, row.account_id, row.started_at, row.person)
    elif row.person:
        await connection.execute(NAMED, row.account_id, row.client_id, row.person)
    for kind, value in claims:
        if value:
            await connection.execute(TIE, row.account_id, kind, value, row.client_id, row.started_at)


async def _are_one(connection: Connection, row: AppealRow, kind: str, known: int) -> bool:
    """A phone and an e-mail in one form are one person's: he says so. A browser is shared more often than that."""
    if kind == "email":
        return True
    return not await connection.fetchval(BOTH_HAVE, row.account_id, row.client_id, known)
