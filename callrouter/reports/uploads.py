"""Files that people sent to be imported, kept between what they are shown of them and their word. Knows SQL."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal
from uuid import UUID

import msgspec

from callrouter.db.connect import Connection
from callrouter.pool.inventory import Unknown

Kind = Literal["deals", "costs"]
KEPT = timedelta(days=1)

KEEP = """
INSERT INTO uploads (account_id, user_id, kind, name, content) VALUES ($1, $2, $3, $4, $5) RETURNING id"""
EARLIER = "DELETE FROM uploads WHERE account_id = $1 AND user_id = $2 AND kind = $3"
READ = "SELECT name, content FROM uploads WHERE account_id = $1 AND kind = $2 AND id = $3"
TAKE = "DELETE FROM uploads WHERE account_id = $1 AND kind = $2 AND id = $3 RETURNING name, content"
FORGET = "DELETE FROM uploads WHERE at < now() - $1::interval"


class Upload(msgspec.Struct, frozen=True):
    name: str
    content: bytes


async def keep(connection: Connection, account: int, user: int, kind: Kind, upload: Upload) -> UUID:
    """One of a kind for each person: what he sent before and did not confirm is dropped."""
    await connection.execute(EARLIER, account, user, kind)
    name = "".join(sign for sign in upload.name if sign.isprintable())[-200:]
    made: UUID = await connection.fetchval(KEEP, account, user, kind, name, upload.content)
    return made


async def read(connection: Connection, account: int, kind: Kind, upload: UUID) -> Upload:
    """Raises Unknown: none such, or imported by now, or too old."""
    return _one(await connection.fetchrow(READ, account, kind, upload), upload)


async def take(connection: Connection, account: int, kind: Kind, upload: UUID) -> Upload:
    """The same, and it is gone, in this transaction: whoever confirms twice finds none. Raises Unknown."""
    return _one(await connection.fetchrow(TAKE, account, kind, upload), upload)


async def forget_old(connection: Connection) -> None:
    await connection.execute(FORGET, KEPT)


def _one(row: object, upload: UUID) -> Upload:
    if row is None:
        raise Unknown(upload)
    return msgspec.convert(dict(row), Upload)  # type: ignore[call-overload] # a record
