"""Attribution after the fact: the same evidence from the history in Postgres, the same `credit`, marked late.

For calls during an outage of the lease store (rules §2). Knows the tables of history and appeals; asks Redis one thing
only: whether the history has come as far as the call.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import asyncpg
import msgspec

from callrouter.db.connect import Connection
from callrouter.numbers import Number
from callrouter.pool.attribution import Evidence, credit
from callrouter.pool.coalesce import RedisClient
from callrouter.pool.delay import DEFAULT_MODEL, DelayModel
from callrouter.pool.directory import Directory
from callrouter.pool.keys import Slot, log_key
from callrouter.pool.model import CallerMemory, Lease, Resolution
from callrouter.pool.resolver import complete, credit_without_lease
from callrouter.sessions.model import TrafficSource, Visit

KEPT_LEASES = 9
"""As many as live state has: the running one and the last eight."""
SWEEP_SLACK = timedelta(seconds=30)
"""By then the sweeper (every 10 s) has ended each lease that had run out at the time of the call."""


async def is_settled(client: RedisClient, slot: Slot, at: datetime, now: datetime) -> bool:
    """Whether all that happened in this pool up to `at` stands in Postgres. Raises what the client raises."""
    if now - at < SWEEP_SLACK:
        return False
    oldest = await client.execute_command("XRANGE", log_key(slot), "-", "+", "COUNT", 1)
    return not oldest or int(oldest[0][0].partition(b"-")[0]) / 1000 > (at + SWEEP_SLACK).timestamp()


async def attribute_late(
    connection: Connection,
    directory: Directory,
    number: Number,
    caller: Number | None,
    at: datetime,
    *,
    model: DelayModel = DEFAULT_MODEL,
) -> Resolution:
    """Who called at `at`, from history. Ask `is_settled` first: history that is behind gives an older holder."""
    binding = directory.binding(number, at)
    entry = directory.number(number)
    if binding is not None or entry is None or entry.pool is None:
        attribution = credit_without_lease(directory, number, caller, at, binding)
        return complete(directory, number, caller, at, attribution, binding=binding, late=True)
    rows = await connection.fetch(LEASES, number, at, KEPT_LEASES)
    leases = tuple(_lease(row, at) for row in rows)
    same_number, newest, newest_visit = None, None, None
    if caller:
        accounts = directory.accounts_of_pool(entry.pool)
        same_number = _memory(await connection.fetchrow(LAST_CALL_ON_NUMBER, caller, at, accounts, number))
        newest = _memory(await connection.fetchrow(LAST_CALL, caller, at, accounts))
    if newest:
        visitor, account = newest.visit.visitor, newest.visit.account
        newest_visit = _visit(await connection.fetchrow(LATEST_VISIT, account, visitor, at, newest.visit.site))
    evidence = Evidence(
        number=number, caller=caller, at=at, leases=leases, same_number=same_number, newest=newest,
        newest_visit=newest_visit,
    )  # fmt: skip
    attribution = credit(evidence, model)
    visit = None
    if attribution.session is not None:
        visit = _visit(await connection.fetchrow(VISIT, attribution.account, attribution.session))
    return complete(directory, number, caller, at, attribution, visit=visit, late=True)


def _lease(row: asyncpg.Record, at: datetime) -> Lease:
    """As it was known at `at`. A lease that is still open had been renewed past `at`, for the sweeper has been by."""
    ended = row["ended_at"]
    seen = row["page_seen_at"] or row["started_at"]
    if row["seen_at"] <= at:
        seen = max(seen, row["seen_at"])
    expires = row["expires_at"] if ended else max(row["expires_at"], at + SWEEP_SLACK)
    return Lease(
        id=row["id"], pool=row["pool_id"], number=Number(row["number"]), account=row["account_id"],
        site=row["site_id"], session=row["session"], visitor=row["visitor"], started_at=row["started_at"],
        seen_at=seen, expires_at=expires, ended_at=ended, end=row["end_reason"], closed=row["closed"],
    )  # fmt: skip


def _memory(row: asyncpg.Record | None) -> CallerMemory | None:
    if row is None:
        return None
    visit = _visit(row)
    return CallerMemory(visit=visit, called_at=row["called_at"], number=Number(row["called"])) if visit else None


def _visit(row: asyncpg.Record | None) -> Visit | None:
    if row is None:
        return None
    facts = {name: row[column] for name, column in VISIT_COLUMNS.items()}
    traffic = TrafficSource(**{name: row[name] for name in TrafficSource.__struct_fields__})
    return msgspec.convert({**facts, "traffic": traffic}, Visit)


VISIT_COLUMNS = {
    "session": "session", "visitor": "visitor", "account": "account_id", "site": "site_id",
    "landing_page": "landing_page", "referrer": "referrer", "started_at": "started_at", "seen_at": "seen_at",
    "pages": "pages", "page": "page", "title": "title", "user_agent": "user_agent", "device": "device", "os": "os",
    "browser": "browser", "location": "location", "ga_client_id": "ga_client_id", "ym_client_id": "ym_client_id",
    "overflow": "overflow",
}  # fmt: skip

# The newest sign of life before the call that history knows: the pages opened. What came later was not known then.
LEASES = """
SELECT l.*, (SELECT max(p.at) FROM visit_pages p WHERE p.session = l.session AND p.at <= $2) AS page_seen_at
FROM leases l
WHERE l.number = $1 AND l.started_at <= $2
ORDER BY l.started_at DESC, l.ended_at DESC NULLS FIRST
LIMIT $3
"""

VISIT = "SELECT * FROM visits WHERE account_id = $1 AND session = $2 ORDER BY started_at DESC LIMIT 1"

LATEST_VISIT = """
SELECT * FROM visits
WHERE account_id = $1 AND visitor = $2 AND started_at <= $3 AND site_id = $4
ORDER BY started_at DESC LIMIT 1
"""

LAST_CALL = """
SELECT v.*, a.started_at AS called_at, a.called
FROM appeals a
JOIN visits v ON v.account_id = a.account_id AND v.session = a.session
WHERE a.customer = $1 AND a.started_at < $2 AND a.account_id = ANY ($3::bigint[]) AND a.kind = 'call'
ORDER BY a.started_at DESC LIMIT 1
"""

LAST_CALL_ON_NUMBER = LAST_CALL.replace("AND a.kind", "AND a.called = $4 AND a.kind")
