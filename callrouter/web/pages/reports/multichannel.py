"""/reports/multichannel: the ways by which people come to an appeal, who helps, and what each model makes of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from markupsafe import Markup

from callrouter.appeals.credit import MODELS
from callrouter.reports.by_models import appeals_by_model
from callrouter.reports.paths import read_assists, read_paths
from callrouter.web.api.filtered import Asking
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages import charts
from callrouter.web.pages.ground import Ground
from callrouter.web.pages.reports.opened import Looking, opened, path_of
from callrouter.web.pages.reports.terms import MODEL_NAMES, MODEL_TEXTS

PATHS, ASSISTS, CHANNELS = 15, 20, 12


class Way(NamedTuple):
    """`steps`: channel and source, the earliest first."""

    steps: list[tuple[str, str]]
    appeals: int
    quality: int
    picture: Markup


class ByModel(NamedTuple):
    """What a channel has by each model. `parts`: text, and how it stands to last click: `more`, `less` or ''."""

    channel: str
    parts: list[tuple[str, str]]


def multichannel_handlers(ground: Ground, asking: Asking) -> list[HTTPRouteHandler]:
    @get(path_of("multichannel"))
    async def multichannel(request: AnyRequest) -> Response[bytes]:
        async with opened(ground, asking, request) as looking:
            told, before = await looking.ask("channel", limit=1)
            ways = await _ways(looking)
            assists = await read_assists(looking.conn, looking.scope, looking.asked.filters, ASSISTS)
            whole = looking.asked.own.get("whole") == "yes"
            by_models = await _models(looking) if whole else {}
        earlier = before.total if before else None
        return looking.render(
            "multichannel", "report_multichannel.html", before=before, exports=looking.exports("paths"),
            assist_exports=looking.exports("paths", table="assists"), ways=ways, nothing=not ways,
            tile=looking.teller.cell("multichannel", told.total, earlier, told.filter),
            all_appeals=looking.teller.cell("appeals", told.total, earlier, told.filter),
            assists=[(looking.named("channel", each.channel), each) for each in assists], whole=whole,
            models_href=f"{path_of('multichannel')}/models?{looking.asked.query()}", **by_models,
        )  # fmt: skip

    @get(f"{path_of('multichannel')}/models")
    async def models(request: AnyRequest) -> Response[bytes]:
        """A part of the page, for its script: it asks six times."""
        async with opened(ground, asking, request) as looking:
            by_models = await _models(looking)
        return looking.render("multichannel", "report_models.html", **by_models)

    return [multichannel, models]


async def _ways(looking: Looking) -> list[Way]:
    found = await read_paths(looking.conn, looking.scope, looking.asked.filters, PATHS)
    most = max((row.appeals for row in found), default=1)
    told = []
    for row in found:
        steps = [step.partition(" ") for step in row.path]
        named = [(looking.named("channel", channel), source) for channel, _, source in steps]
        told.append(Way(named, row.appeals, row.quality, charts.rail(row.appeals / most)))
    return told


async def _models(looking: Looking) -> dict[str, Any]:
    by_channel = await appeals_by_model(looking.conn, looking.scope, looking.asked.filters)
    return {
        "by_model": [
            ByModel(looking.named("channel", channel), [_part(looking, value, values[0]) for value in values])
            for channel, values in list(by_channel.items())[:CHANNELS]
            if any(values)
        ],
        "compared_models": [(model, MODEL_NAMES[model], MODEL_TEXTS[model]) for model in MODELS],
    }  # fmt: skip


def _part(looking: Looking, value: float, last_click: float) -> tuple[str, str]:
    css = "" if abs(value - last_click) < max(1.0, 0.05 * last_click) else "more" if value > last_click else "less"
    return looking.teller.text("appeals", value), css
