"""Telephone numbers: any spelling → E.164 without the plus, and back to how a site shows it. Knows no calls."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import NamedTuple, NewType

import phonenumbers

from callrouter.wording import Worded

Number = NewType("Number", str)
"""E.164 without the plus, digits only: `74952232725`."""

EXTENSION_DIGITS = 6
"""Up to so many digits are an internal extension (or a short code), never an outside number."""
REMEMBERED = 16384
"""Spellings whose meaning is kept, of 200 bytes each: a call asks for its two several times, and callers are many."""
INTERNATIONAL = "ZZ"
"""In place of a country: the text is E.164 already, with a plus or without."""


class NotANumber(Worded):
    """The text is no telephone number, or not a full one in the given country."""


@lru_cache(maxsize=REMEMBERED)
def parse_number(text: str, country: str) -> Number:
    """The number that `text` spells, dialled from `country` (ISO 3166, e.g. "RU", or INTERNATIONAL).

    Raises NotANumber for an extension, a withheld number, or anything that is not a possible number.
    """
    if country != INTERNATIONAL and _is_e164(text, country):
        return Number(text)
    spelled = text.strip()
    digits = "".join(filter(str.isdigit, spelled))
    if not digits.isascii() or len(digits) <= EXTENSION_DIGITS:
        raise NotANumber("{text!r} is not a telephone number", text=text)
    if spelled.startswith("00"):
        spelled = "+" + spelled[2:]
    elif country == INTERNATIONAL:
        spelled = "+" + digits
    try:
        parsed = phonenumbers.parse(spelled, country)
        if not _is_whole(parsed) and not spelled.startswith("+"):
            parsed = phonenumbers.parse("+" + digits, None)
    except phonenumbers.NumberParseException:
        raise NotANumber("{text!r} is not a telephone number", text=text) from None
    if not _is_whole(parsed):
        raise NotANumber(
            "{text!r} has too few or too many digits for a telephone number of {country}", text=text, country=country
        )
    return Number(f"{parsed.country_code}{phonenumbers.national_significant_number(parsed)}")


class _Plan(NamedTuple):
    """What decides about a number that begins with its country's own calling code."""

    code: str
    national: re.Pattern[str]
    lengths: frozenset[int]
    prefix: re.Pattern[str]
    """Of what is dialled before a number, abroad or at home."""


@cache
def _plan(country: str) -> _Plan | None:
    """None where the code is shared and another country is its main one."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(country)
    described = metadata.general_desc if metadata is not None else None
    if metadata is None or described is None or described.national_number_pattern is None:
        return None
    if phonenumbers.region_code_for_country_code(metadata.country_code or 0) != country:
        return None
    prefixes = filter(None, (metadata.international_prefix, metadata.national_prefix_for_parsing))
    return _Plan(
        code=str(metadata.country_code),
        national=re.compile(described.national_number_pattern),
        lengths=frozenset(described.possible_length),
        prefix=re.compile("|".join(f"(?:{prefix})" for prefix in prefixes) or r"(?!)"),
    )


def _is_e164(text: str, country: str) -> bool:
    """Whether it is surely a whole number of that country, digits only, its calling code first: as trunks send it.

    True only where the library, which takes its time, would find the same; whatever is in doubt is left to it.
    """
    plan = _plan(country)
    if plan is None or not (text.isascii() and text.isdigit() and text.startswith(plan.code)):
        return False
    rest = text[len(plan.code) :]
    return (
        len(rest) in plan.lengths
        and len(text) > EXTENSION_DIGITS
        and rest[0] != "0"
        and plan.national.fullmatch(rest) is not None
        and plan.national.fullmatch(text) is None
        and plan.prefix.match(text) is None
        and plan.prefix.match(rest) is None
    )


def _is_whole(parsed: phonenumbers.PhoneNumber) -> bool:
    """Possible with its area code; a local number would be another one elsewhere."""
    return phonenumbers.is_possible_number_with_reason(parsed) == phonenumbers.ValidationResult.IS_POSSIBLE


def party(text: str, country: str) -> str | None:
    """A call's party as a call record stores it: E.164, an extension as it is, None when withheld (rules.md §1)."""
    spelled = text.strip()
    if not any(sign.isdigit() and sign != "0" for sign in spelled):
        return None  # carriers also write zeros for a withheld number
    try:
        return parse_number(spelled, country)
    except NotANumber:
        return spelled


def display_number(number: Number, pattern: str = "") -> str:
    """`number` for a reader: by the site's pattern, whose `#` stand for the last digits, else internationally.

    >>> display_number(Number("74952232725"), "8 (###) ###-##-##")
    '8 (495) 223-27-25'
    """
    places = pattern.count("#")
    if 0 < places <= len(number):
        digits = iter(number[-places:])
        return "".join(next(digits) if sign == "#" else sign for sign in pattern)
    return phonenumbers.format_number(
        phonenumbers.parse("+" + number, None), phonenumbers.PhoneNumberFormat.INTERNATIONAL
    )


def masked(number: str) -> str:
    """A number as logs may hold it: enough to find it in the inventory, too little to call it.

    >>> masked("74952232725")
    '7495…25'
    """
    return f"{number[:4]}…{number[-2:]}"
