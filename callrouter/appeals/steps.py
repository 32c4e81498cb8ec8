"""The steps of a call that has an appeal, with their distance from its beginning. Knows the table; knows no HTTP."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from callrouter.calls.record import Step, StepKind
from callrouter.calls.times import seconds_between
from callrouter.db.connect import Connection

FOUND = """
SELECT id, started_at, ended_at, status, lost_reason, coalesce(complete, false) AS complete, steps FROM appeals
WHERE id = $1 AND ($2::bigint IS NULL OR account_id = $2) AND steps IS NOT NULL"""


class TimedStep(msgspec.Struct, frozen=True, kw_only=True):
    """`who` is an employee, `group` a queue or ring group, `to` where a transfer went."""

    kind: StepKind
    at: datetime
    seconds: float
    """Since the call began."""
    group: str | None = None
    who: str | None = None
    to: str | None = None
    reason: str | None = None


class Steps(msgspec.Struct, frozen=True, kw_only=True):
    """`complete`: false if the call was seen in part; these are the steps that were seen."""

    appeal: UUID
    started_at: datetime
    """Of the call: the appeal of a callback began with its order."""
    ended_at: datetime
    status: str | None
    lost_reason: str | None
    complete: bool
    steps: tuple[TimedStep, ...]


async def steps_of(conn: Connection, appeal: UUID, *, account: int | None) -> Steps | None:
    """None: there is no such appeal, it is another account's, or it is no call. `account` None: any."""
    row = await conn.fetchrow(FOUND, appeal, account)
    if row is None:
        return None
    steps = msgspec.convert(row["steps"], tuple[Step, ...])
    began = steps[0].at if steps else row["started_at"]
    return Steps(
        appeal=appeal, started_at=began, ended_at=row["ended_at"] or began, status=row["status"],
        lost_reason=row["lost_reason"], complete=row["complete"], steps=timed(steps, began),
    )  # fmt: skip


def timed(steps: tuple[Step, ...], began: datetime) -> tuple[TimedStep, ...]:
    return tuple(
        TimedStep(
            kind=step.kind, at=step.at, seconds=seconds_between(began.timestamp(), step.at.timestamp()),
            group=step.group, who=step.who, to=step.to, reason=step.reason,
        )
        for step in steps
    )  # fmt: skip
