"""Days added up beforehand: which sums there are, which of them still hold, and how a day is added up again.

Knows SQL. A day's sums hold while it has no mark (see migration 0023).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

import asyncpg
import structlog

from callrouter.appeals.credit import MODELS, Model
from callrouter.db.connect import TROUBLE, Connection, Pool
from callrouter.journal.conditions import Values
from callrouter.journal.filters import Filters
from callrouter.journal.period import day_start
from callrouter.reports import metrics
from callrouter.reports.facts import Scope, appeal_facts, cost_facts, deal_facts, owed_to_nobody, visit_facts
from callrouter.reports.figures import (
    APPEAL_MEASURES,
    COST_MEASURES,
    DEAL_MEASURES,
    FACT_DIMENSIONS,
    TIME_MEASURES,
    VISIT_MEASURES,
)

log = structlog.get_logger()

Part = Literal["appeals", "visits", "costs"]
PARTS: tuple[Part, ...] = ("appeals", "visits", "costs")
PART_MEASURES: Final[dict[Part, tuple[str, ...]]] = {
    "appeals": (*APPEAL_MEASURES, *TIME_MEASURES, *DEAL_MEASURES), "visits": VISIT_MEASURES, "costs": COST_MEASURES,
}  # fmt: skip

CUBES: Final[dict[str, tuple[str, ...]]] = {
    "channel": ("site", "channel", "source", "medium"),
    "hour": ("site", "hour"),
    "channel_hour": ("site", "channel", "hour"),
    "people": ("site", "channel", "group", "employee"),
    "place": ("site", "channel", "location", "device"),
    "campaign": ("site", "channel", "source", "medium", "campaign"),
    "landing_page": ("site", "channel", "source", "landing_page"),
    "keyword": ("site", "channel", "source", "medium", "campaign", "keyword"),
}
"""By which dimensions a day is added up, the smaller ones first: a question takes the first that fits."""
SHARED_CUBES = ("channel", "campaign")
"""Of the models that share appeals out: there are five of them."""

DAY = timedelta(days=1)
EVERY_SECONDS = 2.0
DAYS_AT_ONCE = 60
LONGEST_RUN = 10
"""Days of an account one after the other are added up together: to plan a statement takes as long as a quiet day."""

STALE = """
SELECT m.account_id, m.part, m.day FROM (SELECT DISTINCT account_id, part, day FROM report_marks) m
JOIN accounts a ON a.id = m.account_id
WHERE m.day < (now() AT TIME ZONE a.time_zone)::date
ORDER BY m.day DESC LIMIT $1"""
"""Days that are over. The present one changes with each call: it is left to its rows."""

# Of the marks of a day one is enough: the last that is seen here.
SUPERFLUOUS = """
DELETE FROM report_marks m USING (
    SELECT account_id, part, day, max(id) AS last FROM report_marks GROUP BY 1, 2, 3 HAVING count(*) > 1) l
WHERE (m.account_id, m.part, m.day) = (l.account_id, l.part, l.day) AND m.id < l.last"""

LOCK = "SELECT pg_try_advisory_lock(hashtextextended('callrouter.reports', $1))"
UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('callrouter.reports', $1))"
"""Of an account: two who add up the same day would both write it."""

# Held to the end: on another clock the day is another day.
ON_CLOCK = "SELECT time_zone FROM accounts WHERE id = $1 FOR SHARE"
TAKE_MARKS = "DELETE FROM report_marks WHERE account_id = $1 AND part = $2 AND day BETWEEN $3 AND $4"
FORGET = "DELETE FROM report_sums WHERE account_id = $1 AND part = $2 AND day BETWEEN $3 AND $4"


async def keep_sums(postgres: Pool) -> None:
    """For ever: add up what was marked. Several workers may."""
    while True:
        try:
            async with postgres.acquire() as connection:
                done = await add_up_stale(connection)
        except TROUBLE as error:
            log.warning("REPORT-SUMS-FAILED", reason=str(error) or type(error).__name__)
            done = 0
        if not done:
            await asyncio.sleep(EVERY_SECONDS)


async def add_up_stale(connection: Connection, *, limit: int = DAYS_AT_ONCE) -> int:
    """Add up some days that are over and marked; returns how many."""
    await connection.execute(SUPERFLUOUS)
    stale: dict[tuple[int, Part], list[date]] = defaultdict(list)
    for row in await connection.fetch(STALE, limit):
        stale[row["account_id"], row["part"]].append(row["day"])
    done = 0
    for (account, part), days in stale.items():
        for first, last in _runs(sorted(days)):
            done += await _added_up(connection, account, part, first, last)
    return done


async def _added_up(connection: Connection, account: int, part: Part, first: date, last: date) -> int:
    """How many days. What takes longer than a command may is done by halves."""
    try:
        return (last - first).days + 1 if await add_up(connection, account, part, first, last) else 0
    except TimeoutError:
        if first == last:
            raise
    middle = first + timedelta(days=(last - first).days // 2)
    done = await _added_up(connection, account, part, first, middle)
    return done + await _added_up(connection, account, part, middle + DAY, last)


def _runs(days: Iterable[date]) -> Iterator[tuple[date, date]]:
    run: list[date] = []
    for day in days:
        if run and (day != run[-1] + DAY or len(run) == LONGEST_RUN):
            yield run[0], run[-1]
            run = []
        run.append(day)
    if run:
        yield run[0], run[-1]


async def add_up(connection: Connection, account: int, part: Part, first: date, last: date) -> bool:
    """Add up these days' rows, as one snapshot shows them; False: somebody else is at the account, or it is gone."""
    if not await connection.fetchval(LOCK, account):
        return False
    try:
        with metrics.add_up_seconds.labels(part).time():
            async with connection.transaction(isolation="repeatable_read"):
                return await _add_up(connection, account, part, first, last)
    except asyncpg.SerializationError:
        return False  # the account's clock was changed meanwhile
    finally:
        await connection.fetchval(UNLOCK, account)


