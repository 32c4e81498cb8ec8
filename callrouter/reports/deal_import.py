"""Files of deals, into Postgres: all of them or none, however many. Knows SQL.

Finding out whose deals they are locks each phone, e-mail and id that tells it, and Postgres has room for some thousand
locks at a time. So that comes first, in short transactions (`settle`); the deals follow in one (`put`), which holds the
rows of these identities: who becomes one client with another meanwhile takes his deals along. If it is broken off in
between, clients stay who have no deal yet.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

import asyncpg

from callrouter.appeals.identities import LOCK
from callrouter.db.connect import Connection
from callrouter.pool.inventory import Refused
from callrouter.reports.deals import CHANGE, EMPTY, FACTS, READ, Owner, Told, change_of, who_of
from callrouter.reports.owner import Who, client_of, told_by

AT_ONCE = 200
"""Rows whose owners are found in one transaction: a thousand locks at most."""
Line = tuple[int, Told]
Begin = Callable[[], AbstractAsyncContextManager[Connection]]
"""A transaction of its own."""
Done = Callable[[int], None]
"""Is told how many rows are settled, and then how many are put."""

HELD = """
SELECT i.kind, i.value, i.client_id FROM client_identities i
JOIN unnest($2::text[], $3::text[]) AS told (kind, value) ON i.kind = told.kind AND i.value = told.value
WHERE i.account_id = $1 ORDER BY i.kind, i.value FOR UPDATE OF i"""
THERE = "SELECT id FROM clients WHERE account_id = $1 AND id = ANY ($2::bigint[]) FOR KEY SHARE"
TYPES = {"revenue": "numeric", "opened_at": "timestamptz", "closed_at": "timestamptz", "won": "boolean"}
ADD = f"""
INSERT INTO deals (account_id, client_id, linked_by, {", ".join(FACTS)})
SELECT $1, * FROM unnest($2::bigint[], $3::text[],
    {", ".join(f"${n + 4}::{TYPES.get(name, 'text')}[]" for n, name in enumerate(FACTS))})
ON CONFLICT (account_id, crm, crm_id) DO NOTHING RETURNING crm, crm_id"""  # noqa: S608 - names of columns
OF_CRM = f"""
{READ}WHERE account_id = $1 AND (crm, crm_id) IN (SELECT * FROM unnest($2::text[], $3::text[]))
ORDER BY id FOR UPDATE"""  # noqa: S608 - names of columns


class Deal(NamedTuple):
    """A line of the file, with whose it is."""

    line: int
    told: Told
    owner: Owner

    @property
    def key(self) -> tuple[str, str]:
        """How its CRM knows it; ('', '') if none does."""
        return (self.told.crm or "", self.told.crm_id) if self.told.crm_id else ("", "")


async def settle(begin: Begin, account: int, lines: Sequence[Line], *, done: Done | None = None) -> list[Deal]:
    """With whose they are; new clients are made. Raises Refused, with the line."""
    settled: list[Deal] = []
    for chunk in chunks(lines):
        async with begin() as conn:
            settled += await settle_few(conn, account, chunk)
        if done:
            done(len(settled))
    return settled


async def settle_few(conn: Connection, account: int, lines: Sequence[Line]) -> list[Deal]:
    """The same in one transaction."""
    claimed = {f"{account} {value}" for _, told in lines for _, value in told.who.claims()}
    await conn.fetchval(LOCK, sorted(claimed))
    return [Deal(line, told, await _owner(conn, account, line, told)) for line, told in lines]


async def put(conn: Connection, account: int, deals: Sequence[Deal], *, by: str, done: Done | None = None) -> None:
    """All of them, in one transaction, in the order of the file. Raises Refused."""
    deals = await _held(conn, account, deals)
    base = await conn.fetchval("SELECT currency FROM accounts WHERE id = $1", account)
    count = 0
    for turn in _turns(deals):
        for chunk in chunks(turn):
            known = {deal.key for deal in chunk} - await _added(conn, account, chunk, base) - {("", "")}
            await _changed(conn, account, [deal for deal in chunk if deal.key in known], by)
            count += len(chunk)
            if done:
                done(count)


def chunks(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE))


async def _owner(conn: Connection, account: int, line: int, told: Told) -> Owner:
    who = who_of(told)
    if who == Who():
        return Owner(None, "")
    try:
        client = await client_of(conn, account, who)
    except Refused as error:
        raise Refused("line {line}: {why}", line=line, why=error) from None
    return Owner(client, "" if client is None else told_by(who))


async def _held(conn: Connection, account: int, deals: Sequence[Deal]) -> list[Deal]:
    """Each with the client who has its identities now: he may have become another since."""
    claims = sorted({claim for deal in deals for claim in deal.told.who.claims()})
    rows = await conn.fetch(HELD, account, [kind for kind, _ in claims], [value for _, value in claims])
    now = {(row["kind"], row["value"]): row["client_id"] for row in rows}
    held = [deal._replace(owner=_owner_now(deal, now)) for deal in deals]
    wanted = {deal.owner.client for deal in held if deal.owner.client is not None}
    there = {row["id"] for row in await conn.fetch(THERE, account, sorted(wanted))}
    for deal in held:
        if deal.owner.client is not None and deal.owner.client not in there:
            gone = {"line": deal.line, "client": deal.owner.client}
            raise Refused("line {line}: client {client} became another just now; import the file again", **gone)
    return held


def _owner_now(deal: Deal, now: Mapping[tuple[str, str], int]) -> Owner:
    found = [now[claim] for claim in deal.told.who.claims() if claim in now]
    return deal.owner._replace(client=found[0]) if found else deal.owner


def _turns(deals: Sequence[Deal]) -> Iterator[list[Deal]]:
    """Those of a CRM's id one after the other: the second telling of a deal changes the first."""
    turns: dict[int, list[Deal]] = defaultdict(list)
    told: Counter[tuple[str, str]] = Counter()
    for deal in deals:
        turns[told[deal.key] if deal.told.crm_id else 0].append(deal)
        told[deal.key] += 1
    yield from (turns[n] for n in sorted(turns))


async def _added(conn: Connection, account: int, deals: Sequence[Deal], base: str) -> set[tuple[str, str]]:
    """The keys of those that were new."""
    rows = [_values(deal.told, base) for deal in deals]
    clients, linked = [deal.owner.client for deal in deals], [deal.owner.linked_by for deal in deals]
    columns = [[row[name] for row in rows] for name in FACTS]
    return {(row["crm"], row["crm_id"]) for row in await conn.fetch(ADD, account, clients, linked, *columns)}


def _values(told: Told, base: str) -> dict[str, Any]:
    given = {name: value for name in FACTS if (value := getattr(told, name)) is not None}
    return {**EMPTY, "currency": base, **given}


async def _changed(conn: Connection, account: int, deals: Sequence[Deal], by: str) -> None:
    if not deals:
        return
    keys = [deal.key for deal in deals]
    rows = await conn.fetch(OF_CRM, account, [crm for crm, _ in keys], [crm_id for _, crm_id in keys])
    before: dict[tuple[str, str], asyncpg.Record] = {(row["crm"], row["crm_id"]): row for row in rows}
    changes = [
        change_of(before[deal.key], deal.told, deal.owner if who_of(deal.told) != Who() else None, by=by)
        for deal in deals
    ]
    await conn.executemany(CHANGE, [each for each in changes if each is not None])
