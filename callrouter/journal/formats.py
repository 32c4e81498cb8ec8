"""Rows as files: JSON lines, CSV, XLSX. Knows no database.

What visitors and callers wrote is hostile: a spreadsheet takes a text that begins like a formula for one, and runs it.
In CSV such a text gets an apostrophe before it (and so does a text that begins with one, so that nothing is ambiguous);
in XLSX texts are texts.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal, get_args
from zoneinfo import ZoneInfo

import msgspec
import xlsxwriter
from msgspec import UNSET

from callrouter.journal.row import AppealTold

FileFormat = Literal["jsonl", "csv", "xlsx"]
FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)
MEDIA_TYPES: dict[FileFormat, str] = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
Separator = Literal["comma", "semicolon", "tab"]
SIGNS: dict[Separator, str] = {"comma": ",", "semicolon": ";", "tab": "\t"}
BOM = "\ufeff"
FORMULA_SIGNS = "=+-@\t\r\n'＝＋－＠"
BEGINS = tuple(FORMULA_SIGNS)
SPLITS = frozenset(",;\t\r\n")
WITHIN = re.compile(r"([,;\t\r\n])(?=[\s\"]*[=+\-@＝＋－＠])")
"""Where a spreadsheet that splits by another sign than ours would begin a cell with a formula. To such a one a quote
amid a cell is none, and a line ends within."""
ROWS_OF_A_SHEET = 1_000_000
LONGEST_CELL = 32_767
"""Characters that a cell of a spreadsheet holds."""


def jsonl(rows: Iterable[msgspec.Struct]) -> bytes:
    return msgspec.json.Encoder().encode_lines(list(rows))


class Csv:
    """CSV text of rows; times on the account's clock, with their offset. `bom`: for Excel, which else misreads it."""

    def __init__(
        self, fields: Sequence[str], zone: ZoneInfo, *, separator: Separator = "comma", bom: bool = False
    ) -> None:
        self._fields = fields
        self._zone = zone
        self._separator = SIGNS[separator]
        self._bom = bom

    def header(self) -> bytes:
        return (BOM if self._bom else "").encode() + self._lines([self._fields])

    def rows(self, rows: Iterable[AppealTold]) -> bytes:
        return self.values([getattr(row, name) for name in self._fields] for row in rows)

    def values(self, rows: Iterable[Sequence[object]]) -> bytes:
        """Rows of whatever kind, in the order of the fields."""
        return self._lines([self._cell(value) for value in row] for row in rows)

    def _lines(self, lines: Iterable[Sequence[str]]) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self._separator).writerows(lines)
        return text.getvalue().encode("utf-8", "replace")

    def _cell(self, value: object) -> str:
        text = as_text(value, self._zone)
        if not isinstance(value, str | list | dict):
            return text
        if not SPLITS.isdisjoint(text):  # most have none, and to look so is faster
            text = WITHIN.sub(r"\1'", text)
        return f"'{text}" if text.startswith(BEGINS) else text


def as_text(value: object, zone: ZoneInfo) -> str:
    """A value as a cell shows it; null is empty."""
    if value is None or value is UNSET:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat(timespec="milliseconds")
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    if isinstance(value, list | dict):
        return msgspec.json.encode(value).decode()
    return str(value)


class Xlsx:
    """A workbook written row by row; a full sheet is followed by another. `close` before it is read."""

    def __init__(
        self, path: Path, fields: Sequence[str], zone: ZoneInfo, *, rows_of_a_sheet: int = ROWS_OF_A_SHEET
    ) -> None:
        options = {
            "constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False,
            "strings_to_numbers": False, "nan_inf_to_errors": True, "remove_timezone": True,
        }  # fmt: skip
        self._book = xlsxwriter.Workbook(str(path), options)
        self._moment = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._bold = self._book.add_format({"bold": True})
        self._fields = fields
        self._zone = zone
        self._most = rows_of_a_sheet
        self._next_sheet()

    def rows(self, rows: Iterable[AppealTold]) -> None:
        self.values([getattr(row, name) for name in self._fields] for row in rows)

    def values(self, rows: Iterable[Sequence[object]]) -> None:
        """Rows of whatever kind, in the order of the fields."""
        for row in rows:
            if self._row > self._most:
                self._next_sheet()
            for column, value in enumerate(row):
                self._write(column, value)
            self._row += 1

    def close(self) -> None:
        self._book.close()

    def _next_sheet(self) -> None:
        self._sheet = self._book.add_worksheet()
        self._sheet.freeze_panes(1, 0)
        for column, name in enumerate(self._fields):
            self._sheet.write_string(0, column, name, self._bold)
        self._row = 1

    def _write(self, column: int, value: object) -> None:
        if isinstance(value, bool):
            self._sheet.write_boolean(self._row, column, value)
        elif isinstance(value, int | float | Decimal):
            self._sheet.write_number(self._row, column, value)
        elif isinstance(value, datetime):
            self._sheet.write_datetime(self._row, column, value.astimezone(self._zone), self._moment)
        elif text := as_text(value, self._zone):
            self._sheet.write_string(self._row, column, text[:LONGEST_CELL])
