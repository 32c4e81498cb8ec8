"""Why a filter does not fit, in the reader's words: the field's name instead of the parameter's. Knows no page."""

from __future__ import annotations

from callrouter.journal.query import BadFilter
from callrouter.web.pages.appeal_words import ENDINGS, FIELD_NAMES
from callrouter.web.pages.ground import View
from callrouter.web.pages.words import told_in
from callrouter.wording import Worded


def filter_trouble(view: View, error: Worded | None) -> str:
    """Empty: nothing is wrong."""
    if error is None:
        return ""
    if not isinstance(error, BadFilter):
        return str(told_in(view.locale, error))
    field, _, ending = error.name.partition(".")
    said = view.translated
    name = said(FIELD_NAMES[field]) if field in FIELD_NAMES else error.name
    how = f" ({said(ENDINGS[ending])})" if field in FIELD_NAMES and ending in ENDINGS and ending else ""
    return f"{name}{how}: {told_in(view.locale, error.reason)}"
