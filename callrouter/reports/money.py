"""Amounts, currencies, days and times as people and other programs write them; tables of them as CSV. Pure.

Money is decimal from the text to the database: no float ever holds it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from callrouter.pool.number_file import Fault

T = TypeVar("T")

CURRENCY = re.compile(r"[A-Z]{3}")
AMOUNT = re.compile(r"-?[0-9]{1,14}(\.[0-9]{1,4})?")
SPACES = re.compile(r"[\s\u00a0\u202f']")
AMBIGUOUS = re.compile(r"-?[0-9]{1,3}(,[0-9]{3})+")
DAYS = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})")
LONGEST_TEXT = 500
FIRST_YEAR, LAST_YEAR = 1990, 2200
LONGEST_FILE = 64 * 1024 * 1024
LARGEST_COUNT = 10**15


class NoSense(ValueError):
    """What is written makes none; the message says what would."""


class Table(msgspec.Struct, Generic[T], frozen=True):
    """What was read, and all that is wrong with it: with faults nothing is to be taken."""

    rows: tuple[tuple[int, T], ...]
    """Each with its line."""
    faults: tuple[Fault, ...] = ()


def amount(text: str) -> Decimal:
    """`1234.56`, `1 234,56`, `1,234.56`; up to 14 digits and 4 decimals."""
    plain = SPACES.sub("", text)
    if AMBIGUOUS.fullmatch(plain):
        raise NoSense(f"{text[:40]!r} may be thousands or decimals: write {plain.replace(',', '')} or {_point(plain)}")
    if "," in plain and "." in plain and plain.rindex(".") > plain.rindex(","):
        plain = plain.replace(",", "")
    plain = plain.replace(",", ".", 1)
    if not AMOUNT.fullmatch(plain):
        raise NoSense(f"{text[:40]!r} is no amount: write it as 1234.56, with 4 decimals and 14 digits at most")
    return Decimal(plain)


def _point(text: str) -> str:
    head, _, tail = text.rpartition(",")
    return f"{head.replace(',', '')}.{tail}"


def currency(text: str) -> str:
    code = text.strip().upper()
    if not CURRENCY.fullmatch(code):
        raise NoSense(f"{text[:40]!r} is no currency: three letters, as RUB")
    return code


def day(text: str) -> date:
    """`2026-03-01` or `01.03.2026`."""
    try:
        found = DAYS.fullmatch(text.strip())
        told = date(int(found[3]), int(found[2]), int(found[1])) if found else date.fromisoformat(text.strip())
    except ValueError:
        raise NoSense(f"{text[:40]!r} is no day: write 2026-03-01") from None
    if not FIRST_YEAR <= told.year < LAST_YEAR:
        raise NoSense(f"{text[:40]!r} is too far away")
    return told


def moment(text: str, zone: ZoneInfo) -> datetime:
    """A time, or a day as its beginning; on the clock of `zone` unless it has an offset."""
    try:
        at = datetime.fromisoformat(text.strip()[:64])
    except ValueError:
        at = datetime.combine(day(text), time.min)
    if not FIRST_YEAR <= at.year < LAST_YEAR:
        raise NoSense(f"{text[:40]!r} is too far away")
    return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)


def count(text: str) -> int:
    plain = SPACES.sub("", text)
    if not (plain.isascii() and plain.isdigit() and int(plain[:16]) <= LARGEST_COUNT and len(plain) <= 16):  # noqa: PLR2004
        raise NoSense(f"{text[:40]!r} is no whole number")
    return int(plain)


def line_of_text(text: str) -> str:
    told = text.strip()
    if len(told) > LONGEST_TEXT or not told.isprintable():
        raise NoSense(f"{told[:40]!r} has signs that cannot be printed, or is longer than {LONGEST_TEXT} signs")
    return told


def read_table(
    content: bytes, columns: Iterable[str], wanted: Iterable[str], read: Callable[[Mapping[str, str]], T]
) -> Table[T]:
    """The rows of a CSV file as `read` reads them; every line that makes no sense is a fault, none stops the rest."""
    faults: list[Fault] = []
    rows: list[tuple[int, T]] = []
    for line, cells in _cells(_decoded(content), tuple(columns), tuple(wanted), faults):
        try:
            rows.append((line, read(cells)))
        except NoSense as error:
            faults.append(Fault(line, str(error)))
    if not rows and not faults:
        faults.append(Fault(0, "the file has no rows"))
    return Table(tuple(rows), tuple(sorted(faults)))


def _decoded(content: bytes) -> str:
    """UTF-8, or what spreadsheets in Russia save."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1251", errors="replace")


def _cells(
    text: str, columns: tuple[str, ...], wanted: tuple[str, ...], faults: list[Fault]
) -> Iterator[tuple[int, dict[str, str]]]:
    first = text.partition("\n")[0]
    delimiter = max(";\t,", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        faults += [Fault(1, f"unknown column {name[:40]!r}; known here: {', '.join(columns)}") for name in header
                   if name and name not in columns]  # fmt: skip
        faults += [
            Fault(1, f"the column {name!r} stands there twice") for name in set(header) if header.count(name) > 1
        ]
        faults += [Fault(1, f"the column {name!r} is missing") for name in wanted if name not in header]
        if faults:
            return
        for row in reader:
            if any(cell.strip() for cell in row):
                if any(cell.strip() for cell in row[len(header) :]):
                    faults.append(Fault(reader.line_num, f"{len(row)} cells, where {len(header)} are known"))
                    continue
                yield reader.line_num, {**dict.fromkeys(columns, ""), **dict(zip(header, row, strict=False))}
    except csv.Error as error:
        faults.append(Fault(reader.line_num, f"is no CSV: {error}"))


def values_of(
    cells: Mapping[str, str], read: Mapping[str, Callable[[str], Any]], *, needed: Iterable[str]
) -> dict[str, Any]:
    """A line's texts by column → its values; empty ones are not there. Raises NoSense, with all that makes none."""
    texts = {name: line_of_text(text) for name, text in cells.items() if text.strip()}
    wrong, made = [], {}
    for name, text in texts.items():
        try:
            made[name] = read.get(name, str)(text)
        except NoSense as error:
            wrong.append(f"{name}: {error}")
    wrong += [f"{name} is missing" for name in needed if name not in texts]
    if wrong:
        raise NoSense("; ".join(wrong))
    return made
