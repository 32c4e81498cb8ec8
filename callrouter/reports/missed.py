"""Callers who were missed and have not been reached since: whom to call back. Knows SQL.

Counted by people, not by calls: of each caller the last call, unless somebody spoke with him later, in or out.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from callrouter.db.connect import Connection
from callrouter.journal.conditions import Values, appeal_conditions
from callrouter.journal.filters import Filters, Match, Phones
from callrouter.reports.facts import Scope

MISSED = """
SELECT a.id, a.started_at AS at, a.customer, coalesce(a.person, c.name) AS person, a.client_id AS client, a.lost_reason,
    a.wait_s, a.final_group AS group_name, a.channel, a.source, a.is_unique
FROM appeals a LEFT JOIN clients c ON c.account_id = a.account_id AND c.id = a.client_id
WHERE {where} AND NOT EXISTS (
    SELECT FROM appeals l
    WHERE l.customer = a.customer AND l.account_id = a.account_id AND l.started_at >= a.started_at
        AND (l.started_at, l.id) > (a.started_at, a.id) AND l.kind = 'call'
        AND (l.status = 'answered' OR l.direction = 'inbound'))
ORDER BY a.started_at DESC LIMIT {limit}"""


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """The last call of somebody who waits to be called back."""

    id: UUID
    at: datetime
    customer: str
    person: str | None
    client: int | None
    lost_reason: str | None
    wait_s: float | None
    group_name: str | None
    channel: str | None
    source: str | None
    is_unique: bool


async def read_missed(connection: Connection, scope: Scope, filters: Filters, limit: int) -> list[Missed]:
    """The latest first."""
    values = Values()
    lost = msgspec.structs.replace(
        filters, kind=Match(any_of=("call",)), direction=Match(any_of=("inbound",)), status=Match(any_of=("lost",)),
        customer=Phones(empty=False) if filters.customer == Phones() else filters.customer, spam=False,
    )  # fmt: skip
    where = appeal_conditions(lost, scope.account, scope.zone, values)
    rows = await connection.fetch(MISSED.format(where=where, limit=values.add(limit, "bigint")), *values.all)
    return [Missed(**dict(row)) for row in rows]
