"""/api/v1/visits: visits by filters, and one in full with its pages."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, QueryParameter

from callrouter.journal import visits
from callrouter.journal.filters import VISIT_FIELDS, Filters
from callrouter.journal.keyset import Behind
from callrouter.journal.visits import VisitInFull, VisitPage
from callrouter.web.api import examples, journal_examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.filtered import Asking, OfVisits, cursor_read
from callrouter.web.api.journal import AccountAsked, CursorAsked, Limit
from callrouter.web.metrics import API_SECONDS
from callrouter.web.problem import Refusal

OWN = ("account", "sort", "cursor", "limit")
SortAsked = Annotated[visits.Sort, QueryParameter(description="With - the latest first.")]
LONGEST_SESSION = 100


def visit_handlers(access: Access, asking: Asking) -> list[HTTPRouteHandler]:
    @get(
        "/visits", responses=examples.of(VisitPage, journal_examples.VISITS), operation_class=OfVisits, summary="Visits"
    )  # fmt: skip
    async def listed(
        request: ApiRequest, *, account: AccountAsked = None, sort: SortAsked = "-started_at",
        cursor: CursorAsked = None, limit: Limit = 100,
    ) -> VisitPage:  # fmt: skip
        """The latest first, or the earliest, by the same filters as the journal, as far as visits have such fields."""
        with API_SECONDS.labels(call="visits").time():
            caller = await access.caller(request, "visits:read")
            behind = cursor_read(lambda: Behind.of(cursor)) if cursor else None
            async with asking.of(caller, account) as (conn, whose):
                filters, clock = await asking.filters(conn, whose, request, OWN)
                require_visit_fields(filters)
                return await visits.read_visits(conn, whose, clock.zone, filters, sort=sort, behind=behind, limit=limit)

    @get(
        "/visits/{session:str}", responses=examples.of(VisitInFull, journal_examples.VISIT), summary="A visit in full"
    )  # fmt: skip
    async def visit(request: ApiRequest, session: FromPath[str], account: AccountAsked = None) -> VisitInFull:
        """With its pages, the client whose browser it was, and the appeals that came of it."""
        with API_SECONDS.labels(call="visit").time():
            caller = await access.caller(request, "visits:read")
            async with asking.of(caller, account) as (conn, whose):
                fits = len(session) <= LONGEST_SESSION and session.isprintable()
                found = await visits.read_visit(conn, whose, session) if fits else None
            if found is None:
                raise Refusal(404, "unknown-visit", "No such visit")
            return found

    return [listed, visit]


def require_visit_fields(filters: Filters) -> None:
    """Raises Refusal 400 for filters that only appeals have."""
    if foreign := sorted(filters.asked - VISIT_FIELDS):
        raise Refusal(400, "bad-filter", "A filter does not fit", f"Visits have no {', '.join(foreign)}.")
