"""Lists of which each column can be filtered and sorted by, in the words of the journal's filters. Pure.

stage=won&stage=lost   one of them (`.not`: none of them)     title.has=roof, url.empty=false
revenue.min=100        opened_at.max=2026-03-31               a range, with both ends
won=true               sort=-revenue

A page begins behind the last row of the one before, by what is sorted by and by the key: what is written meanwhile
neither repeats nor hides a row. Values never become part of the SQL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from callrouter.journal.conditions import Values, within
from callrouter.journal.keyset import cursor_of, cursor_text
from callrouter.journal.period import moment
from callrouter.journal.query import LARGEST_ID, MOST_VALUES, BadFilter, checked, shown, unknown_filter
from callrouter.wording import Worded

Kind = Literal["text", "texts", "whole", "number", "moment", "day", "flag"]
TYPES: dict[Kind, str] = {
    "text": "text", "texts": "text[]", "whole": "bigint", "number": "numeric", "moment": "timestamptz", "day": "date",
    "flag": "boolean",
}  # fmt: skip
LEAST: dict[Kind, str] = {
    "text": "''", "whole": "-9223372036854775808", "number": "'-Infinity'", "moment": "'-infinity'",
    "day": "'-infinity'", "flag": "false",
}  # fmt: skip
"""Where a row without a value stands. Kinds that are not here are not sorted by."""
ENDINGS: dict[Kind, tuple[str, ...]] = {
    "text": ("", "not", "has", "empty"), "texts": ("", "not", "empty"), "whole": ("", "not", "min", "max", "empty"),
    "number": ("min", "max", "empty"), "moment": ("min", "max", "empty"), "day": ("", "not", "min", "max", "empty"),
    "flag": ("", "empty"),
}  # fmt: skip
WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)
LARGEST = Decimal(10) ** 18


class Column(NamedTuple):
    """`gaps`: there are rows without a value."""

    sql: str
    kind: Kind = "text"
    gaps: bool = False


class Table(NamedTuple):
    """`fields`: what is selected; `tables`: from which; `grouped`: by what, if at all; `key`: the column, of `columns`,
    that tells rows apart."""

    fields: str
    tables: str
    columns: Mapping[str, Column]
    key: str
    owner: str = "account_id"
    """The column of the account."""
    grouped: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Every parameter by which the list can be filtered."""
        return tuple(
            f"{name}.{ending}" if ending else name
            for name, column in self.columns.items() for ending in ENDINGS[column.kind]
        )  # fmt: skip

    @property
    def sorts(self) -> tuple[str, ...]:
        """Every order, from both ends."""
        sortable = [name for name, column in self.columns.items() if column.kind in LEAST]
        return tuple(f"{sign}{name}" for name in sortable for sign in ("", "-"))


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Behind which row the next page begins, in which order; values as Postgres writes them."""

    sort: str
    value: str
    key: str


class Question(NamedTuple):
    """One row more than a page of a table has. It gives two columns more than the table's: `_value` and `_key`."""

    sql: str
    values: list[object]
    sort: str

    def behind(self, value: str, key: str) -> str:
        """The cursor behind the row of this `_value` and `_key`."""
        return cursor_text(Cursor(self.sort, value, key))


def asked(
    table: Table, values: Values, where: Iterable[str], *, sort: str, cursor: str | None = None, limit: int
) -> Question:  # fmt: skip
    """`where`: conditions whose values were added to `values`. Raises BadFilter; ValueError for no cursor of ours."""
    if sort not in table.sorts:
        raise BadFilter("sort", "is one of {choices}", choices=", ".join(table.sorts))
    by, key = table.columns[sort.removeprefix("-")], table.columns[table.key]
    value = f"coalesce({by.sql}, {LEAST[by.kind]})" if by.gaps else by.sql
    descends = sort.startswith("-")
    told = list(where)
    if cursor is not None:
        behind = cursor_of(cursor, Cursor)
        if behind.sort != sort or "\0" in behind.value + behind.key:
            raise ValueError("a cursor of another order")
        places = (
            f"({values.add(text, 'text')})::{TYPES[column.kind]}"
            for text, column in ((behind.value, by), (behind.key, key))
        )
        told.append(f"({value}, {key.sql}) {'<' if descends else '>'} ({', '.join(places)})")
    way = " DESC" if descends else ""
    group = f"GROUP BY {table.grouped}" if table.grouped else ""
    sql = f"""
        SELECT {table.fields}, ({value})::text AS _value, ({key.sql})::text AS _key FROM {table.tables}
        WHERE {" AND ".join(told) or "true"} {group}
        ORDER BY {value}{way}, {key.sql}{way} LIMIT {values.add(limit + 1, "bigint")}"""  # noqa: S608 - made of constants; values are parameters
    return Question(sql, values.all, sort)


