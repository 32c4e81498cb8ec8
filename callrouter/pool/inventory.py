"""Accounts and pools in Postgres, and how an operator's names are looked up.

Sites are in `site_inventory`, numbers and static bindings in `number_inventory`.

Routers and web processes learn of a change by the notification that the tables send. Knows nothing of leases.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

import asyncpg

from callrouter.db.connect import Connection
from callrouter.numbers import NotANumber, Number, parse_number
from callrouter.wording import Worded, Wording

OPERATOR = 1
"""The account that owns shared pools, and every call that is nobody's."""


class Refused(Worded):
    """The change cannot be made; the text says why and what to do. Nothing was changed."""


class Unknown(LookupError):
    """There is none of that id, or it is another account's, which is not told apart."""


async def add_account(conn: Connection, name: str) -> int:
    if await conn.fetchval("SELECT 1 FROM accounts WHERE name = $1", name):
        raise Refused("there is an account named {name!r} already", name=name)
    return int(await conn.fetchval("INSERT INTO accounts (name) VALUES ($1) RETURNING id", name))


async def add_pool(conn: Connection, name: str) -> int:
    """A pool of the operator's: sites of any account may use it."""
    try:
        return int(await conn.fetchval("INSERT INTO pools (name) VALUES ($1) RETURNING id", name))
    except asyncpg.UniqueViolationError:
        raise Refused("there is a pool named {name!r} already", name=name) from None


async def remove_pool(conn: Connection, name: str) -> int:
    """Only a pool that nothing depends on: no number, no site, no lease that history does not know the end of."""
    async with conn.transaction():
        pool = await pool_named(conn, name)
        await conn.execute("SELECT 1 FROM pools WHERE id = $1 FOR UPDATE", pool)
        if count := await conn.fetchval("SELECT count(*) FROM numbers WHERE pool_id = $1", pool):
            raise Refused("pool {name} has {count} numbers; move them first", name=name, count=count)
        sites = await conn.fetch(
            """SELECT s.name FROM site_pools sp JOIN sites s ON s.account_id = sp.account_id AND s.id = sp.site_id
               WHERE sp.pool_id = $1 ORDER BY s.name LIMIT 5""",
            pool,
        )
        if sites:
            served = ", ".join(row["name"] for row in sites)
            raise Refused("pool {name} serves {sites}; give them another one first", name=name, sites=served)
        if count := await conn.fetchval("SELECT count(*) FROM leases WHERE pool_id = $1 AND ended_at IS NULL", pool):
            raise Refused(
                "pool {name} has {count} leases whose end is not in the history yet; try again in a minute",
                name=name, count=count,
            )  # fmt: skip
        await conn.execute(
            "INSERT INTO removed_pools (account_id, id) SELECT account_id, id FROM pools WHERE id = $1", pool
        )
        await conn.execute("DELETE FROM pools WHERE id = $1", pool)
    return pool


async def pool_named(conn: Connection, name: str, *, account: int | None = None) -> int:
    """`account`: whose site wants to use it; a pool of another account is none for it."""
    rows = await conn.fetch("SELECT id, account_id, name FROM pools ORDER BY id")
    named = [row for row in rows if row["name"] == name]
    usable = [row for row in named if account in (None, row["account_id"]) or row["account_id"] == OPERATOR]
    if named and not usable:
        raise Refused("pool {name!r} belongs to another account", name=name)
    if len(usable) != 1:
        known = hint(name, (row["name"] for row in rows))
        raise Refused("there is no {name!r} among the pools; {hint}", name=name, hint=known)
    return int(usable[0]["id"])


async def account_named(conn: Connection, name: str) -> int:
    rows = await conn.fetch("SELECT id, name FROM accounts ORDER BY id")
    named = [row["id"] for row in rows if row["name"] == name]
    if len(named) != 1:
        known = hint(name, (row["name"] for row in rows))
        raise Refused("there is no {name!r} among the accounts; {hint}", name=name, hint=known)
    return int(named[0])


async def site_named(conn: Connection, domain: str, *, account: str | None = None) -> tuple[int, int]:
    """Account and site; `account` says whose it must be, which also tells two sites of one name apart."""
    owner = await account_named(conn, account) if account else None
    rows = await conn.fetch("SELECT account_id, id, name FROM sites ORDER BY id")
    named = [row for row in rows if row["name"] == domain]
    found = [row for row in named if owner in (None, row["account_id"])]
    if len(found) == 1:
        return int(found[0]["account_id"]), int(found[0]["id"])
    if found:
        raise Refused("several accounts have a site {domain!r}; say which by --account", domain=domain)
    if named:
        raise Refused("site {domain!r} belongs to another account than {account!r}", domain=domain, account=account)
    known = hint(domain, (row["name"] for row in rows))
    raise Refused("there is no site {domain!r}; {hint}", domain=domain, hint=known)


def hint(name: str, known: Iterable[str]) -> Wording:
    """What may have been meant."""
    names = list(dict.fromkeys(known))
    if similar := get_close_matches(name, names, n=3, cutoff=0.5):
        return Wording("did you mean {names}?", {"names": ", ".join(similar)})
    if not names:
        return Wording("there are none yet")
    told = ", ".join(names[:10]) + (" …" if len(names) > 10 else "")  # noqa: PLR2004 - a line's length
    return Wording("there are: {names}", {"names": told})


def spelled_number(text: str, country: str) -> Number:
    try:
        return parse_number(text, country)
    except NotANumber as error:
        raise Refused(error.template, **error.values) from None
