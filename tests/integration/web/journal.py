"""Two companies with appeals, clients and visits, and an application with tokens of each: for the journal's tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec

from callrouter.appeals.row import COLUMNS, AppealRow
from callrouter.db.connect import Pool, open_pool
from callrouter.people.roles import SCOPES
from callrouter.pool.model import Candidate
from callrouter.web.api.tokens import add_token
from callrouter.web.app import Web, create_app
from callrouter.web.settings import WebSettings

KEY = b"a key of the tests, long enough"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
INVENTORY = """
INSERT INTO accounts (id, name, time_zone) VALUES (2, 'Окна', 'Europe/Moscow'), (3, 'Двери', 'Asia/Tokyo');
INSERT INTO sites (account_id, id, name) VALUES (2, 1, 'Окна'), (3, 3, 'Двери');
"""


def an_appeal(number: int, account: int = 2, **told: Any) -> AppealRow:
    """The n-th minute's call; `told` is what is different about it."""
    at = told.pop("at", START + timedelta(minutes=number))
    usual: dict[str, Any] = {
        "account_id": account, "started_at": at, "id": UUID(int=account * 1_000_000 + number),
        "site_id": 1 if account == 2 else 3,
        "kind": "call", "direction": "inbound", "status": "answered", "customer": f"7916000{number:04}",
        "called": "74952232725", "wait_s": 3.0, "talk_s": 90.0, "final_group": "sales", "employee": "101",
        "method": "holder", "confidence": 0.9, "channel": "paid_search", "source": "yandex", "medium": "cpc",
        "campaign": f"campaign {number % 3}", "keyword": "", "session": f"session-{account}-{number}",
        "visitor": f"visitor-{account}-{number}", "page": f"https://shop.example/{number}#prices", "location": "Москва",
        "client_id": account * 1000 + number, "is_unique": True, "quality": True,
    }  # fmt: skip
    if account == 2:
        usual["candidates"] = (
            Candidate(method="holder", account=2, site=1, session=f"session-2-{number}", weight=0.9),
            Candidate(method="last_holder", account=3, site=3, session="secret-session", weight=0.05),
        )
    return AppealRow(**(usual | told))


async def put(postgres: Pool, *rows: AppealRow) -> None:
    """Appeals as the publisher would have written them, and their clients."""
    records = [msgspec.structs.astuple(row) for row in rows]
    async with postgres.acquire() as conn:
        await conn.copy_records_to_table("appeals", columns=COLUMNS, records=records)
        for row in rows:
            if row.client_id is not None:
                await conn.execute(
                    "INSERT INTO clients (account_id, id, first_touch_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                    row.account_id, row.client_id, row.started_at,
                )  # fmt: skip
                for kind, value in (("phone", row.customer), ("email", row.email)):
                    if value:
                        await conn.execute(
                            """INSERT INTO client_identities VALUES ($1, $2, $3, $4, $5, $5)
                               ON CONFLICT DO NOTHING""",
                            row.account_id, kind, value, row.client_id, row.started_at,
                        )  # fmt: skip


async def put_visit(postgres: Pool, session: str, visitor: str, at: datetime, account: int = 2, **told: Any) -> None:
    usual = {
        "account_id": account, "started_at": at, "session": session, "visitor": visitor,
        "site_id": 1 if account == 2 else 3, "seen_at": at + timedelta(minutes=2),
        "channel": "paid_search", "source": "yandex", "medium": "cpc",
    }  # fmt: skip
    columns = usual | told
    places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    await postgres.execute(f"INSERT INTO visits ({', '.join(columns)}) VALUES ({places})", *columns.values())
    await postgres.execute(
        """INSERT INTO visit_pages (account_id, at, session, sequence, url)
           VALUES ($1, $2, $3, 1, 'https://shop.example/')""",
        account, at, session,
    )  # fmt: skip


class Journal:
    """The application, the database behind it, and a token of each account with every scope."""

    def __init__(self, app: Web, client: httpx.AsyncClient, postgres: Pool, tokens: dict[int, str]) -> None:
        self.app = app
        self.client = client
        self.postgres = postgres
        self.tokens = tokens

    async def ask(self, path: str, *, account: int = 2, method: str = "GET", body: Any = None, **headers: str) -> Any:
        sent = {"authorization": f"Bearer {self.tokens[account]}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return await self.client.request(method, f"/api/v1{path}", headers=sent, json=body)

    async def told(self, path: str, *, account: int = 2, **more: Any) -> Any:
        answer = await self.ask(path, account=account, **more)
        assert answer.status_code in {200, 201}, (path, answer.status_code, answer.text)
        return answer.json()


@contextlib.asynccontextmanager
async def journal(valkey_url: str, database: str) -> AsyncIterator[Journal]:
    postgres = await open_pool(database)
    try:
        await postgres.execute(INVENTORY)
        await postgres.execute("SELECT ensure_partitions(0, '2026-03-10')")
        settings = WebSettings(redis_url=valkey_url, postgres_url=database, token_keys=(KEY,))
        tokens = {}
        async with postgres.acquire() as conn:
            for account in (1, 2, 3):
                scopes = tuple(scope for scope in SCOPES if account == 1 or scope != "operate")
                tokens[account] = (await add_token(conn, account, "test", scopes)).secret
        app = create_app(settings)
        there = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://callrouter.example")
        async with app.lifespan(), there as client:
            yield Journal(app, client, postgres, tokens)
    finally:
        await postgres.close()


def play(valkey_url: str, database: str, scene: Callable[[Journal], Awaitable[None]]) -> None:
    async def run() -> None:
        async with journal(valkey_url, database) as here:
            await scene(here)

    asyncio.run(run())


def refused(answer: Any, status: int, kind: str) -> str:
    """The detail of a refusal."""
    assert (answer.status_code, answer.json().get("type")) == (status, f"/problems/{kind}"), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    detail: str = answer.json()["detail"]
    return detail
