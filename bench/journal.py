"""The journal's pages and client cards on a history of realistic size, and on one of a tenth: server time and growth.

Sizes by environment: CALLROUTER_BENCH_APPEALS=10000000 (300,000 unless set; 10 million take 45 GB and an hour to fill).
Time is Postgres's own for all statements of a page, planning included, as EXPLAIN (ANALYZE) tells it: neither this
process nor the way to it is in it, but the cost of telling is.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from bench.row import Row
from callrouter.db.connect import Pool, open_pool, scoped
from callrouter.db.migrate import migrate
from callrouter.journal import clients, history, listing, query
from callrouter.lab.crowd import Crowd, account_id
from callrouter.lab.servers import embedded_postgres
from callrouter.lab.volume import fill

APPEALS = int(os.environ.get("CALLROUTER_BENCH_APPEALS", "300000"))
QUESTIONS = 200
PAGE_MS = 50.0
GROWTH = 1.5
ZONE = ZoneInfo("Europe/Moscow")
USUAL = (
    "period=30d", "period=7d", "period=today", "period=month&channel=paid_search", "period=30d&status=lost",
    "period=90d", "period=30d&kind=form", "period=30d&quality=true&unique=true", "period=last_month&group=Сервис",
    "customer={phone}", "period=30d&employee=120", "period=365d&campaign={campaign}", "period=30d&keyword={keyword}",
    "period=30d&spam=false", "period=30d&source=google", "period=30d&talk_s.min=120&sort=-talk_s",
    "period=30d&customer=27", "period=90d&tag=опт",
)  # fmt: skip
"""What people ask the journal; the account by its size."""


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


async def measure(appeals: int) -> tuple[list[float], list[float]]:
    """Milliseconds of the pages, and of the cards with the first page of their history."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    crowd = Crowd(appeals=appeals, clients=appeals // 5, visits=appeals * 3, last=yesterday)
    with tempfile.TemporaryDirectory() as folder:
        async with embedded_postgres(Path(folder)) as url:
            await migrate(url, lambda _line: None)
            await fill(url, crowd)
            async with await open_pool(url, size=1) as pool:
                return await _timed(pool, crowd, _page), await _timed(pool, crowd, _card)


Ask = Callable[[Any, int, Any, random.Random], Awaitable[None]]


async def _timed(pool: Pool, crowd: Crowd, ask: Ask) -> list[float]:
    chance = random.Random(7)
    accounts = [account_id(which) for which in range(crowd.accounts)]
    found = []
    for n in range(2 * QUESTIONS):
        account = chance.choices(accounts, crowd.shares.tolist())[0]
        async with scoped(pool, account) as conn:
            some = await conn.fetchrow(SOMETHING, account, crowd.start(chance.randrange(crowd.days // 2, crowd.days)))
            told = Told(conn)
            await ask(told, account, some, chance)
        if n >= QUESTIONS:  # the first half warms
            found.append(told.milliseconds)
    return found


SOMETHING = """
SELECT campaign, keyword, customer AS phone, client_id FROM appeals
WHERE account_id = $1 AND started_at >= $2 AND keyword <> '' AND client_id IS NOT NULL ORDER BY started_at LIMIT 1"""


async def _page(conn: Any, account: int, some: Any, chance: random.Random) -> None:
    words = chance.choice(USUAL).format(**dict(some)).split("&")
    items = [(word.partition("=")[0], word.partition("=")[2]) for word in words]
    sort: Any = next((value for name, value in items if name == "sort"), "-started_at")
    filters = query.parse([item for item in items if item[0] != "sort"], zone=ZONE, now=datetime.now(UTC))
    await listing.read_page(conn, listing.Asked(account=account, zone=ZONE, filters=filters, sort=sort, limit=50))


async def _card(conn: Any, account: int, some: Any, _chance: random.Random) -> None:
    await clients.read_card(conn, account, some["client_id"])
    await history.read_history(conn, history.HistoryAsked(account=account, client=some["client_id"]))


def p95(found: list[float]) -> float:
    return statistics.quantiles(found, n=20)[-1]


def run() -> list[Row]:
    small, large = (asyncio.run(measure(size)) for size in (APPEALS // 10, APPEALS))
    rows = []
    for name, few, many in (("page", small[0], large[0]), ("card and history", small[1], large[1])):
        rows += [
            Row(name=f"journal: {name} of {APPEALS:,} appeals, p95", ours=p95(many), peer=None, unit="ms",
                target=PAGE_MS, ratio=p95(many), at_most=True, note=f"median {statistics.median(many):.1f} ms"),
            Row(name=f"journal: {name}, growth from a tenth", ours=p95(many), peer=p95(few), unit="ms", target=GROWTH,
                ratio=p95(many) / p95(few), at_most=True),
        ]  # fmt: skip
    return rows


if __name__ == "__main__":
    print(run())
