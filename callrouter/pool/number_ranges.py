"""Numbers as people write many of them: one a line, whole ranges, or a CSV text. Pure: knows no inventory."""

from __future__ import annotations

import re
from collections.abc import Iterator

from callrouter.numbers import INTERNATIONAL, NotANumber, Number, parse_number
from callrouter.pool.inventory import Refused
from callrouter.pool.number_file import Fault, ListedNumber, Listing, in_order, read_listing

MOST = 10_000
FROM_TO = re.compile(r"(.{5,40}?)(?:\s+[-\u2012-\u2015]\s+|\s*(?:\.\.\.?|\u2026)\s*)([^;,]{5,40})")
"""Between two numbers a dash with blanks around it, for a number may have dashes in it, or dots."""


def read_numbers(text: str, country: str) -> Listing:
    """As `read_listing` does, and a line may be a range: 8 495 111-00-00 – 8 495 111-00-99."""
    numbers: list[ListedNumber] = []
    faults: list[Fault] = []
    left: list[str] = []
    for line, words in enumerate(text.split("\n"), 1):
        match = FROM_TO.fullmatch(words.strip())
        if match is None:
            left.append(words)
            continue
        left.append("")
        try:
            numbers += (ListedNumber(number, line=line) for number in in_range(match[1], match[2], country))
        except Refused as error:
            faults.append(Fault(line, error.template, error.values))
    if not numbers and not faults:
        return read_listing(text, country)
    if any(words.strip() for words in left):
        listed = read_listing("\n".join(left), country)
        numbers += listed.numbers
        faults += listed.faults
    return Listing(tuple(numbers), in_order([*faults, *_twice(numbers)]))


def in_range(first: str, last: str, country: str = INTERNATIONAL) -> list[Number]:
    """From the one to the other, both included. Raises Refused."""
    try:
        start, end = parse_number(first, country), parse_number(last, country)
    except NotANumber as error:
        raise Refused(error.template, **error.values) from None
    count = int(end) - int(start) + 1
    if len(start) != len(end) or count < 1:
        raise Refused("{first} – {last} is no range: write the lower number first", first=start, last=end)
    if count > MOST:
        raise Refused("{first} – {last} are more than {most} numbers", first=start, last=end, most=MOST)
    return [Number(str(number)) for number in range(int(start), int(end) + 1)]


def _twice(numbers: list[ListedNumber]) -> Iterator[Fault]:
    lines: dict[Number, int] = {}
    for each in numbers:
        if (before := lines.setdefault(each.number, each.line)) != each.line:
            yield Fault(
                each.line, "{number} stands on line {before} already", {"number": each.number, "before": before}
            )
    if len(numbers) > MOST:
        yield Fault(0, "more than {most} numbers at once", {"most": MOST})
