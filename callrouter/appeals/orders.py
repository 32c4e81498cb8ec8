"""Callback orders in Postgres: taken with their appeals, claimed by routers, settled by the calls that carry them out.

Knows SQL; knows neither pages nor Asterisk. One order is one appeal: the call that an order led to is written over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import asyncpg
import msgspec

from callrouter.appeals.enrich import is_quality
from callrouter.appeals.row import ATTRIBUTION_COLUMNS, AppealRow
from callrouter.appeals.settings import Settings
from callrouter.callbacks.line import attempt_of
from callrouter.calls.record import LostReason
from callrouter.db.connect import Connection
from callrouter.numbers import Number

MISSED, CALLED = 5, 10
"""Revisions of an order's appeal: what the call tells counts more than that none came about."""
NOTICE = "callrouter_appeals"

Outcome = Literal["too_many", "too_late", "no_employee", "withdrawn", "no_line", "unseen"]
"""Why no call is told of. `unseen`: the client was called, and no router saw how it went."""

KEPT = ("started_at", "id", "customer", "email", "person", *ATTRIBUTION_COLUMNS)
ORDERED = f"""
SELECT o.serial, o.due_at, o.attempts, a.details, {", ".join("a." + column for column in KEPT)}
FROM callback_orders o
JOIN appeals a ON (a.account_id, a.started_at, a.id) = (o.account_id, o.ordered_at, o.id)
WHERE o.serial = ANY($1::bigint[])"""  # noqa: S608 - names of columns

DOUBLES = """
SELECT w.id FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[]) AS w (id, account_id, site_id, phone)
WHERE EXISTS (
    SELECT FROM callback_orders o WHERE o.account_id = w.account_id AND o.site_id = w.site_id AND o.phone = w.phone
        AND o.state IN ('waiting', 'dialling') AND o.id <> w.id)"""

# Whatever let an order through (several web processes, a store of counts that was away): here it is counted once more.
TAKE = """
WITH site AS (
    SELECT coalesce((callback ->> 'per_site')::int, 30) AS per_site,
           coalesce((callback ->> 'per_visitor')::int, 3) AS per_phone
    FROM sites WHERE account_id = $1 AND id = $3
), lately AS (
    SELECT count(*) AS orders, count(*) FILTER (WHERE phone = $5) AS of_phone FROM callback_orders
    WHERE account_id = $1 AND site_id = $3 AND ordered_at > $4::timestamptz - interval '1 hour'
        AND ordered_at <= $4 AND outcome <> 'too_many'
), verdict AS (
    SELECT NOT EXISTS (SELECT FROM site)
        OR EXISTS (SELECT FROM site, lately WHERE orders >= per_site OR of_phone >= per_phone) AS over
)
INSERT INTO callback_orders
    (account_id, id, site_id, ordered_at, phone, due_at, latest_at, next_at, pbx, state, outcome, settled_at)
SELECT $1, $2, $3, $4, $5, $6, $7, $6, $8, CASE WHEN over THEN 'missed' ELSE 'waiting' END,
    CASE WHEN over THEN 'too_many' ELSE '' END, CASE WHEN over THEN now() END
FROM verdict
ON CONFLICT (account_id, id) DO NOTHING
RETURNING state"""

SETTLED = """
UPDATE callback_orders SET state = 'called', outcome = w.outcome, settled_at = now(), claimed_until = NULL
FROM unnest($1::bigint[], $2::text[]) AS w (serial, outcome) WHERE callback_orders.serial = w.serial"""

DUE = """state IN ('waiting', 'dialling') AND next_at <= now() AND pbx IN ('', $1)
        AND (claimed_until IS NULL OR claimed_until < now())"""
