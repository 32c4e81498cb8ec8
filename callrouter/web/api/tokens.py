"""Bearer tokens: made, listed, revoked, looked up. Postgres has their SHA-256 only; knows no HTTP."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

import asyncpg
import msgspec

from callrouter.db.connect import Connection
from callrouter.journal.people_list import TOKENS
from callrouter.people import audit
from callrouter.people.bounds import require_room
from callrouter.people.model import Caller
from callrouter.people.roles import SCOPES_OF, Role, Scope
from callrouter.pool.inventory import Refused

LONGEST_NAME = 120
LONGEST_LIFE = timedelta(days=36500)
PREFIX = "crt_"
"""So that a token that got into a file or a chat is known for what it is."""
TOKEN = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """One that was made, without its secret, which is not kept. `scopes`: those that its maker's role still allows."""

    id: int
    account: int
    account_name: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    maker: str | None
    """A user; None: the command line, or a user of another account."""
    stopped: bool
    """Its maker is disabled, so it is refused."""

    def in_force(self, now: datetime) -> bool:
        return not self.stopped and self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` is shown this once."""

    id: int
    account: int
    name: str
    scopes: tuple[Scope, ...]
    expires_at: datetime | None
    secret: str


def hashed(secret: str) -> bytes:
    """256 random bits need no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


async def add_token(
    conn: Connection, account: int, name: str, scopes: tuple[Scope, ...], expires_at: datetime | None = None,
    *, by: Caller | None = None,
) -> Made:  # fmt: skip
    """`by`: who makes it; None: the command line."""
    secret = PREFIX + secrets.token_urlsafe(32)
    async with conn.transaction():
        await require_room(conn, account, "tokens", by)
        user = by.user if by and by.account == account else None
        parent = by.token if by and by.account == account else None
        token = await conn.fetchval(ADD, account, name, hashed(secret), list(scopes), expires_at, user, parent)
        await audit.record(conn, account, by, "token.add", name, token=token, scopes=scopes)
    return Made(id=token, account=account, name=name, scopes=scopes, expires_at=expires_at, secret=secret)


async def revoke_token(conn: Connection, token: int, *, account: int | None = None, by: Caller | None = None) -> bool:
    """From now on it is refused. False: there is no such token (of `account`), or it was revoked before."""
    async with conn.transaction():
        row = await conn.fetchrow(REVOKE, token, account)
        if row is not None:
            await audit.record(conn, row["account_id"], by, "token.revoke", row["name"], token=token)
    return row is not None


async def list_tokens(conn: Connection, account: int | None = None) -> list[Token]:
    """Of one account, or of all; those in force first, then the latest of the others."""
    return [token_of(row) for row in await conn.fetch(LIST, account)]


def token_of(row: asyncpg.Record) -> Token:
    """Of the columns of `journal.people_list.TOKENS`."""
    names = [name for name in Token.__struct_fields__ if name not in {"scopes", "stopped"}]
    told = {name: row[name] for name in names}
    return Token(scopes=_allowed(row["scopes"], row["role"]), stopped=row["disabled_at"] is not None, **told)


def name_of(text: str) -> str:
    name = " ".join(text.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise Refused("say in {most} characters what the token is for", most=LONGEST_NAME)
    return name


def require_future(expires_at: datetime | None, now: datetime) -> datetime | None:
    if expires_at is not None and (expires_at.tzinfo is None or not now < expires_at < now + LONGEST_LIFE):
        raise Refused("a token expires at a time to come, told with its offset")
    return expires_at


async def find_caller(conn: Connection, secret: str) -> Caller | None:
    """Whom the token stands for; None: unknown, revoked or expired, or its maker is disabled."""
    digest = hashed(secret)
    row = await conn.fetchrow(FIND, digest)
    if row is None or not hmac.compare_digest(row["hash"], digest):
        return None
    if row["idle"]:
        await conn.execute(USED, row["account_id"], row["id"])
    return Caller(row["account_id"], row["id"], frozenset(_allowed(row["scopes"], row["role"])))


def _allowed(scopes: Iterable[str], role: Role | None) -> tuple[str, ...]:
    """Of a token's scopes those that its maker's role has now: a token may never do more than he."""
    return tuple(scope for scope in scopes if role is None or scope in SCOPES_OF[role])


ADD = """
INSERT INTO tokens (account_id, name, hash, scopes, expires_at, user_id) VALUES (
    $1, $2, $3, $4, $5, coalesce($6, (SELECT user_id FROM tokens WHERE account_id = $1 AND id = $7))) RETURNING id"""
# Made by a token, it is the token's maker's.
REVOKE = """
UPDATE tokens SET revoked_at = now() WHERE id = $1 AND ($2::bigint IS NULL OR account_id = $2) AND revoked_at IS NULL
RETURNING account_id, name"""
LIST = f"""
SELECT {TOKENS.fields} FROM {TOKENS.tables} WHERE ($1::bigint IS NULL OR t.account_id = $1)
ORDER BY t.revoked_at IS NOT NULL OR coalesce(t.expires_at < now(), false),
    CASE WHEN t.revoked_at IS NULL AND coalesce(t.expires_at > now(), true) THEN t.id ELSE -t.id END LIMIT 10000"""  # noqa: S608 - made of constants
# `idle`: a token in steady use is noted once a minute.
FIND = """
SELECT t.account_id, t.id, t.hash, t.scopes, u.role,
       coalesce(t.last_used_at < now() - interval '1 minute', true) AS idle
FROM tokens t LEFT JOIN users u ON u.account_id = t.account_id AND u.id = t.user_id
WHERE t.hash = $1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())
    AND u.disabled_at IS NULL"""
USED = "UPDATE tokens SET last_used_at = now() WHERE account_id = $1 AND id = $2"
