"""A question → one statement over the days that were added up and the rows of the others → the report.

Knows SQL. All that a report reads, it reads under one snapshot (`Reading.as_account(..., snapshot=True)`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, TypeAlias
from urllib.parse import urlencode

import asyncpg
import msgspec

from callrouter.appeals.credit import Model
from callrouter.db.connect import Connection
from callrouter.journal.conditions import Values, column_conditions, concerns_visits
from callrouter.journal.filters import Filters, Ids, Match
from callrouter.journal.period import day_start
from callrouter.journal.query import to_query
from callrouter.reports import metrics
from callrouter.reports.facts import COST_FIELDS, Scope
from callrouter.reports.figures import (
    FACT_DIMENSIONS,
    MEASURES,
    PART_MEASURES,
    PARTS,
    TIMES,
    TRAFFIC,
    Dimension,
    Figures,
    Order,
    Part,
    Sums,
    figures,
)
from callrouter.reports.pieces import Piece, pieces
from callrouter.reports.sums import WHOLE_DAY, cube_for, part_facts

Key: TypeAlias = tuple[str | int | date | None, ...]
MOST_ROWS = 100_000
"""Of one answer: a report is read by people; whoever wants all rows takes the journal."""

SUM_COLUMNS: Final = {name: f'r."{name}"' for name in (*TRAFFIC, "group", "employee", "site")}
SUMMED_FIELDS = frozenset({"since", "until", *SUM_COLUMNS})

MONEY = ("revenue", "cost")
KEYS: Final = {
    **{name: f'"{name}"' for name in (*TRAFFIC, "content", "group", "employee", "site", "hour", "day")},
    "weekday": "extract(isodow FROM day)::int", "week": "date_trunc('week', day)::date",
    "month": "date_trunc('month', day)::date",
}  # fmt: skip

BASE = "SELECT currency FROM accounts WHERE id = $1"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """`filters` has since and until; `by` at least one dimension."""

    filters: Filters
    by: tuple[Dimension, ...]
    model: Model = "last_click"
    limit: int = 1000
    order: Order | None = None
    """The most of this first; None: by time where rows are times, else the most appeals first."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """`filter`: the query that opens the row's appeals in the journal; null where the journal cannot say it."""

    key: dict[str, str | int | None]
    """Days, weeks and months by their first day, as 2026-03-01."""
    figures: Figures
    previous: Figures | None = None
    filter: str | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    rows: tuple[Row, ...]
    total: Figures
    left_off: int
    """Rows beyond the limit; the total has them."""
    filter: str | None
    """The total's, as a row's."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """The period before, as long."""

    since: datetime
    until: datetime
    total: Figures


class _Made(msgspec.Struct, frozen=True):
    """What the statement is made of. `base`: the account's currency. `cube`: the sums that it reads; None: rows only;
    `by_hour`: those by the hour."""

    scope: Scope
    question: Question
    base: str
    cube: str | None
    by_hour: str | None
    pieces: dict[Part, Piece]
    values: Values


class _Found(msgspec.Struct, frozen=True):
    """What was added up for a question."""

    question: Question
    with_visits: bool
    with_costs: bool
    total: Sums
    by_key: dict[Key, Sums]

    def figures(self, sums: Sums) -> Figures:
        return figures(sums, with_visits=self.with_visits, with_costs=self.with_costs)

    def answer(self, scope: Scope, before: Callable[[Key], Figures | None]) -> Answer:
        by, limit = self.question.by, self.question.limit
        ordered = sorted(self.by_key.items(), key=lambda item: _order(item, self.question))
        rows = [
            Row(key=_shown(by, key), figures=self.figures(sums), filter=_filter_of(self.question, key, scope),
                previous=before(key))
            for key, sums in ordered[:limit]
        ]  # fmt: skip
        whole = msgspec.structs.replace(self.question, by=())
        return Answer(
            rows=tuple(rows), total=self.figures(self.total), left_off=max(0, len(ordered) - limit),
            filter=_filter_of(whole, (), scope),
        )  # fmt: skip


async def answer(connection: Connection, scope: Scope, question: Question) -> Answer:
    """The report, as one snapshot shows it: the transaction must be at least "repeatable read"."""
    return (await _find(connection, scope, question)).answer(scope, lambda _key: None)


async def compared(
    connection: Connection, scope: Scope, question: Question, now: datetime | None = None
) -> tuple[Answer, Compared]:
    """The report with each row's figures of the period before. Days are told beside those as far from its start.

    A period that is not over at `now` is told beside as much of the one before.
    """
    found = await _find(connection, scope, question)
    since, until = period_before(question.filters, scope, now)
    filters = msgspec.structs.replace(question.filters, since=since, until=until)
    before = await _find(connection, scope, msgspec.structs.replace(question, filters=filters))
    shift = _bounds(question.filters)[0].astimezone(scope.zone).date() - since.astimezone(scope.zone).date()

    def beside(key: Key) -> Figures | None:
        sums = before.by_key.get(tuple(part - shift if isinstance(part, date) else part for part in key))
        return before.figures(sums) if sums else None

    of_calendar = {"week", "month"} & set(question.by)  # those begin where the calendar has it
    told = found.answer(scope, (lambda _key: None) if of_calendar else beside)
    return told, Compared(since=since, until=until, total=before.figures(before.total))


def _shown(by: tuple[Dimension, ...], key: Key) -> dict[str, str | int | None]:
    return {name: str(part) if isinstance(part, date) else part for name, part in zip(by, key, strict=True)}


def period_before(filters: Filters, scope: Scope, now: datetime | None = None) -> tuple[datetime, datetime]:
    """As many days before, where the period is of whole days: a day is not always as long. Of a period that is not over
    at `now`, as much of the one before, up to the same time of the day."""
    since, until = _bounds(filters)
    first, end = since.astimezone(scope.zone).date(), until.astimezone(scope.zone).date()
    if day_start(first, scope.zone) != since or day_start(end, scope.zone) != until:
        return since - (until - since), since
    days = end - first
    if now is None or not since < now < until:
        return day_start(first - days, scope.zone), since
    local = now.astimezone(scope.zone)
    same_time = datetime.combine(local.date() - days, local.time(), tzinfo=scope.zone)
    return day_start(first - days, scope.zone), min(since, same_time.astimezone(UTC))


async def _find(connection: Connection, scope: Scope, question: Question) -> _Found:
    with_visits, with_costs = _concerned(question)
    parts: list[Part] = [
        part for part in PARTS if part == "appeals" or (with_visits if part == "visits" else with_costs)
    ]
    cube, by_hour = _cube(question), _cube(question, "hour")
    period = _bounds(question.filters)
    found = {part: Piece(spans=(period,)) for part in parts}
    if cube is not None:
        found = await pieces(connection, scope, period, parts, by_hour=by_hour is not None)
    base = await connection.fetchval(BASE, scope.account) or ""
    made = _Made(scope, question, base, cube, by_hour, found, Values())
    with metrics.report_seconds.labels("rows" if cube is None else "sums").time():
        rows = await connection.fetch(_statement(made), *made.values.all)
    total, by_key = _folded(rows, question.by)
    return _Found(question, with_visits, with_costs, total, by_key)


def _concerned(question: Question) -> tuple[bool, bool]:
    """Whether visits, and costs, can be told of: a visit has no employee, a cost no hour."""
    by = set(question.by)
    of_people = bool(by & {"group", "employee"})
    with_visits = concerns_visits(question.filters) and not of_people
    with_costs = question.filters.asked <= COST_FIELDS and not of_people and "hour" not in by
    return with_visits, with_costs


def _cube(question: Question, *more: str) -> str | None:
    asked = question.filters.asked
    if not asked <= SUMMED_FIELDS:
        return None
    wanted = (set(question.by) & set(FACT_DIMENSIONS)) | (asked - {"since", "until"}) | set(more)
    return cube_for(frozenset(wanted), question.model)


def _bounds(filters: Filters) -> tuple[datetime, datetime]:
    return (
        filters.since or datetime(1971, 1, 1, tzinfo=UTC),
        filters.until or datetime.combine(date(9000, 1, 1), time.min, tzinfo=UTC),
    )


def _statement(made: _Made) -> str:
    by, values = made.question.by, made.values
    named = ", ".join(f"{KEYS[name]} AS k{index}" for index, name in enumerate(by))
    keys = ", ".join(f"k{index}" for index in range(len(by)))
    told = ", ".join(f"coalesce(sum({name}), 0) AS {name}" for name in MEASURES)
    sums = ", ".join(f"{name} * coalesce(x.rate, 1) AS {name}" if name in MONEY else name for name in MEASURES)
    currency, account = values.add(made.base, "text"), values.add(made.scope.account, "bigint")
    return f"""
