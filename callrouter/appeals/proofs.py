"""What comparisons with the PBXs' own records found, kept in Postgres for the operator. Knows SQL; compares nothing."""

from __future__ import annotations

from datetime import datetime

import msgspec

from callrouter.appeals.reconcile import Outcome
from callrouter.appeals.row import OPERATOR_ACCOUNT
from callrouter.db.connect import Connection

KEPT_DAYS = 400

KEEP = """
INSERT INTO reconciliations (account_id, pbx, since, until, failure, agree, pbx_calls, appeals, missing, incomplete,
    extra, repaired, missing_calls, extra_calls, refused_lines, complaint)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"""
FORGET = "DELETE FROM reconciliations WHERE account_id = $1 AND ran_at < now() - make_interval(days => $2)"
LIST = """
SELECT id, pbx, ran_at, since, until, failure, agree, pbx_calls, appeals, missing, incomplete, extra, repaired,
    missing_calls, extra_calls, refused_lines, complaint
FROM reconciliations
WHERE account_id = $1 AND ($2::text IS NULL OR pbx = $2) AND ($3::bigint IS NULL OR id < $3)
ORDER BY id DESC LIMIT $4"""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison, of calls that ended in [`since`, `until`); `missing` and `incomplete` are before the repair."""

    id: int
    pbx: str
    ran_at: datetime
    since: datetime
    until: datetime
    failure: str
    """Why nothing could be compared; empty: it was."""
    agree: bool
    """Calls and appeals agree, perhaps after repair."""
    pbx_calls: int
    appeals: int
    missing: int
    incomplete: int
    extra: int
    repaired: int
    missing_calls: tuple[str, ...]
    extra_calls: tuple[str, ...]
    refused_lines: int
    complaint: str


async def keep(connection: Connection, outcome: Outcome, failure: str = "") -> None:
    """Note what was found. Old notes are forgotten by the way: there are a few a day."""
    await connection.execute(
        KEEP, OPERATOR_ACCOUNT, outcome.pbx, outcome.since, outcome.until, failure, outcome.agrees and not failure,
        outcome.pbx_calls, outcome.appeals, outcome.missing, outcome.incomplete, outcome.extra, outcome.repaired,
        outcome.missing_calls, outcome.extra_calls, outcome.refused_lines, outcome.complaint,
    )  # fmt: skip
    await connection.execute(FORGET, OPERATOR_ACCOUNT, KEPT_DAYS)


async def proofs(connection: Connection, *, pbx: str | None, before: int | None, limit: int) -> list[Proof]:
    """The latest first; `before`: only those with a lower id."""
    rows = await connection.fetch(LIST, OPERATOR_ACCOUNT, pbx, before, limit)
    return [msgspec.convert(dict(row), Proof) for row in rows]
