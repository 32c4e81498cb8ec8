"""Amounts, currencies, days and times as people and other programs write them. Pure.

Money is decimal from the text to the database: no float ever holds it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from callrouter.wording import Worded

CURRENCY = re.compile(r"[A-Z]{3}")
AMOUNT = re.compile(r"-?[0-9]{1,14}(\.[0-9]{1,4})?")
SPACES = re.compile(r"[\s\u00a0\u202f']")
AMBIGUOUS = re.compile(r"-?[0-9]{1,3}(,[0-9]{3})+")
DAYS = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})")
LONGEST_TEXT = 500
FIRST_YEAR, LAST_YEAR = 1990, 2200
LONGEST_FILE = 64 * 1024 * 1024
LARGEST_COUNT = 10**15


class NoSense(Worded):
    """What is written makes none; the message says what would."""

    def each(self) -> Iterator[tuple[str, NoSense]]:
        """What makes no sense, by column."""
        yield "", self


class Senseless(NoSense):
    """Several columns of a line, or one."""

    def __init__(self, wrong: Mapping[str, NoSense]) -> None:
        super().__init__("; ".join(f"{name}: {error}" for name, error in wrong.items()))
        self._wrong = dict(wrong)

    def each(self) -> Iterator[tuple[str, NoSense]]:
        yield from self._wrong.items()


def amount(text: str) -> Decimal:
    """`1234.56`, `1 234,56`, `1,234.56`; up to 14 digits and 4 decimals."""
    plain = SPACES.sub("", text)
    if AMBIGUOUS.fullmatch(plain):
        raise NoSense(
            "{text!r} may be thousands or decimals: write {thousands} or {decimals}",
            text=text[:40], thousands=plain.replace(",", ""), decimals=_point(plain),
        )  # fmt: skip
    if "," in plain and "." in plain and plain.rindex(".") > plain.rindex(","):
        plain = plain.replace(",", "")
    plain = plain.replace(",", ".", 1)
    if not AMOUNT.fullmatch(plain):
        raise NoSense(
            "{text!r} is no amount: write it as 1234.56, with 4 decimals and 14 digits at most", text=text[:40]
        )
    return Decimal(plain)


def _point(text: str) -> str:
    head, _, tail = text.rpartition(",")
    return f"{head.replace(',', '')}.{tail}"


def currency(text: str) -> str:
    code = text.strip().upper()
    if not CURRENCY.fullmatch(code):
        raise NoSense("{text!r} is no currency: three letters, as RUB", text=text[:40])
    return code


def rate(text: str) -> Decimal:
    told = amount(text)
    if told <= 0:
        raise NoSense("a rate is more than 0")
    return told


def day(text: str) -> date:
    """`2026-03-01` or `01.03.2026`."""
    try:
        found = DAYS.fullmatch(text.strip())
        told = date(int(found[3]), int(found[2]), int(found[1])) if found else date.fromisoformat(text.strip())
    except ValueError:
        raise NoSense("{text!r} is no day: write 2026-03-01", text=text[:40]) from None
    if not FIRST_YEAR <= told.year < LAST_YEAR:
        raise NoSense("{text!r} is too far away", text=text[:40])
    return told


def moment(text: str, zone: ZoneInfo) -> datetime:
    """A time, or a day as its beginning; on the clock of `zone` unless it has an offset."""
    try:
        at = datetime.fromisoformat(text.strip()[:64])
    except ValueError:
        at = datetime.combine(day(text), time.min)
    if not FIRST_YEAR <= at.year < LAST_YEAR:
        raise NoSense("{text!r} is too far away", text=text[:40])
    return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)


def count(text: str) -> int:
    plain = SPACES.sub("", text)
    if not (plain.isascii() and plain.isdigit() and int(plain[:16]) <= LARGEST_COUNT and len(plain) <= 16):  # noqa: PLR2004
        raise NoSense("{text!r} is no whole number", text=text[:40])
    return int(plain)


def line_of_text(text: str) -> str:
    told = text.strip()
    if len(told) > LONGEST_TEXT or not told.isprintable():
        raise NoSense(
            "{text!r} has signs that cannot be printed, or is longer than {most} signs", text=told[:40],
            most=LONGEST_TEXT,
        )  # fmt: skip
    return told


def values_of(
    cells: Mapping[str, str], read: Mapping[str, Callable[[str], Any]], *, needed: Iterable[str]
) -> dict[str, Any]:
    """A line's texts by column → its values; empty ones are not there. Raises NoSense, with all that makes none."""
    wrong: dict[str, NoSense] = {}
    made: dict[str, Any] = {}
    for name, text in cells.items():
        if not text.strip():
            continue
        try:
            made[name] = read.get(name, str)(line_of_text(text))
        except NoSense as error:
            wrong[name] = error
    wrong |= {name: NoSense("is missing") for name in needed if not cells.get(name, "").strip()}
    if wrong:
        raise Senseless(wrong)
    return made