def conditions(table: Table, items: Iterable[tuple[str, str]], values: Values, *, zone: ZoneInfo) -> list[str]:
    """What a URL's parameters ask for. Without a value they ask for nothing. Raises BadFilter."""
    given: dict[str, list[str]] = {}
    for count, (name, text) in enumerate(items):
        if count >= MOST_VALUES:
            raise BadFilter(shown(name), "no more than {most} filters at once", most=MOST_VALUES)
        if name not in table.names:
            raise unknown_filter(name, table.names)
        if text:
            given.setdefault(name, []).append(checked(name, text))
    return [_condition(table, name, texts, values, zone) for name, texts in given.items()]


def _condition(table: Table, name: str, texts: list[str], values: Values, zone: ZoneInfo) -> str:
    field, _, ending = name.partition(".")
    column = table.columns[field]
    if ending in {"", "not"} and column.kind != "flag":
        return _one_of(column, name, texts, values, zone)
    if len(texts) > 1:
        raise BadFilter(name, "only once")
    (text,) = texts
    if ending == "has":
        return f"{column.sql} ILIKE {values.add(within(text), 'text')}"
    if ending in {"min", "max"}:
        limit = values.add(_read(column.kind, name, text, zone), TYPES[column.kind])
        whole_day = ending == "max" and column.kind == "moment"
        return f"{column.sql} {'>=' if ending == 'min' else '<' if whole_day else '<='} {limit}"
    if text not in {"true", "false"}:
        raise BadFilter(name, "is true or false")
    if not ending:
        return f"{column.sql} IS {text.upper()}"
    nothing = {"text": f"coalesce({column.sql}, '') = ''", "texts": f"coalesce(cardinality({column.sql}), 0) = 0"}
    empty = nothing.get(column.kind, f"{column.sql} IS NULL")
    return empty if text == "true" else f"NOT ({empty})"


def _one_of(column: Column, name: str, texts: list[str], values: Values, zone: ZoneInfo) -> str:
    kind: Kind = "text" if column.kind == "texts" else column.kind
    wanted = values.add([_read(kind, name, text, zone) for text in texts], f"{TYPES[kind]}[]")
    found = f"{column.sql} && {wanted}" if column.kind == "texts" else f"{column.sql} = ANY ({wanted})"
    return f"({found}) IS NOT TRUE" if name.endswith(".not") else found


def _read(kind: Kind, name: str, text: str, zone: ZoneInfo) -> object:
    readers: dict[Kind, Callable[[], object]] = {
        "text": lambda: text, "whole": lambda: _whole(text), "number": lambda: _number(text),
        "moment": lambda: moment(text, zone, ends=name.endswith(".max")), "day": lambda: _day(text),
    }  # fmt: skip
    try:
        return readers[kind]()
    except Worded as error:
        raise BadFilter(name, error.template, **error.values) from None


def _whole(text: str) -> int:
    if not WHOLE.fullmatch(text):
        raise Worded("is a whole number from {least} to {most}", least=-LARGEST_ID, most=LARGEST_ID)
    return int(text)


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = LARGEST + 1
    if not number.is_finite() or abs(number) > LARGEST:
        raise Worded("is a number, with a point before decimals")
    return number


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Worded("is a day, written 2026-03-01") from None
