"""An account's past leases and calls out of Postgres, and its fitted model into it. Knows tables, not how to fit."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import asyncpg
import msgspec

from callrouter.db.connect import Connection
from callrouter.numbers import Number
from callrouter.pool.attribution import WEIGHED_LEASES, Evidence, credit
from callrouter.pool.branching import PastCall, PastLease
from callrouter.pool.delay import Models
from callrouter.pool.directory import OPERATOR
from callrouter.pool.fit import Fit
from callrouter.pool.model import Lease

BEFORE = timedelta(days=14)
"""Leases that began so long before the period may have brought its calls."""
REMEMBERED = timedelta(days=90)
"""Who called so long before it is no new caller."""


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What happened on the numbers that an account used."""

    leases: list[PastLease]
    calls: list[PastCall]
    rows: list[asyncpg.Record]
    since: datetime
    until: datetime

    def credited_differently(self, old: Models, new: Models) -> tuple[int, int]:
        """First calls in the period, and how many of them the new models would credit to another visit."""
        lines: dict[str, list[Lease]] = {}
        for row in self.rows:
            lines.setdefault(row["number"], []).append(_lease(row))
        first, changed = 0, 0
        for call in self.calls:
            if call.since is not None or call.at < self.since.timestamp():
                continue
            first += 1
            at = datetime.fromtimestamp(call.at, self.since.tzinfo)
            line = [lease for lease in lines.get(call.number, ()) if lease.started_at <= at][-WEIGHED_LEASES:]
            evidence = Evidence(number=Number(call.number), caller=None, at=at, leases=tuple(reversed(line)))
            changed += credit(evidence, old).session != credit(evidence, new).session
        return first, changed


async def read_past(connection: Connection, account: int, since: datetime, until: datetime) -> Past:
    """Of the account's numbers in [since, until); of all numbers for the operator's account."""
    everybody = None if account == OPERATOR else account
    rows = await connection.fetch(LEASES, everybody, since, until, BEFORE)
    numbers = list({row["number"] for row in rows})
    calls = await connection.fetch(CALLS, numbers, since - REMEMBERED, until)
    return Past(
        leases=list(map(_past_lease, rows)), calls=list(_past_calls(calls)), rows=list(rows), since=since, until=until
    )


async def store_model(connection: Connection, account: int, past: Past, fitted: Fit) -> None:
    """From now on it counts; routers hear of it by themselves."""
    model = msgspec.json.encode(fitted.model).decode()
    said = msgspec.json.encode({name: getattr(fitted, name) for name in KEPT}).decode()
    await connection.execute(STORE, account, past.since, past.until, fitted.calls, model, said)


def _past_lease(row: asyncpg.Record) -> PastLease:
    began = row["started_at"].timestamp()
    signs = tuple(began + sign / 1000 for sign in row["signs"] or ())
    if not signs:
        signs = tuple(dict.fromkeys((began, row["seen_at"].timestamp())))
    elif signs[0] > began:
        signs = (began, *signs)
    return PastLease(
        number=row["number"], account=row["account_id"], who=f"{row['site_id']}:{row['visitor']}", started=began,
        signs=signs,
    )  # fmt: skip


def _past_calls(rows: Iterable[asyncpg.Record]) -> Iterable[PastCall]:
    """In order; each with the caller's one before on the same number. A withheld caller has none."""
    before: dict[tuple[str, str], asyncpg.Record] = {}
    callers: set[str] = set()
    for row in rows:
        caller = row["customer"]
        last = before.get((caller, row["called"])) if caller else None
        yield PastCall(
            number=row["called"], at=row["started_at"].timestamp(),
            since=last["started_at"].timestamp() if last else None,
            of=f"{last['site_id']}:{last['visitor']}" if last and last["visitor"] else "",
            elsewhere=last is None and caller in callers,
        )  # fmt: skip
        if caller:
            before[caller, row["called"]] = row
            if row["visitor"]:
                callers.add(caller)


def _lease(row: asyncpg.Record) -> Lease:
    return Lease(
        id=row["id"], pool=row["pool_id"], number=Number(row["number"]), account=row["account_id"],
        site=row["site_id"], session=row["session"], visitor=row["visitor"], started_at=row["started_at"],
        seen_at=row["seen_at"], expires_at=row["expires_at"], ended_at=row["ended_at"], end=row["end_reason"],
        signs=tuple(row["signs"] or ()),
    )  # fmt: skip


KEPT = ("calls", "calls_again", "leases", "log_likelihood", "before", "intervals", "delays", "chi_square",
        "rests_on_prior")  # fmt: skip
"""Of what a fit says of itself."""

LEASES = """
SELECT * FROM leases
WHERE started_at >= $2::timestamptz - $4::interval AND started_at < $3 AND number IN (
    SELECT number FROM leases WHERE ($1::bigint IS NULL OR account_id = $1) AND started_at < $3
        AND started_at >= $2::timestamptz - $4::interval)
ORDER BY number, started_at"""

CALLS = """
SELECT called, customer, started_at, visitor, site_id FROM appeals
WHERE kind = 'call' AND direction = 'inbound' AND called = ANY ($1::text[]) AND started_at >= $2 AND started_at < $3
ORDER BY started_at, id"""

STORE = """
INSERT INTO delay_models (account_id, since, until, calls, model, fit)
VALUES ($1, $2, $3, $4, $5::text::jsonb, $6::text::jsonb)"""
