"""Visits to lease numbers for, and a store to lease them from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from callrouter.numbers import Number
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.store import LeaseStore, Lifetimes
from callrouter.sessions.model import TrafficSource, Visit

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CALLER = Number("79161234567")
PAID = TrafficSource(channel="paid_search", source="yandex", medium="cpc", campaign="окна", keyword="купить окна")


def numbers(count: int) -> list[Number]:
    return [Number(str(74950000000 + place)) for place in range(count)]


def visit(session: str, visitor: str, *, account: int = 2, site: int = 1, page: str = "https://shop.example/") -> Visit:
    return Visit(
        session=session, visitor=visitor, account=account, site=site, traffic=PAID, landing_page=page,
        referrer="https://yandex.ru/", started_at=NOON, seen_at=NOON, page=page, title="Окна",
    )  # fmt: skip


@asynccontextmanager
async def store(url: str, *, cluster: bool = False, lifetimes: Lifetimes | None = None) -> AsyncIterator[LeaseStore]:
    client = open_client(url, cluster=cluster)
    try:
        yield LeaseStore(client, lifetimes=lifetimes)
    finally:
        await close_client(client)
