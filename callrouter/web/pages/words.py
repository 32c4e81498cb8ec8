"""The pages' words in each language: English stands in the code, Russian in `locale/ru.po`, compiled at first use."""

from __future__ import annotations

import gettext
import io
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Protocol, get_args

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from callrouter.people.model import Locale

FOLDER = Path(__file__).with_name("locale")
LOCALES: tuple[Locale, ...] = get_args(Locale)
NAMES: dict[Locale, str] = {"ru": "Русский", "en": "English"}
LONGEST_HEADER = 500


def N_(message: str) -> str:  # noqa: N802 - gettext's own name
    """Marks a text that is translated later, where it is shown."""
    return message


@cache
def words(locale: Locale) -> gettext.NullTranslations:
    file = FOLDER / f"{locale}.po"
    if not file.exists():
        return gettext.NullTranslations()
    compiled = io.BytesIO()
    with file.open("rb") as source:
        write_mo(compiled, read_po(source, locale=locale, abort_invalid=True))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


class Templated(Protocol):
    """What is said by a text that is translated before its values are put into it: Refused, NoSense, Fault."""

    @property
    def template(self) -> str: ...

    @property
    def values(self) -> Mapping[str, object]: ...


def refusal_in(locale: Locale, error: Templated) -> str:
    """What was refused, and why, in the reader's language where it has one."""
    told = words(locale).gettext(error.template)
    text = told.format(**error.values) if error.values else told
    return text[:1].upper() + text[1:]


def accepted(header: str) -> Locale:
    """The language that a browser would rather have (Accept-Language)."""
    wanted: list[tuple[float, Locale]] = []
    for part in header[:LONGEST_HEADER].split(","):
        match = re.fullmatch(r"\s*([a-zA-Z]{2})(?:-[\w-]+)?\s*(?:;\s*q=([01](?:\.\d{1,3})?)\s*)?", part)
        if match and (locale := known(match[1].lower())):
            wanted.append((float(match[2] or 1), locale))
    return max(wanted, key=lambda each: each[0])[1] if wanted else "en"


def known(text: str) -> Locale | None:
    return next((locale for locale in LOCALES if locale == text), None)
