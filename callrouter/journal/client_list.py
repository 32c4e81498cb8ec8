"""An account's clients, page by page: by name, e-mail, number or id, in the order of age or activity."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

from callrouter.db.connect import Connection
from callrouter.journal.conditions import Values, within
from callrouter.journal.filters import ANY_PHONE, Phones
from callrouter.journal.keyset import Behind
from callrouter.journal.spelling import SHORTEST_PART, phones

Sort = Literal["-id", "id", "-last_seen_at", "last_seen_at"]
LONGEST_SEARCH = 200
SPELLED = re.compile(r"\+?[\d\s()./-]+", re.ASCII)
ID = re.compile(r"#?\s*(\d{1,18})", re.ASCII)


class Revenue(msgspec.Struct, frozen=True, kw_only=True):
    """Currencies are kept apart."""

    amount: Decimal
    currency: str


class ClientListed(msgspec.Struct, frozen=True, kw_only=True):
    """`last_seen_at`: when he was last heard of."""

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
    """`q`: in the name or an e-mail, or his id in a CRM; `phone`: a number or a part; `id`: or this client, whatever
    his number is."""

    account: int
    sort: Sort = "-id"
    q: str = ""
    phone: Phones = ANY_PHONE
    id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    behind: Behind | None = None
    limit: int = 100


class Doings(msgspec.Struct, frozen=True, kw_only=True):
    """What a list tells of a client besides."""

    appeals: int = 0
    revenue: tuple[Revenue, ...] = ()


def searched(asked: ClientsAsked, text: str, country: str) -> ClientsAsked:
    """`asked`, for whatever people write into a search: a number in any spelling, its end, a name, an e-mail, an id."""
    text = text.strip()[:LONGEST_SEARCH]
    if not text:
        return asked
    named = ID.fullmatch(text)
    digits = sum(sign.isdigit() for sign in text)
    if SPELLED.fullmatch(text) and digits >= SHORTEST_PART:
        number = phones((text,), country)
        return msgspec.structs.replace(asked, phone=number, id=int(named[1]) if named else None)
    if named:
        return msgspec.structs.replace(asked, id=int(named[1]))
    return msgspec.structs.replace(asked, q=text)


async def read_clients(conn: Connection, asked: ClientsAsked) -> ClientPage:
    values = Values()
    account = values.add(asked.account, "bigint")
    where = [f"c.account_id = {account}", *_conditions(asked, values)]
    build = _by_activity if asked.sort.endswith("last_seen_at") else _by_age
    rows = [ClientListed(**dict(row)) for row in await conn.fetch(build(asked, where, values), *values.all)]
    last = rows[asked.limit - 1] if len(rows) > asked.limit else None
    following = Behind(last.last_seen_at or last.first_touch_at, str(last.id)).text() if last else None
    return ClientPage(items=tuple(rows[: asked.limit]), next=following)


def client_behind(text: str) -> Behind:
    """Raises ValueError."""
    behind = Behind.of(text)
    if not (behind.id.isascii() and behind.id.isdigit() and len(behind.id) < 19):  # noqa: PLR2004
        raise ValueError("not a cursor that was given out")
    return behind


async def doings_of(conn: Connection, account: int, clients: list[int]) -> dict[int, Doings]:
    """By client; who did nothing is not there."""
    appeals = {row["client_id"]: row["appeals"] for row in await conn.fetch(APPEALS, account, clients)}
    revenue: dict[int, list[Revenue]] = {}
    for row in await conn.fetch(REVENUE, account, clients):
        revenue.setdefault(row["client_id"], []).append(Revenue(amount=row["amount"], currency=row["currency"]))
    return {
        client: Doings(appeals=appeals.get(client, 0), revenue=tuple(revenue.get(client, ())))
        for client in {*appeals, *revenue}
    }


def _conditions(asked: ClientsAsked, values: Values) -> list[str]:
    where = []
    if asked.since is not None:
        where.append(f"c.first_touch_at >= {values.add(asked.since, 'timestamptz')}")
    if asked.until is not None:
        where.append(f"c.first_touch_at < {values.add(asked.until, 'timestamptz')}")
    if asked.q:
        pattern, text = values.add(within(asked.q), "text"), values.add(asked.q, "text")
        has = _has("email", f"i.value ILIKE {pattern}"), _has("crm", f"i.value = {text}")
        where.append(f"(c.name ILIKE {pattern} OR {' OR '.join(has)})")
    wanted = [f"c.id = {values.add(asked.id, 'bigint')}"] if asked.id is not None else []
    like = [f"i.value LIKE {values.add(part, 'text')}" for part in asked.phone.parts]
    whole = [f"i.value = ANY ({values.add(list(asked.phone.whole), 'text[]')})"] if asked.phone.whole else []
    if like or whole:
        account = values.add(asked.account, "bigint")
        wanted.append(f"c.id IN ({PHONES_OF} AND i.account_id = {account} AND ({' OR '.join((*whole, *like))}))")
    return [*where, f"({' OR '.join(wanted)})"] if wanted else where


def _by_age(asked: ClientsAsked, where: list[str], values: Values) -> str:
    behind, way = _way(asked.sort)
    if asked.behind is not None:
        where.append(f"c.id {behind} {values.add(int(asked.behind.id), 'bigint')}")
    return f"""
        SELECT c.id, c.name, c.first_touch_at,
            {_one("phone")} AS phone, {_one("email")} AS email,
            (SELECT max(i.last_seen_at) FROM client_identities i WHERE {HIS}) AS last_seen_at
        FROM clients c WHERE {" AND ".join(where)}
        ORDER BY c.account_id {way}, c.id {way} LIMIT {values.add(asked.limit + 1, "int")}"""  # noqa: S608 - made of constants; values are parameters


def _by_activity(asked: ClientsAsked, where: list[str], values: Values) -> str:
    """Each client stands where the identity does by which he was heard of last: read in the order of an index."""
    where.append(f"l.account_id = {values.add(asked.account, 'bigint')}")
    behind, way = _way(asked.sort)
    if asked.behind is not None:
        at, client = values.add(asked.behind.at, "timestamptz"), values.add(int(asked.behind.id), "bigint")
        where.append(f"(l.last_seen_at, l.client_id) {behind} ({at}, {client})")
    return f"""
        SELECT c.id, c.name, c.first_touch_at, {_one("phone")} AS phone, {_one("email")} AS email, l.last_seen_at
        FROM client_identities l JOIN clients c ON (c.account_id, c.id) = (l.account_id, l.client_id)
        WHERE {" AND ".join(where)} AND NOT EXISTS (
            SELECT FROM client_identities i
            WHERE {HIS} AND (i.last_seen_at, i.kind, i.value) > (l.last_seen_at, l.kind, l.value))
        ORDER BY l.last_seen_at {way}, l.client_id {way} LIMIT {values.add(asked.limit + 1, "int")}"""  # noqa: S608 - made of constants; values are parameters


def _way(sort: Sort) -> tuple[str, str]:
    """How a row behind compares, and SQL's word for the direction."""
    return ("<", "DESC") if sort.startswith("-") else (">", "ASC")


def _has(kind: str, what: str) -> str:
    return f"EXISTS (SELECT FROM client_identities i WHERE {HIS} AND i.kind = '{kind}' AND {what})"


def _one(kind: str) -> str:
    return f"(SELECT i.value FROM client_identities i WHERE {HIS} AND i.kind = '{kind}' ORDER BY first_seen_at LIMIT 1)"  # noqa: S608 - made of constants; values are parameters


HIS = "i.account_id = c.account_id AND i.client_id = c.id"
PHONES_OF = "SELECT i.client_id FROM client_identities i WHERE i.kind = 'phone'"
APPEALS = """
SELECT client_id, count(*) AS appeals FROM appeals WHERE account_id = $1 AND client_id = ANY ($2) GROUP BY client_id"""
REVENUE = """
SELECT client_id, currency, sum(revenue) FILTER (WHERE won IS NOT FALSE) AS amount FROM deals
WHERE account_id = $1 AND client_id = ANY ($2) GROUP BY client_id, currency
HAVING count(*) FILTER (WHERE won IS NOT FALSE) > 0 ORDER BY client_id, currency"""