ARE_DUE = f"SELECT EXISTS (SELECT FROM callback_orders WHERE {DUE})"  # noqa: S608 - made of constants
CLAIM = f"""
UPDATE callback_orders o
SET state = 'dialling', attempts = o.attempts + 1, pbx = $1, claimed_by = $2,
    claimed_until = now() + $3::interval, dialled_at = now()
FROM (
    SELECT account_id, id, state, attempts FROM callback_orders
    WHERE {DUE}
    ORDER BY next_at LIMIT $4 FOR UPDATE SKIP LOCKED) due
WHERE (o.account_id, o.id) = (due.account_id, due.id)
RETURNING o.account_id AS account, o.id, o.serial, o.site_id AS site, o.phone, o.due_at, o.latest_at, o.ordered_at,
    o.attempts AS attempt, due.state = 'dialling' AS left_behind, o.latest_at < now() AS is_late"""  # noqa: S608 - made of constants

HOLD = """
UPDATE callback_orders SET claimed_until = now() + $3::interval
WHERE serial = ANY($1::bigint[]) AND claimed_by = $2 AND state = 'dialling'"""

# `attempt`: another router may have taken the order up since.
AGAIN = """
UPDATE callback_orders SET state = 'waiting', next_at = now() + $3::interval, claimed_until = NULL,
    attempts = attempts - $4
WHERE serial = $1 AND attempts = $2 AND state = 'dialling'"""

MISS = """
WITH missed AS (
    UPDATE callback_orders SET state = 'missed', outcome = $3, settled_at = now(), claimed_until = NULL
    WHERE serial = $1 AND attempts = $2 AND state = 'dialling' RETURNING *
)
UPDATE appeals a SET status = CASE WHEN $3 <> 'unseen' THEN 'lost' END, lost_reason = $4, ended_at = now(),
    wait_s = greatest(0, extract(epoch FROM now() - m.due_at)), revision = $5,
    details = a.details || jsonb_build_object('outcome', $3::text, 'attempts', $6::int)
FROM missed m
WHERE (a.account_id, a.started_at, a.id) = (m.account_id, m.ordered_at, m.id) AND a.revision < $5
RETURNING a.account_id, a.id"""

