"""The journal's pages and client cards on a history of realistic size and on one of a tenth: server time and growth."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from typing import Any

from bench.histories import APPEALS, ZONE, Times, history, timed
from bench.row import Row
from callrouter.journal import clients, listing, query
from callrouter.journal import history as histories

QUESTIONS = 200
PAGE_MS = 50.0
USUAL = (
    "period=30d", "period=7d", "period=today", "period=month&channel=paid_search", "period=30d&status=lost",
    "period=90d", "period=30d&kind=form", "period=30d&quality=true&unique=true", "period=last_month&group=Сервис",
    "customer={phone}", "period=30d&employee=120", "period=365d&campaign={campaign}", "period=30d&keyword={keyword}",
    "period=30d&spam=false", "period=30d&source=google", "period=30d&talk_s.min=120&sort=-talk_s",
    "period=30d&customer=276", "period=90d&tag=опт",
)  # fmt: skip
"""What people ask the journal; the account by its size."""


async def measure(appeals: int) -> tuple[Times, Times]:
    """Of the pages, and of the cards with the first page of their history."""
    async with history(appeals) as (pool, crowd):
        return await timed(pool, crowd, _page, QUESTIONS), await timed(pool, crowd, _card, QUESTIONS)


async def _page(conn: Any, account: int, some: Any, chance: random.Random) -> None:
    words = chance.choice(USUAL).format(**dict(some)).split("&")
    items = [(word.partition("=")[0], word.partition("=")[2]) for word in words]
    sort: Any = next((value for name, value in items if name == "sort"), "-started_at")
    filters = query.parse([item for item in items if item[0] != "sort"], zone=ZONE, now=datetime.now(UTC))
    await listing.read_page(conn, listing.Asked(account=account, zone=ZONE, filters=filters, sort=sort, limit=50))


async def _card(conn: Any, account: int, some: Any, _chance: random.Random) -> None:
    await clients.read_card(conn, account, some["client_id"])
    await histories.read_history(conn, histories.HistoryAsked(account=account, client=some["client_id"]))


def run() -> list[Row]:
    small, large = (asyncio.run(measure(size)) for size in (APPEALS // 10, APPEALS))
    return [
        *large[0].rows("journal: page", small[0], PAGE_MS),
        *large[1].rows("journal: card and history", small[1], PAGE_MS),
    ]


if __name__ == "__main__":
    print(run())
