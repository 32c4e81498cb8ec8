"""What a page of reports was asked for, and links that ask for something else. Knows no database and no page.

A page's query is the journal's, with the few parameters of its own that stand here: so a link to the journal, to an
export or to the next level keeps what was asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import get_args
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec

from callrouter.appeals.credit import MODELS, Model
from callrouter.journal.filters import Filters
from callrouter.journal.query import BadFilter
from callrouter.reports.figures import Order
from callrouter.reports.span import USUAL, report_filters, span

Items = tuple[tuple[str, str], ...]
OWN = ("model", "compare", "by", "sort", "show", "currency", "whole", "account", "note")
KEPT = ("model", "compare", "currency")
"""Of a page's own parameters, those that the next page keeps."""
SPAN = ("period", "since", "until")
ADDED = ("field", "how", "value")
"""A filter in its parts, as a form sends it."""
OTHER = frozenset((*OWN, *SPAN, *ADDED))
ADDABLE = (
    "channel", "source", "medium", "campaign", "keyword", "content", "landing_page", "location", "device", "group",
    "employee", "page", "referrer",
)  # fmt: skip
HOW = ("", "not", "has")
ORDERS: tuple[Order, ...] = get_args(Order)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """`items`: the filters as they were sent, without the period; `trouble`: what of them made no sense."""

    filters: Filters
    zone: ZoneInfo
    items: Items = ()
    period: str = ""
    """A named one; '' : from day to day, or from time to time."""
    span_items: Items = ()
    own: dict[str, str] = {}
    trouble: BadFilter | None = None

    @property
    def model(self) -> Model:
        return next((model for model in MODELS if model == self.own.get("model")), "last_click")

    @property
    def compares(self) -> bool:
        return self.own.get("compare") != "none"

    @property
    def order(self) -> Order | None:
        return next((order for order in ORDERS if order == self.own.get("sort")), None)

    @property
    def since(self) -> datetime:
        return span(self.filters)[0]

    @property
    def until(self) -> datetime:
        return span(self.filters)[1]

    @property
    def first(self) -> date:
        return self.since.astimezone(self.zone).date()

    @property
    def last(self) -> date:
        """The day in which the period ends."""
        return (self.until - timedelta(microseconds=1)).astimezone(self.zone).date()

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def everything(self) -> Items:
        """What a form sends along that only adds something."""
        return (*self.span_items, *self.items, *self.own.items())

    def query(self, **changes: str | None) -> str:
        """This page's parameters with others in their place; None: without it."""
        own = {name: value for name, value in self.own.items() if name in KEPT or name in changes}
        return self._written([*self.span_items, *self.items, *own.items()], changes)

    def here(self, **changes: str | None) -> str:
        """The same, with all that this page alone has."""
        return self._written([*self.span_items, *self.items, *self.own.items()], changes)

    def in_period(self, name: str) -> str:
        return urlencode([("period", name), *self.items, *self.own.items()])

    def without(self, name: str, value: str) -> str:
        items = [item for item in self.items if item != (name, value)]
        return urlencode([*self.span_items, *items, *self.own.items()])

    def within(self, values: Iterable[tuple[str, str | int | None]], **changes: str | None) -> str:
        """What is asked of the rows that have these values; '' and None: those that have none."""
        chosen = dict(values)
        items = [(name, value) for name, value in self.items if name.partition(".")[0] not in chosen]
        items += [
            (name, str(value)) if value not in ("", None) else (f"{name}.empty", "true")
            for name, value in chosen.items()
        ]
        own = [(name, value) for name, value in self.own.items() if name in KEPT]
        return self._written([*self.span_items, *items, *own], changes)

    def for_export(self, file_format: str, **more: str | Sequence[str]) -> str:
        """What the API is asked for the same figures."""
        items: list[tuple[str, str]] = [*self.span_items, *self.items, ("format", file_format)]
        if self.model != "last_click":
            items.append(("model", self.model))
        if file_format == "csv":
            items.append(("bom", "true"))
        for name, value in more.items():
            items += [(name, each) for each in ([value] if isinstance(value, str) else value)]
        return urlencode(items)

    @staticmethod
    def _written(items: Iterable[tuple[str, str]], changes: dict[str, str | None]) -> str:
        kept = [(name, value) for name, value in items if name not in changes]
        return urlencode([*kept, *((name, value) for name, value in changes.items() if value)])


def asked_in(query: Iterable[tuple[str, str]], *, zone: ZoneInfo, now: datetime, country: str) -> Asked:
    """What makes no sense is told beside the report of the usual period, which then has no filters."""
    said = [(name, value) for name, value in query if value]
    own = {name: value for name, value in said if name in OWN}
    spans = tuple(item for item in said if item[0] in SPAN)
    if any(name in {"since", "until"} for name, _ in spans):
        spans = tuple(item for item in spans if item[0] != "period")
    items = tuple(dict.fromkeys((*(item for item in said if item[0] not in OTHER), *_added(dict(said)))))
    trouble = None
    try:
        filters = report_filters([*spans, *items], zone=zone, now=now, country=country)
    except BadFilter as error:
        spans, items, trouble = (), (), error
        filters = report_filters([], zone=zone, now=now, country=country)
    period = dict(spans).get("period", "" if spans else USUAL)
    return Asked(
        filters=filters, zone=zone, items=items, period=period, span_items=spans, own=own, trouble=trouble
    )  # fmt: skip


def _added(said: dict[str, str]) -> Items:
    """The filter that was put together from its three parts."""
    field, how, value = (said.get(name, "").strip() for name in ADDED)
    return ((f"{field}.{how}" if how else field, value),) if field in ADDABLE and how in HOW and value else ()