# As if it were claimed: so that no router takes it up meanwhile.
STALE = """
UPDATE callback_orders o SET state = 'dialling', claimed_until = now() + interval '1 minute'
FROM (
    SELECT account_id, id, state FROM callback_orders
    WHERE state IN ('waiting', 'dialling') AND latest_at < now() - $1::interval
        AND (claimed_until IS NULL OR claimed_until < now() - $1::interval)
    LIMIT 1000 FOR UPDATE SKIP LOCKED) late
WHERE (o.account_id, o.id) = (late.account_id, late.id)
RETURNING o.account_id AS account, o.id, o.serial, o.site_id AS site, o.phone, o.due_at, o.latest_at, o.ordered_at,
    o.attempts AS attempt, late.state = 'dialling' AS left_behind, true AS is_late"""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order that this router has claimed."""

    account: int
    id: UUID
    serial: int
    site: int
    phone: Number
    due_at: datetime
    latest_at: datetime
    ordered_at: datetime
    attempt: int
    left_behind: bool
    """Another router had begun it and is gone: the client may have been called already."""
    is_late: bool


# With the appeals, in the transaction that writes them


async def bind(connection: Connection, rows: Sequence[AppealRow], settings: Settings) -> dict[int, str]:
    """Write the calls that carried out orders over these: rows get their orders' ids, visits and clients.

    Returns by the orders' serials what became of them, for `settle`.
    """
    calls = {attempt.serial: row for row in rows if row.linkedid and (attempt := attempt_of(row.linkedid))}
    if not calls:
        return {}
    found = await connection.fetch(ORDERED, list(calls))
    for order in found:
        _write_over(calls[order["serial"]], order, settings)
    return {order["serial"]: calls[order["serial"]].lost_reason or "answered" for order in found}


def _write_over(row: AppealRow, order: asyncpg.Record, settings: Settings) -> None:
    dialled = row.started_at
    for column in KEPT:
        setattr(row, column, order[column])
    row.kind = "callback"
    row.revision += CALLED
    row.called = row.customer
    row.wait_s = max(0.0, ((row.answered_at or row.ended_at or dialled) - order["due_at"]).total_seconds())
    told = order["details"] or {}  # none: its client was erased
    row.details = {**told, "outcome": "called", "dialled_at": dialled, "attempts": order["attempts"]}
    row.quality = is_quality(row, settings)


async def settle(connection: Connection, outcomes: dict[int, str]) -> None:
    if outcomes:
        await connection.execute(SETTLED, list(outcomes), list(outcomes.values()))


async def take(connection: Connection, rows: list[AppealRow]) -> list[AppealRow]:
    """Keep the orders among new rows. A second order for a number that is to be called already is none: left out."""
    orders = [row for row in rows if row.kind == "callback" and row.pbx is None]
    if not orders:
        return rows
    doubles = await _doubles(connection, orders)
    for row in orders:
        if row.id not in doubles:
            await _take(connection, row)
    return [row for row in rows if row.id not in doubles]


async def _doubles(connection: Connection, orders: list[AppealRow]) -> set[UUID]:
    columns = ([row.id for row in orders], [row.account_id for row in orders], [row.site_id for row in orders],
               [row.customer for row in orders])  # fmt: skip
    doubles = {row["id"] for row in await connection.fetch(DOUBLES, *columns)}
    first: dict[tuple[int | None, str | None], UUID] = {}
    for row in orders:
        if row.id not in doubles and first.setdefault((row.site_id, row.customer), row.id) != row.id:
            doubles.add(row.id)
    return doubles


async def _take(connection: Connection, row: AppealRow) -> None:
    details: dict[str, Any] = row.details or {}
    due, latest = datetime.fromisoformat(details["due_at"]), datetime.fromisoformat(details["latest_at"])
    state = await connection.fetchval(
        TAKE, row.account_id, row.id, row.site_id, row.started_at, row.customer, due, latest, details.get("pbx", "")
    )
    if state == "missed":
        row.status, row.lost_reason, row.ended_at = "lost", "rejected", row.started_at
        row.details = {**details, "outcome": "too_many"}


# By the router that carries them out


async def are_due(connection: Connection, pbx: str) -> bool:
    """Whether there is one that `claim` would find."""
    return bool(await connection.fetchval(ARE_DUE, pbx))


async def claim(connection: Connection, pbx: str, router: str, lease: timedelta, limit: int) -> list[Order]:
    """The orders that are due on this PBX and nobody's, as many as `limit`: now this router's, for `lease`."""
    return [msgspec.convert(dict(row), Order) for row in await connection.fetch(CLAIM, pbx, router, lease, limit)]


async def hold(connection: Connection, serials: Sequence[int], router: str, lease: timedelta) -> None:
    """They are still this router's."""
    await connection.execute(HOLD, serials, router, lease)


async def put_off(connection: Connection, order: Order, pause: timedelta, *, uncounted: bool = False) -> None:
    """Again later, by whoever is there then. `uncounted`: nobody was rung, so this was no attempt."""
    await connection.execute(AGAIN, order.serial, order.attempt, pause, int(uncounted))


async def miss_stale(connection: Connection, patience: timedelta) -> list[Outcome]:
    """Give up the orders that no router has taken up in time, or whose router has not come back."""
    stale = [msgspec.convert(dict(row), Order) for row in await connection.fetch(STALE, patience)]
    outcomes: list[Outcome] = []
    for order in stale:
        outcome: Outcome = "unseen" if order.left_behind else "too_late"
        if await miss(connection, order, outcome, None if order.left_behind else "failed"):
            outcomes.append(outcome)
    return outcomes


async def miss(connection: Connection, order: Order, outcome: Outcome, reason: LostReason | None) -> bool:
    """Give it up, and let its appeal say so. False: it was settled or taken up by another meanwhile."""
    async with connection.transaction():
        row = await connection.fetchrow(MISS, order.serial, order.attempt, outcome, reason, MISSED, order.attempt)
        if row is not None:
            notice = msgspec.json.encode({"account": row["account_id"], "ids": [row["id"]]}).decode()
            await connection.execute("SELECT pg_notify($1, $2)", NOTICE, notice)
    return row is not None
