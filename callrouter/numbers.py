"""Telephone numbers: any spelling → E.164 without the plus, and back to how a site shows it. Knows no calls."""

from __future__ import annotations

from functools import lru_cache
from typing import NewType

import phonenumbers

Number = NewType("Number", str)
"""E.164 without the plus, digits only: `74952232725`."""

EXTENSION_DIGITS = 6
"""Up to so many digits are an internal extension (or a short code), never an outside number."""


INTERNATIONAL = "ZZ"
"""In place of a country: the text is E.164 already, with a plus or without."""


class NotANumber(ValueError):
    """The text is no telephone number, or not a full one in the given country."""


@lru_cache(maxsize=65536)
def parse_number(text: str, country: str) -> Number:
    """The number that `text` spells, dialled from `country` (ISO 3166, e.g. "RU", or INTERNATIONAL).

    Raises NotANumber for an extension, a withheld number, or anything that is not a possible number.
    """
    spelled = text.strip()
    digits = "".join(filter(str.isdigit, spelled))
    if not digits.isascii() or len(digits) <= EXTENSION_DIGITS:
        raise NotANumber(f"{text!r} is not a telephone number")
    if spelled.startswith("00"):
        spelled = "+" + spelled[2:]
    elif country == INTERNATIONAL:
        spelled = "+" + digits
    try:
        parsed = phonenumbers.parse(spelled, country)
        if not _is_whole(parsed) and not spelled.startswith("+"):
            parsed = phonenumbers.parse("+" + digits, None)
    except phonenumbers.NumberParseException as error:
        raise NotANumber(f"{text!r} is not a telephone number: {error}") from None
    if not _is_whole(parsed):
        raise NotANumber(f"{text!r} has too few or too many digits for a telephone number of {country}")
    return Number(f"{parsed.country_code}{phonenumbers.national_significant_number(parsed)}")


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
