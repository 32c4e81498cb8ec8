"""What the tests of publishing share: an account with sites, a publisher at work, and what then stands in Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from callrouter.appeals.journal import Journal
from callrouter.appeals.late import AttributeLate
from callrouter.appeals.model import CallAppeal
from callrouter.appeals.publish import OnPublished, Publisher
from callrouter.calls.record import CallRecord
from callrouter.clock import SystemClock
from callrouter.db.connect import Connection, Pool, open_pool
from callrouter.pool.model import Resolution
from tests.waiting import until


async def nobody_knows(_connection: Connection, _call: CallRecord) -> Resolution | None:
    return None


@asynccontextmanager
async def shop(database: str, size: int = 4) -> AsyncIterator[Pool]:
    """A pool on a database with account 7 and its sites 70 (plain), 71 (unique per site, 2 days) and 72 (1 day)."""
    async with await open_pool(database, size=size) as pool:
        await pool.execute(
            """WITH made AS (INSERT INTO accounts (id, name) VALUES (7, 'Окна'), (8, 'Двери') RETURNING id)
               SELECT count(*) FROM made"""
        )
        await pool.execute(
            """INSERT INTO sites (account_id, id, name, unique_scope, unique_days) VALUES
               (7, 70, 'main', 'account', NULL), (7, 71, 'second', 'site', 2), (7, 72, 'third', 'account', 1),
               (8, 80, 'other', 'account', NULL)"""
        )
        yield pool


@asynccontextmanager
async def publishing(
    pool: Pool,
    folder: Path,
    attribute_late: AttributeLate = nobody_knows,
    *,
    on_published: OnPublished | None = None,
    batch: int = 500,
) -> AsyncIterator[Journal]:
    """A journal with its publisher at work; left only when all is published (or after the drain time)."""
    journal = Journal(folder)
    publisher = Publisher(pool, journal, attribute_late, SystemClock(), on_published=on_published, batch=batch)
    running = asyncio.create_task(publisher.run())
    try:
        yield journal
        await until(lambda: running.done() or journal.backlog_bytes() == 0)
    finally:
        await publisher.stop()
        await running
        journal.close()


async def publish(pool: Pool, folder: Path, appeals: Sequence[CallAppeal], **options: Any) -> None:
    async with publishing(pool, folder, **options) as journal:
        await asyncio.gather(*(journal.append(appeal) for appeal in appeals))


async def journal_rows(pool: Pool, columns: str = "*") -> list[dict[str, Any]]:
    """The appeals in Postgres, by the time of their call."""
    return [dict(row) for row in await pool.fetch(f"SELECT {columns} FROM appeals ORDER BY started_at, id")]
