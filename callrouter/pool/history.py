"""Drains the pools' logs into Postgres: leases, visits, pages and visitors, each entry once and in its order.

A log is an ordered queue, so it has one reader at a time: an advisory lock, held by the very transaction that writes.
Entries leave Redis after that transaction has committed; a process that dies in between leaves them to be read again,
and writing them again changes nothing. An entry that Postgres refuses is set aside and never blocks those behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import asyncpg
import structlog
from redis import exceptions

from callrouter.db.connect import TROUBLE, Connection, Pool
from callrouter.pool import metrics
from callrouter.pool.coalesce import RedisClient
from callrouter.pool.entries import Entry, parse_entries
from callrouter.pool.history_rows import write_entries
from callrouter.pool.keys import Slot, log_key, pool_of
from callrouter.pool.live import moment
from callrouter.pool.nodes import asked_of_each

log = structlog.get_logger()

BATCH = 2000
"""Entries per transaction: with fewer, the round trips cost more than the rows."""
AT_ONCE = 4
"""Logs drained side by side."""
IDLE_SECONDS = 0.5
RETRY_SECONDS = 2.0
LOOK_AT_ONCE = 500
REFUSED_KEPT = 10_000
WRITTEN_UP_TO = """
local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if oldest then return oldest[1] end
local now = redis.call('TIME')
return string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))"""
STORE_TROUBLE = (exceptions.RedisError, exceptions.RedisClusterException)
AT_FAULT = (
    asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.CardinalityViolationError,
    asyncpg.ProgramLimitExceededError, ValueError, KeyError,
)  # fmt: skip
"""What an entry may be refused for. Whatever else Postgres says (read-only, disk full, a table is not there yet) is
its own trouble, and all entries wait for it to be over."""


class History:
    """Run in a worker, or in several: they share the logs between them without being told to."""

    def __init__(
        self,
        client: RedisClient,
        postgres: Pool,
        slots: Callable[[], Iterable[Slot]],
        *,
        batch: int = BATCH,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._client = client
        self._postgres = postgres
        self._slots = slots
        self._batch = batch
        self._idle_seconds = idle_seconds
        self._stopping = asyncio.Event()
        self._failing = False
        self._taken = 0
        """Entries written in this round."""
        self._lag = 0.0
        """Age of the oldest entry met in this round."""

    def stop(self) -> None:
        """`run` returns once what it has in hand is written."""
        self._stopping.set()

    async def run(self) -> None:
        """Drain until stopped; goes on after either server was away."""
        while not self._stopping.is_set():
            pause = self._idle_seconds
            try:
                if await self.drain_all():
                    pause = 0.0
                self._failing = False
            except (*STORE_TROUBLE, *TROUBLE) as error:
                pause = RETRY_SECONDS if not self._taken else 0.0
                if not self._failing:
                    log.warning("HISTORY-WAITS", reason=_reason(error) or type(error).__name__)
                self._failing = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause or 0.001):
                    await self._stopping.wait()

    async def drain_all(self) -> int:
        """One batch of each log that has entries; returns how many entries were written."""
        self._taken, self._lag = 0, 0.0
        slots = list(self._slots())
        busy: list[Slot] = []
        away: list[Slot] = []
        for start in range(0, len(slots), LOOK_AT_ONCE):
            part = slots[start : start + LOOK_AT_ONCE]
            for asked, answers in await asked_of_each(self._client, part, lambda slot: ("XLEN", log_key(slot))):
                if isinstance(answers, Exception):
                    away.append(asked[0])
                else:
                    busy += [slot for slot, waiting in zip(asked, answers, strict=True) if waiting]
        failures = await self._drain_some(busy)
        metrics.HISTORY_LAG_SECONDS.set(self._lag)
        for slot in away:  # the client finds out who leads there now
            await self._client.execute_command("XLEN", log_key(slot))
        if failures:
            raise failures[0]
        return self._taken

    async def _drain_some(self, busy: list[Slot]) -> list[BaseException]:
        """One batch of each; returns what went wrong. None is left behind when another fails."""
        failures: list[BaseException] = []
        for start in range(0, len(busy), AT_ONCE):
            drained = [self.drain(slot) for slot in busy[start : start + AT_ONCE]]
            done = await asyncio.gather(*drained, return_exceptions=True)
            self._taken += sum(count for count in done if isinstance(count, int))
            failures += [failure for failure in done if isinstance(failure, BaseException)]
            if not all(isinstance(failure, STORE_TROUBLE) for failure in failures):
                break  # Postgres is away for all of them
        return failures

    async def drain(self, slot: Slot) -> int:
        """The oldest batch of one log; 0 also if another worker has it in hand."""
        async with self._postgres.acquire() as connection:
            async with connection.transaction():
                if not await connection.fetchval("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))", slot):
                    return 0
                entries = await self._read(slot)
                refused = await self._write(connection, entries, pool_of(slot)) if entries else []
                if refused:
                    log.warning("HISTORY-BATCH-REFUSED", entries=len(entries), refused=len(refused))
            if not entries:
                return 0
            await self._forget(slot, entries, refused)
        for kind, count in Counter(entry.kind for entry in entries).items():
            metrics.HISTORY_ENTRIES.labels(kind=kind).inc(count)
        self._lag = max(self._lag, time.time() - entries[0].written_at)
        return len(entries)

    async def _read(self, slot: Slot) -> list[Entry]:
        found = await self._client.execute_command("XRANGE", log_key(slot), "-", "+", "COUNT", self._batch)
        return [entry for name, fields in found for entry in parse_entries(name, fields)]

    async def _write(self, connection: Connection, entries: list[Entry], pool: int) -> list[tuple[Entry, str]]:
        """All at once; if that is refused, each half, down to the one at fault. Returns the refused with the reason."""
        try:
            async with connection.transaction():
                await write_entries(connection, entries, pool)
        except AT_FAULT as error:
            if len(entries) == 1:
                return [(entries[0], _reason(error))]
        else:
            return []
        half = len(entries) // 2
        return [
            refused
            for part in (entries[:half], entries[half:])
            for refused in await self._write(connection, part, pool)
        ]

    async def _forget(self, slot: Slot, entries: list[Entry], refused: list[tuple[Entry, str]]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for entry, reason in refused:
            metrics.HISTORY_REFUSED.inc()
            log.error("HISTORY-REFUSED", slot=slot, entry=entry.name, kind=entry.kind, reason=reason)
            fields: dict[Any, Any] = {**entry.fields, "why": reason}
            pipeline.xadd(slot + "refused", fields, maxlen=REFUSED_KEPT, approximate=True)
        pipeline.xdel(log_key(slot), *dict.fromkeys(entry.name for entry in entries))
        await pipeline.execute()


async def written_up_to(client: RedisClient, slot: Slot) -> datetime:
    """All that happened in this pool before stands in Postgres. By the store's clock, whatever is made of ours."""
    told = await client.execute_command("EVAL", WRITTEN_UP_TO, 1, log_key(slot))
    return moment(told.partition(b"-")[0])


async def oldest_entry(client: RedisClient, slot: Slot) -> datetime | None:
    """When the oldest entry that the history has not taken yet was written, by the store's clock."""
    found = await client.execute_command("XRANGE", log_key(slot), "-", "+", "COUNT", 1)
    return moment(found[0][0].partition(b"-")[0]) if found else None


def _reason(error: Exception) -> str:
    """Without the detail that Postgres adds: it may show the row, which tells of a visitor."""
    return str(error.args[0]) if isinstance(error, asyncpg.PostgresError) and error.args else str(error)
