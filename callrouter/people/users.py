"""Users in Postgres: added, changed, disabled, found by their e-mail. Passwords come hashed (`passwords`).

What is refused raises Refused with the reason. Each change stands in the audit record, in the same transaction.
"""

from __future__ import annotations

import re
from datetime import datetime

import asyncpg
import msgspec

from callrouter.db.connect import Connection
from callrouter.people import audit, browser_sessions
from callrouter.people.bounds import require_room
from callrouter.people.model import Caller, Locale
from callrouter.people.roles import SCOPES_OF, Role, may_give
from callrouter.pool.inventory import OPERATOR, Refused, Unknown

EMAIL = re.compile(r"[^@\s<>\"',;:\\]{1,64}@[^@\s<>\"',;:\\]{1,190}")
LONGEST_NAME = 120


class User(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    account: int
    email: str
    name: str
    role: Role
    locale: Locale
    password: bool
    """Whether he has one."""
    openid: bool
    """Whether he has signed in by OpenID Connect: an identity is bound to him."""
    disabled_at: datetime | None
    created_at: datetime
    signed_in_at: datetime | None


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """What a sign-in needs to know of an e-mail's owner."""

    account: int
    user: int
    password_hash: str | None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is None stays."""

    name: str | None = None
    role: Role | None = None
    locale: Locale | None = None
    disabled: bool | None = None


def settable(user: User) -> list[object]:
    """What another may have changed since it was read."""
    return [user.name, user.role, user.locale, user.disabled_at]


def email_of(text: str) -> str:
    """As it is kept and compared. Raises Refused."""
    email = text.strip().lower()
    if not EMAIL.fullmatch(email) or not email.isprintable():
        raise Refused("{text!r} is no e-mail address", text=text[:80])
    return email


def name_of(text: str) -> str:
    name = " ".join(text.split())
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise Refused("a name has {most} characters at most, on one line", most=LONGEST_NAME)
    return name


async def add_user(
    conn: Connection, account: int, email: str, *, role: Role, name: str = "", locale: Locale = "ru",
    password_hash: str | None = None, must_change: bool = False, by: Caller | None = None,
) -> User:  # fmt: skip
    """`by`: who adds him, and gives no more than he has; None: the command line."""
    _require_givable(account, role, by)
    who = email_of(email), name_of(name)
    async with conn.transaction():
        await require_room(conn, account, "users", by)
        try:
            async with conn.transaction():
                user = await conn.fetchval(ADD, account, *who, role, locale, password_hash, must_change)
        except asyncpg.UniqueViolationError:
            raise Refused("there is a user {email} already, here or in another account", email=who[0]) from None
        except asyncpg.ForeignKeyViolationError:
            raise Refused("there is no account {account}", account=account) from None
        await audit.record(conn, account, by, "user.add", who[0], role=role)
        return await user_numbered(conn, user, account)


async def change_user(conn: Connection, account: int, user: int, change: Change, *, by: Caller | None = None) -> User:
    """Raises Refused; Unknown if the account has no such user. Who is disabled is signed out at once."""
    async with conn.transaction():
        before = await user_numbered(conn, user, account, lock=True)
        if by and by.user == user and (change.disabled or change.role not in (None, before.role)):
            raise Refused("nobody disables himself or changes his own role: another may")
        if change.role:
            _require_givable(account, change.role, by)
        if by:
            _require_givable(account, before.role, by)
        name = before.name if change.name is None else name_of(change.name)
        disabled = before.disabled_at is not None if change.disabled is None else change.disabled
        await conn.execute(
            CHANGE, account, user, name, change.role or before.role, change.locale or before.locale, disabled
        )
        if disabled:
            await browser_sessions.end_all(conn, account, user)
        after = await user_numbered(conn, user, account)
        await _tell_change(conn, before, after, by)
        return after


async def change_email(conn: Connection, account: int, user: int, email: str) -> User:
    """By the operator: whose address it is decides who is let in by it. Raises Refused, Unknown."""
    address = email_of(email)
    async with conn.transaction():
        before = await user_numbered(conn, user, account, lock=True)
        try:
            async with conn.transaction():
                await conn.execute(SET_EMAIL, account, user, address)
        except asyncpg.UniqueViolationError:
            raise Refused("there is a user {email} already, here or in another account", email=address) from None
        await audit.record(conn, account, None, "user.change", address, email=[before.email, address])
        return await user_numbered(conn, user, account)


async def set_password(
    conn: Connection, account: int, user: int, password_hash: str, *, must_change: bool = False,
    by: Caller | None = None, keep_session: int | None = None,
) -> None:  # fmt: skip
    """His browsers are signed out, but for the one in which he changes it himself."""
    async with conn.transaction():
        before = await user_numbered(conn, user, account, lock=True)
        own = by is not None and by.user == user
        if by and not own:
            _require_givable(account, before.role, by)
        await conn.execute(SET_HASH, account, user, password_hash, must_change)
        await browser_sessions.end_all(conn, account, user, but=keep_session)
        await audit.record(conn, account, by, "password.change" if own else "user.password", before.email)


async def unbind(conn: Connection, account: int, user: int, *, by: Caller | None = None) -> User:
    """The next sign-in by OpenID Connect goes by his e-mail anew; he is signed out. Raises Refused, Unknown."""
    async with conn.transaction():
        before = await user_numbered(conn, user, account, lock=True)
        if by:
            _require_givable(account, before.role, by)
        if not before.openid:
            raise Refused("{email} is bound to no OpenID identity", email=before.email)
        await conn.execute(UNBIND, account, user)
        await browser_sessions.end_all(conn, account, user)
        await audit.record(conn, account, by, "user.unbind", before.email)
        return await user_numbered(conn, user, account)


async def set_own(conn: Connection, account: int, user: int, *, locale: Locale, name: str) -> None:
    """What a user sets for himself."""
    await conn.execute(
        "UPDATE users SET locale = $3, name = $4 WHERE account_id = $1 AND id = $2", account, user, locale,
        name_of(name),
    )  # fmt: skip


async def list_users(conn: Connection, account: int | None = None) -> list[User]:
    """Of one account, or of all; those who may sign in first."""
    rows = await conn.fetch(f"{USERS} WHERE ($1::bigint IS NULL OR account_id = $1) {ORDER}", account)
    return [_told(row) for row in rows]


async def user_numbered(conn: Connection, user: int, account: int | None = None, *, lock: bool = False) -> User:
    """Raises Unknown. `lock`: nobody else changes him until the transaction ends."""
    query = f"{USERS} WHERE id = $1 AND ($2::bigint IS NULL OR account_id = $2)" + (" FOR UPDATE" if lock else "")
    row = await conn.fetchrow(query, user, account)
    if row is None:
        raise Unknown(user)
    return _told(row)


async def user_named(conn: Connection, email: str) -> User:
    row = await conn.fetchrow(f"{USERS} WHERE email = $1", email_of(email))
    if row is None:
        raise Refused("there is no user {email}; see callrouter user list", email=email_of(email))
    return _told(row)


async def find_login(conn: Connection, email: str) -> Login | None:
    """None: unknown or disabled."""
    row = await conn.fetchrow(LOGIN, email.strip().lower())
    return Login(**dict(row)) if row else None


def _require_givable(account: int, role: Role, by: Caller | None) -> None:
    if role == "operator" and account != OPERATOR:
        raise Refused("operators are users of account 1; an account's own first user is its admin")
    if by and not may_give(by.scopes, frozenset(SCOPES_OF[role])):
        raise Refused("nobody gives a role that may do more than he may himself")


async def _tell_change(conn: Connection, before: User, after: User, by: Caller | None) -> None:
    fields = [name for name in ("name", "role", "locale") if getattr(before, name) != getattr(after, name)]
    if fields:
        told = {name: [getattr(before, name), getattr(after, name)] for name in fields}
        await audit.record(conn, after.account, by, "user.change", after.email, **told)
    if (before.disabled_at is None) != (after.disabled_at is None):
        await audit.record(conn, after.account, by, "user.disable" if after.disabled_at else "user.enable", after.email)


def _told(row: asyncpg.Record) -> User:
    return User(**dict(row))


FIELDS = """
    id, account_id AS account, email, name, role, locale, password_hash IS NOT NULL AS password,
    oidc_subject IS NOT NULL AS openid, disabled_at, created_at, signed_in_at"""
USERS = f"SELECT {FIELDS} FROM users"  # noqa: S608 - made of constants
ORDER = "ORDER BY account_id, disabled_at IS NOT NULL, lower(email)"
ADD = """
INSERT INTO users (account_id, email, name, role, locale, password_hash, must_change_password, password_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, CASE WHEN $6::text IS NOT NULL THEN now() END) RETURNING id"""
CHANGE = """
UPDATE users SET name = $3, role = $4, locale = $5,
    disabled_at = CASE WHEN $6 THEN coalesce(disabled_at, now()) END WHERE account_id = $1 AND id = $2"""
SET_EMAIL = "UPDATE users SET email = $3 WHERE account_id = $1 AND id = $2"
SET_HASH = """
UPDATE users SET password_hash = $3, must_change_password = $4, password_at = now()
WHERE account_id = $1 AND id = $2"""
UNBIND = "UPDATE users SET oidc_issuer = NULL, oidc_subject = NULL WHERE account_id = $1 AND id = $2"
LOGIN = """
SELECT account_id AS account, id AS user, password_hash FROM users WHERE email = $1 AND disabled_at IS NULL"""
