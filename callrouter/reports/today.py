"""The present day is added up stretch by stretch as it goes on: a report counts its last minutes only from rows.

Knows SQL. When the day is over it is added up as a whole, as any other (`sums`), and its stretches are forgotten.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Final

from callrouter.db.connect import Connection
from callrouter.journal.period import day_start
from callrouter.reports.facts import Scope
from callrouter.reports.figures import Part
from callrouter.reports.stretches import Marks, Stretch, cut, holding, over
from callrouter.reports.sums import at_account, say_too_long, write_sums

ENOUGH = 300
"""Rows of a stretch. Fewer are counted as quickly as sums are read, and a change costs to add so many up again."""
REST = timedelta(minutes=1)
"""A stretch is not added up again sooner, however often something in it changes."""

DOUBTFUL = """
SELECT DISTINCT s.account_id, s.part, s.day FROM report_stretches s
JOIN report_marks m ON (m.account_id, m.part, m.day) = (s.account_id, s.part, s.day)
JOIN accounts a ON a.id = s.account_id
WHERE m.at < s.until AND (s.part = 'visits' OR m.at > s.since - interval '15 minutes')
    AND s.made_at <= $1::timestamptz - $2::interval AND s.day >= ($1::timestamptz AT TIME ZONE a.time_zone)::date"""
GOING_ON = """
SELECT DISTINCT m.account_id, m.part, m.day FROM report_marks m JOIN accounts a ON a.id = m.account_id
WHERE m.part <> 'costs' AND m.day = ($1::timestamptz AT TIME ZONE a.time_zone)::date"""

OF_DAY = "account_id = $1 AND part = $2 AND day = $3"
MARKS = f"SELECT DISTINCT at FROM report_marks WHERE {OF_DAY}"  # noqa: S608 - a constant
STRETCHES = f"SELECT since, until FROM report_stretches WHERE {OF_DAY} ORDER BY since"  # noqa: S608 - a constant
BEGUN: Final = {
    part: f"""
SELECT report_quarter(started_at) AS quarter, count(*) AS rows FROM {part}
WHERE account_id = $1 AND started_at >= $2 AND started_at < $3 GROUP BY 1"""  # noqa: S608 - a table's name
    for part in ("appeals", "visits")
}
TAKE_MARKS = f"""
DELETE FROM report_marks
WHERE {OF_DAY} AND (at > $4::timestamptz - interval '15 minutes' AND at < $5 OR ($6 AND at IS NULL))"""  # noqa: S608 - a constant
FORGET = f"DELETE FROM report_sums WHERE {OF_DAY} AND since >= $4 AND since < $5"  # noqa: S608 - a constant
FORGET_STRETCHES = f"DELETE FROM report_stretches WHERE {OF_DAY} AND since >= $4 AND since < $5"  # noqa: S608 - a constant
MADE = """
INSERT INTO report_stretches (account_id, part, day, since, until, made_at) VALUES ($1, $2, $3, $4, $5, $6)"""


async def add_up_again(connection: Connection, now: datetime, *, rest: timedelta = REST) -> int:
    """Stretches in which something changed; returns of how many days."""
    done = 0
    for row in await connection.fetch(DOUBTFUL, now, rest):
        done += await _Day(connection, row["account_id"], row["part"], row["day"], now).again()
    return done


async def add_up_further(connection: Connection, now: datetime, *, enough: int = ENOUGH) -> int:
    """What is over of the days that go on at `now`; returns of how many. To be asked once a quarter of an hour."""
    done = 0
    for row in await connection.fetch(GOING_ON, now):
        done += await _Day(connection, row["account_id"], row["part"], row["day"], now).further(enough)
    return done


class _Day:
    """A part of an account's present day."""

    def __init__(self, connection: Connection, account: int, part: Part, day: date, now: datetime) -> None:
        self._connection = connection
        self._account = account
        self._part = part
        self._day = day
        self._now = now

    async def again(self) -> bool:
        """Add up the stretches that do not hold."""

        async def work(scope: Scope) -> bool:
            marks, stretches = await self._known()
            held = holding(self._part, stretches, marks)
            wanted = [each for each in stretches if each not in held]
            if None in marks or not wanted:
                return False
            await self._write(scope, wanted)
            return True

        return await self._alone(work)

    async def further(self, enough: int) -> bool:
        """Add up what has enough rows behind the last stretch; all of the day, if any of it may have changed."""

        async def work(scope: Scope) -> bool:
            marks, stretches = await self._known()
            anew = None in marks
            first, end = day_start(self._day, scope.zone), day_start(self._day + timedelta(days=1), scope.zone)
            since = first if anew or not stretches else stretches[-1].until
            until = min(over(self._now), end)
            begun = await self._connection.fetch(BEGUN[self._part], self._account, since, until)
            wanted = list(cut(since, until, {row["quarter"]: row["rows"] for row in begun}, enough))
            if not wanted:
                return False
            if anew and stretches:
                await self._forget(Stretch(stretches[0].since, stretches[-1].until))
            await self._write(scope, wanted, anew=anew)
            return True

        return await self._alone(work)

    async def _alone(self, work: Callable[[Scope], Awaitable[bool]]) -> bool:
        try:
            return await at_account(self._connection, self._account, self._part, work)
        except TimeoutError:
            say_too_long(self._account, self._part, self._day)
            return False

    async def _known(self) -> tuple[Marks, list[Stretch]]:
        of_day = self._account, self._part, self._day
        marks = [row["at"] for row in await self._connection.fetch(MARKS, *of_day)]
        return marks, [Stretch(row["since"], row["until"]) for row in await self._connection.fetch(STRETCHES, *of_day)]

    async def _write(self, scope: Scope, stretches: Sequence[Stretch], *, anew: bool = False) -> None:
        of_day = self._account, self._part, self._day
        for each in stretches:
            await self._connection.execute(TAKE_MARKS, *of_day, each.since, each.until, anew)
            await self._forget(each)
            await write_sums(self._connection, scope, self._part, each.since, each.until, is_stretch=True)
            await self._connection.execute(MADE, *of_day, each.since, each.until, self._now)

    async def _forget(self, stretch: Stretch) -> None:
        for statement in (FORGET, FORGET_STRETCHES):
            await self._connection.execute(
                statement, self._account, self._part, self._day, stretch.since, stretch.until
            )
