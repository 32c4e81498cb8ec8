"""Two clients who turn out to be one: the older survives, and what moved is recorded, to be given back (rules §6).

Knows SQL; knows not why they are one. Runs in the transaction of whoever found out, behind the locks of `store`.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from callrouter.db.connect import Connection

TAKEN = " SET client_id = $2 WHERE account_id = $1 AND client_id = $3 RETURNING "
TAKE = {
    "identities": f"UPDATE client_identities {TAKEN} jsonb_build_array(kind, value)::text",
    "appeals": f"UPDATE appeals {TAKEN} to_jsonb(id)::text",
    "deals": f"UPDATE deals {TAKEN} to_jsonb(id)::text",
}
"""Identities first: their rows are locked by who writes calls of that client just now, whose appeals are seen then."""

# An appeal goes by its phone; without one by its e-mail; without that by the browser.
MOVE_APPEALS = """
UPDATE appeals SET client_id = $3 WHERE account_id = $1 AND client_id = $2 AND (
    customer = ANY ($4) OR (customer IS NULL AND email = ANY ($5))
    OR (customer IS NULL AND email IS NULL AND visitor = ANY ($6)))"""

GIVEN = " SET client_id = $3 WHERE account_id = $1 AND client_id = $2 AND "
TEXTS = "(SELECT each FROM jsonb_array_elements_text($4::text::jsonb) each)"
GIVE_BACK = {
    "identities": f"""UPDATE client_identities {GIVEN} jsonb_build_array(kind, value)::text IN {TEXTS}
        RETURNING kind, value""",
    "appeals": f"UPDATE appeals {GIVEN} id::text IN {TEXTS} RETURNING id",
    "deals": f"UPDATE deals {GIVEN} id::text IN {TEXTS} RETURNING id",
}

REMOVE = "DELETE FROM clients c WHERE account_id = $1 AND id = $2 RETURNING to_jsonb(c)::text"

INHERIT = """
UPDATE clients SET first_touch_at = least(first_touch_at, ($3::text::jsonb ->> 'first_touch_at')::timestamptz),
    name = coalesce(name, $3::text::jsonb ->> 'name'),
    note = CASE WHEN note = '' THEN $3::text::jsonb ->> 'note' ELSE note END
WHERE account_id = $1 AND id = $2"""

RECORD = """
INSERT INTO client_merges (account_id, survivor_id, merged_id, kind, value, moved)
VALUES ($1, $2, $3, $4, $5, $6::text::jsonb) RETURNING id"""

UNDONE = """
UPDATE client_merges SET undone_at = now() WHERE account_id = $1 AND id = $2 AND undone_at IS NULL
RETURNING survivor_id, merged_id, moved::text"""

LATER = """
SELECT id FROM client_merges WHERE account_id = $1 AND merged_id = $2 AND undone_at IS NULL AND id > $3 LIMIT 1"""

RESTORE = "INSERT INTO clients SELECT * FROM jsonb_populate_record(NULL::clients, $1::text::jsonb)"


class Swallowed(Exception):
    """The survivor has gone into another client since: that merge, `later`, comes first."""

    def __init__(self, later: int) -> None:
        super().__init__(later)
        self.later = later


async def merge(connection: Connection, account: int, one: int, other: int, *, kind: str, value: str) -> int:
    """Make one client of two; returns who survives. `kind` and `value`: the identity that both had."""
    survivor, merged = sorted((one, other))
    moved = {
        what: [msgspec.Raw(row[0].encode()) for row in await connection.fetch(take, account, survivor, merged)]
        for what, take in TAKE.items()
    }
    client = await connection.fetchval(REMOVE, account, merged)
    if client is not None:
        await connection.execute(INHERIT, account, survivor, client)
    told = msgspec.json.encode({**moved, "client": msgspec.Raw((client or "null").encode())}).decode()
    await connection.execute(RECORD, account, survivor, merged, kind, value, told)
    return survivor


async def undo_merge(connection: Connection, account: int, merge_id: int) -> dict[str, int] | None:
    """Give back what the merge moved, as far as the survivor still has it, and the appeals that came by it since.

    Returns how much of what; None: there is no such merge, or it is undone. Raises Swallowed.
    """
    async with connection.transaction():
        found = await connection.fetchrow(UNDONE, account, merge_id)
        if found is None:
            return None
        later = await connection.fetchval(LATER, account, found["survivor_id"], merge_id)
        if later is not None:
            raise Swallowed(later)
        moved = msgspec.json.decode(found["moved"], type=dict[str, msgspec.Raw])
        await connection.execute(RESTORE, bytes(moved["client"]).decode())
        parties = account, found["survivor_id"], found["merged_id"]
        given: dict[str, int] = {}
        his: list[tuple[str, str]] = []
        for what, give_back in GIVE_BACK.items():
            rows = await connection.fetch(give_back, *parties, bytes(moved[what]).decode())
            given[what] = len(rows)
            if what == "identities":
                his = [(row["kind"], row["value"]) for row in rows]
        # What came since by what is his again was never moved by the merge, and is his all the same.
        given["appeals"] += await move_appeals(connection, *parties, his)
    return given


async def move_appeals(
    connection: Connection, account: int, one: int, other: int, identities: Collection[tuple[str, str]]
) -> int:
    """What came to `one` by these identities, by kind and value, is `other`'s; returns how many appeals that are."""
    of = ([value for kind, value in identities if kind == each] for each in ("phone", "email", "visitor"))
    return int((await connection.execute(MOVE_APPEALS, account, one, other, *of)).split()[-1])
