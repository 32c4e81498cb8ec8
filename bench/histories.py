"""Histories of any size in Postgres, made once and kept; and a connection that tells how long the server took.

By environment: CALLROUTER_BENCH_APPEALS=10000000 (300,000 unless set), CALLROUTER_BENCH_FOLDER: where histories are
kept for the next run (a temporary folder unless set). 10 million appeals take 50 GB and, alone on two cores, an hour.
Time is Postgres's own for all statements of a question, planning included, as EXPLAIN (ANALYZE) tells it: neither this
process nor the way to it is in it, but the cost of telling is.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from bench.row import Row
from callrouter.db.connect import Pool, connect, open_pool, scoped
from callrouter.db.migrate import migrate
from callrouter.lab.crowd import Crowd, account_id
from callrouter.lab.servers import EmbeddedPostgres, running
from callrouter.lab.volume import fill, settle
from callrouter.reports.sums import add_up_stale
from callrouter.reports.today import add_up_further

APPEALS = int(os.environ.get("CALLROUTER_BENCH_APPEALS", "300000"))
FOLDER = os.environ.get("CALLROUTER_BENCH_FOLDER")
GROWTH = 1.5
ZONE = ZoneInfo("Europe/Moscow")
SETTINGS = "shared_buffers = '2GB'\nmax_wal_size = '8GB'\n"


class Told:
    """A connection whose statements are told by EXPLAIN, and then done."""

    def __init__(self, conn: Any) -> None:
        self._conn = conn
        self.milliseconds = 0.0

    async def _explained(self, sql: str, values: tuple[object, ...]) -> None:
        text = await self._conn.fetchval(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}", *values)
        [plan] = msgspec.json.decode(text)
        self.milliseconds += plan["Planning Time"] + plan["Execution Time"]

    async def fetch(self, sql: str, *values: object) -> Any:
        await self._explained(sql, values)
        return await self._conn.fetch(sql, *values)

    async def fetchrow(self, sql: str, *values: object) -> Any:
        await self._explained(sql, values)
        return await self._conn.fetchrow(sql, *values)

    async def fetchval(self, sql: str, *values: object) -> Any:
        await self._explained(sql, values)
        return await self._conn.fetchval(sql, *values)


@dataclass
class Times:
    """Milliseconds: the server's, and those that whoever asks waits (`waited`), from his prepared statements."""

    server: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)

    def p95(self) -> float:
        return statistics.quantiles(self.server, n=20)[-1]

    def rows(self, name: str, few: Times, most_ms: float | None) -> list[Row]:
        """The time against its target, and its growth from a tenth."""
        waited = statistics.quantiles(self.waited, n=20)[-1]
        note = f"median {statistics.median(self.server):.1f} ms; as waited for, p95 {waited:.1f} ms"
        return [
            Row(name=f"{name} of {APPEALS:,} appeals, p95", ours=self.p95(), peer=None, unit="ms", target=most_ms,
                ratio=self.p95(), at_most=True, note=note),
            Row(name=f"{name}, growth from a tenth", ours=self.p95(), peer=few.p95(), unit="ms",
                target=None if most_ms is None else GROWTH, ratio=self.p95() / few.p95(), at_most=True),
        ]  # fmt: skip


Ask = Callable[[Any, int, Any, random.Random], Awaitable[object]]


def crowd_of(appeals: int) -> Crowd:
    return Crowd(appeals=appeals, clients=appeals // 5, visits=appeals * 3, last=datetime.now(UTC).date())


@asynccontextmanager
async def history(appeals: int) -> AsyncIterator[tuple[Pool, Crowd]]:
    """So many appeals; if they were kept, their last day is as long ago as they are old."""
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(FOLDER or folder) / f"history-{appeals}", durable=False)
        crowd_file = server.folder / "crowd"
        if not crowd_file.exists():
            await _make(server, crowd_of(appeals))
        crowd = msgspec.json.decode(crowd_file.read_bytes(), type=Crowd)
        async with running(server) as url:
            await migrate(url, lambda _line: None)
            await _up_to_now(url)
            async with await open_pool(url, size=1) as pool:
                yield pool, crowd


async def _make(server: EmbeddedPostgres, crowd: Crowd) -> None:
    """Its settings are read when it starts anew."""
    async with running(server) as url:
        with (server.folder / "data" / "postgresql.auto.conf").open("a") as settings:
            settings.write(SETTINGS)
        await migrate(url, lambda _line: None)
        await fill(url, crowd, lasting=False)
        await settle(url)
        connection = await connect(url)
        await connection.execute("CHECKPOINT")
        await connection.close()
    (server.folder / "crowd").write_bytes(msgspec.json.encode(crowd))


async def _up_to_now(url: str) -> None:
    """Nothing has happened yet that lies ahead; what is over is added up as the worker does it."""
    connection = await connect(url)
    try:
        now = datetime.now(UTC)
        for table in ("visits", "appeals"):
            await connection.execute(f"DELETE FROM {table} WHERE started_at > $1", now)
        while await add_up_stale(connection):
            pass
        await add_up_further(connection, now)
        await connection.execute("VACUUM (ANALYZE) report_sums, report_marks, report_stretches")
    finally:
        await connection.close()


async def timed(pool: Pool, crowd: Crowd, ask: Ask, questions: int, *, snapshot: bool = False) -> Times:
    """Ask so often, of accounts by their size, after as many questions that warm."""
    chance, times = random.Random(7), Times()
    accounts = [account_id(which) for which in range(crowd.accounts)]
    for n in range(2 * questions):
        account = chance.choices(accounts, crowd.shares.tolist())[0]
        since = crowd.start(chance.randrange(crowd.days // 2, crowd.days))
        seed = chance.random()
        async with scoped(pool, account, snapshot=snapshot) as conn:
            some = await conn.fetchrow(SOMETHING, account, since)
            told = Told(conn)
            await ask(told, account, some, random.Random(seed))
            began = time.perf_counter()
            await ask(conn, account, some, random.Random(seed))
            waited = (time.perf_counter() - began) * 1000
        if n >= questions:
            times.server.append(told.milliseconds)
            times.waited.append(waited)
    return times


SOMETHING = """
SELECT campaign, keyword, customer AS phone, client_id FROM appeals
WHERE account_id = $1 AND started_at >= $2 AND keyword <> '' AND client_id IS NOT NULL ORDER BY started_at LIMIT 1"""
