"""A page of reports in the making: who looks at whose figures, on one snapshot, and what all these pages show alike."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from typing import NamedTuple

from litestar import Response

from callrouter.appeals.credit import MODELS
from callrouter.db.connect import Connection
from callrouter.reports.asking import Answer, Compared, Question, answer, compared
from callrouter.reports.facts import Scope
from callrouter.reports.figures import Dimension, Order
from callrouter.reports.names import site_names
from callrouter.web.api.filtered import Asking, known_clock
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.appeal_words import ENDINGS, FIELD_NAMES, PERIODS, VALUES
from callrouter.web.pages.filter_trouble import filter_trouble
from callrouter.web.pages.ground import Ground, View
from callrouter.web.pages.reports.asked import ADDABLE, HOW, Asked, asked_in
from callrouter.web.pages.reports.terms import (
    ANYTHING,
    DIMENSION_NAMES,
    MODEL_NAMES,
    MODEL_TEXTS,
    NOTHING,
    SHORT_TITLES,
    SHOWN_PERIODS,
    TITLES,
)
from callrouter.web.pages.reports.told import Teller
from callrouter.web.pages.words import N_

BASE = "/reports"
API = "/api/v1/reports"
CURRENCY = re.compile(r"[A-Z]{3}")
FORMATS = ("csv", "xlsx", "json")


class Chip(NamedTuple):
    """A filter that holds, and the page without it."""

    text: str
    href: str


class Export(NamedTuple):
    text: str
    href: str


class Looking:
    """One request for a page of reports."""

    def __init__(
        self, view: View, conn: Connection, scope: Scope, *, asked: Asked, sites: Mapping[int, str], now: datetime
    ) -> None:
        self.view, self.conn, self.scope, self.asked, self.sites, self.now = view, conn, scope, asked, sites, now
        wanted = asked.own.get("currency", "")
        self.currency = wanted if CURRENCY.fullmatch(wanted) else view.currency
        self.teller = Teller(view, self.currency)

    async def ask(
        self, *by: Dimension, limit: int = 1000, order: Order | None = None, compares: bool = True
    ) -> tuple[Answer, Compared | None]:
        """Beside the period before, if the reader wants that."""
        question = Question(filters=self.asked.filters, by=by, model=self.asked.model, limit=limit, order=order)
        if self.asked.compares and compares:
            return await compared(self.conn, self.scope, question, self.now)
        return await answer(self.conn, self.scope, question), None

    def named(self, dimension: str, value: object) -> str:
        """A value of a dimension as people say it."""
        said = self.view.translated
        if value is None or value == "":
            return said(NOTHING)
        if dimension == "site":
            return self.sites.get(int(str(value)), str(value))
        if dimension == "day":
            return self.view.formats.day(date.fromisoformat(str(value)))
        words = VALUES.get(dimension, {})
        return said(words[str(value)]) if str(value) in words else str(value)

    def render(
        self, page: str, template: str, *, exports: Sequence[Export] = (), before: Compared | None = None,
        **values: object,
    ) -> Response[bytes]:  # fmt: skip
        """`page`: its name in TITLES."""
        asked, f = self.asked, self.view.formats
        return self.view.render(
            template, status=400 if asked.trouble else 200, asked=asked, here=path_of(page), page=page,
            page_title=TITLES[page], trouble=filter_trouble(self.view, asked.trouble),
            tabs=[(path_of(name), title, name == page) for name, title in SHORT_TITLES.items()],
            periods=[
                (name, PERIODS[name], f"?{asked.in_period(name)}", name == asked.period) for name in SHOWN_PERIODS
            ],
            span=f.days(asked.first, asked.last), before=before, before_span=self._before_span(before),
            chips=self._chips(), sites=self.sites, models=[(model, MODEL_NAMES[model]) for model in MODELS],
            model_text=MODEL_TEXTS[asked.model], dimension_names=DIMENSION_NAMES, exports=exports,
            fields=[(name, FIELD_NAMES[name]) for name in ADDABLE], endings=[(name, ENDINGS[name]) for name in HOW],
            teller=self.teller, looking=self, currency=self.currency, **values,
        )  # fmt: skip

    def exports(self, name: str, **more: str | Sequence[str]) -> list[Export]:
        """Links to the API's files of the same figures, for the same account."""
        if self.view.looked_at:
            more["account"] = str(self.view.whose)
        if self.asked.compares and "by" in more:
            more["compare"] = "previous"
        return [Export(kind.upper(), f"{API}/{name}?{self.asked.for_export(kind, **more)}") for kind in FORMATS]

    def _before_span(self, before: Compared | None) -> str:
        if before is None:
            return ""
        f = self.view.formats
        local = before.until.astimezone(self.scope.zone)
        first = before.since.astimezone(self.scope.zone).date()
        if self.asked.since < self.now < self.asked.until:
            return self.view.translated(N_("{span}, up to {time}")).format(
                span=f.days(first, local.date()), time=f.clock(local)
            )
        return f.days(first, (local - timedelta(microseconds=1)).date())

    def _chips(self) -> list[Chip]:
        said = self.view.translated
        chips = []
        for name, value in self.asked.items:
            if name == "site":
                continue  # is chosen in the form
            field, _, ending = name.partition(".")
            compares = ": " if ending in {"", "empty"} else f" {said(ENDINGS[ending])} "
            told = said(NOTHING if value == "true" else ANYTHING) if ending == "empty" else self.named(field, value)
            chips.append(
                Chip(f"{said(FIELD_NAMES.get(field, field))}{compares}{told}", f"?{self.asked.without(name, value)}")
            )
        return chips


def path_of(page: str) -> str:
    return f"{BASE}/{page}" if page else BASE


@asynccontextmanager
async def opened(ground: Ground, asking: Asking, request: AnyRequest) -> AsyncIterator[Looking]:
    """Whoever may see reports, a snapshot of the account that he looks at, and what he asked for."""
    view = await ground.open(request, "reports:read")
    async with asking.of(view.caller, view.whose, snapshot=True) as (conn, whose):
        clock = await known_clock(conn, whose)
        now = asking.clock.now()
        asked = asked_in(request.query_params.items(), zone=clock.zone, now=now, country=clock.country)
        sites = await site_names(conn, whose)
        yield Looking(view, conn, Scope(whose, clock.zone), asked=asked, sites=sites, now=now)
