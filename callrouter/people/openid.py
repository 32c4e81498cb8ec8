"""Whose a provider's identity is: the user it is bound to, else the one whose e-mail it proves, else perhaps a new one.

An e-mail counts once, and only if the provider says that it is verified: from then on the provider's name for the
person counts, whatever becomes of the address. Addresses of newcomers' domains are their account's: whoever adds users
elsewhere cannot catch a person on his way there. Knows no HTTP and no tokens.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import asyncpg
import msgspec

from callrouter.db.connect import Connection
from callrouter.people import audit, users
from callrouter.people.model import Caller, Locale
from callrouter.pool.inventory import OPERATOR, Refused, account_named


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says of somebody. `verified`: it knows that the e-mail is his."""

    issuer: str
    subject: str
    email: str = ""
    verified: bool = False
    name: str = ""


class Newcomers(msgspec.Struct, frozen=True, kw_only=True):
    """Who is made a user when he first signs in: whoever has a verified e-mail of `domains`."""

    role: Literal["viewer", "manager"]
    account: str
    """Its name."""
    domains: tuple[str, ...]


Outcome = Literal["right", "unknown", "unverified", "disabled", "other", "elsewhere"]
"""`other`: the user of that e-mail signs in by another identity; `elsewhere`: an account has made a user of an e-mail
that is another's, by its domain."""


class Found(NamedTuple):
    outcome: Outcome
    account: int = 0
    user: int = 0
    email: str = ""


async def user_of(conn: Connection, identity: Identity, newcomers: Newcomers | None, locale: Locale) -> Found:
    """Binds, and makes a user of a newcomer, as far as that is meant. Raises Refused if newcomers' account is none."""
    async with conn.transaction():
        await conn.execute(LOCK, f"{identity.issuer} {identity.subject}")
        row = await conn.fetchrow(BOUND, identity.issuer, identity.subject)
        if row is not None:
            return _found(row)
        return await _by_email(conn, identity, newcomers, locale)


async def _by_email(conn: Connection, identity: Identity, newcomers: Newcomers | None, locale: Locale) -> Found:
    """Of an identity that is bound to nobody yet."""
    email = _kept_as(identity.email)
    row = await conn.fetchrow(BY_EMAIL, email) if email else None
    if not email or not identity.verified:
        return Found("unverified", *(row["account"], row["user"]) if row else ())
    if row is None:
        return await _welcome(conn, identity, email, newcomers, locale)
    if row["issuer"] == identity.issuer:
        return Found("other", row["account"], row["user"], email)
    if await _is_anothers(conn, row["account"], email, newcomers):
        return Found("elsewhere", row["account"], row["user"], email)
    if not row["disabled"]:
        await _bind(conn, identity, row["account"], row["user"], given_up=row["issuer"])
    return _found(row)


async def require_not_anothers(conn: Connection, account: int, email: str, newcomers: Newcomers | None) -> None:
    """For who adds a user to `account`. Raises Refused."""
    if await _is_anothers(conn, account, email, newcomers):
        domain = _domain(email)
        raise Refused("people with an address of {domain} become users elsewhere when they sign in", domain=domain)


async def _is_anothers(conn: Connection, account: int, email: str, newcomers: Newcomers | None) -> bool:
    """By its domain it is newcomers', whose account is another one. The operator's own people may have any address."""
    if newcomers is None or account == OPERATOR or _domain(email) not in newcomers.domains:
        return False
    return bool(await conn.fetchval("SELECT name FROM accounts WHERE id = $1", account) != newcomers.account)


def _domain(email: str) -> str:
    return email.strip().lower().rpartition("@")[2]


async def _welcome(
    conn: Connection, identity: Identity, email: str, newcomers: Newcomers | None, locale: Locale
) -> Found:
    if newcomers is None or _domain(email) not in newcomers.domains:
        return Found("unknown", email=email)
    account = await account_named(conn, newcomers.account)
    try:
        name = users.name_of(identity.name)
    except Refused:
        name = ""
    added = await users.add_user(conn, account, email, role=newcomers.role, name=name, locale=locale)
    await _bind(conn, identity, account, added.id)
    return Found("right", account, added.id, email)


async def _bind(conn: Connection, identity: Identity, account: int, user: int, *, given_up: str | None = None) -> None:
    await conn.execute(BIND, account, user, identity.issuer, identity.subject)
    told = {"issuer": identity.issuer} | ({"instead_of": given_up} if given_up else {})
    await audit.record(conn, account, Caller(account, None, frozenset(), user), "user.bind", **told)


def _found(row: asyncpg.Record) -> Found:
    return Found("disabled" if row["disabled"] else "right", row["account"], row["user"], row["email"])


def _kept_as(text: str) -> str:
    """The e-mail as users' are kept; '' if it is none. A letter that only looks like another is not made that other:
    the Kelvin sign becomes `k` in lower case."""
    try:
        email = users.email_of(text)
    except Refused:
        return ""
    return email if text.isascii() or email == text else ""


LOCK = "SELECT pg_advisory_xact_lock(hashtext('callrouter.openid'), hashtext($1))"
_ROW = """
SELECT account_id AS account, id AS user, email, disabled_at IS NOT NULL AS disabled, oidc_issuer AS issuer
FROM users"""
BOUND = f"{_ROW} WHERE oidc_issuer = $1 AND oidc_subject = $2"
BY_EMAIL = f"{_ROW} WHERE email = $1 FOR UPDATE"
BIND = "UPDATE users SET oidc_issuer = $3, oidc_subject = $4 WHERE account_id = $1 AND id = $2"