SELECT grouping({keys}) <> 0 AS is_total, {keys}, currency, {told}
FROM (
    SELECT {named}, CASE WHEN x.rate IS NULL THEN f.currency ELSE {currency} END AS currency, {sums}
    FROM ({" UNION ALL ".join(_sources(made))}) f LEFT JOIN LATERAL (
        SELECT e.rate FROM exchange_rates e
        WHERE f.currency <> '' AND f.currency <> {currency} AND e.account_id = {account} AND e.currency = f.currency
            AND e.day <= f.day
        ORDER BY e.day DESC LIMIT 1) x ON true
) keyed
GROUP BY GROUPING SETS (({keys}, currency), (currency))"""  # noqa: S608 - values are parameters


def _sources(made: _Made) -> Iterator[str]:
    question = made.question
    for part, piece in made.pieces.items():
        if made.cube is not None and piece.first is not None:
            days = f"r.day BETWEEN {made.values.add(piece.first, 'date')} AND {made.values.add(piece.last, 'date')}"
            yield _from_sums(made, part, made.cube, days, f"({_held(piece, made.values)})")
        for hours in piece.hours:
            day = f"r.day = {made.values.add(hours.day, 'date')}"
            hour = f"r.hour BETWEEN {made.values.add(hours.first, 'int')} AND {made.values.add(hours.end - 1, 'int')}"
            yield _from_sums(made, part, made.by_hour or "", day, f"r.since = {WHOLE_DAY}", hour)
        for since, until in piece.spans:
            filters = msgspec.structs.replace(question.filters, since=since, until=until)
            for select in part_facts(part, made.scope, filters, question.model, made.values):
                yield _added_up(made, select, PART_MEASURES[part])


def _added_up(made: _Made, select: str, measures: tuple[str, ...]) -> str:
    """A table's facts, by no more than what is asked: what is joined afterwards is small. Other money keeps its day."""
    by, base = made.question.by, made.values.add(made.base, "text")
    day = (
        "day"
        if set(by) & {"day", "week", "month", "weekday"}
        else f"CASE WHEN currency NOT IN ('', {base}) THEN day END"
    )
    dims = [day, "currency", *(f'"{name}"' for name in FACT_DIMENSIONS if name in by)]
    told = [f"{day} AS day", "currency"]
    told += [f'"{name}"' if name in by else _nothing(name) for name in FACT_DIMENSIONS]
    told += [f"sum({name}) AS {name}" if name in measures else f"0::numeric AS {name}" for name in MEASURES]
    return f"SELECT {', '.join(told)} FROM ({select}) s GROUP BY {', '.join(dims)}"  # noqa: S608 - names of columns


