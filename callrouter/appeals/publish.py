"""From the local journal to Postgres: in order, in batches, each appeal once, however often Postgres or we go away.

Knows when to repeat, when to set a record aside and when to wait. What a batch does is in `store`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import asyncpg
import structlog

from callrouter.appeals import metrics
from callrouter.appeals.directory import SettingsCache
from callrouter.appeals.enrich import enrich, scrub
from callrouter.appeals.journal import Entry, Journal
from callrouter.appeals.late import BEFORE_ALL, AttributeLate, Place, attribute, needs_history, settle_pending
from callrouter.appeals.model import Appeal, CallAppeal, PageAppeal
from callrouter.appeals.row import AppealRow
from callrouter.appeals.segments import Position
from callrouter.appeals.settings import Settings
from callrouter.appeals.store import write
from callrouter.appeals.touching import judge_marked
from callrouter.clock import Clock
from callrouter.db.connect import TROUBLE, Connection, Pool

log = structlog.get_logger()

OnPublished = Callable[[Sequence[AppealRow]], None]

BATCH = 4000
ROWS_BETWEEN_BREATHS = 50
IDLE_SECONDS = 1.0
GATHER_SECONDS = 0.2
"""From one batch to the next: a commit costs as much for one appeal as for many, and nobody reads faster than that."""
SETTLE_SECONDS = 10.0
JUDGE_SECONDS = 5.0
LEAVE_JUDGING_SECONDS = 60.0
"""Whom it takes longer to judge is the worker's. One judges at a time: for so long nobody here stands in his way."""
FIRST_PAUSE_SECONDS = 0.1
LAST_PAUSE_SECONDS = 15.0
DRAIN_SECONDS = 10.0
TIMELINE = "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)"
"""Another one after each promotion of a replica."""
NO_TIMELINE = (asyncpg.FeatureNotSupportedError, asyncpg.UndefinedFunctionError, asyncpg.InsufficientPrivilegeError)
"""Answers of servers that are only like Postgres, or keep it to themselves."""
TRIES_AS_A_WHOLE = 2
"""Of a batch that took Postgres too long: then in halves."""
LOG_EVERY_SECONDS = 60.0

POISON = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError, ValueError,
          TypeError, ArithmeticError, LookupError, AttributeError)  # fmt: skip
"""Errors of a row, not of the database: repeating the same row cannot help."""


class _TooMuch(Exception):
    """Postgres cannot do the batch in its time."""


class _Batch(NamedTuple):
    """Records to publish together, and their rows where these could be worked out beforehand."""

    entries: list[Entry]
    rows: list[AppealRow] | None


NOTHING = _Batch([], [])


