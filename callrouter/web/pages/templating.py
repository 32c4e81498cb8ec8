"""Templates in each language: what pages and letters are rendered with. Knows no request."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from callrouter import __version__
from callrouter.people.model import Locale
from callrouter.web.pages import files
from callrouter.web.pages.words import NAMES, words

TEMPLATES = Path(__file__).with_name("templates")
ICONS = Path(__file__).with_name("icons.svg")
ICON = re.compile(r'<symbol id="([\w-]+)" viewBox="0 0 16 16">(.*?)</symbol>', re.DOTALL)
BETWEEN_TAGS = re.compile(r">\s*\n\s*<")


@cache
def templates(locale: Locale) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, auto_reload=False,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"], trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.policies["ext.i18n.trimmed"] = True
    said = words(locale)
    environment.install_gettext_callables(  # type: ignore[attr-defined] # the extension adds it
        said.gettext, said.ngettext, newstyle=True, pgettext=said.pgettext, npgettext=said.npgettext
    )
    environment.globals |= {
        "static": files.sent_as, "locale": locale, "languages": NAMES, "version": __version__, "icons": icons(),
    }  # fmt: skip
    environment.filters |= {"lines": _lines, "tight": _tight}
    return environment


@cache
def icons() -> dict[str, Markup]:
    """What is drawn in each: within a page, for a hundred references to a file cost a browser a third more."""
    return {name: Markup(drawn) for name, drawn in ICON.findall(ICONS.read_text())}  # noqa: S704 - our own file


def _tight(html: Markup) -> Markup:
    """Without the line breaks between tags: in long tables they are as many nodes as all that is seen."""
    return Markup(BETWEEN_TAGS.sub("><", html))  # noqa: S704 - nothing is added


def _lines(text: str) -> Markup:
    """Text of several lines as it was written."""
    return Markup("<br>").join(text.splitlines())
