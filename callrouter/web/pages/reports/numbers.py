"""/reports/numbers: which numbers ring, static ones above all, and whether pools had enough of them."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlencode

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from callrouter.journal.filters import Filters, Phones
from callrouter.journal.query import BadFilter, parse, to_query
from callrouter.reports import comparing
from callrouter.reports.figures import Share, rows_behind
from callrouter.reports.names import pool_names
from callrouter.reports.numbers import NumberUse, numbers_used, pools_used, sites_served
from callrouter.web.api.filtered import Asking
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages import charts
from callrouter.web.pages.ground import Ground
from callrouter.web.pages.reports.columns import ALL, MOST_SHOWN, ROWS
from callrouter.web.pages.reports.opened import Looking, opened, path_of
from callrouter.web.pages.reports.told import Cell

STATIC = "static"


class Used(NamedTuple):
    """A number's row, with the query of the journal's rows behind its figures."""

    use: NumberUse
    rows: dict[str, str]
    lost: Cell


def number_handlers(ground: Ground, asking: Asking) -> list[HTTPRouteHandler]:
    @get(path_of("numbers"))
    async def numbers(request: AnyRequest) -> Response[bytes]:
        async with opened(ground, asking, request) as looking:
            asked, conn, account = looking.asked, looking.conn, looking.scope.account
            only_static = asked.own.get("by") == STATIC
            most = MOST_SHOWN if asked.own.get("show") == ALL else ROWS
            found = await numbers_used(conn, looking.scope, asked.filters, only_static=only_static, limit=most + 1)
            pools = await pools_used(conn, account, asked.since, asked.until)
            visited = await sites_served(conn, account, asked.since, asked.until)
            names = await pool_names(conn, [pool.pool for pool in pools])
        return looking.render(
            "numbers", "report_numbers.html", exports=looking.exports(STATIC if only_static else "numbers"),
            used=[_used(looking, use) for use in found[:most]], more=len(found) > most, only_static=only_static,
            pools=pools, pool_names=names,
            visited=[(site, share_cell(looking, site.overflow_share)) for site in visited],
        )  # fmt: skip

    return [numbers]


def _used(looking: Looking, use: NumberUse) -> Used:
    row = number_filter(looking.asked.filters, use.number, looking)
    counted = {"calls": use.calls, "unique_calls": use.unique_calls, "quality": use.quality, "lost": use.lost}
    rows = {name: f"/journal?{rows_behind(row, name)}" for name, count in counted.items() if row and count}
    return Used(use, rows, share_cell(looking, use.lost_share)._replace(href=rows.get("lost", "")))


def number_filter(filters: Filters, number: str, looking: Looking) -> str:
    """The query of the appeals on one number; '' where the journal would read it as something else."""
    wanted = msgspec.structs.replace(filters, called=Phones(whole=(number,)), spam=False)
    query = to_query(wanted)
    try:
        is_same = parse(query, zone=looking.scope.zone, now=looking.now) == wanted
    except BadFilter:
        is_same = False
    return urlencode(query) if is_same and looking.view.may("appeals:read") else ""


def share_cell(looking: Looking, value: Share | None) -> Cell:
    if value is None:
        return Cell("—")
    teller, vague = looking.teller, comparing.is_vague(value)
    picture = charts.whisker(value.value, value.low, value.high, top=1.0, vague=vague)
    return Cell(teller.text("lost_share", value), interval=teller.interval(value), vague=vague, picture=picture)
