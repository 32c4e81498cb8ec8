"""The journal page's URL: filters, view, order, columns and place, read, written anew, and told as chips. Pure.

The URL is the page's whole state: it can be kept, sent to a colleague, and works without script.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple, cast
from urllib.parse import parse_qsl, urlencode

import msgspec

from callrouter.journal import query
from callrouter.journal.listing import SORTS, Sort
from callrouter.journal.period import PERIODS
from callrouter.journal.views import LONGEST_QUERY
from callrouter.web.pages.columns import COLUMNS

HERE = "/journal"
OWN = frozenset({"view", "sort", "columns", "after", "before", "field", "how", "value", "ids", "note"})
USUAL_SORT: Sort = "-started_at"
Item = tuple[str, str]


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """`items`: the filters. `after`, `before`: behind which row the page begins, in which direction."""

    items: tuple[Item, ...] = ()
    view: str = ""
    sort: Sort = USUAL_SORT
    columns: tuple[str, ...] = ()
    after: str = ""
    before: str = ""

    def path(self, base: str = HERE, **changed: object) -> str:
        """The same page but for what is changed; another order or other filters begin from the first row."""
        to = msgspec.structs.replace(self, **({"after": "", "before": ""} | changed))
        asked = to.told()
        return f"{base}?{urlencode(asked)}" if asked else base

    def told(self) -> list[Item]:
        own = (
            ("view", self.view), ("sort", "" if self.sort == USUAL_SORT else self.sort),
            ("columns", ",".join(self.columns)), ("after", self.after), ("before", self.before),
        )  # fmt: skip
        return [*((name, text) for name, text in own if text), *self.items]

    def without(self, *items: Item) -> str:
        """Nothing left but a view: then it is all appeals, for the view's name alone would bring its filters back."""
        left = tuple(item for item in self.items if item not in items)
        return self.path(items=left, view=self.view if left else "all")

    def values(self, name: str) -> list[str]:
        return [value for each, value in self.items if each == name]

    def value(self, name: str) -> str:
        return next(iter(self.values(name)), "")

    @property
    def is_start(self) -> bool:
        """The first page, the newest first: where new appeals appear."""
        return not self.after and not self.before and self.sort == USUAL_SORT


class Chip(NamedTuple):
    """A filter as it can be taken away."""

    item: Item
    field: str
    ending: str


def read(params: Iterable[Item]) -> tuple[Address, bool]:
    """What a query string asks; and whether it is written as we write it, or a form sent it and it is to be tidied."""
    sent = [(name, value.replace("\0", "")) for name, value in params]
    own = {name: value for name, value in sent if name in OWN}
    items = _tidied([(name, value.strip()) for name, value in sent if name not in OWN and value.strip()])
    if item := _picked(own):
        items.append(item)
    columns = [key for name, value in sent if name == "columns" for key in value.split(",") if key in COLUMNS]
    asked = Address(
        items=tuple(dict.fromkeys(items)), view=own.get("view", "")[:40],
        sort=cast(Sort, own["sort"]) if own.get("sort") in SORTS else USUAL_SORT,
        columns=tuple(dict.fromkeys(columns)), after=own.get("after", ""), before=own.get("before", ""),
    )  # fmt: skip
    is_tidy = sorted(asked.told()) == sorted(item for item in sent if item[0] not in {"ids", "note"})
    return asked, is_tidy


def _tidied(items: list[Item]) -> list[Item]:
    """A form sends a period and dates at once: a named period goes before, else the dates hold."""
    period = next((value for name, value in items if name == "period"), "")
    left_out = {"since", "until"} if period in PERIODS else {"period"} if period in {"", "dates"} else set()
    return [item for item in items if item[0] not in left_out]


def _picked(own: dict[str, str]) -> Item | None:
    """The filter by any field, which comes as three parts."""
    field, how, value = own.get("field", ""), own.get("how", ""), own.get("value", "").strip()
    name = f"{field}.{how}" if how else field
    if name not in query.NAMES or not value:
        return None
    return name, value


def chips(items: Sequence[Item]) -> list[Chip]:
    return [Chip(item, *_parts(item[0])) for item in items]


def _parts(name: str) -> tuple[str, str]:
    field, _, ending = name.partition(".")
    return field, ending


def is_day(text: str) -> bool:
    """As a date field of a form can show it."""
    try:
        return len(date.fromisoformat(text).isoformat()) == len(text)
    except ValueError:
        return False


def kept_apart(address: Address, single: Iterable[str], several: Iterable[str]) -> list[Item]:
    """Filters for which the form has no control, or not for so many values: it carries them along unseen."""
    shown = {name for name in single if len(address.values(name)) == 1} | set(several)
    return [
        (name, value) for name, value in address.items
        if name not in shown or (name in {"since", "until"} and not is_day(value))
    ]  # fmt: skip


def split(text: str) -> list[Item]:
    """A query string as it stands in a form or a view."""
    try:
        return parse_qsl(text[:LONGEST_QUERY], max_num_fields=query.MOST_VALUES)
    except ValueError:
        return []