def _nothing(name: str) -> str:
    kind = {"site": "bigint", "hour": "int"}.get(name, "text")
    return f'NULL::{kind} AS "{name}"'


def _from_sums(made: _Made, part: Part, cube: str, *of: str) -> str:
    values, question = made.values, made.question
    where = [
        f"r.account_id = {values.add(made.scope.account, 'bigint')}",
        f"r.cube = {values.add(cube, 'text')}",
        f"r.model = {values.add(question.model if part == 'appeals' else part, 'text')}",
        *of,
        *column_conditions(question.filters, SUM_COLUMNS, values),
    ]
    dims = [name for name in FACT_DIMENSIONS if name in question.by]
    kept = [f'r."{name}"' for name in ("day", "currency", *dims, *PART_MEASURES[part])]
    select = f"SELECT {', '.join(kept)} FROM report_sums r WHERE {' AND '.join(where)}"  # noqa: S608 - parameters
    return _added_up(made, select, PART_MEASURES[part])


def _held(piece: Piece, values: Values) -> str:
    """Of the days' sums those that are read."""
    whole = f"r.since = {WHOLE_DAY}"
    if piece.apart:
        whole += f" AND r.day <> ALL ({values.add(list(piece.apart), 'date[]')})"
    if not piece.stretches:
        return whole
    return f"{whole} OR r.since = ANY ({values.add(list(piece.stretches), 'timestamptz[]')})"


def _folded(rows: Sequence[asyncpg.Record], by: tuple[Dimension, ...]) -> tuple[Sums, dict[Key, Sums]]:
    total: dict[str, dict[str, int | Decimal]] = {}
    by_key: dict[Key, dict[str, dict[str, int | Decimal]]] = defaultdict(dict)
    for row in rows:
        sums: dict[str, int | Decimal] = {name: row[name] for name in MEASURES}
        if row["is_total"]:
            total[row["currency"]] = sums
        else:
            by_key[tuple(row[f"k{index}"] for index in range(len(by)))][row["currency"]] = sums
    return total, dict(by_key)


def _order(item: tuple[Key, Sums], question: Question) -> tuple[Any, ...]:
    """By time where rows are times, else the most appeals first, then visits; or as it was asked for."""
    key, sums = item
    plain = tuple("" if part is None else str(part) for part in key)
    if question.order is None and question.by[0] in TIMES:
        return tuple(f"{part:02}" if isinstance(part, int) else str(part) for part in key)
    wanted = ("appeals", "visits", "cost") if question.order is None else (question.order, "appeals")
    counted = [-sum(of[name] for of in sums.values()) for name in wanted]
    return (*counted, plain)


def _filter_of(question: Question, key: Key, scope: Scope) -> str | None:
    """The row's appeals, as the journal is asked for them. A share in an appeal is no field of it."""
    if question.model != "last_click" and {*question.by, *question.filters.asked} & set(TRAFFIC):
        return None
    told: dict[str, Any] = {"spam": False}
    since, until = _bounds(question.filters)
    for name, value in zip(question.by, key, strict=True):
        if isinstance(value, date):
            start, end = _span_of(name, value, scope)
            since, until = max(since, start), min(until, end)
        elif name in {"site", "hour", "weekday"}:
            told[name] = Ids(empty=True) if value is None else Ids(any_of=(int(value),))
        else:
            told[name] = Match(any_of=(str(value),)) if value else Match(empty=True)
    return urlencode(to_query(msgspec.structs.replace(question.filters, **told, since=since, until=until)))


def _span_of(name: str, first: date, scope: Scope) -> tuple[datetime, datetime]:
    days = {"day": 1, "week": 7}.get(name)
    after = first + timedelta(days=days) if days else (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    return day_start(first, scope.zone), day_start(after, scope.zone)
