"""Writes that are told twice and done once: the second telling of an Idempotency-Key is answered as the first was.

A key is kept for a day, in the transaction of the write: of two tellings at once the later waits for the earlier.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from callrouter.db.connect import Connection

T = TypeVar("T")


class OtherWrite(ValueError):
    """The key was used for something else."""


class Done(msgspec.Struct, frozen=True):
    answer: object
    before: bool
    """It was done by an earlier telling."""


async def once(
    conn: Connection, account: int, key: str | None, asked: object, work: Callable[[], Awaitable[T]],
    *, keep: Callable[[T], object] = lambda answer: answer,
) -> T | Done:  # fmt: skip
    """`work()`, in a transaction, or what `keep` left of its answer, if `key` was told before. Without a key: `work()`.

    `asked` is what is to be done; the same key with something else raises OtherWrite. `keep` leaves out secrets.
    """
    if key is None:
        return await work()
    fingerprint = hashlib.sha256(msgspec.json.encode(asked, order="sorted")).digest()
    async with conn.transaction():
        await conn.execute(FORGET, account)
        first = await conn.fetchval(CLAIM, account, key, fingerprint)
        if first is None:
            row = await conn.fetchrow(FIND, account, key)
            if row is None or row["fingerprint"] != fingerprint:
                raise OtherWrite(key)
            return Done(row["answer"], before=True)
        answer = await work()
        kept = msgspec.to_builtins(keep(answer))
        await conn.execute(
            "UPDATE repeated_writes SET answer = $3 WHERE account_id = $1 AND key = $2", account, key, kept
        )
        return answer


FORGET = "DELETE FROM repeated_writes WHERE account_id = $1 AND at < now() - interval '1 day'"
CLAIM = """
INSERT INTO repeated_writes (account_id, key, fingerprint) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING true"""
FIND = "SELECT fingerprint, answer FROM repeated_writes WHERE account_id = $1 AND key = $2"
