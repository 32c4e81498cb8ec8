"""A scheduled report's table: its columns, how a reader is told their values, its rows. Knows no database.

Values are as a program reads them, for the file: days as 2026-03-01, hours and weekdays as numbers. The mail has them
in the reader's words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from callrouter.people.model import Locale
from callrouter.reports.asking import Answer
from callrouter.reports.figures import Dimension, Figures, Share
from callrouter.web.pages.appeal_words import VALUES
from callrouter.web.pages.formats import DASH, Formats
from callrouter.web.pages.report_words import FIGURES, KEY_NAMES, MONEY_FIGURES, NOTHING, WEEKDAY_NAMES
from callrouter.web.pages.words import words

Value = str | int | float | Decimal | datetime | None
Text = Callable[[Value], str]


class Reader(NamedTuple):
    """Whose words and clock."""

    locale: Locale
    formats: Formats
    sites: Mapping[int, str]

    def said(self, text: str) -> str:
        return words(self.locale).gettext(text)

    def named(self, dimension: str, value: object) -> Value:
        """A site's or channel's name for its id or code; what has no name is itself."""
        if dimension == "site":
            return self.sites.get(int(str(value)), f"№ {value}") if value else ""
        names = VALUES.get(dimension, {})
        return self.said(names[str(value)]) if str(value) in names else str(value or "")

    def counted(self, value: Value) -> str:
        if not isinstance(value, int | float | Decimal):
            return str(value or DASH)
        return self.formats.number(value, 0 if float(value).is_integer() else 1)

    def percent(self, value: Value) -> str:
        return self.formats.percent(value, 1) if isinstance(value, int | float | Decimal) else DASH

    def lasted(self, value: Value) -> str:
        return self.formats.lasted(value) if isinstance(value, int | float) else DASH

    def moment(self, value: Value) -> str:
        return self.formats.moment(value) if isinstance(value, datetime) else DASH


class Column(NamedTuple):
    title: str
    text: Text


class Sheet(NamedTuple):
    """`rows`: values of the keys, then of the figures. No `total`: they do not add up."""

    keys: Sequence[Column]
    figures: Sequence[Column]
    rows: Sequence[Sequence[Value]]
    total: Sequence[Value] | None = None
    left_off: int = 0


class _Figure(NamedTuple):
    """`currency`: of money, else ''."""

    title: str
    name: str
    currency: str = ""


def sheet_of_figures(reader: Reader, by: Sequence[Dimension], told: Answer) -> Sheet:
    figures = _figures(reader, told)

    def values(of: Figures) -> list[Value]:
        return [_value(of, each) for each in figures]

    return Sheet(
        keys=[Column(reader.said(KEY_NAMES[name]), _key_text(reader, name)) for name in by],
        figures=[Column(each.title, _figure_text(reader, each)) for each in figures],
        rows=[[*(_key(reader, name, row.key[name]) for name in by), *values(row.figures)] for row in told.rows],
        total=values(told.total), left_off=told.left_off,
    )  # fmt: skip


def _figures(reader: Reader, told: Answer) -> list[_Figure]:
    """What these rows have: a visit has no employee, and what nobody told of has no column."""
    found = [_Figure(reader.said(title), name) for name, title in FIGURES.items() if _is_told(told, name)]
    many = len(told.total.money) > 1
    for money in told.total.money:
        found += [
            _Figure(f"{reader.said(title)}, {money.currency}" if many else reader.said(title), name, money.currency)
            for name, title in MONEY_FIGURES.items()
            if getattr(money, name) is not None
        ]
    return found


def _is_told(told: Answer, name: str) -> bool:
    return name == "deals" or getattr(told.total, name) is not None


def _value(figures: Figures, each: _Figure) -> Value:
    if each.name == "deals":
        return sum(money.deals for money in figures.money)
    if not each.currency:
        value = getattr(figures, each.name)
        return value.value if isinstance(value, Share) else value
    money = next((found for found in figures.money if found.currency == each.currency), None)
    value = getattr(money, each.name, None)
    return Decimal(value) if isinstance(value, str) else value


def _figure_text(reader: Reader, each: _Figure) -> Text:
    if each.name in {"conversion", "roi"}:
        return reader.percent
    if each.name in {"mean_wait_s", "mean_talk_s"}:
        return reader.lasted
    if not each.currency:
        return reader.counted
    return lambda value: reader.formats.money(value, each.currency) if isinstance(value, Decimal) else DASH


def _key(reader: Reader, name: Dimension, value: str | int | None) -> Value:
    return value if isinstance(value, int) and name != "site" else reader.named(name, value)


def _key_text(reader: Reader, name: Dimension) -> Text:
    def text(value: Value) -> str:
        if value is None or value == "":
            return reader.said(NOTHING)
        if name == "weekday":
            return reader.said(WEEKDAY_NAMES[int(str(value))])
        if name == "hour":
            return f"{int(str(value)):02}:00"
        if name in {"day", "week", "month"}:
            day = date.fromisoformat(str(value))
            return reader.formats.month(day) if name == "month" else reader.formats.day(day)
        return str(value)

    return text
