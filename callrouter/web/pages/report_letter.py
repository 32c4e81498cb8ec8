"""A scheduled report as a mail and a file: the account's figures in its recipient's language. Knows no request.

The file has all rows, with texts made harmless for spreadsheets; the mail shows the first ones. What visitors and
advertisements wrote is escaped in both.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from callrouter.db.connect import Connection
from callrouter.journal.filters import ANY_ID, Filters, Ids
from callrouter.journal.formats import MEDIA_TYPES, Csv, Separator, Xlsx
from callrouter.journal.period import named_period
from callrouter.reports.asking import MOST_ROWS, Question, answer
from callrouter.reports.facts import Scope
from callrouter.reports.figures import BY_NAME
from callrouter.reports.names import site_names
from callrouter.scheduled.folder import file_name
from callrouter.scheduled.model import File, Schedule, Written
from callrouter.web.pages.formats import Formats
from callrouter.web.pages.report_sheet import Column, Reader, Sheet, Value, sheet_of_figures
from callrouter.web.pages.report_tables import ASKED, Asking, Show
from callrouter.web.pages.report_words import REPORT_NAMES
from callrouter.web.pages.templating import templates

SHOWN_ROWS = 50
ACCOUNT = "SELECT name, time_zone FROM accounts WHERE id = $1"


class Report(NamedTuple):
    """What was counted, and for whom."""

    schedule: Schedule
    due_at: datetime
    since: datetime
    until: datetime
    reader: Reader


async def write_report(conn: Connection, schedule: Schedule, due_at: datetime) -> Written:
    """As of its due time. The connection sees the account alone, and one snapshot."""
    account = await conn.fetchrow(ACCOUNT, schedule.account)
    if account is None:
        raise LookupError("the account is gone")
    zone = ZoneInfo(account["time_zone"])
    since, until = named_period(schedule.period, zone, due_at)
    site = ANY_ID if schedule.site is None else Ids(any_of=(schedule.site,))
    filters = Filters(since=since, until=until, site=site)
    asking = Asking(conn, Scope(schedule.account, zone), filters, since, until, schedule.site)
    show = await (ASKED[schedule.report](asking) if schedule.report in ASKED else _figures(asking, schedule))
    reader = Reader(schedule.locale, Formats(schedule.locale, zone.key), await site_names(conn, schedule.account))
    report = Report(schedule, due_at, since, until, reader)
    return await asyncio.to_thread(_written, report, account["name"], show)


async def _figures(asking: Asking, schedule: Schedule) -> Show:
    by = BY_NAME[schedule.report]
    question = Question(filters=asking.filters, by=by, model=schedule.model, limit=MOST_ROWS)
    told = await answer(asking.conn, asking.scope, question)
    return lambda reader: sheet_of_figures(reader, by, told)


def _written(report: Report, owner: str, show: Show) -> Written:
    schedule, reader = report.schedule, report.reader
    sheet = show(reader)
    first, last = report.since, report.until - timedelta(seconds=1)
    days = reader.formats.day(first)
    if reader.formats.day(last) != days:
        days = f"{days} – {reader.formats.day(last)}"
    keys = len(sheet.keys)
    shown = [
        (_texts(sheet.keys, row[:keys]), _texts(sheet.figures, row[keys:])) for row in sheet.rows[:SHOWN_ROWS]
    ]  # fmt: skip
    values = {
        "title": schedule.name, "report": reader.said(REPORT_NAMES[schedule.report]), "days": days, "owner": owner,
        "site": reader.sites.get(schedule.site, "") if schedule.site else "", "rows": shown,
        "keys": [column.title for column in sheet.keys], "columns": sheet.figures,
        "total": _texts(sheet.figures, sheet.total) if sheet.total else [], "time_zone": reader.formats.zone.key,
        "more": len(sheet.rows) - len(shown) + sheet.left_off, "attached": schedule.format != "html",
    }  # fmt: skip
    environment = templates(schedule.locale)
    html = environment.get_template("letter_report.html").render(values)
    return Written(
        subject=f"{schedule.name}: {days}", text=environment.get_template("letter_report.txt").render(values),
        html=html, file=_file(report, sheet, html), attached=schedule.format != "html",
        rows=len(sheet.rows) + sheet.left_off, since=report.since, until=report.until,
    )  # fmt: skip


def _texts(columns: Sequence[Column], values: Sequence[Value]) -> list[str]:
    return [column.text(value) for column, value in zip(columns, values, strict=True)]


def _file(report: Report, sheet: Sheet, html: str) -> File:
    schedule, reader = report.schedule, report.reader
    suffix = {"csv": ".csv", "xlsx": ".xlsx", "html": ".html"}[schedule.format]
    name = file_name(schedule, report.due_at, suffix)
    if schedule.format == "html":
        return File(name=name, media_type="text/html; charset=utf-8", content=html.encode())
    write = _csv if schedule.format == "csv" else _xlsx
    return File(name=name, media_type=MEDIA_TYPES[schedule.format], content=write(sheet, reader))


def _csv(sheet: Sheet, reader: Reader) -> bytes:
    separator: Separator = "semicolon" if reader.locale == "ru" else "comma"
    table = Csv(_heads(sheet), reader.formats.zone, separator=separator, bom=True)
    return table.header() + table.values(sheet.rows)


def _xlsx(sheet: Sheet, reader: Reader) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.xlsx"
        book = Xlsx(path, _heads(sheet), reader.formats.zone)
        book.values(sheet.rows)
        book.close()
        return path.read_bytes()


def _heads(sheet: Sheet) -> list[str]:
    return [column.title for column in (*sheet.keys, *sheet.figures)]
