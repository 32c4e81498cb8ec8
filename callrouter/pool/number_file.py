"""A file of numbers as an operator writes it: CSV text in, numbers and all its faults out. Pure: knows no inventory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from callrouter.numbers import NotANumber, Number, parse_number
from callrouter.wording import Wording

COLUMNS = ("number", "route", "note")
KNOWN = ", ".join(COLUMNS)
LONGEST_TEXT = 500


class ListedNumber(msgspec.Struct, frozen=True):
    number: Number
    route: str = ""
    note: str = ""
    line: int = 0
    """Where it stands in the file; 0: it comes from no file."""


class Fault(msgspec.Struct, frozen=True):
    """`line` 0: of the whole."""

    line: int
    template: str
    values: Mapping[str, object] = {}

    @property
    def why(self) -> str:
        return self.template.format(**self.values) if self.values else self.template

    def placed(self) -> Wording:
        """With its line."""
        if self.line:
            return Wording("line {line}: {why}", {"line": self.line, "why": Wording(self.template, self.values)})
        return Wording(self.template, self.values)

    def __str__(self) -> str:
        return str(self.placed())


class Listing(msgspec.Struct, frozen=True):
    numbers: tuple[ListedNumber, ...]
    faults: tuple[Fault, ...] = ()


def read_listing(text: str, country: str) -> Listing:
    """The numbers of a CSV text: a header with `number` (and `route`, `note`), or one number a line."""
    numbers: list[ListedNumber] = []
    lines: dict[Number, int] = {}
    faults: list[Fault] = []
    for line, row in _rows(text, faults):
        try:
            number = parse_number(row["number"], country)
        except NotANumber as error:
            faults.append(Fault(line, error.template, error.values))
            continue
        if number in lines:
            stood = {"number": row["number"], "before": lines[number]}
            faults.append(Fault(line, "{number} stands on line {before} already", stood))
            continue
        lines[number] = line
        route, note = row.get("route", ""), row.get("note", "")
        if odd := next((cell for cell in (route, note) if not cell.isprintable() or len(cell) > LONGEST_TEXT), None):
            told = {"text": odd[:40], "most": LONGEST_TEXT}
            faults.append(
                Fault(line, "{text!r} has signs that cannot be printed, or is longer than {most} signs", told)
            )
        numbers.append(ListedNumber(number, route, note, line))
    if not numbers and not faults:
        faults.append(Fault(0, "the file has no numbers"))
    return Listing(tuple(numbers), in_order(faults))


def in_order(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    return tuple(sorted(faults, key=lambda fault: (fault.line, fault.why)))


def _rows(text: str, faults: list[Fault]) -> Iterator[tuple[int, dict[str, str]]]:
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in first else ",")
    columns: list[str] = ["number"]
    try:
        for index, row in enumerate(reader):
            cells = [cell.strip() for cell in row]
            if index == 0 and "number" in [cell.lower() for cell in cells]:
                columns = [cell.lower() for cell in cells]
                faults.extend(_of_header(columns))
                continue
            if not any(cells):
                continue
            if index == 0 and not any(sign.isdigit() for cell in cells for sign in cell):
                faults.append(Fault(1, "a header without a column 'number'; known here: {known}", {"known": KNOWN}))
                return
            if any(cells[len(columns) :]):
                told = {"cells": len(cells), "columns": len(columns)}
                faults.append(Fault(reader.line_num, "{cells} cells, where {columns} are known", told))
                continue
            yield reader.line_num, {"number": "", **dict(zip(columns, cells, strict=False))}
    except csv.Error as error:
        faults.append(Fault(reader.line_num, "is no CSV: {why}", {"why": str(error)}))


def _of_header(columns: list[str]) -> Iterator[Fault]:
    for column in columns:
        if column and column not in COLUMNS:
            yield Fault(1, "unknown column {name!r}; known here: {known}", {"name": column[:40], "known": KNOWN})
        elif column and columns.count(column) > 1:
            yield Fault(1, "the column {name!r} stands there twice", {"name": column[:40]})
