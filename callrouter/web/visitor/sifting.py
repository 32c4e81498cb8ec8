"""What of a form is kept, and which field is what. Pure. The page has sifted before; here it is made sure of.

Passwords, cards and codes are dropped by type, by autocomplete, by name, and by what stands in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from callrouter.web.visitor.messages import FIELDS_LIMIT, ID_LIMIT, VALUE_LIMIT, FormField, FormRequest

Role = Literal["phone", "email", "person"]

NEVER = frozenset({"password", "hidden", "file", "submit", "button", "reset", "image"})
SECRET = re.compile(
    r"pass|card|cc-|cv[vc]|csc|secret|token|csrf|iban|ssn|snils|one-time|otp(?![or])|pin(?![git])"
    r"|(?:sms|security|verif\w*|confirm\w*)[-_ ]?code|парол|карт|паспорт|снилс|пин-?код|код.{0,6}(?:смс|sms)",
    re.IGNORECASE,
)
"""Shipping, opting in and footprints are none."""
DIGITS = re.compile(r"\d(?:[\s./_\u2010-\u2015\u2212-]{0,3}\d){12,}")
"""Long enough for a card's number, however it is grouped; more may stand behind it, such as its last month."""
GROUP = re.compile(r"\d+")
CARD_LENGTHS = range(13, 20)
WHOLE_GROUP = 4
"""A card's number that is written in groups begins with no shorter one; telephone numbers do."""
ROLES: tuple[tuple[Role, str, re.Pattern[str]], ...] = (
    ("phone", "tel", re.compile(r"phone|\btel|mobile|телефон", re.IGNORECASE)),
    ("email", "email", re.compile(r"e-?mail|почт", re.IGNORECASE)),
    ("person", "name", re.compile(r"^(your[-_ ]?|first[-_ ]?|full[-_ ]?)?name$|^(fio|фио|имя)$", re.IGNORECASE)),
)


class Sifted(msgspec.Struct, frozen=True, kw_only=True):
    phone: str = ""
    email: str = ""
    person: str = ""
    fields: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self.phone or self.email or self.person or self.fields)


def sift(said: FormRequest) -> Sifted:
    """What the form says: who, and everything else that may be kept."""
    found: dict[Role, str] = {}
    fields: dict[str, str] = {}
    for each in _kept(_fields(said)):
        role = _role(each)
        if role and role not in found:
            found[role] = each.value
        fields[each.name] = f"{fields[each.name]}, {each.value}" if each.name in fields else each.value
    given = {"phone": said.phone, "email": said.email, "person": said.name}
    who = {role: without_cards(_cut(given[role])) or found.get(role, "") for role, _, _ in ROLES}
    if comment := without_cards(_cut(said.comment)):
        fields["comment"] = comment
    return Sifted(fields=fields, **who)


def _fields(said: FormRequest) -> list[FormField]:
    if isinstance(said.fields, dict):
        return [FormField(name=name, value=value) for name, value in said.fields.items()]
    return said.fields


def _kept(fields: Iterable[FormField]) -> Iterator[FormField]:
    kept = 0
    for each in fields:
        value = _cut(each.value)
        secret = (
            each.type.strip().lower() in NEVER or SECRET.search(f"{each.autocomplete} {each.name}") or _has_card(value)
        )
        if each.name and value and not secret:
            kept += 1
            if kept > FIELDS_LIMIT:
                return
            yield msgspec.structs.replace(each, name=each.name[:ID_LIMIT], value=value)


def _cut(text: str) -> str:
    return text.strip()[:VALUE_LIMIT]


def _role(field: FormField) -> Role | None:
    for role, kind, names in ROLES:
        if field.type.lower() == kind or field.autocomplete.lower() == kind or names.search(field.name):
            return role
    return None


def without_cards(text: str) -> str:
    """The text with `*` for each digit of a payment card's number in it."""
    for start, end in reversed(list(_cards(text))):
        text = text[:start] + re.sub(r"\d", "*", text[start:end]) + text[end:]
    return text


def _has_card(value: str) -> bool:
    return next(_cards(value), None) is not None


def _cards(text: str) -> Iterator[tuple[int, int]]:
    """Where payment cards' numbers stand: whole groups of 13 to 19 digits together whose check digit is right."""
    for run in DIGITS.finditer(text):
        if text[: run.start()].endswith("+"):  # a telephone number of another country may be as long
            continue
        groups = [(found.start(), found.end()) for found in GROUP.finditer(text, *run.span())]
        free = run.start()
        for first, (start, _) in enumerate(groups):
            if start >= free and (end := _card_from(text, groups[first:], at_once=first == 0)):
                yield start, end
                free = end


def _card_from(text: str, groups: list[tuple[int, int]], *, at_once: bool) -> int:
    """Where the card's number ends that begins with the first group; 0: none does. `at_once`: a run begins there."""
    digits = ""
    for number, (start, end) in enumerate(groups, 1):
        digits += text[start:end]
        if len(digits) >= CARD_LENGTHS.stop:
            break
        whole = at_once and number == len(groups)
        long_enough = groups[0][1] - groups[0][0] >= WHOLE_GROUP
        if len(digits) in CARD_LENGTHS and (long_enough or whole) and _is_card(digits):
            return end
    return 0


def _is_card(digits: str) -> bool:
    doubled = (int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(digits)))
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0  # noqa: PLR2004 # Luhn's sum of digits
