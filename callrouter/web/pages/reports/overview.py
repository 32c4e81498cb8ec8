"""/reports: how it went and what is to be done, at a glance; the page one looks at in the morning.

What is quick comes first; channels and missed callers follow by a script, or at once with `whole=yes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from markupsafe import Markup

from callrouter.reports.figures import JOURNAL_ROWS, Figures
from callrouter.reports.missed import read_missed
from callrouter.web.api.filtered import Asking
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages import charts
from callrouter.web.pages.appeal_words import LOST
from callrouter.web.pages.ground import Ground
from callrouter.web.pages.reports.columns import figure_table, to_sources
from callrouter.web.pages.reports.days import Days, Stretch, ask_days, revenue_of, rows_of
from callrouter.web.pages.reports.opened import BASE, Looking, opened
from callrouter.web.pages.reports.terms import FIGURE_HINTS, FIGURE_NAMES
from callrouter.web.pages.reports.told import BEHIND, Cell
from callrouter.web.pages.words import N_

TILES = (
    "appeals", "calls", "lost_share", "unique_calls", "quality", "visits", "conversion", "mean_wait_s", "revenue",
    "cost", "roi",
)  # fmt: skip
OF_MONEY = frozenset({"revenue", "cost", "roi"})
CHARTS = ("calls", "appeals", "unique_calls", "quality", "visits", "revenue")
CHANNELS, MISSED = 8, 8
CHANNEL_FIGURES = ("visits", "calls", "unique_calls", "quality", "lost_share", "conversion")


class Tile(NamedTuple):
    title: str
    hint: str
    cell: Cell
    spark: Markup


class Day(NamedTuple):
    """A row of the table beside the chart."""

    name: str
    value: str
    lost: str
    before: str
    href: str
    lost_href: str


class Chart(NamedTuple):
    picture: Markup
    top: str
    half: str
    first: str
    last: str
    days: list[Day]
    stacked: bool


def overview_handlers(ground: Ground, asking: Asking) -> list[HTTPRouteHandler]:
    @get(BASE)
    async def overview(request: AnyRequest) -> Response[bytes]:
        async with opened(ground, asking, request) as looking:
            days = await ask_days(looking)
            show = looking.asked.own.get("show")
            measure = show if show in CHARTS else "calls"
            whole = looking.asked.own.get("whole") == "yes"
            rest = await _rest(looking) if whole else {}
        return looking.render(
            "", "report_overview.html", before=days.compared, exports=looking.exports("days", by="day"),
            tiles=_tiles(looking, days), chart=_chart(looking, days, measure), measure=measure,
            measures=[(name, FIGURE_NAMES[name]) for name in CHARTS if name != "revenue" or days.told.total.money],
            nothing=not days.told.rows, whole=whole, rest_href=f"{BASE}/overview/rest?{looking.asked.query()}",
            **rest,
        )  # fmt: skip

    @get(f"{BASE}/overview/rest")
    async def rest(request: AnyRequest) -> Response[bytes]:
        """A part of the page, for its script."""
        async with opened(ground, asking, request) as looking:
            told = await _rest(looking)
        return looking.render("", "report_rest.html", **told)

    return [overview, rest]


async def _rest(looking: Looking) -> dict[str, Any]:
    told, before = await looking.ask("channel", limit=CHANNELS)
    table = figure_table(looking, told, before, CHANNEL_FIGURES, link=to_sources(looking), sortable=False)
    may_see = looking.view.may("appeals:read")
    missed = await read_missed(looking.conn, looking.scope, looking.asked.filters, MISSED + 1) if may_see else []
    return {
        "channels": table, "missed": missed[:MISSED], "more_missed": len(missed) > MISSED, "reasons": LOST,
    }  # fmt: skip


def _tiles(looking: Looking, days: Days) -> list[Tile]:
    said, teller = looking.view.translated, looking.teller
    before = days.compared.total if days.compared else None
    told = []
    for name in TILES:
        cell = teller.cell(name, days.told.total, before, days.told.filter)
        if name in OF_MONEY and teller.value(name, days.told.total) is None:
            continue
        hint = said(FIGURE_HINTS[name]) if name in FIGURE_HINTS else ""
        told.append(Tile(said(FIGURE_NAMES[name]), hint, cell, _spark(looking, days, name)))
    return told


def _spark(looking: Looking, days: Days, name: str) -> Markup:
    behind = BEHIND.get(name, name)
    if name == "revenue":
        revenue = revenue_of(looking)
        return charts.spark([revenue(stretch.now) for stretch in days.stretches])
    if name in {"mean_wait_s", "cost", "roi", "conversion"} or len(days.stretches) < 2:  # noqa: PLR2004 - no line
        return Markup()
    return charts.spark([stretch.sum(behind) for stretch in days.stretches])


def _chart(looking: Looking, days: Days, measure: str) -> Chart:
    f, stacked = looking.view.formats, measure == "calls"
    compares = days.compared is not None
    now = [_value(looking, stretch.now, measure) for stretch in days.stretches]
    before = [_value(looking, stretch.before, measure) for stretch in days.stretches]
    top = charts.ceiling(max([*now, *(before if compares else ())], default=0))
    told = [
        _day(looking, days, stretch, measure, (value, earlier))
        for stretch, value, earlier in zip(days.stretches, now, before, strict=True)
    ]
    bars = [
        charts.Bar(
            (value - stretch.sum("lost"), stretch.sum("lost")) if stacked else (value,),
            _spoken(looking, day, compares=compares, stacked=stacked), day.href, stretch.is_going_on,
        )
        for day, stretch, value in zip(told, days.stretches, now, strict=True)
    ]  # fmt: skip
    title = looking.view.translated(FIGURE_NAMES[measure])
    picture = charts.bars(bars, before if compares else [], top=top, title=title, desc=f"{title}: {f.number(sum(now))}")
    return Chart(
        picture, f.number(top), f.number(top / 2, 0 if (top / 2).is_integer() else 1),
        told[0].name, told[-1].name, told, stacked,
    )  # fmt: skip


def _value(looking: Looking, figures: Sequence[Figures], measure: str) -> float:
    if measure == "revenue":
        return revenue_of(looking)(figures)
    return sum(float(getattr(each, measure) or 0) for each in figures)


def _day(looking: Looking, days: Days, stretch: Stretch, measure: str, values: tuple[float, float]) -> Day:
    """`values`: now and before."""
    value, earlier = values
    f, teller = looking.view.formats, looking.teller
    lost = stretch.sum("lost")

    def link(figure: str, count: float) -> str:
        if figure not in JOURNAL_ROWS or not count or not looking.view.may("appeals:read"):
            return ""
        query = rows_of(looking, days.told, stretch, figure)
        return f"/journal?{query}" if query else ""

    return Day(
        f.days(stretch.first, stretch.last), teller.text(measure, value), teller.text("lost", lost),
        teller.text(measure, earlier), link(measure, value), link("lost", lost),
    )  # fmt: skip


def _spoken(looking: Looking, day: Day, *, compares: bool, stacked: bool) -> str:
    said = looking.view.translated
    parts = [f"{day.name}: {day.value}"]
    if stacked and day.lost != "0":
        parts.append(said(N_("{count} missed")).format(count=day.lost))
    if compares:
        parts.append(said(N_("before: {count}")).format(count=day.before))
    return ", ".join(parts)
