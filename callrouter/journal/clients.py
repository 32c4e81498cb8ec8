"""The card of a client: who he is over all numbers, e-mails and browsers, and what he came to (rules §6)."""

from __future__ import annotations

import hashlib
from datetime import datetime

import msgspec

from callrouter.db.connect import Connection
from callrouter.journal.client_list import Revenue
from callrouter.pool.inventory import Refused

NO_NUMBER = "Не определено"
NO_NAME = "неизвестно"
NO_LOCATION = "(undefined)"
IDENTITIES_SHOWN = 200
LONGEST_NOTE = 5000


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
    say that there is none; `number_known` and `name_known` tell which it is. `revenue`: of deals that are not lost;
    `unique`: calls that were; `first_source`: where his first visit came from."""

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
    unique: int
    quality: int
    multichannel: int
    talk_s: float
    visits: int
    time_on_site_s: float
    first_channel: str | None
    first_source: str | None
    deals: int
    first_appeal_at: datetime | None
    last_appeal_at: datetime | None
    first_visit_at: datetime | None
    last_visit_at: datetime | None
    merges: tuple[Merge, ...]
    created_at: datetime


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
    touched = [at for at in (row["first_touch_at"], appeals["first_appeal_at"], visits["first_visit_at"]) if at]
    number, person = appeals["number"], appeals["person"] or row["name"]
    return Card(
        id=client, number=number or NO_NUMBER, number_known=bool(number), name=person or NO_NAME,
        name_known=bool(person), location=appeals["location"] or NO_LOCATION, first_touch_at=min(touched),
        revenue=tuple(
            Revenue(amount=deal["amount"], currency=deal["currency"]) for deal in deals if deal["amount"] is not None
        ),
        identities=tuple(Identity(**dict(each)) for each in found[:IDENTITIES_SHOWN]), note=row["note"],
        deals=sum(deal["deals"] for deal in deals), merges=tuple(Merge(**dict(merge)) for merge in merges),
        created_at=row["created_at"], **{name: appeals[name] for name in OF_APPEALS},
        **{name: visits[name] for name in OF_VISITS},
    )  # fmt: skip


async def visitors_of(conn: Connection, account: int, client: int) -> list[str]:
    """Whose visits are his: as he told himself, or as his calls were credited with more than an even chance."""
    return [row["visitor"] for row in await conn.fetch(VISITORS, account, client)]


class StaleNote(Exception):
    """Somebody else changed it meanwhile; `now` is what stands there."""

    def __init__(self, now: str) -> None:
        super().__init__("the note was changed meanwhile")
        self.now = now


def note_version(note: str) -> str:
    """By its words: it is the same one if they are."""
    return hashlib.blake2s(note.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


async def change_note(conn: Connection, account: int, client: int, note: str, *, seen: str | None) -> str | None:
    """In a transaction; what is kept. `seen`: the version that must stand there, None: whichever. None: no such client.

    Raises StaleNote; Refused if it is too long.
    """
    kept = note.replace("\0", "\ufffd").replace("\r\n", "\n").strip()
    if len(kept) > LONGEST_NOTE:
        raise Refused("a note has {most} characters at most", most=LONGEST_NOTE)
    before = await conn.fetchval(LOCK, account, client)
    if before is None:
        return None
    if seen is not None and seen != note_version(before):
        raise StaleNote(before)
    await conn.execute(SET_NOTE, account, client, kept)
    return kept


async def by_phone(conn: Connection, account: int, phone: str) -> tuple[int, str | None] | None:
    """The client whom a number is known of, and his name."""
    row = await conn.fetchrow(BY_PHONE, account, phone)
    return (row["id"], row["name"]) if row else None


async def survivor_of(conn: Connection, account: int, client: int) -> int | None:
    """Whom a client that is no more became by a merge, over however many merges."""
    survivor: int | None = await conn.fetchval(SURVIVOR, account, client)
    return survivor


LOCK = "SELECT note FROM clients WHERE account_id = $1 AND id = $2 FOR UPDATE"
SET_NOTE = "UPDATE clients SET note = $3 WHERE account_id = $1 AND id = $2"
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
_FIRST = "(array_agg({0} ORDER BY started_at, id){1})[1]"
OF_APPEALS = (
    "appeals",
    "calls",
    "lost",
    "unique",
    "quality",
    "multichannel",
    "talk_s",
    "first_appeal_at",
    "last_appeal_at",
)
# One pass: each further look would be planned for all months that there are.
APPEALS = f"""
SELECT count(*) AS appeals, count(*) FILTER (WHERE kind = 'call') AS calls,
    count(*) FILTER (WHERE status = 'lost') AS lost, count(*) FILTER (WHERE is_unique) AS unique,
    count(*) FILTER (WHERE quality) AS quality, count(*) FILTER (WHERE multichannel) AS multichannel,
    coalesce(sum(talk_s), 0) AS talk_s, min(started_at) AS first_appeal_at, max(started_at) AS last_appeal_at,
    {_FIRST.format("customer", " FILTER (WHERE customer IS NOT NULL)")} AS number,
    {_FIRST.format("person", " FILTER (WHERE person <> '')")} AS person,
    {_FIRST.format("location", "")} AS location
FROM appeals WHERE account_id = $1 AND client_id = $2"""  # noqa: S608 - made of constants; values are parameters
OF_VISITS = ("visits", "first_visit_at", "last_visit_at", "time_on_site_s", "first_channel", "first_source")
VISITS = """
SELECT count(*) AS visits, min(started_at) AS first_visit_at, max(started_at) AS last_visit_at,
    coalesce(sum(extract(epoch FROM seen_at - started_at)), 0)::double precision AS time_on_site_s,
    (array_agg(channel ORDER BY started_at, session))[1] AS first_channel,
    (array_agg(source ORDER BY started_at, session))[1] AS first_source
FROM visits WHERE account_id = $1 AND visitor = ANY ($2)"""
REVENUE = """
SELECT currency, sum(revenue) FILTER (WHERE won IS NOT FALSE) AS amount, count(*) AS deals FROM deals
WHERE account_id = $1 AND client_id = $2 GROUP BY currency ORDER BY currency"""
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
