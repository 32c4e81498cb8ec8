"""Reports on a history of realistic size, and on one of a tenth: server time and growth.

A history ends now, if it was made today: the last minutes are counted from rows, as always. Reports of each kind are
asked of accounts of all sizes, the large ones more often.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from bench.histories import APPEALS, ZONE, Times, history, timed
from bench.row import Row
from callrouter.journal import query
from callrouter.reports.asking import Question, answer
from callrouter.reports.facts import Scope
from callrouter.reports.figures import Dimension
from callrouter.reports.numbers import numbers_used
from callrouter.reports.paths import read_assists, read_paths

QUESTIONS = 25
YEAR_MS, MONTH_MS = 500.0, 100.0
TARGETS = {"365d": YEAR_MS, "30d": MONTH_MS}
OTHERS: tuple[tuple[Dimension, ...], ...] = (
    ("campaign",), ("keyword",), ("day",), ("hour",), ("employee",), ("landing_page",), ("location",),
)  # fmt: skip
"""Besides channels: what people look at. Told, without a target."""


async def measure(appeals: int) -> dict[str, Times]:
    asked = {f"channels, {period}": _report(period, ("channel", "source")) for period in TARGETS}
    asked |= {f"channels by linear, {period}": _report(period, ("channel",), "linear") for period in TARGETS}
    asked |= {f"{by[0]}, {period}": _report(period, by) for by in OTHERS for period in TARGETS}
    asked |= {"numbers, 30d": _numbers, "paths, 30d": _paths}
    async with history(appeals) as (pool, crowd):
        return {name: await timed(pool, crowd, ask, QUESTIONS, snapshot=True) for name, ask in asked.items()}


Report = Callable[[Any, int, Any, random.Random], Awaitable[object]]


def _report(period: str, by: tuple[Dimension, ...], model: Any = "last_click") -> Report:
    async def ask(conn: Any, account: int, _some: Any, _chance: random.Random) -> object:
        question = Question(filters=_filters(period), by=by, model=model)
        return await answer(conn, Scope(account, ZONE), question)

    return ask


def _filters(period: str) -> Any:
    return query.parse([("period", period)], zone=ZONE, now=datetime.now(UTC))


async def _numbers(conn: Any, account: int, _some: Any, _chance: random.Random) -> object:
    return await numbers_used(conn, Scope(account, ZONE), _filters("30d"), only_static=False, limit=1000)


async def _paths(conn: Any, account: int, _some: Any, _chance: random.Random) -> None:
    await read_paths(conn, Scope(account, ZONE), _filters("30d"), 100)
    await read_assists(conn, Scope(account, ZONE), _filters("30d"), 100)


def run() -> list[Row]:
    small, large = (asyncio.run(measure(size)) for size in (APPEALS // 10, APPEALS))
    rows = []
    for name, times in large.items():
        target = TARGETS[name.rpartition(" ")[2]] if name.startswith("channels") else None
        rows += times.rows(f"report: {name}", small[name], target)
    return rows


if __name__ == "__main__":
    print(run())
