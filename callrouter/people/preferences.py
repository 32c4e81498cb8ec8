"""How a user likes his pages: small values by name, kept with him and forgotten with him."""

from __future__ import annotations

from typing import Any

import msgspec

from callrouter.db.connect import Connection
from callrouter.people.model import Person


async def preference(conn: Connection, person: Person, name: str) -> Any:
    """None: he has not said."""
    return await conn.fetchval(READ, person.account, person.user, name)


async def prefer(conn: Connection, person: Person, name: str, value: object) -> None:
    """In a transaction that may write. None: as it was before he said anything."""
    if value is None:
        await conn.execute(FORGET, person.account, person.user, name)
    else:
        await conn.execute(WRITE, person.account, person.user, name, msgspec.json.encode(value).decode())


READ = "SELECT value FROM user_preferences WHERE account_id = $1 AND user_id = $2 AND name = $3"
WRITE = """
INSERT INTO user_preferences (account_id, user_id, name, value) VALUES ($1, $2, $3, $4::text::jsonb)
ON CONFLICT (account_id, user_id, name) DO UPDATE SET value = excluded.value, changed_at = now()"""
FORGET = "DELETE FROM user_preferences WHERE account_id = $1 AND user_id = $2 AND name = $3"
