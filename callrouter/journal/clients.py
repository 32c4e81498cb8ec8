"""Clients and the card of one: who he is over all numbers, e-mails and browsers, and what he came to (rules §6)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from callrouter.db.connect import Connection
from callrouter.journal.conditions import Values, within
from callrouter.journal.filters import ANY_PHONE, Phones
from callrouter.journal.keyset import cursor_of, cursor_text

NO_NUMBER = "Не определено"
NO_NAME = "неизвестно"
NO_LOCATION = "(undefined)"
IDENTITIES_SHOWN = 200


class Revenue(msgspec.Struct, frozen=True, kw_only=True):
    """Currencies are kept apart."""

    amount: Decimal
    currency: str


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    value: str
    first_seen_at: datetime
    last_seen_at: datetime


class Merge(msgspec.Struct, frozen=True, kw_only=True):
    """Another client became this one; it can be undone by its id. `kind` and `value`: what both had."""

    id: int
    merged: int
    kind: str
    value: str
    merged_at: datetime


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """`number`, `name` and `location` are those of the first appeal that has one (`location`: of the first appeal), or
    say that there is none; `number_known` and `name_known` tell which it is."""

    id: int
    number: str
    number_known: bool
    name: str
    name_known: bool
    location: str
    first_touch_at: datetime
    revenue: tuple[Revenue, ...]
    identities: tuple[Identity, ...]
    note: str
    appeals: int
    calls: int
    lost: int
    multichannel: int
    visits: int
    deals: int
    first_appeal_at: datetime | None
    last_appeal_at: datetime | None
    first_visit_at: datetime | None
    last_visit_at: datetime | None
    merges: tuple[Merge, ...]
    created_at: datetime


class ClientListed(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    name: str | None
    phone: str | None
    email: str | None
    first_touch_at: datetime
    last_seen_at: datetime | None


class ClientPage(msgspec.Struct, frozen=True, kw_only=True):
    items: tuple[ClientListed, ...]
    next: str | None


class ClientsAsked(msgspec.Struct, frozen=True, kw_only=True):
    """The youngest clients first. `q`: in the name or an e-mail; `phone`: a number or a part."""

    account: int
    q: str = ""
    phone: Phones = ANY_PHONE
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    limit: int = 100


class BeforeClient(msgspec.Struct, frozen=True, array_like=True):
    id: int


def cursor_after(client: int) -> str:
    return cursor_text(BeforeClient(client))


def client_before(text: str) -> int:
    """Raises ValueError."""
    found = cursor_of(text, BeforeClient).id
    if not 0 <= found < 2**63:
        raise ValueError("not a cursor that was given out")
    return found


async def read_clients(conn: Connection, asked: ClientsAsked) -> ClientPage:
    values = Values()
    account = values.add(asked.account, "bigint")
    where = [f"c.account_id = {account}"]
    if asked.before is not None:
        where.append(f"c.id < {values.add(asked.before, 'bigint')}")
    if asked.since is not None:
        where.append(f"c.first_touch_at >= {values.add(asked.since, 'timestamptz')}")
    if asked.until is not None:
        where.append(f"c.first_touch_at < {values.add(asked.until, 'timestamptz')}")
    if asked.q:
        pattern = values.add(within(asked.q), "text")
        where.append(f"(c.name ILIKE {pattern} OR {_has('email', f'i.value ILIKE {pattern}')})")
    if asked.phone.whole or asked.phone.parts:
        like = [f"i.value LIKE {values.add(part, 'text')}" for part in asked.phone.parts]
        whole = [f"i.value = ANY ({values.add(list(asked.phone.whole), 'text[]')})"] if asked.phone.whole else []
        where.append(f"c.id IN ({PHONES_OF} AND i.account_id = {account} AND ({' OR '.join((*whole, *like))}))")
    sql = f"""
        SELECT c.id, c.name, c.first_touch_at,
            {_one("phone", "i.value")} AS phone, {_one("email", "i.value")} AS email,
            (SELECT max(i.last_seen_at) FROM client_identities i WHERE {HIS}) AS last_seen_at
        FROM clients c WHERE {" AND ".join(where)}
        ORDER BY c.account_id DESC, c.id DESC LIMIT {values.add(asked.limit + 1, "int")}"""  # noqa: S608 - made of constants; values are parameters
    rows = [ClientListed(**dict(row)) for row in await conn.fetch(sql, *values.all)]
    following = cursor_after(rows[asked.limit - 1].id) if len(rows) > asked.limit else None
    return ClientPage(items=tuple(rows[: asked.limit]), next=following)


def _has(kind: str, what: str) -> str:
    return f"EXISTS (SELECT FROM client_identities i WHERE {HIS} AND i.kind = '{kind}' AND {what})"


def _one(kind: str, what: str) -> str:
    return f"(SELECT {what} FROM client_identities i WHERE {HIS} AND i.kind = '{kind}' ORDER BY first_seen_at LIMIT 1)"  # noqa: S608 - made of constants; values are parameters


HIS = "i.account_id = c.account_id AND i.client_id = c.id"
PHONES_OF = "SELECT i.client_id FROM client_identities i WHERE i.kind = 'phone'"


async def exists(conn: Connection, account: int, client: int) -> bool:
    return await conn.fetchrow(CLIENT, account, client) is not None


async def read_card(conn: Connection, account: int, client: int) -> Card | None:
    """None: the account has no such client; `survivor_of` tells whether he became another."""
    row = await conn.fetchrow(CLIENT, account, client)
    if row is None:
        return None
    found = await conn.fetch(IDENTITIES, account, client)
    visitors = await visitors_of(conn, account, client)
    appeals = await conn.fetchrow(APPEALS, account, client)
    visits = await conn.fetchrow(VISITS, account, visitors)
    deals = await conn.fetch(REVENUE, account, client)
    merges = await conn.fetch(MERGES, account, client)
    if appeals is None or visits is None:
        raise RuntimeError("a count is always a row")
    touched = [at for at in (row["first_touch_at"], appeals["first_at"], visits["first_at"]) if at]
    return Card(
        id=client, number=appeals["number"] or NO_NUMBER, number_known=bool(appeals["number"]),
        name=appeals["person"] or row["name"] or NO_NAME, name_known=bool(appeals["person"] or row["name"]),
        location=appeals["location"] or NO_LOCATION, first_touch_at=min(touched),
        revenue=tuple(Revenue(amount=deal["amount"], currency=deal["currency"]) for deal in deals),
        identities=tuple(Identity(**dict(each)) for each in found[:IDENTITIES_SHOWN]), note=row["note"],
        appeals=appeals["appeals"], calls=appeals["calls"], lost=appeals["lost"], multichannel=appeals["multichannel"],
        visits=visits["visits"], deals=sum(deal["deals"] for deal in deals), first_appeal_at=appeals["first_at"],
        last_appeal_at=appeals["last_at"], first_visit_at=visits["first_at"], last_visit_at=visits["last_at"],
        merges=tuple(Merge(**dict(merge)) for merge in merges), created_at=row["created_at"],
    )  # fmt: skip


async def visitors_of(conn: Connection, account: int, client: int) -> list[str]:
    """Whose visits are his: as he told himself, or as his calls were credited with more than an even chance."""
    return [row["visitor"] for row in await conn.fetch(VISITORS, account, client)]


async def by_phone(conn: Connection, account: int, phone: str) -> tuple[int, str | None] | None:
    """The client whom a number is known of, and his name."""
    row = await conn.fetchrow(BY_PHONE, account, phone)
    return (row["id"], row["name"]) if row else None


async def survivor_of(conn: Connection, account: int, client: int) -> int | None:
    """Whom a client that is no more became by a merge, over however many merges."""
    survivor: int | None = await conn.fetchval(SURVIVOR, account, client)
    return survivor


CLIENT = "SELECT name, note, first_touch_at, created_at FROM clients WHERE account_id = $1 AND id = $2"
IDENTITIES = """
SELECT kind, value, first_seen_at, last_seen_at FROM client_identities WHERE account_id = $1 AND client_id = $2
ORDER BY kind, first_seen_at, value"""
VISITORS = """
SELECT visitor FROM client_visitors WHERE account_id = $1 AND client_id = $2
UNION SELECT value FROM client_identities WHERE account_id = $1 AND client_id = $2 AND kind = 'visitor'"""
BY_PHONE = """
SELECT c.id, c.name FROM client_identities i JOIN clients c ON c.account_id = i.account_id AND c.id = i.client_id
WHERE i.account_id = $1 AND i.kind = 'phone' AND i.value = $2"""
_FIRST = "(SELECT {0} FROM appeals WHERE account_id = $1 AND client_id = $2{1} ORDER BY started_at, id LIMIT 1)"
APPEALS = f"""
SELECT count(*) AS appeals, count(*) FILTER (WHERE kind = 'call') AS calls,
    count(*) FILTER (WHERE status = 'lost') AS lost, count(*) FILTER (WHERE multichannel) AS multichannel,
    min(started_at) AS first_at, max(started_at) AS last_at,
    {_FIRST.format("customer", " AND customer IS NOT NULL")} AS number,
    {_FIRST.format("person", " AND person <> ''")} AS person,
    {_FIRST.format("location", "")} AS location
FROM appeals WHERE account_id = $1 AND client_id = $2"""  # noqa: S608 - made of constants; values are parameters
VISITS = """
SELECT count(*) AS visits, min(started_at) AS first_at, max(started_at) AS last_at
FROM visits WHERE account_id = $1 AND visitor = ANY ($2)"""
REVENUE = """
SELECT currency, sum(revenue) AS amount, count(*) AS deals FROM deals WHERE account_id = $1 AND client_id = $2
GROUP BY currency ORDER BY currency"""
MERGES = """
SELECT id, merged_id AS merged, kind, value, merged_at FROM client_merges
WHERE account_id = $1 AND survivor_id = $2 AND undone_at IS NULL ORDER BY id DESC LIMIT 50"""
SURVIVOR = """
WITH RECURSIVE became AS (
    SELECT survivor_id, 1 AS step FROM client_merges WHERE account_id = $1 AND merged_id = $2 AND undone_at IS NULL
    UNION
    SELECT m.survivor_id, b.step + 1 FROM became b
    JOIN client_merges m ON m.account_id = $1 AND m.merged_id = b.survivor_id AND m.undone_at IS NULL WHERE b.step < 50
)
SELECT survivor_id FROM became ORDER BY step DESC LIMIT 1"""
