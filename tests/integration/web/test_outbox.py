"""What web processes before left on disk: published by those that are there, also if there are fewer of them."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

from callrouter.appeals.journal import Journal
from callrouter.appeals.model import PageAppeal
from callrouter.clock import SystemClock
from callrouter.db.connect import connect
from callrouter.web.outbox import Outbox
from tests.waiting import until


def form(phone: str) -> PageAppeal:
    return PageAppeal(id=uuid.uuid4(), kind="form", account=2, site=1, at=SystemClock().now(), phone=phone)


def test_forms_that_more_processes_left_reach_postgres_by_fewer(database: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        connection = await connect(database)
        await connection.execute("INSERT INTO accounts (id, name) VALUES (2, 'Окна')")
        await connection.execute("INSERT INTO sites (account_id, id, name) VALUES (2, 1, 'Окна')")

        async def published() -> set[str]:
            return {row["customer"] for row in await connection.fetch("SELECT customer FROM appeals")}

        async def both_published() -> bool:
            return await published() >= {"79160000003", "79160000007"}

        async def all_published() -> bool:
            return len(await published()) == 3

        held, left = Journal(tmp_path / "2"), Journal(tmp_path / "7")
        await held.append(form("79160000002"))
        await left.append(form("79160000007"))
        left.close()
        outbox = Outbox(tmp_path, database, SystemClock(), look_seconds=0.05)
        await outbox.open()
        assert outbox.journal is not None
        assert outbox.journal.folder == tmp_path / "0"
        await outbox.journal.append(form("79160000003"))
        await until(both_published)
        assert await published() == {"79160000003", "79160000007"}, "what another process holds is that one's"
        held.close()
        await until(all_published)
        await outbox.close()
        Journal(tmp_path / "7").close()  # it was let go of
        await connection.close()

    asyncio.run(scenario())
