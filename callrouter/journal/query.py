"""A URL's query string ↔ filters. What does not fit is refused with the mend. Pure.

channel=paid_search&channel=organic_search    one of them          (`.not`: none of them)
campaign.has=summer    page.empty=false       a part of it; is there anything
talk_s.min=60&talk_s.max=600                  a range, with both ends
quality=true           site=4&client.not=17
customer=8 (916) 123-45-67    called=27-25    a number in any spelling, or a part of one
period=last_month, or since=2026-03-01&until=2026-03-31    on the account's clock; a day's end is in it
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from typing import Any, get_type_hints
from zoneinfo import ZoneInfo

import msgspec

from callrouter.journal.filters import (
    CHOICES,
    NUMBERS_WITHIN,
    Filters,
    Ids,
    Match,
    Phones,
    Range,
    Said,
    Tags,
)
from callrouter.journal.period import PERIODS, moment, named_period
from callrouter.journal.spelling import phones
from callrouter.wording import Worded, Wording

MOST_VALUES = 200
"""Of all parameters together: no person picks more, and a statement must stay one that can be planned."""
LONGEST_VALUE = 2048
MOST_WORDS = 10
LARGEST_ID = 2**63 - 1
LARGEST_NUMBER = 1e15

KINDS: dict[str, type] = {
    name: kind for name, kind in get_type_hints(Filters).items() if isinstance(kind, type)
}  # fmt: skip
ENDINGS: dict[type, tuple[str, ...]] = {
    Match: ("", "not", "has", "empty"),
    Ids: ("", "not", "empty"),
    Range: ("min", "max"),
    Phones: ("", "empty"),
    Tags: ("", "not", "empty"),
    Said: ("has", "empty"),
}
OF_CHOICES = ("", "not", "empty")
Asked = dict[str, list[str]]
OWN_WORDS = ("period", "since", "until", "q")


class BadFilter(Worded):
    """`name`: the parameter that does not fit; the message says why, never what was sent."""

    def __init__(self, name: str, reason: str, /, **values: object) -> None:
        self.name = name
        self.reason = Wording(reason, values)
        super().__init__("{name}: {reason}", name=name, reason=self.reason)


def parse(items: Iterable[tuple[str, str]], *, zone: ZoneInfo, now: datetime, country: str = "RU") -> Filters:
    """Raises BadFilter. `zone`: the account's; `country`: where its numbers are dialled from.

    A parameter without a value asks for nothing: forms send the fields that were left blank.
    """
    asked: Asked = {}
    for count, (name, value) in enumerate(items):
        if count >= MOST_VALUES:
            raise BadFilter(shown(name), "no more than {most} filters at once", most=MOST_VALUES)
        if name not in NAMES:
            raise unknown_filter(name, NAMES)
        if value:
            asked.setdefault(name, []).append(checked(name, value))
    since, until = _span(asked, zone, now)
    told: dict[str, Any] = {"since": since, "until": until, "q": _words(asked.get("q", []))}
    for name in {parameter.partition(".")[0] for parameter in asked} - set(OWN_WORDS):
        read = READERS.get(KINDS.get(name, bool), _read_flag)
        told[name] = read(name, asked, country)
    return Filters(**told)


def _read_flag(name: str, asked: Asked, _country: str) -> bool | None:
    text = _one(name, asked)
    if text not in {"", "true", "false"}:
        raise BadFilter(name, "is true or false")
    return text == "true" if text else None


def _read_match(name: str, asked: Asked, country: str) -> Match:
    any_of, none_of = tuple(asked.get(name, ())), tuple(asked.get(f"{name}.not", ()))
    choices = CHOICES.get(name)
    if choices and not {*any_of, *none_of} <= set(choices):
        raise BadFilter(name, "is one of {choices}", choices=", ".join(choices))
    empty = _read_flag(f"{name}.empty", asked, country)
    return Match(any_of=any_of, none_of=none_of, has=_one(f"{name}.has", asked), empty=empty)


def _read_ids(name: str, asked: Asked, country: str) -> Ids:
    any_of, none_of = (tuple(_id(part, text) for text in asked.get(part, ())) for part in (name, f"{name}.not"))
    return Ids(any_of=any_of, none_of=none_of, empty=_read_flag(f"{name}.empty", asked, country))


def _read_range(name: str, asked: Asked, _country: str) -> Range:
    least, most = (_number(part, asked) for part in (f"{name}.min", f"{name}.max"))
    if least is not None and most is not None and least > most:
        raise BadFilter(f"{name}.min", "is more than {most}", most=f"{name}.max")
    return Range(least=least, most=most)


def _read_phones(name: str, asked: Asked, country: str) -> Phones:
    empty = _read_flag(f"{name}.empty", asked, country)
    try:
        return phones(tuple(asked.get(name, ())), country, empty=empty)
    except Worded as error:
        raise BadFilter(name, error.template, **error.values) from None


def _read_tags(name: str, asked: Asked, country: str) -> Tags:
    any_of, none_of = tuple(asked.get(name, ())), tuple(asked.get(f"{name}.not", ()))
    return Tags(any_of=any_of, none_of=none_of, empty=_read_flag(f"{name}.empty", asked, country))


def _read_said(name: str, asked: Asked, country: str) -> Said:
    return Said(has=_one(f"{name}.has", asked), empty=_read_flag(f"{name}.empty", asked, country))


READERS: dict[type, Callable[[str, Asked, str], object]] = {
    Match: _read_match, Ids: _read_ids, Range: _read_range, Phones: _read_phones, Tags: _read_tags, Said: _read_said,
}  # fmt: skip


def _span(asked: Asked, zone: ZoneInfo, now: datetime) -> tuple[datetime | None, datetime | None]:
    name = _one("period", asked)
    since, until = _moment("since", asked, zone), _moment("until", asked, zone)
    if name and (since or until):
        raise BadFilter("period", "either a period, or since and until")
    if name and name not in PERIODS:
        raise BadFilter("period", "is one of {choices}", choices=", ".join(PERIODS))
    if since and until and since >= until:
        raise BadFilter("since", "must lie before until")
    return named_period(name, zone, now) if name else (since, until)


def _moment(name: str, asked: Asked, zone: ZoneInfo) -> datetime | None:
    text = _one(name, asked)
    try:
        return moment(text, zone, ends=name == "until") if text else None
    except Worded as error:
        raise BadFilter(name, error.template, **error.values) from None


def checked(name: str, value: str) -> str:
    """The value, if a text can have its characters. Raises BadFilter."""
    if len(value) > LONGEST_VALUE:
        raise BadFilter(name, "no longer than {most} characters", most=LONGEST_VALUE)
    if "\0" in value or any("\ud800" <= sign <= "\udfff" for sign in value):
        raise BadFilter(name, "has a character that no text can have")
    return value


def _words(values: list[str]) -> str:
    words = " ".join(values).split()
    if len(words) > MOST_WORDS:
        raise BadFilter("q", "no more than {most} words", most=MOST_WORDS)
    return " ".join(words)


def _one(name: str, asked: Asked) -> str:
    values = asked.get(name, [])
    if len(values) > 1:
        raise BadFilter(name, "only once")
    return values[0] if values else ""


def _id(name: str, text: str) -> int:
    least, most = NUMBERS_WITHIN.get(name.partition(".")[0], (0, LARGEST_ID))
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most):
        raise BadFilter(name, "is a whole number from {least} to {most}", least=least, most=most)
    return int(text)


def _number(name: str, asked: Asked) -> float | None:
    text = _one(name, asked)
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not -LARGEST_NUMBER <= number <= LARGEST_NUMBER:
        raise BadFilter(name, "is a number, with a point before decimals")
    return number


def unknown_filter(name: str, names: Collection[str]) -> BadFilter:
    """With what may be meant."""
    near = difflib.get_close_matches(name[:LONGEST_NAME], names, n=1)
    if near:
        return BadFilter(shown(name), "no such filter; is {near} meant?", near=near[0])
    return BadFilter(shown(name), "no such filter")


def shown(name: str) -> str:
    """A parameter's name as a message may have it: it, too, is sent by whoever."""
    return "".join(sign if sign.isprintable() else "?" for sign in name[:LONGEST_NAME])


