"""Whether a history of leases is sound, and whether it keeps what visitors were promised. Pure."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import asyncpg
import msgspec

from callrouter.db.connect import Pool
from callrouter.pool.keys import Slot, pool_of
from tests.integration.pool.visiting import HOLD, Promise


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A lease as Postgres has it."""

    id: str
    pool: int
    number: str
    session: str
    started_at: datetime
    expires_at: datetime
    ended_at: datetime
    reason: str


async def rows_of(postgres: Pool) -> list[Row]:
    """All leases of a history. One whose end was lost with a server's data ended when it was known to run out."""
    found: list[asyncpg.Record] = await postgres.fetch("SELECT * FROM leases ORDER BY number, started_at, ended_at")
    return [
        Row(
            id=row["id"], pool=row["pool_id"], number=row["number"], session=row["session"],
            started_at=row["started_at"], expires_at=row["expires_at"], ended_at=row["ended_at"] or row["expires_at"],
            reason=row["end_reason"] or "lost",
        )
        for row in found
    ]  # fmt: skip


def overlaps(rows: Iterable[Row], *, old_clocks: bool = False) -> list[tuple[Row, Row]]:
    """Pairs in which a number had two holders at once, or a session two numbers of a pool.

    `old_clocks`: requests carried a clock of their own. One that is repeated, or comes late, after its session's lease
    has ended begins another in the past, which no number may see, but the session does: only numbers are judged then.
    """
    by_number = _grouped(rows, lambda row: (row.number,))
    by_session = _grouped(rows, lambda row: (row.pool, row.session))
    groups = by_number if old_clocks else [*by_number, *by_session]
    pairs = itertools.chain.from_iterable(map(itertools.pairwise, groups))
    return [(a, b) for a, b in pairs if a.ended_at > b.started_at]


def broken(promises: Iterable[Promise], rows: Sequence[Row]) -> list[Promise]:
    """Those that no lease of the history keeps."""
    leases: dict[tuple[int, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        leases[row.pool, row.session, row.number].append(row)

    def keepers(promise: Promise) -> list[Row]:
        of_session = leases[pool_of(Slot(promise.slot)), promise.session, promise.number]
        return [row for row in of_session if _keeps(row, promise)]

    return [promise for promise in promises if not keepers(promise)]


def _keeps(row: Row, promise: Promise) -> bool:
    begun = row.started_at <= promise.expires_at - HOLD
    ran = row.expires_at >= promise.expires_at and (row.reason != "expired" or row.ended_at >= promise.expires_at)
    return begun and ran


def _grouped(rows: Iterable[Row], key: Callable[[Row], tuple[object, ...]]) -> list[list[Row]]:
    groups: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return [sorted(group, key=lambda row: (row.started_at, row.ended_at)) for group in groups.values()]
