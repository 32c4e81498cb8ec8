"""/reports/sources: from channels down to keywords. /reports/money: the same from cost to revenue."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from markupsafe import Markup

from callrouter.reports.asking import Row
from callrouter.reports.figures import Dimension, Figures, share
from callrouter.web.api.filtered import Asking
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages import charts
from callrouter.web.pages.ground import Ground
from callrouter.web.pages.reports.columns import Link, figure_table, rows_wanted
from callrouter.web.pages.reports.opened import Looking, opened, path_of
from callrouter.web.pages.reports.terms import DIMENSION_NAMES, FIGURE_NAMES, NOTHING
from callrouter.web.pages.words import N_

KEYS: dict[str, tuple[Dimension, ...]] = {
    "channel": ("channel",), "source": ("source", "medium"), "campaign": ("source", "campaign"),
    "keyword": ("campaign", "keyword"), "content": ("campaign", "content"), "landing_page": ("landing_page",),
    "location": ("location",), "device": ("device",), "site": ("site",),
}  # fmt: skip
"""Rows by what is chosen: with what goes before it, unless that was chosen already."""
DEEPER = {"channel": "source", "source": "campaign", "medium": "campaign", "campaign": "keyword"}
TRAIL = ("channel", "source", "medium", "campaign", "keyword")
COUNTED = (
    "visits", "appeals", "calls", "unique_calls", "quality", "unique_quality", "lost_share", "conversion",
    "mean_talk_s",
)  # fmt: skip
PAID = (
    "cost", "clicks", "visits", "calls", "unique_quality", "deals", "won", "revenue", "roi", "cost_per_call",
    "cost_per_unique_quality", "cost_per_deal",
)  # fmt: skip
FUNNEL = ("visits", "calls", "unique_quality", "deals", "won")


class Crumb(NamedTuple):
    text: str
    href: str


class Step(NamedTuple):
    """Of the funnel. `passed`: how many of the step before came here."""

    title: str
    value: str
    passed: str
    picture: Markup


def source_handlers(ground: Ground, asking: Asking) -> list[HTTPRouteHandler]:
    async def shown(request: AnyRequest, page: str, names: Sequence[str]) -> Response[bytes]:
        async with opened(ground, asking, request) as looking:
            chosen = looking.asked.own.get("by", "")
            by = chosen if chosen in KEYS else _level(looking)
            keys = _keys(looking, by)
            told, before = await looking.ask(*keys, limit=rows_wanted(looking), order=looking.asked.order)
        table = figure_table(
            looking, told, before, names, link=_deeper(looking, page, by), pictured=names[0]
        )  # fmt: skip
        return looking.render(
            page, "report_sources.html", before=before, exports=looking.exports("channels", by=keys), table=table,
            nothing=not told.rows, crumbs=_crumbs(looking, page), by=by, levels=_levels(looking),
            currencies=_currencies(looking, told.total), shared=looking.asked.model != "last_click",
            funnel=_funnel(looking, told.total) if page == "money" else [],
            no_costs=not _has(told.total, "cost"), no_deals=not _has(told.total, "deals"),
        )  # fmt: skip

    @get(path_of("sources"))
    async def sources(request: AnyRequest) -> Response[bytes]:
        return await shown(request, "sources", COUNTED)

    @get(path_of("money"))
    async def money(request: AnyRequest) -> Response[bytes]:
        return await shown(request, "money", PAID)

    return [sources, money]


def _deeper(looking: Looking, page: str, by: str) -> Link:
    """From a row to what is below it."""

    def link(row: Row, _name: str) -> str:
        query = looking.asked.within(row.key.items(), by=_below(looking, by))
        return f"{path_of(page)}?{query}"

    return link


def _levels(looking: Looking) -> list[tuple[str, str, str]]:
    return [
        (name, DIMENSION_NAMES[name], f"?{looking.asked.here(by=name, sort=None, show=None)}")
        for name in KEYS
    ]  # fmt: skip


def _currencies(looking: Looking, total: Figures) -> list[tuple[str, str]]:
    """To choose from, if there are several."""
    codes = [money.currency for money in total.money]
    return [(code, f"?{looking.asked.here(currency=code)}") for code in codes] if len(codes) > 1 else []


def _level(looking: Looking) -> str:
    """One below the deepest that was chosen."""
    below = [DEEPER[name] for name in TRAIL if name in DEEPER and _is_chosen(looking, name)]
    return below[-1] if below else "channel"


def _below(looking: Looking, by: str) -> str:
    if by in DEEPER:
        return DEEPER[by]
    if by == "keyword":
        return "landing_page"
    return _level(looking) if by != _level(looking) else "keyword"


def _keys(looking: Looking, by: str) -> tuple[Dimension, ...]:
    keys = KEYS[by]
    return tuple(name for name in keys if not _is_chosen(looking, name)) or keys[-1:]


def _is_chosen(looking: Looking, name: str) -> bool:
    """Whether one value of it is asked for, or none."""
    asked = [item for item in looking.asked.items if item[0] in (name, f"{name}.empty")]
    return len(asked) == 1


def _crumbs(looking: Looking, page: str) -> list[Crumb]:
    told: list[Crumb] = []
    kept: list[str] = []
    for name in TRAIL:
        if not _is_chosen(looking, name):
            continue
        kept.append(name)
        value = next(value for item, value in looking.asked.items if item in (name, f"{name}.empty"))
        is_empty = (f"{name}.empty", value) in looking.asked.items
        text = looking.view.translated(NOTHING) if is_empty else looking.named(name, value)
        dropped = [item for item in TRAIL if item not in kept]
        query = looking.asked.here(
            **dict.fromkeys([*dropped, *(f"{item}.empty" for item in dropped)]), by=DEEPER.get(name, name)
        )
        told.append(Crumb(text, f"{path_of(page)}?{query}"))
    if told:
        every = looking.asked.here(**dict.fromkeys([*TRAIL, *(f"{name}.empty" for name in TRAIL)]), by=None)
        told.insert(0, Crumb(looking.view.translated(N_("All channels")), f"{path_of(page)}?{every}"))
    return told


def _has(total: Figures, name: str) -> bool:
    return any(Decimal(str(getattr(money, name))) for money in total.money)


def _funnel(looking: Looking, total: Figures) -> list[Step]:
    """From visits to sales: how many of each step reach the next."""
    f, teller = looking.view.formats, looking.teller
    steps: list[Step] = []
    values = [(name, teller.value(name, total)) for name in FUNNEL]
    counted = [(name, float(value)) for name, value in values if isinstance(value, int | float)]
    top = max((value for _, value in counted), default=0)
    for index, (name, value) in enumerate(counted):
        passed = share(value, counted[index - 1][1]) if index else None
        told = f.percent(passed.value, 1 if passed.value < 0.1 else 0) if passed and passed.value <= 1 else ""  # noqa: PLR2004
        picture = charts.rail(value / top) if top else Markup()
        steps.append(Step(looking.view.translated(FIGURE_NAMES[name]), teller.text(name, value), told, picture))
    return steps
