"""Sales: told by people, programs and files; tied to clients; every change kept. Knows SQL.

A deal of a CRM is known by the CRM's name and its id there: told again, it is the same deal, changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import asyncpg
import msgspec

from callrouter.db.connect import Connection
from callrouter.numbers import NotANumber, parse_number
from callrouter.pool.inventory import Refused, Unknown
from callrouter.reports import money
from callrouter.reports.figures import plain
from callrouter.reports.money import NoSense
from callrouter.reports.owner import Who, client_of, told_by
from callrouter.reports.table_file import FOUND_OUT, Layout, Table, read_table

FACTS = (
    "crm", "crm_id", "title", "stage", "funnel", "url", "employee", "revenue", "currency", "opened_at", "closed_at",
    "won", "ga_client_id", "ym_client_id",
)  # fmt: skip
NEEDED = ("opened_at", "revenue")
COLUMNS = (*FACTS, "phone", "email", "crm_client", "client")
KEPT = (*FACTS, "client_id")
"""What history tells of."""
YES, NO = {"true", "1", "yes", "да", "won"}, {"false", "0", "no", "нет", "lost"}

LISTED = "account_id, id, client_id, linked_by, appeal_id, appeal_at, history, version, changed_at, created_at"
READ = f"SELECT {LISTED}, {', '.join(FACTS)} FROM deals "  # noqa: S608 - names of columns
FIND = READ + "WHERE ($1::bigint IS NULL OR account_id = $1) AND id = $2"
OF_CRM = "SELECT id FROM deals WHERE account_id = $1 AND crm = $2 AND crm_id = $3 FOR UPDATE"
ADD = f"""
INSERT INTO deals (account_id, client_id, linked_by, {", ".join(FACTS)})
VALUES ($1, $2, $3, {", ".join(f"${n + 4}" for n in range(len(FACTS)))}) RETURNING id"""  # noqa: S608 - names of columns
CHANGE = f"""
UPDATE deals SET {", ".join(f"{name} = ${n + 5}" for n, name in enumerate(KEPT))}, history = history || $3::text::jsonb,
    linked_by = $4, version = version + 1, changed_at = now()
WHERE account_id = $1 AND id = $2"""  # noqa: S608 - names of columns
REMOVE = "DELETE FROM deals WHERE account_id = $1 AND id = $2"
COUNTRY = "SELECT country FROM sites WHERE account_id = $1 ORDER BY id LIMIT 1"


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A deal as it is told: what is None is not told."""

    revenue: Decimal | None = None
    currency: str | None = None
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    won: bool | None = None
    crm: str | None = None
    crm_id: str | None = None
    title: str | None = None
    stage: str | None = None
    funnel: str | None = None
    url: str | None = None
    employee: str | None = None
    ga_client_id: str | None = None
    ym_client_id: str | None = None
    who: Who = Who()


class Owner(NamedTuple):
    """`linked_by`: by what he was found (`owner.told_by`)."""

    client: int | None
    linked_by: str


class Deal(msgspec.Struct, frozen=True, kw_only=True):
    account: int
    id: int
    client: int | None
    linked_by: str
    """By what the client was found (`owner.told_by`); empty: nobody is, or it was not kept."""
    appeal: str | None
    """The appeal that it is owed to."""
    crm: str
    crm_id: str | None
    title: str
    stage: str
    funnel: str
    url: str
    employee: str
    revenue: str
    currency: str
    opened_at: datetime
    closed_at: datetime | None
    won: bool | None
    cycle_days: float | None
    """From opened to closed."""
    ga_client_id: str
    ym_client_id: str
    changed_at: datetime
    history: Any
    """What was changed when and by whom, the oldest first."""
    version: int


async def tell(connection: Connection, account: int, told: Told, *, by: str) -> Deal:
    """Add a deal, or change the one that its CRM's id names. In a transaction."""
    if told.crm_id:
        known = await connection.fetchval(OF_CRM, account, told.crm or "", told.crm_id)
        if known is not None:
            return await change(connection, account, known, told, by=by)
    if told.opened_at is None or told.revenue is None:
        raise Refused("a deal wants opened_at and revenue")
    who = who_of(told)
    client = await client_of(connection, account, who)
    base = told.currency or await connection.fetchval("SELECT currency FROM accounts WHERE id = $1", account)
    values = {
        **EMPTY,
        **{name: value for name in FACTS if (value := getattr(told, name)) is not None},
        "currency": base,
    }
    try:
        async with connection.transaction():
            deal = await connection.fetchval(
                ADD, account, client, "" if client is None else told_by(who), *(values[name] for name in FACTS)
            )
    except asyncpg.UniqueViolationError:  # told at the same time
        return await tell(connection, account, told, by=by)
    return await deal_numbered(connection, account, deal)


async def change(
    connection: Connection, account: int, deal: int, told: Told, *, by: str, emptied: Collection[str] = ()
) -> Deal:
    """What is not told stays, but for what is `emptied` (names of KEPT). History keeps what it was. Raises Refused."""
    row = await connection.fetchrow(FIND + " FOR UPDATE", account, deal)
    if row is None:
        raise Unknown(f"there is no deal {deal}")
    owner = None
    who = who_of(told)
    if who != Who():
        client = await client_of(connection, account, who)
        owner = Owner(client, "" if client is None else told_by(who))
    elif "client_id" in emptied:
        owner = Owner(None, "")
    changed = change_of(row, told, owner, by=by, emptied=emptied)
    if changed is not None:
        try:
            async with connection.transaction():
                await connection.execute(CHANGE, *changed)
        except asyncpg.UniqueViolationError:
            known = told.crm_id or row["crm_id"]
            raise Refused("another deal has the number {crm_id} of that CRM", crm_id=known) from None
    return await deal_numbered(connection, account, deal)


