"""Signed-in browsers in Postgres. A browser shows a secret, of which only the hash is kept; knows no cookies.

The secret is renewed by age. The old one is taken until the browser has shown the new one, and a minute longer, for
requests under way; later it must be a copy, and the session ends for both.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime, timedelta

import asyncpg
import msgspec

from callrouter.db.connect import Connection
from callrouter.people import audit
from callrouter.people.model import Caller, Person

SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
RENEW_AFTER = timedelta(hours=1)
UNDER_WAY = timedelta(minutes=1)
LONGEST_BROWSER = 200


class Lifetime(msgspec.Struct, frozen=True):
    """How long a browser stays signed in: without a request, and at all."""

    idle: timedelta = timedelta(hours=24)
    whole: timedelta = timedelta(days=30)


class Begun(msgspec.Struct, frozen=True):
    id: int
    secret: str


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """One of a user's browsers, as he is shown it."""

    id: int
    browser: str
    address: str
    created_at: datetime
    seen_at: datetime


def digest(secret: str) -> bytes:
    """256 random bits need no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


async def begin(
    conn: Connection, account: int, user: int, life: Lifetime, *, browser: str = "", address: str = "",
    openid: bool = False,
) -> Begun:  # fmt: skip
    """A new session with a new secret, whatever the browser showed before. `openid`: he came in by that."""
    secret = secrets.token_urlsafe(32)
    agent = browser.replace("\x00", "")[:LONGEST_BROWSER]
    told = {"way": "openid"} if openid else {}
    async with conn.transaction():
        session = await conn.fetchval(
            BEGIN, account, user, digest(secret), secrets.token_urlsafe(24), agent, address, life.whole, openid
        )
        await conn.execute("UPDATE users SET signed_in_at = now() WHERE account_id = $1 AND id = $2", account, user)
        await audit.record(conn, account, Caller(account, None, frozenset(), user), "sign_in", browser=agent, **told)
    return Begun(int(session), secret)


async def find(conn: Connection, secret: str, life: Lifetime) -> Person | None:
    """Whose browser shows this secret; None: nobody's, or not any longer."""
    if not SECRET.fullmatch(secret):
        return None
    shown = digest(secret)
    row = await conn.fetchrow(FIND, shown, life.idle)
    if row is None:
        return None
    if row["stale"]:
        await _end_stolen(conn, row)
        return None
    if row["unconfirmed"] or row["unseen"]:
        await conn.execute(SEEN, row["account"], row["session"], shown)
    return Person(**{name: row[name] for name in Person.__struct_fields__})


async def renew(conn: Connection, secret: str) -> str | None:
    """A new secret for the browser if its own is old; None: it may keep it. One request of several gets one."""
    fresh = secrets.token_urlsafe(32)
    renewed = await conn.fetchval(RENEW, digest(secret), digest(fresh), RENEW_AFTER)
    return fresh if renewed else None


async def end(conn: Connection, person: Person) -> None:
    """This browser signs out."""
    async with conn.transaction():
        await conn.execute(END, person.account, person.user, person.session)
        await audit.record(conn, person.account, person.caller, "sign_out")


async def end_one(conn: Connection, person: Person, session: int) -> bool:
    """Another browser of his is signed out. False: it was none of his."""
    async with conn.transaction():
        ended = await conn.execute(END, person.account, person.user, session)
        if ended == "DELETE 1":
            await audit.record(conn, person.account, person.caller, "session.end", session)
    return ended == "DELETE 1"


async def end_others(conn: Connection, person: Person) -> None:
    """All his other browsers are signed out."""
    async with conn.transaction():
        ended = await end_all(conn, person.account, person.user, but=person.session)
        await audit.record(conn, person.account, person.caller, "session.end", others=ended)


async def end_all(conn: Connection, account: int, user: int, *, but: int | None = None) -> int:
    """All browsers of a user, but perhaps one, are signed out; returns how many."""
    return int((await conn.execute(END_ALL, account, user, but)).split()[-1])


async def of_user(conn: Connection, account: int, user: int, life: Lifetime) -> list[Signed]:
    rows = await conn.fetch(OF_USER, account, user, life.idle)
    return [Signed(**dict(row)) for row in rows]


async def forget_ended(conn: Connection, life: Lifetime) -> int:
    """Delete what nobody can use any longer, of all accounts."""
    return int((await conn.execute(FORGET, life.idle)).split()[-1])


async def _end_stolen(conn: Connection, row: asyncpg.Record) -> None:
    async with conn.transaction():
        await conn.execute(END, row["account"], row["user"], row["session"])
        by = Caller(row["account"], None, frozenset(), row["user"])
        await audit.record(conn, row["account"], by, "session.stolen", row["session"])


BEGIN = """
INSERT INTO browser_sessions (account_id, user_id, hash, form_key, browser, address, expires_at, openid)
VALUES ($1, $2, $3, $4, $5, $6, now() + $7, $8) RETURNING id"""
# `stale`: the secret before the last, although the new one has been shown for longer than requests are under way.
FIND = f"""
SELECT s.account_id AS account, s.user_id AS user, s.id AS session, s.form_key, s.created_at AS signed_in_at,
       u.email, u.name, u.role, u.locale,
       u.must_change_password AND NOT s.openid AS must_change_password,
       a.name AS account_name, a.time_zone, a.currency,
       s.hash = $1 AND s.previous_hash IS NOT NULL AND s.confirmed_at IS NULL AS unconfirmed,
       s.hash <> $1 AND coalesce(s.confirmed_at < now() - interval '{UNDER_WAY.seconds} seconds', false) AS stale,
       s.seen_at < now() - interval '1 minute' AS unseen,
       s.renewed_at < now() - interval '{RENEW_AFTER.seconds} seconds' AS secret_is_old
FROM browser_sessions s
JOIN users u ON u.account_id = s.account_id AND u.id = s.user_id AND u.disabled_at IS NULL
JOIN accounts a ON a.id = s.account_id
WHERE (s.hash = $1 OR s.previous_hash = $1) AND s.expires_at > now() AND s.seen_at > now() - $2::interval"""  # noqa: S608 - made of constants; values are parameters
SEEN = """
UPDATE browser_sessions SET seen_at = now(),
    confirmed_at = CASE WHEN hash = $3 THEN coalesce(confirmed_at, now()) ELSE confirmed_at END
WHERE account_id = $1 AND id = $2"""
RENEW = """
UPDATE browser_sessions SET hash = $2, previous_hash = $1, renewed_at = now(), confirmed_at = NULL
WHERE (hash = $1 OR (previous_hash = $1 AND confirmed_at IS NULL)) AND renewed_at < now() - $3::interval
RETURNING id"""
END = "DELETE FROM browser_sessions WHERE account_id = $1 AND user_id = $2 AND id = $3"
END_ALL = "DELETE FROM browser_sessions WHERE account_id = $1 AND user_id = $2 AND id IS DISTINCT FROM $3"
OF_USER = """
SELECT id, browser, address, created_at, seen_at FROM browser_sessions
WHERE account_id = $1 AND user_id = $2 AND expires_at > now() AND seen_at > now() - $3::interval
ORDER BY seen_at DESC"""
FORGET = "DELETE FROM browser_sessions WHERE expires_at < now() OR seen_at < now() - $1::interval"
