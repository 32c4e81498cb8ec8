"""Telephone numbers as people search for them: whole in any spelling, or the part they remember. Pure."""

from __future__ import annotations

import phonenumbers

from callrouter.journal.filters import Phones
from callrouter.numbers import NotANumber, parse_number
from callrouter.wording import Worded

SHORTEST_PART = 3
SHORTEST_WHOLE = 10
LONGEST = 64


def phones(texts: tuple[str, ...], country: str, *, empty: bool | None = None) -> Phones:
    """Raises Worded for what has too few digits to search by.

    >>> phones(("8 (495) 223-27-25", "27-25"), "RU")
    Phones(whole=('74952232725',), parts=('%2725%',))
    """
    whole: list[str] = []
    parts: list[str] = []
    for text in (text[:LONGEST].strip() for text in texts):
        number = _whole(text, country)
        if number:
            whole.append(number)
        else:
            parts += _parts(text, country)
    return Phones(whole=tuple(dict.fromkeys(whole)), parts=tuple(dict.fromkeys(parts)), empty=empty)


def _whole(text: str, country: str) -> str | None:
    """A few digits are a part, though some country may have such numbers."""
    if len(_digits(text)) < SHORTEST_WHOLE and not text.startswith("+"):
        return None
    try:
        return parse_number(text, country)
    except NotANumber:
        return None


def _parts(text: str, country: str) -> list[str]:
    """The digits wherever they stand; and where they begin as one dials at home, the number that begins so."""
    digits = _digits(text)
    if len(digits) < SHORTEST_PART:
        raise Worded("give a number, or at least {least} of its digits", least=SHORTEST_PART)
    if text.startswith("+"):
        return [f"{digits}%"]
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(country)
    prefix = metadata.national_prefix if metadata else None
    code = phonenumbers.country_code_for_region(country)
    if prefix and code and digits.startswith(prefix) and len(digits) > len(prefix) + SHORTEST_PART:
        return [f"%{digits}%", f"{code}{digits[len(prefix) :]}%"]
    return [f"%{digits}%"]


def _digits(text: str) -> str:
    return "".join(sign for sign in text if sign.isascii() and sign.isdigit())