def change_of(
    row: asyncpg.Record, told: Told, owner: Owner | None, *, by: str, emptied: Collection[str] = ()
) -> list[Any] | None:
    """What CHANGE is given; None: nothing changes. `owner` None: he stays."""
    after = {name: row[name] if (value := getattr(told, name)) is None else value for name in FACTS}
    after |= {name: EMPTY[name] for name in emptied if name in EMPTY}
    after["client_id"], linked_by = row["client_id"], row["linked_by"]
    if owner is not None and owner.client != row["client_id"]:
        after["client_id"], linked_by = owner
    changes = {name: [_shown(row[name]), _shown(after[name])] for name in KEPT if row[name] != after[name]}
    if not changes:
        return None
    entry = {"at": datetime.now(UTC), "by": by, "changes": changes}
    noted = msgspec.json.encode([entry]).decode().replace("\\u0000", "\\ufffd")
    return [row["account_id"], row["id"], noted, linked_by, *(after[name] for name in KEPT)]


async def remove(connection: Connection, account: int, deal: int) -> None:
    await connection.execute(REMOVE, account, deal)


async def deal_numbered(connection: Connection, account: int | None, deal: int, *, lock: bool = False) -> Deal:
    row = await connection.fetchrow(FIND + (" FOR UPDATE" if lock else ""), account, deal)
    if row is None:
        raise Unknown(f"there is no deal {deal}")
    return deal_of(row)


async def country_of(connection: Connection, account: int) -> str:
    """Where the account's clients write their numbers."""
    return await connection.fetchval(COUNTRY, account) or "RU"


def read_file(
    content: bytes, zone: ZoneInfo, country: str, layout: Layout = FOUND_OUT, *, most: int | None = None
) -> Table[Told]:
    """Deals of a CSV file with a header; all its faults at once."""

    def read(cells: Mapping[str, str]) -> Told:
        return told_in(cells, zone, country)

    return read_table(content, COLUMNS, NEEDED, read, layout, most=most)


def told_in(cells: Mapping[str, str], zone: ZoneInfo, country: str, *, needed: Collection[str] = NEEDED) -> Told:
    """Texts → a deal. Raises NoSense, with all that makes none."""
    read: dict[str, Callable[[str], Any]] = {
        "revenue": money.amount, "currency": money.currency, "opened_at": lambda text: money.moment(text, zone),
        "closed_at": lambda text: money.moment(text, zone), "won": _yes, "url": link, "client": money.count,
        "phone": lambda text: phone(text, country), "email": email,
    }  # fmt: skip
    made = money.values_of(cells, read, needed=needed)
    who = Who(**{name: made[name] for name in ("client", "phone", "email", "crm_client") if name in made})
    return Told(**{name: made[name] for name in FACTS if name in made}, who=who)


def phone(text: str, country: str) -> str:
    try:
        return parse_number(text[:64], country)
    except NotANumber:
        raise NoSense("{text!r} is no telephone number", text=text[:40]) from None


def email(text: str) -> str:
    told = text.strip().lower()
    if not 3 <= len(told) <= 254 or "@" not in told[1:-1] or any(sign.isspace() for sign in told):  # noqa: PLR2004
        raise NoSense("{text!r} is no e-mail address", text=text[:40])
    return told


def link(text: str) -> str:
    """Shown as a link to whoever reads the card: a script in it would run as he."""
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if text and not (parts.scheme in {"http", "https"} and parts.netloc):
        raise NoSense("{text!r} is no address that begins with https://", text=text[:40])
    return text


EMPTY: dict[str, Any] = {
    "crm": "", "crm_id": None, "title": "", "stage": "", "funnel": "", "url": "", "employee": "", "closed_at": None,
    "won": None, "ga_client_id": "", "ym_client_id": "",
}  # fmt: skip


def _yes(text: str) -> bool:
    if text.lower() not in YES | NO:
        raise NoSense("{text!r} is neither yes nor no", text=text[:40])
    return text.lower() in YES


def who_of(told: Told) -> Who:
    """All that tells whose it is."""
    return msgspec.structs.replace(told.who, ga_client_id=told.ga_client_id or "", ym_client_id=told.ym_client_id or "")


def _shown(value: object) -> object:
    return plain(value) if isinstance(value, Decimal) else value


def deal_of(row: asyncpg.Record) -> Deal:
    opened, closed = row["opened_at"], row["closed_at"]
    return Deal(
        account=row["account_id"], id=row["id"], client=row["client_id"],
        linked_by=row["linked_by"], appeal=str(row["appeal_id"]) if row["appeal_id"] else None,
        revenue=plain(row["revenue"]),
        cycle_days=(closed - opened).total_seconds() / 86400 if closed else None, changed_at=row["changed_at"],
        history=row["history"], version=row["version"],
        **{name: row[name] for name in FACTS if name != "revenue"},
    )  # fmt: skip
