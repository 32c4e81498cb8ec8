"""Whose a deal is: the client by what a CRM knows of him. Knows SQL.

A phone, an e-mail and a CRM's id told together are one person's: clients who had them apart become one (rules §6). The
ids of Google and Yandex name a browser, which families share: it ties only a client who is not known otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from callrouter.appeals.identities import KNOWN, LOCK, NEW, TIE
from callrouter.appeals.merging import merge
from callrouter.db.connect import Connection
from callrouter.pool.inventory import Refused

VISITOR = """
SELECT v.visitor FROM visits v
WHERE v.account_id = $1
  AND ((v.ga_client_id = $2 AND v.ga_client_id <> '') OR (v.ym_client_id = $3 AND v.ym_client_id <> ''))
ORDER BY v.started_at DESC LIMIT 1"""
OF_VISITOR = """
SELECT client_id FROM client_visitors WHERE account_id = $1 AND visitor = $2
ORDER BY judged_at DESC, client_id LIMIT 1"""


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of him; empty: not told."""

    client: int | None = None
    phone: str = ""
    """E.164 without the plus."""
    email: str = ""
    crm_client: str = ""
    ga_client_id: str = ""
    ym_client_id: str = ""

    def claims(self) -> Iterator[tuple[str, str]]:
        yield from ((kind, value) for kind, value in (
            ("phone", self.phone), ("email", self.email.lower()), ("crm", self.crm_client)) if value)  # fmt: skip


def told_by(who: Who) -> str:
    """What tells it first: `client` (by hand), `phone`, `email`, `crm`, `ga_client_id`, `ym_client_id`, or nothing."""
    told = ["client"] if who.client is not None else [kind for kind, _ in who.claims()]
    told += [name for name in ("ga_client_id", "ym_client_id") if getattr(who, name)]
    return told[0] if told else ""


async def client_of(connection: Connection, account: int, who: Who) -> int | None:
    """His client, made if he is new; None if nothing tells who he is. In a transaction."""
    claims = list(who.claims())
    visitor = None
    if who.ga_client_id or who.ym_client_id:
        visitor = await connection.fetchval(VISITOR, account, who.ga_client_id, who.ym_client_id)
    if not claims and visitor is None and who.client is None:
        return None
    told = [value for _, value in claims] + ([visitor] if visitor else [])
    await connection.fetchval(LOCK, sorted(f"{account} {value}" for value in told))
    client = await _named(connection, account, who.client)
    for kind, value in claims:
        known = await connection.fetchval(KNOWN, account, kind, value)
        if client is None:
            client = known
        elif known not in {None, client}:
            client = await merge(connection, account, client, known, kind=kind, value=value)
    of_browser = await _of_browser(connection, account, visitor)
    if client is None:
        client = of_browser
    if client is None:
        client = await connection.fetchval(NEW, account, await connection.fetchval("SELECT now()"), None)
    now = await connection.fetchval("SELECT now()")
    tied = [*claims, *([("visitor", visitor)] if visitor and of_browser is None else [])]
    for kind, value in tied:
        await connection.execute(TIE, account, kind, value, client, now)
    return client


async def _named(connection: Connection, account: int, client: int | None) -> int | None:
    if client is None:
        return None
    found: int | None = await connection.fetchval(
        "SELECT id FROM clients WHERE account_id = $1 AND id = $2", account, client
    )
    if found is None:
        raise Refused("there is no client {client}", client=client)
    return found


async def _of_browser(connection: Connection, account: int, visitor: str | None) -> int | None:
    if visitor is None:
        return None
    told: int | None = await connection.fetchval(KNOWN, account, "visitor", visitor)
    credited: int | None = told or await connection.fetchval(OF_VISITOR, account, visitor)
    return credited
