"""One call told twice in the same revision, as two routers on one PBX do: the telling that knew more stands."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from callrouter.appeals.model import CallAppeal
from tests.call_samples import a_call, a_resolution, an_appeal
from tests.integration.publishing import journal_rows, publish, shop

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
