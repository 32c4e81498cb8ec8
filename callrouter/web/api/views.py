"""/api/v1/views: saved views of the journal, one's own and the account's; /api/v1/appeals/values to choose from."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, QueryParameter

from callrouter.db.connect import Connection
from callrouter.journal import values, views
from callrouter.journal.values import Value
from callrouter.journal.views import View, ViewChange
from callrouter.web.api import examples, journal_examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.changes import (
    AccountAsked,
    Id,
    IfMatch,
    Key,
    meant_account,
    require_unchanged,
    tagged,
    told_once,
)
from callrouter.web.api.filtered import Asking, OfAppeals, known_clock
from callrouter.web.api.reading import Reading
from callrouter.web.metrics import API_SECONDS
from callrouter.web.problem import Refusal

OWN = ("account", "field", "has", "limit")
Field = Annotated[str, QueryParameter(max_length=64, description="Which field's values.")]
Has = Annotated[str, QueryParameter(max_length=200, description="Only values with this in them.")]
Limit = Annotated[int, QueryParameter(ge=1, le=values.MOST_VALUES, description="So many at most.")]


class Views(msgspec.Struct, frozen=True, kw_only=True):
    """`next` is always null: there are few."""

    items: tuple[View, ...]
    next: str | None = None


class FieldValues(msgspec.Struct, frozen=True, kw_only=True):
    """Those seen most come first. `next` is always null: ask with `has` for those that are left off."""

    items: tuple[Value, ...]
    next: str | None = None


def view_handlers(access: Access, reading: Reading, asking: Asking) -> list[HTTPRouteHandler]:
    @get("/views", responses=examples.of(Views, journal_examples.VIEWS), summary="Saved views of the journal")
    async def listed(request: ApiRequest, account: AccountAsked = None) -> Views:
        """A user's own, and those that are shared with the account; a program's are shared."""
        caller = await access.caller(request, "appeals:read")
        async with asking.of(caller, account) as (conn, whose):
            return Views(items=tuple(await views.read_views(conn, whose, caller)))

    @post("/views", responses=examples.of(View, journal_examples.VIEW, status=201), summary="Save a view")
    async def add(
        request: ApiRequest, data: JSONBody[ViewChange], *, account: AccountAsked = None, key: Key = None
    ) -> View:  # fmt: skip
        """`query` is what stands behind ? in a URL of the journal: period=today&status=lost."""
        caller = await access.caller(request, "appeals:read")
        whose = meant_account(caller, account)

        async def work(conn: Connection) -> View:
            await known_clock(conn, whose)
            return await views.add_view(conn, whose, caller, data)

        asked = ("view", whose, caller.user, data)
        return msgspec.convert(await told_once(reading, caller, key, asked, work=work), View)

    return [listed, add, *_one(access, asking), _values(access, asking)]


def _one(access: Access, asking: Asking) -> list[HTTPRouteHandler]:
    @get("/views/{view:int}", responses=examples.of(View, journal_examples.VIEW), summary="A saved view")
    async def one(request: ApiRequest, view: Id, account: AccountAsked = None) -> Response[View]:
        caller = await access.caller(request, "appeals:read")
        async with asking.of(caller, account) as (conn, whose):
            found = await views.view_numbered(conn, whose, caller, view)
        return tagged(found, found)

    @patch(
        "/views/{view:int}", responses=examples.of(View, journal_examples.VIEW, also=(412,)),
        summary="Change a saved view",
    )  # fmt: skip
    async def change(
        request: ApiRequest, view: Id, data: JSONBody[ViewChange], *, account: AccountAsked = None,
        if_match: IfMatch = None,
    ) -> Response[View]:  # fmt: skip
        """Its owner may; of a shared one an admin too. What is left out stays."""
        caller = await access.caller(request, "appeals:read")
        async with asking.changing(caller, account) as (conn, whose):
            before = await views.view_numbered(conn, whose, caller, view)
            require_unchanged(if_match, before)
            after = await views.change_view(conn, whose, caller, before, data)
        return tagged(after, after)

    @delete("/views/{view:int}", responses=examples.refusals(), summary="Delete a saved view")
    async def remove(request: ApiRequest, view: Id, account: AccountAsked = None) -> None:
        """Its owner may; a shared one an admin too."""
        caller = await access.caller(request, "appeals:read")
        async with asking.changing(caller, account) as (conn, whose):
            await views.remove_view(conn, whose, caller, await views.view_numbered(conn, whose, caller, view))

    return [one, change, remove]


def _values(access: Access, asking: Asking) -> HTTPRouteHandler:
    @get(
        "/appeals/values", responses=examples.of(FieldValues, journal_examples.VALUES), operation_class=OfAppeals,
        summary="Values that a field has",
    )  # fmt: skip
    async def of_field(
        request: ApiRequest, field: Field, *, account: AccountAsked = None, has: Has = "",
        limit: Limit = values.MOST_VALUES,
    ) -> FieldValues:  # fmt: skip
        """To choose filters from: of the latest 20,000 appeals that pass the other filters."""
        with API_SECONDS.labels(call="values").time():
            caller = await access.caller(request, "appeals:read")
            if field not in values.LISTABLE:
                detail = f"Values are listed of {', '.join(values.LISTABLE)}."
                raise Refusal(400, "bad-field", "Values of that are not listed", detail)
            async with asking.of(caller, account) as (conn, whose):
                filters, clock = await asking.filters(conn, whose, request, OWN)
                found = await values.values_of(
                    conn, whose, clock.zone, filters, field, has=has.replace("\0", ""), limit=limit
                )
            return FieldValues(items=tuple(found))

    return of_field
