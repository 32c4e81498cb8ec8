"""The journal of one web process and its way to Postgres: what visitors send is on disk before it is confirmed.

Knows no HTTP and no forms. Processes share a folder; each holds a journal of its own in it, and takes over the one
that a process before it left. What lies in journals that nobody holds, for there are fewer processes now, is published
too. Without a usable folder the web does everything else.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import structlog

from callrouter.appeals.journal import Journal, JournalLocked, has_backlog
from callrouter.appeals.publish import Publisher
from callrouter.background import Background
from callrouter.calls.record import CallRecord
from callrouter.clock import Clock
from callrouter.db.connect import Connection, Pool, open_pool
from callrouter.pool.model import Resolution

log = structlog.get_logger()

MOST_PROCESSES = 64
CONNECTIONS = 2
WAITING_LIMIT = 1000
"""Appeals that may wait for a disk that refuses, before pages are told so."""
LOOK_SECONDS = 60.0
"""How often journals that nobody holds are looked for; not at once, for processes that start take them up first."""


class Outbox:
    def __init__(
        self, folder: Path | None, postgres_url: str, clock: Clock, *, look_seconds: float = LOOK_SECONDS
    ) -> None:
        self._folder = folder
        self._look_seconds = look_seconds
        self._postgres_url = postgres_url
        self._clock = clock
        self._pool: Pool | None = None
        self._publisher: Publisher | None = None
        self._background = Background()
        self.journal: Journal | None = None
        """None: nothing can be promised here."""

    async def open(self) -> None:
        folder = self._folder
        if folder is None:
            return
        try:
            self.journal = _free_journal(folder)
        except OSError as error:
            log.exception("WEB-JOURNAL-UNUSABLE", folder=str(folder), reason=str(error))
            return
        pool = self._pool = await open_pool(self._postgres_url, size=CONNECTIONS, lazy=True)
        self._publisher = self._publisher_of(pool, self.journal)
        self._background.keep("outbox", self._publisher.run)
        self._background.keep("outboxes-left", lambda: self._take_up(folder, pool))

    async def close(self) -> None:
        """Publish what is left, for a while; the rest is there for the next process."""
        if self.journal is None or self._publisher is None or self._pool is None:
            return
        await self._publisher.stop()
        await self._background.stop()
        self.journal.close()
        self._pool.terminate()

    def _publisher_of(self, pool: Pool, journal: Journal) -> Publisher:
        return Publisher(pool, journal, _nothing_late, self._clock, settles=False)

    async def _take_up(self, folder: Path, pool: Pool) -> None:
        """Now and then, publish what lies in journals that nobody holds. For ever."""
        while True:
            await asyncio.sleep(self._look_seconds)
            for each in await asyncio.to_thread(_left, folder):
                try:
                    journal = Journal(each)
                except JournalLocked:
                    continue  # another process publishes it
                except OSError as error:
                    log.warning("WEB-JOURNAL-UNUSABLE", folder=str(each), reason=str(error))
                    continue
                await self._drain(pool, journal)

    async def _drain(self, pool: Pool, journal: Journal) -> None:
        """Publish what is there now, for a while; with Postgres away, next time."""
        publisher = self._publisher_of(pool, journal)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(publisher.run())
                await publisher.stop()
        finally:
            journal.close()


def _free_journal(folder: Path) -> Journal:
    """The first journal that no living process holds. Raises OSError."""
    for number in range(MOST_PROCESSES):
        with contextlib.suppress(JournalLocked):
            return Journal(folder / str(number), waiting_limit=WAITING_LIMIT)
    raise OSError(f"{MOST_PROCESSES} processes hold a journal there already")


def _left(folder: Path) -> list[Path]:
    """Folders of journals with something to publish, held by whomever."""
    return [each for number in range(MOST_PROCESSES) if has_backlog(each := folder / str(number))]


async def _nothing_late(_connection: Connection, _call: CallRecord) -> Resolution | None:
    """No call ever comes this way."""
    return None
