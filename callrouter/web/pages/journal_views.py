"""/journal/views: saved views of the journal made, renamed, shared, deleted, and the one that it opens with."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from callrouter.db.connect import Connection
from callrouter.journal import views
from callrouter.journal.views import ViewChange
from callrouter.people.model import Caller
from callrouter.pool.inventory import Refused
from callrouter.web.api.changes import Id
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages import appeal_words, journal_address
from callrouter.web.pages.ground import FORM_LIMIT, Form, Ground, View
from callrouter.web.pages.journal_address import USUAL_SORT, Address
from callrouter.web.pages.journal_screen import of_saved

VIEWS = f"{journal_address.HERE}/views"


def view_pages(ground: Ground) -> list[HTTPRouteHandler]:
    @get(VIEWS)
    async def listed(request: AnyRequest) -> Response[bytes]:
        return await _list(ground, await ground.open(request, "appeals:read"))

    @post(VIEWS, request_max_body_size=FORM_LIMIT)
    async def save(request: AnyRequest) -> Response[bytes]:
        """What is on the page just now, under a new name or in the view that is open."""
        view, form = await ground.write(request, "appeals:read")
        address, _ = journal_address.read(journal_address.split(form.get("back", "")))
        told = _told(address)
        try:
            async with ground.reading.changing(view.whose) as conn:
                if form.get("do") == "change" and address.view.isdigit():
                    before = await views.view_numbered(conn, view.whose, view.caller, int(address.view))
                    saved = await views.change_view(conn, view.whose, view.caller, before, told)
                else:
                    named = ViewChange(
                        name=form.get("name", ""), shared="shared" in form, query=told.query, sort=told.sort,
                        columns=told.columns or await _own_columns(conn, view.whose, view.caller),
                    )  # fmt: skip
                    saved = await views.add_view(conn, view.whose, view.caller, named)
        except Refused as error:
            return await _list(ground, view, trouble=view.refusal(error), status=422)
        return view.go(of_saved(saved).path())

    @post(f"{VIEWS}/opens", request_max_body_size=FORM_LIMIT)
    async def opens(request: AnyRequest) -> Response[bytes]:
        view, form = await ground.write(request, "appeals:read")
        async with ground.reading.changing(view.whose) as conn:
            known = {*views.STANDARD, *(str(each.id) for each in await views.read_views(conn, view.whose, view.caller))}
            if form.get("opens") in known:
                await views.choose(conn, view.whose, view.person.user, opens=form["opens"])
        return view.go(VIEWS, note="saved")

    return [listed, save, opens, _one(ground)]


def _one(ground: Ground) -> HTTPRouteHandler:
    @post(f"{VIEWS}/{{saved:int}}", request_max_body_size=FORM_LIMIT)
    async def change(request: AnyRequest, saved: Id) -> Response[bytes]:
        view, form = await ground.write(request, "appeals:read")
        try:
            async with ground.reading.changing(view.whose) as conn:
                before = await views.view_numbered(conn, view.whose, view.caller, saved)
                if form.get("do") == "delete":
                    await views.remove_view(conn, view.whose, view.caller, before)
                else:
                    await views.change_view(conn, view.whose, view.caller, before, _named(form, before))
        except Refused as error:
            return await _list(ground, view, trouble=view.refusal(error), status=422)
        return view.go(VIEWS, note="saved" if form.get("do") != "delete" else "deleted")

    return change


async def _list(ground: Ground, view: View, *, trouble: str = "", status: int = 200) -> Response[bytes]:
    async with ground.reading.as_account(view.whose) as conn:
        found = await views.read_views(conn, view.whose, view.caller)
        choices = await views.choices_of(conn, view.whose, view.person.user)
    return view.render(
        "journal_views.html", status=status, trouble=trouble, words=appeal_words, opens=choices.opens or "all",
        standard={name: Address(view=name).path() for name in views.STANDARD},
        saved=[(each, of_saved(each), views.may_change(each, view.caller)) for each in found],
        chips=journal_address.chips,
    )  # fmt: skip


def _told(address: Address) -> ViewChange:
    return ViewChange(
        query=Address(items=address.items).path("").removeprefix("?"), columns=address.columns or None,
        sort="" if address.sort == USUAL_SORT else address.sort,
    )  # fmt: skip


async def _own_columns(conn: Connection, account: int, caller: Caller) -> tuple[str, ...]:
    """A view keeps the columns that were on the page."""
    return (await views.choices_of(conn, account, caller.user)).columns


def _named(form: Form, before: views.View) -> ViewChange:
    shared = "shared" in form
    return ViewChange(name=form.get("name", ""), shared=shared if before.mine and shared != before.shared else None)
