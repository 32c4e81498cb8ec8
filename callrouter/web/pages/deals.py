"""/deals: what was sold, what is being sold and to whom; its sums, and the list of it."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from callrouter.reports.deal_list import STATES, DealsAsked, State, names_in_deals, read_deals, sums_of_deals
from callrouter.reports.deals import Deal
from callrouter.web.api.asked import time_in
from callrouter.web.api.changes import HIGHEST_ID
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.deal import deal_pages
from callrouter.web.pages.deal_words import LINKS, STATE_NAMES
from callrouter.web.pages.ground import Entry, Ground, Page, View
from callrouter.web.pages.import_file import import_pages
from callrouter.web.pages.spans import PERIOD_NAMES, Span, asked_span
from callrouter.web.pages.words import N_
from callrouter.web.problem import Refusal

HERE = "/deals"
ENTRY = Entry(HERE, N_("Deals"), "deals:read")
ROWS = 50
LONGEST = 200


def deals_page(ground: Ground) -> Page:
    return Page([_list(ground), *deal_pages(ground), *import_pages(ground, "deals")], ENTRY)


def _list(ground: Ground) -> HTTPRouteHandler:
    @get(HERE)
    async def listed(request: AnyRequest) -> Response[bytes]:
        view = await ground.open(request, "deals:read")
        span, asked = _asked(view)
        behind = _behind(request.query_params.get("before", ""))
        async with ground.reading.as_account(view.account, snapshot=True) as conn:
            found = await read_deals(conn, view.whose, asked, behind=behind, limit=ROWS + 1)
            sums = await sums_of_deals(conn, view.whose, asked)
            names = await names_in_deals(conn, view.whose)
        shown = found[:ROWS]
        kept = _kept(span, asked)
        older = urlencode({**kept, "before": _cursor(shown[-1])}) if len(found) > ROWS else ""
        return view.render(
            "deals.html", deals=shown, sums=sums, names=names, asked=asked, span=span, periods=PERIOD_NAMES,
            states=STATE_NAMES, links=LINKS, older=older, kept=kept, may_write=view.may("deals:write"),
            link_to_client=view.may("clients:read"),
        )  # fmt: skip

    return listed


def _asked(view: View) -> tuple[Span, DealsAsked]:
    given = {name: value.replace("\0", "")[:LONGEST] for name, value in view.request.query_params.items()}
    span = asked_span(given, view.formats.zone)
    outcome: State | None = next((each for each in STATES if each == given.get("outcome")), None)
    return span, DealsAsked(
        since=span.since, until=span.until, outcome=outcome, unlinked=bool(given.get("unlinked")),
        **{name: given.get(name, "").strip() for name in ("stage", "funnel", "employee", "crm", "q")},
    )  # fmt: skip


def _kept(span: Span, asked: DealsAsked) -> dict[str, str]:
    """What the next page is asked for as well."""
    told = {name: getattr(asked, name) or "" for name in ("outcome", "stage", "funnel", "employee", "crm", "q")}
    told["unlinked"] = "yes" if asked.unlinked else ""
    return {**span.query(), **{name: value for name, value in told.items() if value}}


def _cursor(deal: Deal) -> str:
    return f"{deal.opened_at.isoformat()}~{deal.id}"


def _behind(text: str) -> tuple[datetime, int] | None:
    at, sign, number = text.partition("~")
    if not sign:
        return None
    if not (number.isascii() and number.isdigit() and number == number[:19] and int(number) <= HIGHEST_ID):
        raise Refusal(400, "bad-cursor", "That is no page of this list")
    return time_in("before", at), int(number)
