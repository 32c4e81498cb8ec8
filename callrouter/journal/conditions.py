"""Filters → SQL conditions with numbered parameters: the same for the journal, its exports and the reports. Pure.

Values never become part of the SQL: they are parameters. Appeals go by the alias `a`, visits by `v`. Every condition
begins with the account, so that a forgotten one cannot be asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final
from zoneinfo import ZoneInfo

from callrouter.journal.filters import VISIT_FIELDS, Filters, Ids, Match, Phones, Range


class Values:
    """The parameters of one statement: `add` one, write what it returns into the SQL."""

    def __init__(self) -> None:
        self.all: list[object] = []
        self._places: dict[tuple[str, object], str] = {}

    def add(self, value: object, sql_type: str) -> str:
        """The same value twice is one parameter: what is grouped by must be written as what is selected."""
        key = sql_type, tuple(value) if isinstance(value, list) else value
        if key not in self._places:
            self.all.append(value)
            self._places[key] = f"${len(self.all)}::{sql_type}"
        return self._places[key]


RENAMED = {
    "account": "account_id", "site": "site_id", "client": "client_id", "group": "final_group", "unique": "is_unique",
    "pending": "attribution_pending",
}  # fmt: skip
APART = frozenset({"since", "until", "hour", "weekday", "q", "first", "spam", "tag", "comment"})
"""Fields that are no column of their own."""

APPEAL_COLUMNS: Final = {
    name: f"a.{RENAMED.get(name, name)}" for name in Filters.__struct_fields__ if name not in APART
}
VISIT_COLUMNS: Final = {name: f"v.{RENAMED.get(name, name)}" for name in VISIT_FIELDS - APART} | {
    "time_on_site_s": "extract(epoch FROM v.seen_at - v.started_at)"
}

SEARCHED = (
    "person", "email", "customer", "called", "final_group", "employee", "source", "medium", "campaign", "keyword",
    "content", "page", "title", "landing_page", "referrer", "location",
)  # fmt: skip
"""Columns whose text `q` is looked for in, besides comments and tags."""
TEXT = f"concat_ws(' ', {', '.join(f'a.{column}' for column in SEARCHED)})"

FIRST = """(a.client_id IS NOT NULL AND NOT EXISTS (
    SELECT FROM appeals e WHERE e.account_id = a.account_id AND e.client_id = a.client_id
        AND e.started_at <= a.started_at AND (e.started_at, e.id) < (a.started_at, a.id)))"""


def appeal_conditions(filters: Filters, account: int, zone: ZoneInfo, values: Values) -> str:
    """The WHERE of `appeals a`. `zone`: the account's, for hours and weekdays."""
    parts = [
        f"a.account_id = {values.add(account, 'bigint')}",
        *_time("a", filters, zone, values),
        *_columns(filters, APPEAL_COLUMNS, values),
        *_notes(filters, values),
        *_words(filters.q, values),
    ]
    if filters.first is not None:
        parts.append(FIRST if filters.first else f"NOT {FIRST}")
    return " AND ".join(parts)


def visit_conditions(filters: Filters, account: int, zone: ZoneInfo, values: Values) -> str:
    """The WHERE of `visits v`: of the fields that visits have. Whether others are set tells `concerns_visits`."""
    parts = [
        f"v.account_id = {values.add(account, 'bigint')}",
        *_time("v", filters, zone, values),
        *_columns(filters, VISIT_COLUMNS, values),
    ]
    return " AND ".join(parts)


def concerns_visits(filters: Filters) -> bool:
    """Whether the filters can be put to visits at all; else a report has no visits to tell of."""
    return filters.asked <= VISIT_FIELDS


def _time(table: str, filters: Filters, zone: ZoneInfo, values: Values) -> Iterator[str]:
    if filters.since is not None:
        yield f"{table}.started_at >= {values.add(filters.since, 'timestamptz')}"
    if filters.until is not None:
        yield f"{table}.started_at < {values.add(filters.until, 'timestamptz')}"
    for unit, asked in (("hour", filters.hour), ("isodow", filters.weekday)):
        if asked != Ids():
            yield from _ids(f"extract({unit} FROM {local_time(table, zone, values)})", asked, values)


def local_time(table: str, zone: ZoneInfo, values: Values) -> str:
    """`started_at` as the account's clock showed it. Reports group by it, so that hours are the same hours."""
    return f"{table}.started_at AT TIME ZONE {values.add(zone.key, 'text')}"


def column_conditions(filters: Filters, columns: Mapping[str, str], values: Values) -> list[str]:
    """What is asked of these fields, of whatever table: `columns` says which column each field is there."""
    return list(_columns(filters, columns, values))


