"""/journal: all appeals by filters, the newest first, with what rings just now. `journal_views` has the saved views."""

from __future__ import annotations

from uuid import UUID

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from callrouter.db.connect import Connection
from callrouter.journal import views
from callrouter.journal.appeal import read_passing
from callrouter.journal.row import AppealTold
from callrouter.web.api.filtered import Asking
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages import journal_address
from callrouter.web.pages.columns import fields_of
from callrouter.web.pages.filter_trouble import filter_trouble
from callrouter.web.pages.ground import FORM_LIMIT, Entry, Ground, Page
from callrouter.web.pages.journal_address import HERE
from callrouter.web.pages.journal_screen import (
    Screen,
    filters_of,
    form_columns,
    opened,
    read_rows,
    read_screen,
)
from callrouter.web.pages.journal_views import view_pages
from callrouter.web.pages.recording import Recordings
from callrouter.web.pages.words import N_

ENTRY = Entry(HERE, N_("Journal"), "appeals:read")
MOST_IDS = 200


def journal_page(ground: Ground, asking: Asking, recordings: Recordings) -> Page:
    @get(HERE)
    async def journal(request: AnyRequest) -> Response[bytes]:
        view = await ground.open(request, "appeals:read")
        address, tidy = journal_address.read(request.query_params.items())
        async with asking.of(view.caller, view.whose) as (conn, whose):
            screen = await read_screen(conn, view.caller, whose, address)
            target = opened(screen, bare=not request.url.query)
            if target is not None or not tidy:
                return view.go((target or address).path(after=address.after, before=address.before))
            screen.found = await read_rows(conn, whose, screen, asking)
        trouble = filter_trouble(view, screen.found.trouble)
        answer = view.render("journal.html", status=400 if trouble else 200, screen=screen, trouble=trouble)
        answer.headers["Content-Security-Policy"] = recordings.policy
        return answer

    return Page([journal, _rows(ground, asking), _columns(ground), *view_pages(ground)], ENTRY)


def _rows(ground: Ground, asking: Asking) -> HTTPRouteHandler:
    @get(f"{HERE}/rows")
    async def rows(request: AnyRequest) -> Response[bytes]:
        """Rows alone, for the script that puts new ones in. `ids`: of these, those that pass the filters."""
        view = await ground.open(request, "appeals:read")
        address, _ = journal_address.read(request.query_params.items())
        ids = _ids(request.query_params.get("ids", ""))
        async with asking.of(view.caller, view.whose) as (conn, whose):
            screen = await read_screen(conn, view.caller, whose, address)
            found = (
                await _passing(conn, whose, screen, asking, ids) if ids
                else (await read_rows(conn, whose, screen, asking)).rows
            )  # fmt: skip
        return view.render("journal_rows.html", screen=screen, rows=found)

    return rows


def _columns(ground: Ground) -> HTTPRouteHandler:
    @post(f"{HERE}/columns", request_max_body_size=FORM_LIMIT)
    async def choose(request: AnyRequest) -> Response[bytes]:
        """One's own choice; a saved view has columns of its own, which are changed by saving it."""
        view, form = await ground.write(request, "appeals:read")
        keys = form_columns(form)
        address, _ = journal_address.read(journal_address.split(form.get("back", "")))
        if address.view.isdigit():
            return view.go(address.path(columns=keys))
        async with ground.reading.changing(view.whose) as conn:
            await views.choose(conn, view.whose, view.person.user, columns=keys)
        return view.go(address.path(columns=()))

    return choose


async def _passing(
    conn: Connection, account: int, screen: Screen, asking: Asking, ids: list[UUID]
) -> tuple[AppealTold, ...]:  # fmt: skip
    try:
        filters = filters_of(screen, asking)
    except ValueError:
        return ()
    fields = fields_of(screen.columns)
    return tuple(await read_passing(conn, account, filters, ids, zone=screen.clock.zone, fields=fields))


def _ids(text: str) -> list[UUID]:
    found = []
    for part in text.split(",")[:MOST_IDS]:
        try:
            found.append(UUID(part))
        except ValueError:
            continue
    return found
