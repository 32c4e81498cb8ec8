"""One call told several times, as by two routers on one PBX: one appeal, and the telling that knew more stands."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from callrouter.appeals.model import CallAppeal
from tests.call_samples import NOON, a_call, a_resolution, an_appeal
from tests.integration.publishing import journal_rows, publish, shop

MINUTE = timedelta(minutes=1)
LIVE = an_appeal(a_call(agi_ms=2.0), a_resolution(7, 70))
LATE = an_appeal(a_call(agi_ms=None), msgspec.structs.replace(a_resolution(7, 70), late=True))
UNSEEN_BEGINNING = an_appeal(a_call(agi_ms=None, complete=False, talk_s=3.0), a_resolution(7, 70))


@pytest.mark.parametrize(
    ("first", "second"), [(LATE, LIVE), (LIVE, LATE), (UNSEEN_BEGINNING, LIVE), (LIVE, UNSEEN_BEGINNING)]
)
def test_the_telling_that_knew_more_stands_whichever_came_first(
    database: str, tmp_path: Path, first: CallAppeal, second: CallAppeal
) -> None:
    async def run() -> None:
        async with shop(database) as pool:
            await publish(pool, tmp_path, [first])
            await publish(pool, tmp_path, [second])
            (row,) = await journal_rows(pool, "late, complete, agi_ms, talk_s")
            assert tuple(row.values()) == (False, True, 2.0, 75.0)

    asyncio.run(run())


def test_same_call_told_often_is_one_appeal_and_the_last_revision_counts(database: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with shop(database) as pool:
            first = an_appeal(a_call(talk_s=1.0), a_resolution(7, 70))
            better = an_appeal(a_call(talk_s=99.0, at=NOON - MINUTE), a_resolution(7, 70), revision=2)
            await publish(pool, tmp_path, [first, first, better, first])
            await publish(pool, tmp_path, [first])
            await publish(pool, tmp_path, [msgspec.structs.replace(first, revision=1)])
            rows = await journal_rows(pool, "revision, talk_s, quality, is_unique, started_at")
            assert [tuple(row.values()) for row in rows] == [(2, 99.0, True, True, NOON - MINUTE)]
            assert await pool.fetchval("SELECT count(*) FROM clients") == 1

    asyncio.run(run())