async def _add_up(connection: Connection, account: int, part: Part, first: date, last: date) -> bool:
    zone = await connection.fetchval(ON_CLOCK, account)
    if zone is None:
        return False
    await connection.execute(TAKE_MARKS, account, part, first, last)
    await connection.execute(FORGET, account, part, first, last)
    scope = Scope(account, ZoneInfo(zone))
    filters = Filters(since=day_start(first, scope.zone), until=day_start(last + DAY, scope.zone))
    for model in MODELS if part == "appeals" else (None,):
        values = Values()
        rows = " UNION ALL ".join(part_facts(part, scope, filters, model or "last_click", values))
        cubes = SHARED_CUBES if model not in {None, "last_click"} else tuple(CUBES)
        told = {"account_id": values.add(account, "bigint"), "part": values.add(part, "text"),
                "model": values.add(model or part, "text")}  # fmt: skip
        await connection.execute(_sum_up(cubes, rows, told, PART_MEASURES[part]), *values.all)
    return True


def part_facts(part: Part, scope: Scope, filters: Filters, model: Model, values: Values) -> list[str]:
    """The SELECTs of a part's facts. Deals go with the appeals that they are owed to."""
    if part == "visits":
        return [visit_facts(scope, filters, values)]
    if part == "costs":
        return [cost_facts(scope, filters, values)]
    nobody = [owed_to_nobody(scope, filters, values)] if filters.asked <= {"since", "until"} else []
    return [appeal_facts(scope, filters, model, values), deal_facts(scope, filters, model, values), *nobody]


def _sum_up(cubes: Sequence[str], rows: str, told: dict[str, str], measures: Sequence[str]) -> str:
    """One pass over some days' facts for all cubes. `told`: what else stands in each row."""
    known = [name for name in FACT_DIMENSIONS if any(name in CUBES[cube] for cube in cubes)]
    sets = ", ".join(f"(day, {_quoted(CUBES[cube])}, currency)" for cube in cubes)
    names = " ".join(f"WHEN {_mask(cube, known)} THEN '{cube}'" for cube in cubes)
    sums = ", ".join(f"nullif(sum({name}), 0)" for name in measures)
    return f"""
INSERT INTO report_sums ({", ".join(told)}, day, cube, currency, {_quoted(known)}, {", ".join(measures)})
SELECT {", ".join(told.values())}, day, CASE grouping({_quoted(known)}) {names} END, currency, {_quoted(known)}, {sums}
FROM ({rows}) facts GROUP BY GROUPING SETS ({sets})"""  # noqa: S608 - names of columns


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _mask(cube: str, known: Sequence[str]) -> int:
    """What `grouping` tells of its rows: a bit for each dimension that it does not have, the first highest."""
    return int("".join("0" if name in CUBES[cube] else "1" for name in known), 2)


def cube_for(wanted: frozenset[str], model: Model) -> str | None:
    """The smallest that has all these dimensions."""
    among = CUBES if model == "last_click" else SHARED_CUBES
    return next((cube for cube in among if wanted <= set(CUBES[cube])), None)
