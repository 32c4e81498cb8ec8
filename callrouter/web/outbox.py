"""The journal of one web process and its way to Postgres: what visitors send is on disk before it is confirmed.

Knows no HTTP and no forms. Processes share a folder; each holds a journal of its own in it, and takes over the one
that a process before it left. Without a usable folder the web does everything else.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import structlog

from callrouter.appeals.journal import Journal, JournalLocked
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


class Outbox:
    def __init__(self, folder: Path | None, postgres_url: str, clock: Clock) -> None:
        self._folder = folder
        self._postgres_url = postgres_url
        self._clock = clock
        self._pool: Pool | None = None
        self._publisher: Publisher | None = None
        self._background = Background()
        self.journal: Journal | None = None
        """None: nothing can be promised here."""

    async def open(self) -> None:
        if self._folder is None:
            return
        try:
            self.journal = _free_journal(self._folder)
        except OSError as error:
            log.exception("WEB-JOURNAL-UNUSABLE", folder=str(self._folder), reason=str(error))
            return
        self._pool = await open_pool(self._postgres_url, size=CONNECTIONS, lazy=True)
        self._publisher = Publisher(self._pool, self.journal, _nothing_late, self._clock, settles=False)
        self._background.keep("outbox", self._publisher.run)

    async def close(self) -> None:
        """Publish what is left, for a while; the rest is there for the next process."""
        if self.journal is None or self._publisher is None or self._pool is None:
            return
        await self._publisher.stop()
        await self._background.stop()
        self.journal.close()
        self._pool.terminate()


def _free_journal(folder: Path) -> Journal:
    """The first journal that no living process holds. Raises OSError."""
    for number in range(MOST_PROCESSES):
        with contextlib.suppress(JournalLocked):
            return Journal(folder / str(number), waiting_limit=WAITING_LIMIT)
    raise OSError(f"{MOST_PROCESSES} processes hold a journal there already")


async def _nothing_late(_connection: Connection, _call: CallRecord) -> Resolution | None:
    """No call ever comes this way."""
    return None
