"""A scheduled report as a mail and a file: the account's figures in its recipient's language. Knows no request.

The file has all rows, with texts made harmless for spreadsheets; the mail shows the first ones. What visitors and
advertisements wrote is escaped in both.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from callrouter.db.connect import Connection
from callrouter.journal.filters import ANY_ID, Filters, Ids
from callrouter.journal.formats import MEDIA_TYPES, Csv, Xlsx
from callrouter.journal.period import named_period
from callrouter.people.model import Locale
from callrouter.reports.asking import MOST_ROWS, Answer, Question, answer
from callrouter.reports.facts import Scope
from callrouter.reports.figures import BY_NAME, Dimension, Figures, Share
from callrouter.scheduled.folder import file_name
from callrouter.scheduled.model import File, Schedule, Written
from callrouter.web.pages.formats import DASH, Formats
from callrouter.web.pages.report_words import (
    FIGURES,
    KEY_NAMES,
    MONEY_FIGURES,
    NOTHING,
    REPORT_NAMES,
    WEEKDAY_NAMES,
)
from callrouter.web.pages.templating import templates
from callrouter.web.pages.words import words

SHOWN_ROWS = 50
ACCOUNT = "SELECT name, time_zone FROM accounts WHERE id = $1"
SITES = "SELECT id, name FROM sites WHERE account_id = $1"
Value = str | int | float | Decimal | None


class Column(NamedTuple):
    """`currency`: of money, else ''."""

    title: str
    name: str
    currency: str = ""


class Reader(NamedTuple):
    """Whose words and clock."""

    locale: Locale
    formats: Formats
    sites: Mapping[int, str]

    def said(self, text: str) -> str:
        return words(self.locale).gettext(text)


class Report(NamedTuple):
    """What was counted, and for whom."""

    schedule: Schedule
    due_at: datetime
    since: datetime
    until: datetime
    told: Answer
    reader: Reader
    columns: list[Column]


async def write_report(conn: Connection, schedule: Schedule, due_at: datetime) -> Written:
    """As of its due time. The connection sees the account alone, and one snapshot."""
    account = await conn.fetchrow(ACCOUNT, schedule.account)
    if account is None:
        raise LookupError("the account is gone")
    zone = ZoneInfo(account["time_zone"])
    since, until = named_period(schedule.period, zone, due_at)
    site = ANY_ID if schedule.site is None else Ids(any_of=(schedule.site,))
    question = Question(
        filters=Filters(since=since, until=until, site=site), by=BY_NAME[schedule.report], model=schedule.model,
        limit=MOST_ROWS,
    )  # fmt: skip
    told = await answer(conn, Scope(schedule.account, zone), question)
    sites = {row["id"]: row["name"] for row in await conn.fetch(SITES, schedule.account)}
    reader = Reader(schedule.locale, Formats(schedule.locale, zone.key), sites)
    report = Report(schedule, due_at, since, until, told, reader, _columns(told, reader))
    return await asyncio.to_thread(_written, report, account["name"])


def _written(report: Report, owner: str) -> Written:
    schedule, told, reader, columns = report.schedule, report.told, report.reader, report.columns
    by = BY_NAME[schedule.report]
    first, last = report.since, report.until - timedelta(seconds=1)
    days = reader.formats.day(first)
    if reader.formats.day(last) != days:
        days = f"{days} – {reader.formats.day(last)}"
    shown = [
        (
            [_key_text(reader, name, row.key[name]) for name in by],
            [_text(reader, row.figures, each) for each in columns],
        )
        for row in told.rows[:SHOWN_ROWS]
    ]
    values = {
        "title": schedule.name, "report": reader.said(REPORT_NAMES[schedule.report]), "days": days, "owner": owner,
        "site": reader.sites.get(schedule.site, "") if schedule.site else "", "rows": shown,
        "keys": [reader.said(KEY_NAMES[name]) for name in by], "columns": columns,
        "total": [_text(reader, told.total, each) for each in columns], "time_zone": reader.formats.zone.key,
        "more": len(told.rows) - len(shown) + told.left_off, "attached": schedule.format != "html",
    }  # fmt: skip
    environment = templates(schedule.locale)
    html = environment.get_template("letter_report.html").render(values)
    return Written(
        subject=f"{schedule.name}: {days}", text=environment.get_template("letter_report.txt").render(values),
        html=html, file=_file(report, html), attached=schedule.format != "html", rows=len(told.rows) + told.left_off,
        since=report.since, until=report.until,
    )  # fmt: skip


def _columns(told: Answer, reader: Reader) -> list[Column]:
    """What these rows have: a visit has no employee, and what nobody told of has no column."""
    columns = [Column(reader.said(title), name) for name, title in FIGURES.items() if _told(told, name)]
    many = len(told.total.money) > 1
    for money in told.total.money:
        columns += [
            Column(f"{reader.said(title)}, {money.currency}" if many else reader.said(title), name, money.currency)
            for name, title in MONEY_FIGURES.items()
            if getattr(money, name) is not None
        ]
    return columns


def _told(told: Answer, name: str) -> bool:
    return name == "deals" or getattr(told.total, name) is not None


def _value(figures: Figures, column: Column) -> Value:
    if column.name == "deals":
        return sum(money.deals for money in figures.money)
    if not column.currency:
        value = getattr(figures, column.name)
        return value.value if isinstance(value, Share) else value
    money = next((each for each in figures.money if each.currency == column.currency), None)
    value = getattr(money, column.name, None)
    return Decimal(value) if isinstance(value, str) else value


def _text(reader: Reader, figures: Figures, column: Column) -> str:
    """As a person reads it."""
    value, f = _value(figures, column), reader.formats
    if value is None or isinstance(value, str):
        return value or DASH
    if column.name in {"conversion", "roi"}:
        return f.percent(float(value), 1)
    if column.name in {"mean_wait_s", "mean_talk_s"}:
        return f.lasted(float(value))
    if column.currency:
        return f.money(value, column.currency)
    return f.number(value, 0 if float(value).is_integer() else 1)


def _key_text(reader: Reader, name: Dimension, value: str | int | None) -> str:
    if value is None or value == "":
        return reader.said(NOTHING)
    if name == "weekday":
        return reader.said(WEEKDAY_NAMES[int(value)])
    if name == "hour":
        return f"{int(value):02}:00"
    if name == "site":
        return reader.sites.get(int(value), f"№ {value}")
    if name in {"day", "week", "month"}:
        day = date.fromisoformat(str(value))
        return reader.formats.month(day) if name == "month" else reader.formats.day(day)
    return str(value)


def _file(report: Report, html: str) -> File:
    schedule, reader = report.schedule, report.reader
    suffix = {"csv": ".csv", "xlsx": ".xlsx", "html": ".html"}[schedule.format]
    name = file_name(schedule, report.due_at, suffix)
    if schedule.format == "html":
        return File(name=name, media_type="text/html; charset=utf-8", content=html.encode())
    by = BY_NAME[schedule.report]
    heads = [*(reader.said(KEY_NAMES[each]) for each in by), *(column.title for column in report.columns)]
    rows = (
        [
            *(_key_value(reader, each, row.key[each]) for each in by),
            *(_value(row.figures, column) for column in report.columns),
        ]
        for row in report.told.rows
    )
    write = _csv if schedule.format == "csv" else _xlsx
    return File(name=name, media_type=MEDIA_TYPES[schedule.format], content=write(heads, rows, reader))


def _key_value(reader: Reader, name: Dimension, value: str | int | None) -> Value:
    """As a program reads it: days as 2026-03-01, hours and weekdays as numbers."""
    if value is None:
        return ""
    return reader.sites.get(int(value), str(value)) if name == "site" else value


def _csv(heads: Sequence[str], rows: Iterable[Sequence[Value]], reader: Reader) -> bytes:
    table = Csv(heads, reader.formats.zone, separator="semicolon" if reader.locale == "ru" else "comma", bom=True)
    return table.header() + table.values(rows)


def _xlsx(heads: Sequence[str], rows: Iterable[Sequence[Value]], reader: Reader) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.xlsx"
        book = Xlsx(path, heads, reader.formats.zone)
        book.values(rows)
        book.close()
        return path.read_bytes()
