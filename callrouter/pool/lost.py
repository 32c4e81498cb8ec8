"""Leases that go on in the history and that the lease store does not know: it lost its data, and with it their ends.

Ends them when the history last heard that they would, and says that it is not known. Knows the table of leases; asks
the store about each, a bounded number at a time, so that nobody waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

import asyncpg
import structlog

from callrouter.db.connect import TROUBLE, Connection, Pool
from callrouter.numbers import Number
from callrouter.pool import metrics
from callrouter.pool.coalesce import RedisClient
from callrouter.pool.history import oldest_entry
from callrouter.pool.keys import Slot
from callrouter.pool.store import FAILURES, Ask, LeaseStore, StoreUnavailable

log = structlog.get_logger()

STEP = 200
PAUSE_SECONDS = 0.2
EVERY_SECONDS = 120.0
RETRY_SECONDS = 10.0
SLACK = timedelta(seconds=30)
"""A lease is asked about once it should have ended so long ago: by then it has been renewed, or its end is written."""
DRAINED_SECONDS = 10.0
"""How long the history may take to write what a log held when the store was asked."""
POLL_SECONDS = 0.1


class LostLeases:
    """Several may run at once: ending a lease twice changes nothing."""

    def __init__(self, client: RedisClient, store: LeaseStore, postgres: Pool, slot_of: Callable[[int], Slot]) -> None:
        self._client = client
        self._store = store
        self._postgres = postgres
        self._slot_of = slot_of

    async def run(self) -> None:
        """For ever."""
        while True:
            pause = EVERY_SECONDS
            try:
                if ended := await self.end_all():
                    log.warning("LEASES-LOST", leases=ended)
            except (*TROUBLE, *FAILURES, StoreUnavailable) as error:
                log.info("lost leases are looked for later", reason=str(error) or type(error).__name__)
                pause = RETRY_SECONDS
            await asyncio.sleep(pause)

    async def end_all(self, *, slack: timedelta = SLACK, step: int = STEP) -> int:
        """Look at every lease that should have ended by now; returns how many were lost, and are ended now."""
        ended, after = 0, ("", "")
        while rows := await self._postgres.fetch(OVERDUE, slack, *after, step):
            after = rows[-1]["number"], rows[-1]["id"]
            lost = await self._unknown(rows)
            async with self._postgres.acquire() as connection:
                ended += int((await connection.execute(END, lost)).split()[-1]) if lost else 0
            if len(rows) < step:
                break
            await asyncio.sleep(PAUSE_SECONDS)
        metrics.LEASES_LOST.inc(ended)
        return ended

    async def _unknown(self, rows: Sequence[asyncpg.Record]) -> list[str]:
        """The leases among them that the store does not know, and whose end is not on its way to the history."""
        asks = [Ask(self._slot_of(row["pool_id"]), row["pool_id"], Number(row["number"]), None) for row in rows]
        found = await asyncio.gather(*(self._store.resolve(ask) for ask in asks))
        missing: dict[Slot, tuple[datetime, list[str]]] = {}
        for row, ask, known in zip(rows, asks, found, strict=True):
            if all(row["id"] != lease.id for lease in known.leases):
                missing.setdefault(ask.slot, (known.at, []))[1].append(row["id"])
        return [lease for slot, (at, leases) in missing.items() if await self._is_written(slot, at) for lease in leases]

    async def _is_written(self, slot: Slot, at: datetime) -> bool:
        """Whether all that the pool's log held at `at` is in the history."""
        for _ in range(round(DRAINED_SECONDS / POLL_SECONDS)):
            oldest = await oldest_entry(self._client, slot)
            if oldest is None or oldest > at:
                return True
            await asyncio.sleep(POLL_SECONDS)
        return False


async def presumed_ends(connection: Connection, leases: Iterable[str]) -> dict[str, tuple[datetime, datetime]]:
    """Lost leases → when the visitor was last seen and when each ended, as far as the history has heard."""
    rows = await connection.fetch(f"SELECT id, seen_at, ended_at FROM ({PRESUMED}) lost", list(leases))  # noqa: S608 - made of constants; values are parameters
    return {row["id"]: (row["seen_at"], row["ended_at"]) for row in rows}


OVERDUE = """
SELECT number, id, pool_id FROM leases
WHERE ended_at IS NULL AND expires_at < now() - $1::interval AND (number, id) > ($2, $3)
ORDER BY number, id LIMIT $4"""

# The hold after the last that the history heard of the visit, but not beyond the next lease of the number or the visit.
PRESUMED = """
SELECT l.account_id, l.number, l.id, l.started_at, greatest(l.seen_at, least(v.seen_at, e.ended_at)) AS seen_at,
    e.ended_at
FROM leases l
LEFT JOIN LATERAL (
    SELECT max(v.seen_at) AS seen_at FROM visits v
    WHERE v.account_id = l.account_id AND v.session = l.session AND v.started_at <= l.started_at) v ON true
CROSS JOIN LATERAL (
    SELECT greatest(l.started_at, least(
        greatest(l.expires_at, v.seen_at + (l.expires_at - l.seen_at)),
        (SELECT min(n.started_at) FROM leases n WHERE n.number = l.number AND n.started_at > l.started_at),
        (SELECT min(n.started_at) FROM leases n WHERE n.session = l.session AND n.started_at > l.started_at)
    )) AS ended_at) e
WHERE l.id = ANY ($1::text[]) AND l.ended_at IS NULL"""

END = f"""
UPDATE leases l SET seen_at = p.seen_at, expires_at = p.ended_at, ended_at = p.ended_at, end_reason = 'lost'
FROM ({PRESUMED}) p
WHERE l.account_id = p.account_id AND l.number = p.number AND l.id = p.id AND l.ended_at IS NULL
    AND p.ended_at <= now()"""  # noqa: S608 - a constant of this module