def _names() -> Iterable[str]:
    yield from OWN_WORDS
    for name in Filters.__struct_fields__:
        if name in OWN_WORDS:
            continue
        for ending in OF_CHOICES if name in CHOICES else ENDINGS.get(KINDS.get(name, bool), ("",)):
            yield f"{name}.{ending}" if ending else name


NAMES: tuple[str, ...] = tuple(_names())
"""Every parameter of the language."""
LONGEST_NAME = max(len(name) for name in NAMES)


def to_query(filters: Filters) -> list[tuple[str, str]]:
    """What `parse` reads as the same filters: links from a report's figure to its rows, saved views."""
    items: list[tuple[str, str]] = []
    for name in sorted(filters.asked, key=Filters.__struct_fields__.index):
        items += dict.fromkeys(_told(name, getattr(filters, name)))
    return items


def _told(name: str, asked: object) -> Iterable[tuple[str, str]]:
    if isinstance(asked, datetime):
        yield name, asked.astimezone(UTC).isoformat().replace("+00:00", "Z")
    elif isinstance(asked, msgspec.Struct):
        for part, ending in PARTS.items():
            value = getattr(asked, part, None)
            for one in value if isinstance(value, tuple) else (value,):
                if one == "" and part == "any_of":
                    yield f"{name}.empty", "true"
                elif one not in {None, ""}:
                    yield f"{name}{ending}", _as_text(part, one)
    else:
        yield name, _as_text("", asked)


PARTS = {
    "any_of": "", "none_of": ".not", "has": ".has", "empty": ".empty", "least": ".min", "most": ".max", "whole": "",
    "parts": "",
}  # fmt: skip


def _as_text(part: str, value: object) -> str:
    if part == "whole" or (part == "parts" and not str(value).startswith("%")):
        return f"+{value}".rstrip("%")
    if part == "parts":
        return str(value).strip("%")
    return str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, float) else str(value)