class Publisher:
    """`run()` publishes until `stop()`; the journal's cursor moves only when a batch is committed."""

    def __init__(
        self,
        pool: Pool,
        journal: Journal,
        attribute_late: AttributeLate,
        clock: Clock,
        *,
        on_published: OnPublished | None = None,
        batch: int = BATCH,
        settles: bool = True,
    ) -> None:
        """`settles`: attribute later what the lease history did not reach yet; a journal without calls need not."""
        self._pool = pool
        self._journal = journal
        self._attribute_late = attribute_late
        self._clock = clock
        self._on_published = on_published
        self._batch = batch
        self._settings = SettingsCache(clock)
        self._stopping = asyncio.Event()
        self._finished = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._timeline: str | None = None
        self._failed_over = False
        self._pause = FIRST_PAUSE_SECONDS
        self._logged_at = 0.0
        self._settled_at = float("-inf") if settles else float("inf")
        self._settling: Place | None = None
        """How far those that wait for the history have been asked about, in this round; None: there is none."""
        self._still_waiting = 0
        self._judges_from = float("-inf")

    async def run(self) -> None:
        """Publish what the journal holds and will hold, until stopped; then once more what is left."""
        self._running = asyncio.current_task()
        self._finished.clear()
        try:
            while not self._stopping.is_set():
                published = await self._publish_all()
                if published:
                    await self._judge()
                await self._settle()
                if published:
                    await self._gather()
                elif not self._rewound() and self._settling is None:
                    await self._journal.wait(IDLE_SECONDS)
            while await self._publish_all():
                pass
        finally:
            self._finished.set()

    async def stop(self, seconds: float = DRAIN_SECONDS) -> None:
        """Let `run` publish what is left, for so long at most; what remains is in the journal for the next start."""
        self._stopping.set()
        self._journal.wake()
        try:
            async with asyncio.timeout(seconds):
                await self._finished.wait()
        except TimeoutError:
            if self._running:
                self._running.cancel()

    async def _publish_all(self) -> bool:
        """Publish what there is; False if there was nothing, or if we are to stop with Postgres away."""
        any_published = False
        try:
            batch = await self._prepare(None)
            while batch.entries:
                end, is_full = batch.entries[-1].end, len(batch.entries) == self._batch
                ahead = asyncio.ensure_future(self._prepare(end)) if is_full else None
                try:
                    if not await self._publish(batch):
                        return False
                    if self._rewound():
                        return True
                    await self._journal.published(end)
                finally:
                    batch = await ahead if ahead else NOTHING
                any_published = True
        except OSError as error:  # of the journal's disk: Postgres's are dealt with further down
            await self._pause_after(error)
        return any_published

    async def _prepare(self, after: Position | None) -> _Batch:
        """Read a batch and work out its rows, if that needs no Postgres; done while the one before is written."""
        entries = await self._journal.read(self._batch, after)
        if after is None:
            self._note_lag(entries)
        appeals = [entry.appeal for entry in entries if entry.appeal is not None]
        settings = self._settings.snapshot
        if any(needs_history(appeal) for appeal in appeals) or not self._settings.knows(*_credited(appeals)):
            return _Batch(entries, None)
        try:
            return _Batch(entries, await _enrich_all(appeals, settings))
        except POISON:
            return _Batch(entries, None)

    async def _publish(self, batch: _Batch) -> bool:
        """Publish a batch, halving it around a row that Postgres refuses until that row is alone and set aside."""
        entries = batch.entries
        try:
            return await self._publish_patiently(batch)
        except _TooMuch:
            pass
        except POISON as error:
            if len(entries) == 1:
                await self._set_aside(entries[0], error)
                return True
        middle = len(entries) // 2
        halves = _Batch(entries[:middle], None), _Batch(entries[middle:], None)
        return await self._publish(halves[0]) and await self._publish(halves[1])

    async def _publish_patiently(self, batch: _Batch) -> bool:
        """Publish a batch, again and again while Postgres is away; False if we are to stop before it is back."""
        scrubbing, too_long = False, 0
        while True:
            try:
                started = time.perf_counter()
                await self._publish_once(batch, scrubbing=scrubbing)
            except (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError):
                if scrubbing:
                    raise
                scrubbing = True
            except TROUBLE as error:
                if isinstance(error, POISON) and not isinstance(error, asyncpg.InterfaceError):
                    raise
                if not await self._pause_after(error):
                    return False
                too_long += isinstance(error, TimeoutError)
                if too_long == TRIES_AS_A_WHOLE and len(batch.entries) > 1:
                    raise _TooMuch from error
            else:
                self._pause = FIRST_PAUSE_SECONDS
                metrics.publish_seconds.observe(time.perf_counter() - started)
                return True
            batch = _Batch(batch.entries, None)  # the rows were changed in the attempt

    async def _publish_once(self, batch: _Batch, *, scrubbing: bool) -> None:
        async with self._pool.acquire() as connection:
            await self._notice_failover(connection)
            appeals = [entry.appeal for entry in batch.entries if entry.appeal is not None]
            settings = await self._settings.get(connection, *_credited(appeals))
            rows = batch.rows
            if rows is None:
                appeals = [
                    await attribute(connection, appeal, self._attribute_late)
                    if isinstance(appeal, CallAppeal)
                    else appeal
                    for appeal in appeals
                ]
                settings = await self._settings.get(connection, *_credited(appeals))
                rows = await _enrich_all(appeals, settings)
            if scrubbing:
                for row in rows:
                    scrub(row)
            written = await write(connection, rows, settings)
        for entry in batch.entries:
            if entry.appeal is None:
                await self._set_aside(entry, ValueError("the record is no appeal that this version knows"))
        metrics.published.labels("replaced").inc(written.replaced)
        metrics.published.labels("new").inc(len(written.rows) - written.replaced)
        metrics.published.labels("known").inc(len(rows) - len(written.rows))
        self._tell(written.rows)

    async def _notice_failover(self, connection: Connection) -> None:
        """A replica that took over may lack what was committed last: by default Postgres waits for none."""
        try:
            timeline = await connection.fetchval(TIMELINE)
        except NO_TIMELINE:
            return
        if self._timeline not in (None, timeline):
            self._failed_over = True
            log.warning("POSTGRES-FAILED-OVER", timeline=timeline)
        self._timeline = timeline

    def _rewound(self) -> bool:
        """After a failover the journal tells its latest again; what is there already is left alone."""
        failed_over, self._failed_over = self._failed_over, False
        if failed_over:
            self._journal.rewind()
        return failed_over

    async def _settle(self) -> None:
        """Now and then attribute what was published before the lease history had reached it, some at a time."""
        if self._settling is None:
            if self._clock.monotonic() - self._settled_at < SETTLE_SECONDS:
                return
            self._settling, self._still_waiting = BEFORE_ALL, 0
        place, self._settling = self._settling, None
        self._settled_at = self._clock.monotonic()
        try:
            async with self._pool.acquire() as connection:
                await self._notice_failover(connection)
                settings = await self._settings.get(connection, frozenset(), frozenset())
                now = await connection.fetchval("SELECT now()")  # our clock may be set: nobody is given up for that
                settled = await settle_pending(connection, self._attribute_late, settings, now=now, after=place)
        except (*TROUBLE, *POISON) as error:
            metrics.publish_failures.labels("settle").inc()
            self._log_rarely("PUBLISH-SETTLE-FAILED", error)
        else:
            self._settling = settled.next
            self._still_waiting += settled.waiting
            if settled.next is None:
                metrics.pending.set(self._still_waiting)
            self._tell(settled.rows)

    async def _gather(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATHER_SECONDS):
                await self._stopping.wait()

    async def _judge(self) -> None:
        """Say which appeals are multichannel and what deals are owed to. Whoever is at it already, does it for us.

        One step: a backlog of marks is the worker's, and no appeal waits in the journal for it.
        """
        if self._clock.monotonic() < self._judges_from:
            return
        try:
            async with self._pool.acquire() as connection, asyncio.timeout(JUDGE_SECONDS):
                await judge_marked(connection)
        except (*TROUBLE, *POISON) as error:
            if isinstance(error, TimeoutError):
                self._judges_from = self._clock.monotonic() + LEAVE_JUDGING_SECONDS
            metrics.publish_failures.labels("judge").inc()
            if not isinstance(error, asyncpg.LockNotAvailableError):
                self._log_rarely("TOUCHES-NOT-JUDGED", error)

    def _tell(self, rows: Sequence[AppealRow]) -> None:
        if self._on_published and rows:
            try:
                self._on_published(rows)
            except Exception:
                log.exception("PUBLISH-CALLBACK-FAILED")

    async def _set_aside(self, entry: Entry, error: Exception) -> None:
        await self._journal.set_aside(entry, f"{type(error).__name__}: {error}")
        linkedid = entry.appeal.call.linkedid if isinstance(entry.appeal, CallAppeal) else None
        log.error("PUBLISH-SET-ASIDE", linkedid=linkedid, reason=f"{type(error).__name__}: {error}")

    async def _pause_after(self, error: BaseException) -> bool:
        """Pause, longer each time and never in step with other routers; False if we are to stop."""
        metrics.publish_failures.labels("away").inc()
        self._log_rarely("PUBLISH-FAILED", error)
        with contextlib.suppress(TimeoutError):
            pause = self._pause * random.uniform(0.5, 1.5)  # noqa: S311  (jitter, no secret)
            async with asyncio.timeout(pause):
                await self._stopping.wait()
            return False
        self._pause = min(self._pause * 2, LAST_PAUSE_SECONDS)
        return True

    def _log_rarely(self, event: str, error: BaseException) -> None:
        if self._clock.monotonic() - self._logged_at > LOG_EVERY_SECONDS or not self._logged_at:
            self._logged_at = self._clock.monotonic()
            reason = f"{type(error).__name__}: {error}"
            log.warning(event, reason=reason, backlog_bytes=self._journal.backlog_bytes())

    def _note_lag(self, entries: list[Entry]) -> None:
        oldest = next((entry.appeal.ended_at for entry in entries if entry.appeal), None)
        lag = (self._clock.now() - oldest).total_seconds() if oldest else 0.0
        metrics.publish_lag.set(max(0.0, lag))


def _credited(appeals: Sequence[Appeal]) -> tuple[frozenset[int], frozenset[int]]:
    """The accounts and sites that appeals are credited to."""
    accounts: set[int | None] = set()
    sites: set[int | None] = set()
    for appeal in appeals:
        who = appeal if isinstance(appeal, PageAppeal) else appeal.resolution and appeal.resolution.attribution
        if who:
            accounts.add(who.account)
            sites.add(who.site)
    return frozenset(filter(None, accounts)), frozenset(filter(None, sites))


async def _enrich_all(appeals: Sequence[Appeal], settings: Settings) -> list[AppealRow]:
    """Rows of the appeals; the event loop gets its turn in between, for calls are being resolved on it."""
    rows: list[AppealRow] = []
    for start in range(0, len(appeals), ROWS_BETWEEN_BREATHS):
        chunk = (enrich(appeal, settings) for appeal in appeals[start : start + ROWS_BETWEEN_BREATHS])
        rows.extend(row for row in chunk if row is not None)
        await asyncio.sleep(0)
    return rows