def _columns(filters: Filters, columns: Mapping[str, str], values: Values) -> Iterator[str]:
    for name in Filters.__struct_fields__:
        if name not in columns:
            continue
        column, asked = columns[name], getattr(filters, name)
        if isinstance(asked, Match):
            yield from _match(column, asked, values)
        elif isinstance(asked, Ids):
            yield from _ids(column, asked, values)
        elif isinstance(asked, Range):
            yield from _range(column, asked, values)
        elif isinstance(asked, Phones):
            yield from _phones(column, asked, values)
        elif asked is not None:
            yield column if asked else f"{column} IS NOT TRUE"


def _match(column: str, asked: Match, values: Values) -> Iterator[str]:
    wanted = []
    if asked.any_of:
        wanted.append(_one_of(column, asked.any_of, values, "text"))
        if not asked.empty and "" not in asked.any_of:
            yield f"{column} <> ''"  # as partial indexes have it
    if asked.empty or "" in asked.any_of:
        wanted.append(f"coalesce({column}, '') = ''")
    if wanted:
        yield _either(wanted)
    if asked.empty is False:
        yield f"{column} <> ''"
    if asked.none_of:
        yield f"coalesce({column}, '') <> ALL ({values.add(list(asked.none_of), 'text[]')})"
    if asked.has:
        yield f"{column} ILIKE {values.add(within(asked.has), 'text')}"


def _ids(column: str, asked: Ids, values: Values) -> Iterator[str]:
    wanted = []
    if asked.any_of:
        wanted.append(_one_of(column, asked.any_of, values, "bigint"))
    if asked.empty:
        wanted.append(f"{column} IS NULL")
    if wanted:
        yield _either(wanted)
    if asked.empty is False:
        yield f"{column} IS NOT NULL"
    if asked.none_of:
        yield f"({column} = ANY ({values.add(list(asked.none_of), 'bigint[]')})) IS NOT TRUE"


def _one_of(column: str, wanted: tuple[object, ...], values: Values, sql_type: str) -> str:
    """One value as `=`, for the planner knows how common it is."""
    if len(wanted) == 1:
        return f"{column} = {values.add(wanted[0], sql_type)}"
    return f"{column} = ANY ({values.add(list(wanted), f'{sql_type}[]')})"


def _range(column: str, asked: Range, values: Values) -> Iterator[str]:
    if asked.least is not None:
        yield f"{column} >= {values.add(asked.least, 'double precision')}"
    if asked.most is not None:
        yield f"{column} <= {values.add(asked.most, 'double precision')}"


def _phones(column: str, asked: Phones, values: Values) -> Iterator[str]:
    wanted = []
    if asked.whole:
        wanted.append(_one_of(column, asked.whole, values, "text"))
    wanted += [f"{column} LIKE {values.add(part, 'text')}" for part in asked.parts]
    if asked.empty:
        wanted.append(f"coalesce({column}, '') = ''")
    if wanted:
        yield _either(wanted)
    if asked.empty is False:
        yield f"{column} <> ''"


def _notes(filters: Filters, values: Values) -> Iterator[str]:
    """Without a note an appeal has no tag, no comment, and is no spam."""
    tag, comment = filters.tag, filters.comment
    if filters.spam is not None:
        yield _noted("n.spam", is_so=filters.spam)
    wanted = [_noted(f"n.tags && {values.add(list(tag.any_of), 'text[]')}")] if tag.any_of else []
    if tag.empty:
        wanted.append(_noted("n.tags <> '{}'", is_so=False))
    if wanted:
        yield _either(wanted)
    if tag.empty is False:
        yield _noted("n.tags <> '{}'")
    if tag.none_of:
        yield _noted(f"n.tags && {values.add(list(tag.none_of), 'text[]')}", is_so=False)
    if comment.empty is not None:
        yield _noted("n.comment <> ''", is_so=not comment.empty)
    if comment.has:
        yield _noted(f"n.comment ILIKE {values.add(within(comment.has), 'text')}")


def _noted(what: str, *, is_so: bool = True) -> str:
    exists = f"EXISTS (SELECT FROM appeal_notes n WHERE (n.account_id, n.appeal_id) = (a.account_id, a.id) AND {what})"
    return exists if is_so else f"NOT {exists}"


def _words(q: str, values: Values) -> Iterator[str]:
    for word in q.split():
        pattern = values.add(within(word), "text")
        told = _noted(f"(n.comment || ' ' || array_to_string(n.tags, ' ')) ILIKE {pattern}")
        yield f"({TEXT} ILIKE {pattern} OR {told})"


def _either(wanted: list[str]) -> str:
    return wanted[0] if len(wanted) == 1 else f"({' OR '.join(wanted)})"


def within(text: str) -> str:
    """The LIKE pattern of texts that have `text` in them, whatever signs it has."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
