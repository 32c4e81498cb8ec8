"""Accounts in Postgres: what is set for one, read and changed. Added by `pool.inventory`, which owns their names."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import available_timezones

import msgspec
from babel.numbers import list_currencies

from callrouter.db.connect import Connection
from callrouter.people import audit
from callrouter.people.model import Caller
from callrouter.pool.inventory import Refused, Unknown

MOST_TOUCHES, MOST_DAYS = 100, 3650


class Account(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    name: str
    time_zone: str
    currency: str
    multichannel: bool
    multichannel_touches: int
    multichannel_days: int
    created_at: datetime


class AccountChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays."""

    time_zone: str | None = None
    currency: str | None = None
    multichannel: bool | None = None
    multichannel_touches: int | None = None
    multichannel_days: int | None = None


async def read_accounts(conn: Connection, only: int | None = None) -> list[Account]:
    rows = await conn.fetch(f"{ACCOUNTS} ORDER BY id LIMIT 500", only)
    return [Account(**dict(row)) for row in rows]


async def account_numbered(conn: Connection, account: int) -> Account:
    """Raises Unknown."""
    found = await read_accounts(conn, account)
    if not found:
        raise Unknown(account)
    return found[0]


async def lock_account(conn: Connection, account: int) -> Account:
    """Nobody else changes it until this transaction ends. Raises Unknown."""
    await conn.execute("SELECT pg_advisory_xact_lock(hashtext('callrouter.account'), $1::bigint::int)", account % 2**31)
    return await account_numbered(conn, account)


async def change_account(conn: Connection, account: int, change: AccountChange, *, by: Caller | None = None) -> Account:
    """Raises Refused, and Unknown."""
    _require_sound(change)
    async with conn.transaction():
        before = await lock_account(conn, account)
        given = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
        after = msgspec.structs.replace(before, **given)
        if after == before:
            return before
        await conn.execute(
            CHANGE, account, after.time_zone, after.currency, after.multichannel, after.multichannel_touches,
            after.multichannel_days,
        )  # fmt: skip
        changed = {
            name: [getattr(before, name), value] for name, value in given.items() if getattr(before, name) != value
        }
        await audit.record(conn, account, by, "account.change", after.name, **changed)
        return after


def _require_sound(change: AccountChange) -> None:
    if change.time_zone is not None and change.time_zone not in available_timezones():
        raise Refused("{zone!r} is no time zone; write Europe/Moscow", zone=change.time_zone[:60])
    if change.currency is not None and change.currency not in list_currencies():
        raise Refused("{currency!r} is no currency; write RUB", currency=change.currency[:10])
    if change.multichannel_touches is not None and not 2 <= change.multichannel_touches <= MOST_TOUCHES:  # noqa: PLR2004
        raise Refused("an appeal is multichannel from 2 to {most} touches on", most=MOST_TOUCHES)
    if change.multichannel_days is not None and not 1 <= change.multichannel_days <= MOST_DAYS:
        raise Refused("touches are looked for in 1 to {most} days before the appeal", most=MOST_DAYS)


FIELDS = "id, name, time_zone, currency, multichannel, multichannel_touches, multichannel_days, created_at"
ACCOUNTS = f"SELECT {FIELDS} FROM accounts WHERE ($1::bigint IS NULL OR id = $1)"  # noqa: S608 - made of constants
CHANGE = """
UPDATE accounts SET time_zone = $2, currency = $3, multichannel = $4, multichannel_touches = $5, multichannel_days = $6
WHERE id = $1"""
