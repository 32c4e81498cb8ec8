"""A file of numbers as an operator writes it: CSV text in, numbers and all its faults out. Pure: knows no inventory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import msgspec

from callrouter.numbers import NotANumber, Number, parse_number

COLUMNS = ("number", "route", "note")
LONGEST_TEXT = 500


class ListedNumber(msgspec.Struct, frozen=True):
    number: Number
    route: str = ""
    note: str = ""
    line: int = 0
    """Where it stands in the file; 0: it comes from no file."""


class Fault(msgspec.Struct, frozen=True, order=True):
    line: int
    why: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.why}" if self.line else self.why


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
            faults.append(Fault(line, str(error)))
            continue
        if number in lines:
            faults.append(Fault(line, f"{row['number']} stands on line {lines[number]} already"))
            continue
        lines[number] = line
        route, note = row.get("route", ""), row.get("note", "")
        if odd := next((cell for cell in (route, note) if not cell.isprintable() or len(cell) > LONGEST_TEXT), None):
            faults.append(Fault(line, f"{odd[:40]!r} has signs that cannot be printed, or is longer than 500 signs"))
        numbers.append(ListedNumber(number, route, note, line))
    if not numbers and not faults:
        faults.append(Fault(0, "the file has no numbers"))
    return Listing(tuple(numbers), tuple(sorted(faults)))


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
                faults.append(Fault(1, f"a header without a column 'number'; known here: {', '.join(COLUMNS)}"))
                return
            if any(cells[len(columns) :]):
                faults.append(
                    Fault(reader.line_num, f"{len(cells)} cells, where {len(columns)} are known: {row!r:.80}")
                )
                continue
            yield reader.line_num, {"number": "", **dict(zip(columns, cells, strict=False))}
    except csv.Error as error:
        faults.append(Fault(reader.line_num, f"is no CSV: {error}"))


def _of_header(columns: list[str]) -> Iterator[Fault]:
    for column in columns:
        if column and column not in COLUMNS:
            yield Fault(1, f"unknown column {column!r}; known here: {', '.join(COLUMNS)}")
        elif column and columns.count(column) > 1:
            yield Fault(1, f"the column {column!r} stands there twice")
