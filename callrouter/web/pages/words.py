"""The pages' words in each language: English stands in the code, Russian in `locale/ru.po`, compiled at first use."""

from __future__ import annotations

import gettext
import io
import re
from functools import cache
from pathlib import Path
from typing import get_args

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from callrouter import wording
from callrouter.people.model import Locale
from callrouter.wording import Lines, Templated

N_ = wording.N_
FOLDER = Path(__file__).with_name("locale")
LOCALES: tuple[Locale, ...] = get_args(Locale)
NAMES: dict[Locale, str] = {"ru": "Русский", "en": "English"}
LONGEST_HEADER = 500
MOST_LINES = 50
"""Of what is told on lines of their own; the command line tells them all."""


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


def refusal_in(locale: Locale, error: Templated) -> str:
    """What was refused, and why, in the reader's language."""
    text = str(told_in(locale, error))
    return text[:1].upper() + text[1:]


def told_in(locale: Locale, told: object) -> object:
    """What is templated, with all that stands in it; anything else as it is."""
    if isinstance(told, Lines):
        lines = "".join(f"\n{told_in(locale, each)}" for each in told[:MOST_LINES])
        return lines + (f"\n… + {len(told) - MOST_LINES}" if len(told) > MOST_LINES else "")
    if not isinstance(told, Templated):
        return told
    template = words(locale).gettext(told.template)
    values = {name: told_in(locale, value) for name, value in told.values.items()}
    return template.format(**values) if values else template


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
