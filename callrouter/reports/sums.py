"""Days added up beforehand: which sums there are, which of them still hold, and how a day is added up again.

Knows SQL. A day's sums hold while it has no mark (see migration 0023). The present day's are made by `today`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import asyncpg
import structlog

from callrouter.appeals.credit import MODELS, Model
from callrouter.db.connect import Connection
from callrouter.journal.conditions import Values
from callrouter.journal.filters import Filters
from callrouter.journal.period import day_start
from callrouter.reports import metrics
from callrouter.reports.facts import Scope, appeal_facts, cost_facts, deal_facts, owed_to_nobody, visit_facts
from callrouter.reports.figures import FACT_DIMENSIONS, PART_MEASURES, Part

log = structlog.get_logger()

CUBES: Final[dict[str, tuple[str, ...]]] = {
    "source": ("channel", "source"),
    "channel": ("site", "channel", "source", "medium"),
    "hour": ("site", "hour"),
    "channel_hour": ("site", "channel", "hour"),
    "people": ("site", "channel", "group", "employee"),
    "place": ("site", "channel", "location", "device"),
    "campaign": ("site", "channel", "source", "medium", "campaign"),
    "landing_page": ("site", "channel", "source", "landing_page"),
    "keyword": ("site", "channel", "source", "medium", "campaign", "keyword"),
}
"""By which dimensions a day is added up, the smaller ones first: a question takes the first that fits. The first has as
many rows a day whatever the traffic: so many sources have something on each day."""
SHARED_CUBES = ("source", "channel", "campaign")
"""Of the models that share appeals out: there are five of them."""

DAY = timedelta(days=1)
WHOLE_DAY = "'-infinity'::timestamptz"
"""Where sums begin that are of no stretch."""
DAYS_AT_ONCE = 60
LONGEST_RUN = 10
"""Days of an account one after the other are added up together: to plan a statement takes as long as a quiet day."""

STALE = """
SELECT m.account_id, m.part, m.day FROM (
    SELECT account_id, part, day FROM report_marks UNION SELECT account_id, part, day FROM report_stretches) m
JOIN accounts a ON a.id = m.account_id
WHERE m.day < ($2::timestamptz AT TIME ZONE a.time_zone)::date
ORDER BY m.day DESC LIMIT $1"""
"""Days that are over."""

# Of the marks of a day one is enough, the last that is seen here; of a day with stretches, one of each quarter. Nobody
# may add up meanwhile: he would take those that his snapshot shows, perhaps the very one that is left for others here.
REPEATED = """
WITH repeated AS MATERIALIZED (
    SELECT account_id FROM (
        SELECT DISTINCT account_id FROM report_marks GROUP BY account_id, part, day HAVING count(*) > 1) every
    ORDER BY random() LIMIT 200)
SELECT account_id FROM repeated
WHERE pg_try_advisory_xact_lock(hashtextextended('callrouter.reports', account_id))"""
SUPERFLUOUS = """
DELETE FROM report_marks m USING (
    SELECT account_id, id, row_number() OVER (
        PARTITION BY account_id, part, day, CASE WHEN EXISTS (
            SELECT FROM report_stretches s WHERE (s.account_id, s.part, s.day) = (k.account_id, k.part, k.day)
        ) THEN at END
        ORDER BY id DESC) AS place
    FROM report_marks k WHERE account_id = ANY ($1)) n
WHERE (m.account_id, m.id) = (n.account_id, n.id) AND n.place > 1"""

LOCK = "SELECT pg_try_advisory_lock(hashtextextended('callrouter.reports', $1))"
UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('callrouter.reports', $1))"
"""Of an account: two who add up the same day would both write it."""

# Held to the end: on another clock the day is another day.
ON_CLOCK = "SELECT time_zone FROM accounts WHERE id = $1 FOR SHARE"
OF_DAYS = "account_id = $1 AND part = $2 AND day BETWEEN $3 AND $4"
TAKE_MARKS = f"DELETE FROM report_marks WHERE {OF_DAYS}"  # noqa: S608 - a constant
FORGET = f"DELETE FROM report_sums WHERE {OF_DAYS}"  # noqa: S608 - a constant
FORGET_STRETCHES = f"DELETE FROM report_stretches WHERE {OF_DAYS}"  # noqa: S608 - a constant


async def add_up_stale(connection: Connection, *, limit: int = DAYS_AT_ONCE, now: datetime | None = None) -> int:
    """Add up some days that are over and marked; returns how many."""
    async with connection.transaction():
        repeated = await connection.fetch(REPEATED)
        await connection.execute(SUPERFLUOUS, [row["account_id"] for row in repeated])
    stale: dict[tuple[int, Part], list[date]] = defaultdict(list)
    for row in await connection.fetch(STALE, limit, now or datetime.now(UTC)):
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
            say_too_long(account, part, first)
            return 0
    middle = first + timedelta(days=(last - first).days // 2)
    done = await _added_up(connection, account, part, first, middle)
    return done + await _added_up(connection, account, part, middle + DAY, last)


def say_too_long(account: int, part: Part, day: date) -> None:
    """Of what Postgres cannot do in its time. Its rows are counted instead, and nobody else's wait for it."""
    log.warning("REPORT-SUMS-FAILED", reason="it takes too long", account=account, part=part, day=str(day))


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

    async def days(scope: Scope) -> bool:
        for statement in (TAKE_MARKS, FORGET, FORGET_STRETCHES):
            await connection.execute(statement, account, part, first, last)
        since, until = day_start(first, scope.zone), day_start(last + DAY, scope.zone)
        await write_sums(connection, scope, part, since, until)
        return True

    return await at_account(connection, account, part, days)


async def at_account(
    connection: Connection, account: int, part: Part, work: Callable[[Scope], Awaitable[bool]]
) -> bool:
    """Do `work` alone at the account and under one snapshot; False: somebody else is there, or it is gone."""
    if not await connection.fetchval(LOCK, account):
        return False
    try:
        with metrics.add_up_seconds.labels(part).time():
            async with connection.transaction(isolation="repeatable_read"):
                zone = await connection.fetchval(ON_CLOCK, account)
                return zone is not None and await work(Scope(account, ZoneInfo(zone)))
    except asyncpg.SerializationError:
        return False  # the account's clock was changed meanwhile
    finally:
        await connection.fetchval(UNLOCK, account)


async def write_sums(
    connection: Connection, scope: Scope, part: Part, since: datetime, until: datetime, *, is_stretch: bool = False
) -> None:
    """Add up the rows between."""
    filters = Filters(since=since, until=until)
    for model in MODELS if part == "appeals" else (None,):
        values = Values()
        rows = " UNION ALL ".join(part_facts(part, scope, filters, model or "last_click", values))
        cubes = SHARED_CUBES if model not in {None, "last_click"} else tuple(CUBES)
        told = {"account_id": values.add(scope.account, "bigint"), "part": values.add(part, "text"),
                "model": values.add(model or part, "text"),
                "since": values.add(since, "timestamptz") if is_stretch else WHOLE_DAY}  # fmt: skip
        await connection.execute(_sum_up(cubes, rows, told, PART_MEASURES[part]), *values.all)


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
