"""What a site's script would replace in a text, worked out on the server: for its owner to try. Pure.

Reads numbers by the very patterns that `script` bakes into the site's script, and dresses as `widget.js` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from callrouter.numbers import Number, display_number
from callrouter.pool.directory import Site
from callrouter.web.widget.script import Baked, baked

BETWEEN = r"[\s().\u200b-\u2015\u2212/-]{0,4}"
"""`~` of a pattern, as in widget.js."""
LONGEST = 5000
MOST = 100


class Piece(NamedTuple):
    """A stretch of the text; `shown`: what would stand there instead, if it is one of the site's own numbers."""

    text: str
    shown: str | None = None


def tried(site: Site, text: str, number: Number) -> list[Piece]:
    """The text in pieces, as a visitor who was leased `number` would read it."""
    known = baked(site)
    pieces, at = list[Piece](), 0
    for start, end in _spans(known, text[:LONGEST]):
        if start > at:
            pieces.append(Piece(text[at:start]))
        pieces.append(Piece(text[start:end], _dressed(known, site, text[start:end], number)))
        at = end
    rest = text[at:LONGEST]
    return [*pieces, Piece(rest)] if rest else pieces


def _spans(known: Baked, text: str) -> Iterator[tuple[int, int]]:
    core, prefix = (re.compile(pattern.replace("~", BETWEEN)) for pattern in (known.core, known.prefix))
    found = 0
    for hit in core.finditer(text):
        before = prefix.search(text[: hit.start()]) if found < MOST else None
        if before is not None and not text[hit.end() : hit.end() + 1].isdigit():
            found += 1
            yield hit.start() - len(before[1]), hit.end()


def _dressed(known: Baked, site: Site, text: str, number: Number) -> str:
    """In the clothes of what stood there: prefix, brackets and separators stay; else as the site shows numbers."""
    digits = "".join(filter(str.isdigit, text))
    for code, trunk in known.plans:
        rest = number.removeprefix(code)
        ahead = digits[: -len(rest)] if len(digits) >= len(rest) else None
        if rest != number and ahead in ("", code, trunk, f"00{code}", f"{code}0"):
            places = iter(rest)
            skip = len(ahead)
            return "".join(_places(text, skip, places))
    return display_number(number, site.display_pattern)


def _places(text: str, skip: int, digits: Iterator[str]) -> Iterator[str]:
    for sign in text:
        if not sign.isdigit():
            yield sign
        elif skip:
            skip -= 1
            yield sign
        else:
            yield next(digits)
