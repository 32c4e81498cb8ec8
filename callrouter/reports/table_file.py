"""A CSV file as people's programs write it: how it is written, its rows, and all that is wrong with them. Pure.

What its encoding and separator are is found out where nobody says, and told: who reads `Windows-1251, semicolons` above
his rows sees at once what went wrong.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, Literal, TypeVar, get_args

import msgspec

from callrouter.reports.money import NoSense
from callrouter.wording import Lines, Wording

T = TypeVar("T")

Encoding = Literal["utf-8", "cp1251"]
Separator = Literal["comma", "semicolon", "tab"]
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
SEPARATORS: tuple[Separator, ...] = get_args(Separator)
SIGNS: dict[Separator, str] = {"comma": ",", "semicolon": ";", "tab": "\t"}
PREFERRED: tuple[Separator, ...] = ("semicolon", "tab", "comma")
MARK = b"\xef\xbb\xbf"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
WORKBOOK = b"PK\x03\x04"


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is written. What is None is to be found out."""

    encoding: Encoding | None = None
    separator: Separator | None = None


FOUND_OUT = Layout()


class Fault(msgspec.Struct, frozen=True):
    """`line` 0: of the file. `column` '': of the line. `template` is translated before `values` are put into it."""

    line: int
    template: str
    column: str = ""
    values: Mapping[str, object] = {}

    @property
    def why(self) -> str:
        return str(self._in_column())

    def placed(self) -> Wording:
        """With its line and column."""
        if self.line:
            return Wording("line {line}: {why}", {"line": self.line, "why": self._in_column()})
        return self._in_column()

    def _in_column(self) -> Wording:
        told = Wording(self.template, self.values)
        return Wording("{column}: {why}", {"column": self.column, "why": told}) if self.column else told

    def __str__(self) -> str:
        return str(self.placed())


class Table(msgspec.Struct, Generic[T], frozen=True):
    """What was read, and all that is wrong with it: with faults nothing is to be taken."""

    rows: tuple[tuple[int, T], ...]
    """Each with its line."""
    faults: tuple[Fault, ...] = ()
    layout: Layout = FOUND_OUT
    """As it was read."""
    marked: bool = False
    """It begins with a byte order mark."""


class _Unreadable(Exception):
    def __init__(self, *faults: Fault) -> None:
        super().__init__(*faults)
        self.faults = faults


def read_table(
    content: bytes, columns: Iterable[str], wanted: Iterable[str], read: Callable[[Mapping[str, str]], T],
    layout: Layout = FOUND_OUT, *, most: int | None = None,
) -> Table[T]:  # fmt: skip
    """The rows of a CSV file as `read` reads them; every line that makes no sense is a fault, none stops the rest.

    More than `most` rows are a fault, and not read on.
    """
    faults: list[Fault] = []
    rows: list[tuple[int, T]] = []
    found = layout
    try:
        text, encoding = _decoded(content, layout.encoding)
        separator = layout.separator or _separator(text)
        found = Layout(encoding=encoding, separator=separator)
        for count, (line, cells) in enumerate(_cells(text, tuple(columns), tuple(wanted), SIGNS[separator], faults)):
            if count == most:
                faults.append(Fault(line, "the file has more than {most} rows: split it", "", {"most": most}))
                break
            try:
                rows.append((line, read(cells)))
            except NoSense as error:
                faults += [Fault(line, one.template, column, one.values) for column, one in error.each()]
    except _Unreadable as error:
        faults += error.faults
    if not rows and not faults:
        faults.append(Fault(0, "the file has no rows"))
    ordered = tuple(sorted(faults, key=lambda fault: fault.line))
    return Table(tuple(rows), ordered, layout=found, marked=content.startswith(MARK))


def all_told(table: Table[T]) -> Lines:
    """All that is wrong, a line each."""
    return Lines(fault.placed() for fault in table.faults)


def _decoded(content: bytes, encoding: Encoding | None) -> tuple[str, Encoding]:
    """UTF-8, or what spreadsheets in Russia save."""
    if content.startswith(WORKBOOK):
        raise _Unreadable(Fault(0, "this is a workbook (XLSX): save it as CSV"))
    if content.startswith(UTF_16):
        raise _Unreadable(Fault(0, "this is UTF-16: save it as CSV in UTF-8"))
    for tried in (encoding,) if encoding else ENCODINGS:
        try:
            return content.decode("utf-8-sig" if tried == "utf-8" else tried), tried
        except UnicodeDecodeError as error:
            where = error.start
    line = content.count(b"\n", 0, where) + 1
    names = {"utf-8": "UTF-8", "cp1251": "Windows-1251"}
    raise _Unreadable(Fault(line, "this line is no text in {encoding}", "", {"encoding": names[encoding or "cp1251"]}))


def _separator(text: str) -> Separator:
    first = text.partition("\n")[0]
    counts = {name: first.count(SIGNS[name]) for name in PREFERRED}
    return max(PREFERRED, key=counts.__getitem__) if any(counts.values()) else "comma"


def _cells(
    text: str, columns: tuple[str, ...], wanted: tuple[str, ...], sign: str, faults: list[Fault]
) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=sign)
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        faults += _faults_of(header, columns, wanted)
        if faults:
            return
        for row in reader:
            if any(cell.strip() for cell in row):
                if any(cell.strip() for cell in row[len(header) :]):
                    counts = {"cells": len(row), "columns": len(header)}
                    faults.append(Fault(reader.line_num, "{cells} cells, where {columns} are known", "", counts))
                    continue
                yield reader.line_num, {**dict.fromkeys(columns, ""), **dict(zip(header, row, strict=False))}
    except csv.Error as error:
        faults.append(Fault(reader.line_num, "is no CSV: {why}", "", {"why": str(error)}))


def _faults_of(header: list[str], columns: tuple[str, ...], wanted: tuple[str, ...]) -> Iterator[Fault]:
    for name in wanted:
        if name not in header:
            yield Fault(1, "the column {name!r} is missing", "", {"name": name})
    known = ", ".join(columns)
    for name in header:
        if name and name not in columns:
            yield Fault(1, "unknown column {name!r}; known here: {known}", "", {"name": name[:40], "known": known})
    for name in dict.fromkeys(header):
        if name and header.count(name) > 1:
            yield Fault(1, "the column {name!r} stands there twice", "", {"name": name})
