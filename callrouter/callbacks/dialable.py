"""Whom a stranger may have called at the site's cost: ordinary numbers of the site's countries. Pure."""

from __future__ import annotations

import phonenumbers
from phonenumbers import PhoneNumberType

from callrouter.callbacks.settings import CallbackSettings
from callrouter.numbers import NotANumber, Number, parse_number

ORDINARY = frozenset((PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE, PhoneNumberType.FIXED_LINE_OR_MOBILE))
"""Premium, shared-cost, personal, paging, voice-mail, corporate and toll-free numbers are none of these."""
LONGEST = 40


class NotDialable(ValueError):
    """The reason is one of few words: it is an answer's `type` and a metric's label."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def dialable(text: str, settings: CallbackSettings, country: str) -> Number:
    """The number that `text` spells, if it may be dialled. Raises NotDialable.

    A number must be one that its country gives out, not merely of the right length: what is unknown is not dialled.
    """
    if len(text) > LONGEST or not text.isascii():
        raise NotDialable("bad-phone")
    try:
        number = parse_number(text, country)
    except NotANumber:
        raise NotDialable("bad-phone") from None
    parsed = phonenumbers.parse("+" + number, None)
    if not phonenumbers.is_valid_number(parsed):
        raise NotDialable("bad-phone")
    if phonenumbers.region_code_for_number(parsed) not in (settings.countries or (country,)):
        raise NotDialable("foreign-phone")
    if phonenumbers.number_type(parsed) not in ORDINARY:
        raise NotDialable("costly-phone")
    return number
