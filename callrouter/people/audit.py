"""Who saw or changed what: the words of the record, written in the transaction of what they tell of, and read.

Subjects are ids or names; passwords, tokens' secrets and cookies never stand in it. Rows are only ever added.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from callrouter.db.connect import Connection
from callrouter.people.model import Caller

Action = Literal[
    "sign_in", "sign_in.refused", "sign_out", "session.end", "session.stolen", "password.change",
    "user.add", "user.change", "user.disable", "user.enable", "user.password",
    "user.bind", "user.unbind",
    "token.add", "token.revoke",
    "account.add", "account.change",
    "site.add", "site.change", "pool.add", "pool.remove",
    "numbers.import", "numbers.move", "numbers.disable", "numbers.enable", "static.bind", "static.end",
    "appeal.change", "recording.hear", "client.see", "client.change", "client.merge", "client.split", "client.erase",
    "client.export", "export", "deal.change", "cost.change", "report.change", "view.change",
]  # fmt: skip
LONGEST_SUBJECT = 200


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """`user` and `token` are ids; the names are null where the operator's people or programs did it."""

    id: int
    at: datetime
    account: int
    action: str
    subject: str
    user: int | None
    user_name: str | None
    token: int | None
    token_name: str | None
    details: dict[str, Any]


async def record(
    conn: Connection, account: int, by: Caller | None, action: Action, subject: object = "", **details: object
) -> None:
    """One row of `account`'s record. `by`: None for the command line."""
    told = msgspec.json.encode(details).decode().replace("\\u0000", "\\ufffd")
    what = str(subject).replace("\x00", "\ufffd")[:LONGEST_SUBJECT]
    who = (by.user, by.token) if by else (None, None)
    await conn.execute(RECORD, account, *who, action, what, told)


async def record_part(conn: Connection, account: int, by: Caller, action: Action, subject: object) -> None:
    """Of what is looked at part by part: a row unless the same one had any of it within the hour."""
    if not await conn.fetchval(LATELY, account, by.user, by.token, action, str(subject)):
        await record(conn, account, by, action, subject)


async def entries(
    conn: Connection,
    account: int | None,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    action: str | None = None,
    user: int | None = None,
    token: int | None = None,
    subject: str | None = None,
    before: tuple[datetime, int] | None = None,
    limit: int = 100,
) -> list[Entry]:
    """The latest first; `account` None: of all. `before`: time and id of the last one of the page before."""
    rows = await conn.fetch(READ, account, since, until, action, user, *(before or (None, None)), limit, token, subject)
    return [
        Entry(**{**dict(row), "details": row["details"] if isinstance(row["details"], dict) else {}}) for row in rows
    ]


RECORD = """
INSERT INTO audit (account_id, user_id, token_id, action, subject, details)
VALUES ($1, $2, $3, $4, $5, $6::text::jsonb)"""
LATELY = """
SELECT true FROM audit WHERE account_id = $1 AND at > now() - interval '1 hour'
    AND user_id IS NOT DISTINCT FROM $2 AND token_id IS NOT DISTINCT FROM $3 AND action = $4 AND subject = $5 LIMIT 1"""
READ = """
SELECT e.id, e.at, e.account_id AS account, e.action, e.subject, e.details, e.user_id AS user, e.token_id AS token,
       coalesce(nullif(u.name, ''), u.email) AS user_name, t.name AS token_name
FROM audit e LEFT JOIN users u ON u.id = e.user_id LEFT JOIN tokens t ON t.id = e.token_id
WHERE ($1::bigint IS NULL OR e.account_id = $1) AND ($2::timestamptz IS NULL OR e.at >= $2)
  AND ($3::timestamptz IS NULL OR e.at < $3) AND ($4::text IS NULL OR e.action = $4)
  AND ($5::bigint IS NULL OR e.user_id = $5) AND ($9::bigint IS NULL OR e.token_id = $9)
  AND ($10::text IS NULL OR e.subject = $10) AND ($6::timestamptz IS NULL OR (e.at, e.id) < ($6, $7))
ORDER BY e.at DESC, e.id DESC LIMIT $8"""
