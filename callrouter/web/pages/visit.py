"""/visits/{session}: one visit in full, page by page, with whose it was and what came of it."""

from __future__ import annotations

from litestar import Response, get
from litestar.params import FromPath

from callrouter.journal.appeal import read_passing
from callrouter.journal.clients import read_card
from callrouter.journal.filters import NOTHING_ASKED
from callrouter.journal.visits import read_visit
from callrouter.pool.inventory import Unknown
from callrouter.web.api.visits import LONGEST_SESSION
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages import appeal_words
from callrouter.web.pages.client_fields import shown_name, shown_number
from callrouter.web.pages.ground import Ground, Page

APPEAL_FIELDS = ("kind", "direction", "status", "customer", "email", "talk_s")


def visit_page(ground: Ground) -> Page:
    @get("/visits/{session:str}")
    async def visit(request: AnyRequest, session: FromPath[str]) -> Response[bytes]:
        view = await ground.open(request, "visits:read")
        if len(session) > LONGEST_SESSION or not session.isprintable():
            raise Unknown("no session is written so")
        async with ground.reading.as_account(view.whose, snapshot=True) as conn:
            found = await read_visit(conn, view.whose, session)
            if found is None:
                raise Unknown("there is no such visit")
            site = await conn.fetchval(SITE, view.whose, found.visit.site)
            card = await read_card(conn, view.whose, found.client) if found.client else None
            appeals = await read_passing(
                conn, view.whose, NOTHING_ASKED, list(found.appeals), zone=view.formats.zone, fields=APPEAL_FIELDS
            )
        client = "" if card is None else shown_name(view, card) if card.name_known else shown_number(view, card)
        return view.render(
            "visit.html", told=found, visit=found.visit, site=site, client=client, appeals=appeals, words=appeal_words
        )

    return Page([visit])


SITE = "SELECT name FROM sites WHERE account_id = $1 AND id = $2"
