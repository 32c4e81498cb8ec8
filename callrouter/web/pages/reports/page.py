"""All pages of reports together, with their line in the navigation."""

from __future__ import annotations

from callrouter.web.api.filtered import Asking
from callrouter.web.pages.ground import Entry, Ground, Page
from callrouter.web.pages.reports.hours import hour_handlers
from callrouter.web.pages.reports.multichannel import multichannel_handlers
from callrouter.web.pages.reports.numbers import number_handlers
from callrouter.web.pages.reports.opened import BASE
from callrouter.web.pages.reports.overview import overview_handlers
from callrouter.web.pages.reports.people import people_handlers
from callrouter.web.pages.reports.quality import quality_handlers
from callrouter.web.pages.reports.sources import source_handlers
from callrouter.web.pages.words import N_


def reports_page(ground: Ground, asking: Asking) -> Page:
    handlers = [
        handler
        for made in (
            overview_handlers, source_handlers, hour_handlers, people_handlers, number_handlers, quality_handlers,
            multichannel_handlers,
        )
        for handler in made(ground, asking)
    ]  # fmt: skip
    return Page(handlers, Entry(BASE, N_("Reports"), "reports:read"))
