"""/reports/quality: how many calls are new callers' and how many were worth it, with what so few calls can tell."""

from __future__ import annotations

from typing import NamedTuple

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from markupsafe import Markup

from callrouter.reports import comparing
from callrouter.reports.figures import Share, share
from callrouter.web.api.filtered import Asking
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages import charts
from callrouter.web.pages.ground import Ground
from callrouter.web.pages.reports.columns import figure_table, rows_wanted, to_sources
from callrouter.web.pages.reports.days import Days, Stretch, ask_days
from callrouter.web.pages.reports.opened import Looking, opened, path_of
from callrouter.web.pages.reports.terms import FIGURE_NAMES
from callrouter.web.pages.words import N_

COLUMNS = (
    "calls", "unique_calls", "unique_share", "quality", "quality_share", "unique_quality", "mean_talk_s",
)  # fmt: skip
TILES = ("calls", "unique_share", "quality_share", "lost_share")
SHOWN = {
    "quality_share": ("quality", "calls"), "unique_share": ("unique_calls", "calls"), "lost_share": ("lost", "calls"),
    "conversion": ("visit_calls", "visits"),
}  # fmt: skip


LOW_TOP = 0.04
"""An axis that ends below has decimals."""


class BandRow(NamedTuple):
    """A stretch of days, for the chart and the table beside it."""

    name: str
    share: Share | None
    text: str
    interval: str
    counts: str
    vague: bool


class BandChart(NamedTuple):
    picture: Markup
    top: str
    half: str
    rows: list[BandRow]


def quality_handlers(ground: Ground, asking: Asking) -> list[HTTPRouteHandler]:
    @get(path_of("quality"))
    async def quality(request: AnyRequest) -> Response[bytes]:
        async with opened(ground, asking, request) as looking:
            days = await ask_days(looking)
            told, before = await looking.ask("channel", limit=rows_wanted(looking), order=looking.asked.order)
        show = looking.asked.own.get("show", "")
        show = show if show in SHOWN else "quality_share"
        earlier = before.total if before else None
        return looking.render(
            "quality", "report_quality.html", before=before, exports=looking.exports("channels", by="channel"),
            table=figure_table(looking, told, before, COLUMNS, link=to_sources(looking)), nothing=not told.total.calls,
            show=show, measures=[(name, FIGURE_NAMES[name]) for name in SHOWN], chart=_chart(looking, days, show),
            tiles=[(FIGURE_NAMES[name], looking.teller.cell(name, told.total, earlier, told.filter)) for name in TILES],
        )  # fmt: skip

    return [quality]


def _chart(looking: Looking, days: Days, show: str) -> BandChart:
    """A share over time, in the band in which the true one lies."""
    f = looking.view.formats
    rows = [_row(looking, stretch, show) for stretch in days.stretches]
    clear = [row.share.high for row in rows if row.share and not row.vague]
    top = min(1.0, charts.ceiling(max(clear, default=1.0)))
    title = looking.view.translated(FIGURE_NAMES[show])
    said = looking.view.translated(N_("With the interval in which the true share lies."))
    picture = charts.band([_point(row, top) for row in rows], top=top, title=title, desc=said)
    places = 0 if top >= LOW_TOP else 1
    return BandChart(picture, f.percent(top, places), f.percent(top / 2, places), rows)


def _row(looking: Looking, stretch: Stretch, show: str) -> BandRow:
    part, whole = (stretch.sum(name) for name in SHOWN[show])
    teller, found = looking.teller, share(part, whole)
    return BandRow(
        looking.view.formats.days(stretch.first, stretch.last), found, teller.text(show, found),
        teller.interval(found) if found else "", f"{part:g} / {whole:g}", found is None or comparing.is_vague(found),
    )  # fmt: skip


def _point(row: BandRow, top: float) -> charts.Point:
    if row.share is None:
        return charts.Point(None)
    name = f"{row.name}: {row.text} ({row.interval}), {row.counts}"
    return charts.Point(min(row.share.value, top), row.share.low, min(row.share.high, top), name, row.vague)
