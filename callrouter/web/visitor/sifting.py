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
SECRET = re.compile(r"pass|card|cc-|cv[vc]|secret|token|iban|ssn|snils|one-time|парол|карт", re.IGNORECASE)
CARD = re.compile(r"\b(?:\d[ -]?){12,18}\d\b")
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
    who = {role: _cut(given[role]) or found.get(role, "") for role, _, _ in ROLES}
    if comment := _cut(said.comment):
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
        secret = each.type.lower() in NEVER or SECRET.search(f"{each.autocomplete} {each.name}") or _has_card(value)
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


def _has_card(value: str) -> bool:
    """Whether a payment card's number stands in it: 13 to 19 digits whose check digit is right."""
    return any(_is_card("".join(filter(str.isdigit, found))) for found in CARD.findall(value))


def _is_card(digits: str) -> bool:
    doubled = (int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(digits)))
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0  # noqa: PLR2004 # Luhn's sum of digits
