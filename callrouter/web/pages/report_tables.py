"""Scheduled reports of numbers, pools and multichannel ways: asked, and as tables. The pages show the same rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from callrouter.appeals.credit import MODELS
from callrouter.db.connect import Connection
from callrouter.journal.filters import Filters
from callrouter.reports.asking import MOST_ROWS
from callrouter.reports.by_models import appeals_by_model
from callrouter.reports.facts import Scope
from callrouter.reports.figures import Share
from callrouter.reports.names import pool_names
from callrouter.reports.numbers import NumberUse, PoolUse, SiteUse, numbers_used, pools_used, sites_served
from callrouter.reports.paths import Assist, PathRow, read_assists, read_paths
from callrouter.web.pages.formats import DASH
from callrouter.web.pages.report_sheet import Column, Reader, Sheet, Text, Value
from callrouter.web.pages.report_words import ATTRIBUTION_NAMES, NOTHING
from callrouter.web.pages.words import N_


class Asking(NamedTuple):
    """Of which period, on whose snapshot. `filters` have it, too, and the site if there is one."""

    conn: Connection
    scope: Scope
    filters: Filters
    since: datetime
    until: datetime
    site: int | None


Show = Callable[[Reader], Sheet]
"""Puts what was counted into a reader's words: work for a thread."""


async def _numbers(asking: Asking, *, only_static: bool = False) -> Show:
    used = await numbers_used(asking.conn, asking.scope, asking.filters, only_static=only_static, limit=MOST_ROWS)
    return lambda reader: _sheet_of_numbers(reader, used)


async def _static(asking: Asking) -> Show:
    return await _numbers(asking, only_static=True)


async def _pools(asking: Asking) -> Show:
    used = await pools_used(asking.conn, asking.scope.account, asking.since, asking.until)
    names = await pool_names(asking.conn, [pool.pool for pool in used])
    return lambda reader: _sheet_of_pools(reader, used, names)


async def _sites(asking: Asking) -> Show:
    found = await sites_served(asking.conn, asking.scope.account, asking.since, asking.until)
    served = [each for each in found if asking.site in {None, each.site}]
    return lambda reader: _sheet_of_sites(reader, served)


async def _paths(asking: Asking) -> Show:
    found = await read_paths(asking.conn, asking.scope, asking.filters, MOST_ROWS)
    return lambda reader: _sheet_of_paths(reader, found)


async def _assists(asking: Asking) -> Show:
    found = await read_assists(asking.conn, asking.scope, asking.filters, MOST_ROWS)
    return lambda reader: _sheet_of_assists(reader, found)


async def _models(asking: Asking) -> Show:
    found = await appeals_by_model(asking.conn, asking.scope, asking.filters)
    return lambda reader: _sheet_of_models(reader, found)


ASKED: dict[str, Callable[[Asking], Awaitable[Show]]] = {
    "numbers": _numbers, "static": _static, "pools": _pools, "pool-sites": _sites, "paths": _paths,
    "assists": _assists, "models": _models,
}  # fmt: skip
"""By the names of `scheduled.model.TABLES`."""


def _sheet_of_numbers(reader: Reader, used: Sequence[NumberUse]) -> Sheet:
    return Sheet(
        keys=[
            Column(reader.said(N_("Number")), lambda value: reader.formats.phone(str(value))),
            *_columns(_or_dash, reader, N_("Channel"), N_("Source"), N_("Site")),
        ],
        figures=[
            *_columns(reader.counted, reader, N_("Calls"), N_("Unique"), N_("Quality"), N_("Missed")),
            *_columns(reader.percent, reader, N_("Share missed")), *_columns(reader.moment, reader, N_("Last call")),
        ],
        rows=[
            [
                use.number, reader.named("channel", use.channel), use.source, reader.named("site", use.site), use.calls,
                use.unique_calls, use.quality, use.lost, _share(use.lost_share), use.last_call_at,
            ]
            for use in used
        ],
    )  # fmt: skip


def _sheet_of_pools(reader: Reader, used: Sequence[PoolUse], names: Mapping[int, str]) -> Sheet:
    titles = N_("Leases"), N_("Numbers used"), N_("Leased at a time, on average"), N_("Taken away early")
    return Sheet(
        keys=_columns(_or_dash, reader, N_("Pool")),
        figures=_columns(reader.counted, reader, *titles),
        rows=[
            [names.get(use.pool, f"№ {use.pool}"), use.leases, use.numbers, round(use.mean_leased, 1), use.taken]
            for use in used
        ],
    )


def _sheet_of_sites(reader: Reader, served: Sequence[SiteUse]) -> Sheet:
    titles = N_("Visits"), N_("Shown a number of their own"), N_("Found no free number")
    return Sheet(
        keys=_columns(_or_dash, reader, N_("Site")),
        figures=[*_columns(reader.counted, reader, *titles), *_columns(reader.percent, reader, N_("Share of visits"))],
        rows=[
            [reader.named("site", use.site), use.visits, use.shown, use.overflow, _share(use.overflow_share)]
            for use in served
        ],
    )


def _sheet_of_paths(reader: Reader, paths: Sequence[PathRow]) -> Sheet:
    def way(row: PathRow) -> str:
        steps = (step.partition(" ") for step in row.path)
        return " → ".join(f"{reader.named('channel', channel)} {source}".strip() for channel, _, source in steps)

    return Sheet(
        keys=_columns(_or_dash, reader, N_("Way")),
        figures=_columns(reader.counted, reader, N_("Appeals"), N_("Quality")),
        rows=[[way(row), row.appeals, row.quality] for row in paths],
    )


def _sheet_of_assists(reader: Reader, assists: Sequence[Assist]) -> Sheet:
    return Sheet(
        keys=_columns(_or_dash, reader, N_("Channel"), N_("Source")),
        figures=_columns(reader.counted, reader, N_("Earlier touch"), N_("Last touch")),
        rows=[[reader.named("channel", each.channel), each.source, each.assisted, each.last] for each in assists],
    )


def _sheet_of_models(reader: Reader, by_channel: Mapping[str, Sequence[float]]) -> Sheet:
    def values(counts: Iterable[float]) -> list[Value]:
        return [round(count, 2) for count in counts]

    return Sheet(
        keys=_columns(lambda value: str(value or reader.said(NOTHING)), reader, N_("Channel")),
        figures=_columns(reader.counted, reader, *(ATTRIBUTION_NAMES[model] for model in MODELS)),
        rows=[[reader.named("channel", name), *values(counts)] for name, counts in by_channel.items() if any(counts)],
        total=values(map(sum, zip(*by_channel.values(), strict=True))),
    )


def _columns(text: Text, reader: Reader, *titles: str) -> list[Column]:
    return [Column(reader.said(title), text) for title in titles]


def _or_dash(value: Value) -> str:
    return str(value or DASH)


def _share(value: Share | None) -> float | None:
    return value.value if value else None
