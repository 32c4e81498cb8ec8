"""A client's whole history: appeals, visits and deals in the order of time, each with its number and the time since the
one before.

Numbers and gaps are those of the whole history, whatever part of it is asked for: a filter hides, it does not renumber.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec

from callrouter.db.connect import Connection
from callrouter.journal.clients import visitors_of
from callrouter.journal.keyset import Behind
from callrouter.journal.row import FIELDS, AppealTold, joined, selected, told
from callrouter.journal.visits import BOUNCE, COLUMNS, VisitTold, visit_told

What = Literal["appeal", "visit", "deal"]
SHOWN = tuple(name for name in FIELDS if name not in {"candidates", "client_name", "first_touch_at"})


class DealTold(msgspec.Struct, frozen=True, kw_only=True):
    """`cycle_days`: from its opening to its close."""

    id: int
    title: str
    stage: str
    funnel: str
    crm: str
    crm_id: str | None
    url: str
    employee: str
    revenue: Decimal
    currency: str
    opened_at: datetime
    changed_at: datetime
    closed_at: datetime | None
    won: bool | None
    cycle_days: float | None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """`n`: which it is in the whole history; `n_of_kind`: which of the appeals, visits or deals. One of the last three
    is given."""

    what: What
    at: datetime
    n: int
    n_of_kind: int
    since_previous_s: float | None
    appeal: AppealTold | None = None
    visit: VisitTold | None = None
    deal: DealTold | None = None


class History(msgspec.Struct, frozen=True, kw_only=True):
    """`total`: of the whole history."""

    total: int
    items: tuple[Item, ...]
    next: str | None


class HistoryAsked(msgspec.Struct, frozen=True, kw_only=True):
    """The latest first, or the earliest (`ascends`). `kinds`: of appeals, when only some kinds are wanted;
    `direction`: of calls."""

    account: int
    client: int
    what: tuple[What, ...] = ("appeal", "visit", "deal")
    kinds: tuple[str, ...] = ()
    direction: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    ascends: bool = False
    limit: int = 50


async def read_history(conn: Connection, asked: HistoryAsked, behind: Behind | None = None) -> History:
    visitors = await visitors_of(conn, asked.account, asked.client)
    sql = PART.format(way="" if asked.ascends else "DESC", sign=">" if asked.ascends else "<")
    rows = await conn.fetch(
        sql, asked.account, asked.client, visitors, list(asked.what),
        list(asked.kinds) or None, asked.direction, asked.since, asked.until, behind.at if behind else None,
        behind.id if behind else None, asked.limit + 1,
    )  # fmt: skip
    shown = rows[: asked.limit]
    facts = await _facts(conn, asked.account, shown)
    items = tuple(
        Item(
            what=row["what"], at=row["at"], n=row["n"], n_of_kind=row["n_of_kind"], since_previous_s=row["gap"],
            **{row["what"]: facts.get((row["what"], row["id"]))},
        )
        for row in shown
    )  # fmt: skip
    last = shown[-1] if len(rows) > asked.limit else None
    total = rows[0]["total"] if rows else await conn.fetchval(TOTAL, asked.account, asked.client, visitors)
    return History(total=total, items=items, next=Behind(last["at"], last["id"]).text() if last else None)


async def _facts(conn: Connection, account: int, rows: Sequence[Any]) -> dict[tuple[str, str], Any]:
    """What is shown of the items, by kind and id, and of whatever began in the same moments."""
    by: dict[str, list[Any]] = {"appeal": [], "visit": [], "deal": []}
    for row in rows:
        by[row["what"]].append(row)
    facts: dict[tuple[str, str], Any] = {}
    if by["appeal"]:
        for row in await conn.fetch(SOME_APPEALS, account, [row["at"] for row in by["appeal"]]):
            facts["appeal", str(row["id"])] = told(row, account)
    if by["visit"]:
        for row in await conn.fetch(SOME_VISITS, account, [row["at"] for row in by["visit"]]):
            facts["visit", row["session"]] = visit_told(row)
    if by["deal"]:
        for row in await conn.fetch(SOME_DEALS, account, [int(row["id"]) for row in by["deal"]]):
            facts["deal", str(row["id"])] = DealTold(**dict(row))
    return facts


_ALL = """
    SELECT 'appeal' AS what, started_at AS at, id::text AS id, kind, direction
    FROM appeals WHERE account_id = $1 AND client_id = $2
    UNION ALL
    SELECT 'visit', started_at, session, NULL, NULL FROM visits WHERE account_id = $1 AND visitor = ANY ($3)
    UNION ALL
    SELECT 'deal', opened_at, id::text, NULL, NULL FROM deals WHERE account_id = $1 AND client_id = $2"""
PART = f"""
WITH everything AS ({_ALL}), numbered AS (
    SELECT *, row_number() OVER so_far AS n, row_number() OVER (PARTITION BY what ORDER BY at, id) AS n_of_kind,
        extract(epoch FROM at - lag(at) OVER so_far)::double precision AS gap, count(*) OVER () AS total
    FROM everything WINDOW so_far AS (ORDER BY at, id)
)
SELECT what, at, id, n, n_of_kind, gap, total FROM numbered
WHERE what = ANY ($4) AND ($5::text[] IS NULL OR kind IS NULL OR kind = ANY ($5))
    AND ($6::text IS NULL OR kind IS DISTINCT FROM 'call' OR direction = $6)
    AND ($7::timestamptz IS NULL OR at >= $7) AND ($8::timestamptz IS NULL OR at < $8)
    AND ($9::timestamptz IS NULL OR (at, id) {{sign}} ($9, $10::text))
ORDER BY at {{way}}, id {{way}} LIMIT $11"""  # noqa: S608 - made of constants; values are parameters
TOTAL = f"SELECT count(*) FROM ({_ALL}) everything"  # noqa: S608 - made of constants; values are parameters
# By lists of times, not by joins: so the planner sees which months are concerned.
SOME_APPEALS = f"""
SELECT {selected(SHOWN)} FROM appeals a{joined(SHOWN)}
WHERE a.account_id = $1 AND a.started_at = ANY ($2::timestamptz[])"""  # noqa: S608 - made of constants; values are parameters
SOME_VISITS = f"""
SELECT {COLUMNS} FROM visits v {BOUNCE}
WHERE v.account_id = $1 AND v.started_at = ANY ($2::timestamptz[])"""  # noqa: S608 - made of constants; values are parameters
SOME_DEALS = """
SELECT id, title, stage, funnel, crm, crm_id, url, employee, revenue, currency, opened_at, changed_at, closed_at, won,
    extract(epoch FROM closed_at - opened_at)::double precision / 86400 AS cycle_days
FROM deals WHERE account_id = $1 AND id = ANY ($2)"""
