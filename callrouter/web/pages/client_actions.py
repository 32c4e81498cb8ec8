"""What is done with a client on his card: joined with another, parted, given back, noted on, forgotten."""

from __future__ import annotations

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from callrouter.appeals.merging import Swallowed, undo_merge
from callrouter.db.connect import Connection
from callrouter.journal import clients, erasure, joining, notes
from callrouter.journal.client_list import ClientListed
from callrouter.journal.clients import Card, StaleNote
from callrouter.journal.joining import IdentityNamed
from callrouter.people import audit
from callrouter.pool.inventory import Refused
from callrouter.web.api.changes import Id
from callrouter.web.api.clients import plain, unknown_client
from callrouter.web.api.filtered import patience
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages import client_fields
from callrouter.web.pages.client_fields import choose_fields, facts, shown_name, shown_number
from callrouter.web.pages.clients import HERE, found
from callrouter.web.pages.ground import FORM_LIMIT, Form, Ground, View
from callrouter.web.pages.words import N_

COMPARED = (
    "name", "phones", "emails", "location", "first_touch", "last_appeal", "appeals", "calls", "visits", "deals",
    "revenue", "crm",
)  # fmt: skip
MEANWHILE = N_("Somebody else wrote here meanwhile. Both are put together below: look at it, and save again.")
OFFERED = 20
LONGEST_ID = 18
"""Digits."""


def client_actions(ground: Ground) -> list[HTTPRouteHandler]:
    return [_fields(ground), _note(ground), *_merge(ground), _undo(ground), *_split(ground), *_erase(ground)]


def _fields(ground: Ground) -> HTTPRouteHandler:
    @post(f"{HERE}/{{client:int}}/fields", request_max_body_size=FORM_LIMIT)
    async def choose(request: AnyRequest, client: Id) -> Response[bytes]:
        """Of all clients' cards, for him who chooses."""
        view, form = await ground.write(request, "clients:read")
        names = None if form.get("do") == "usual" else [name for name in client_fields.NAMES if form.get(f"f.{name}")]
        async with ground.reading.changing(view.account) as conn:
            await choose_fields(conn, view.person, names)
        return view.go(f"{HERE}/{client}", note="saved")

    return choose


def _note(ground: Ground) -> HTTPRouteHandler:
    @post(f"{HERE}/{{client:int}}/note", request_max_body_size=FORM_LIMIT)
    async def note(request: AnyRequest, client: Id) -> Response[bytes]:
        view, form = await ground.write(request, "clients:write")
        mine, trouble, status = plain(form.get("note", "").replace("\r\n", "\n").strip()), "", 412
        async with ground.reading.changing(view.whose) as conn:
            card = await _card(conn, view, client)
            try:
                await clients.change_note(conn, view.whose, client, mine, seen=form.get("read", ""))
                await audit.record(conn, view.whose, view.caller, "client.change", client)
            except StaleNote as stale:
                trouble = view.translated(MEANWHILE)
                mine, card = notes.together(mine, stale.now), msgspec.structs.replace(card, note=stale.now)
            except Refused as error:
                trouble, status = view.refusal(error), 422
        if trouble:
            return view.render(
                "client_note.html", status=status, card=card, name=_called(view, card), here=f"{HERE}/{client}",
                note=mine, trouble=trouble, read=clients.note_version(card.note),
            )  # fmt: skip
        return view.go(f"{HERE}/{client}", note="saved")

    return note


def _merge(ground: Ground) -> list[HTTPRouteHandler]:
    @get(f"{HERE}/{{client:int}}/merge")
    async def ask(request: AnyRequest, client: Id) -> Response[bytes]:
        view = await ground.open(request, "clients:write")
        return await _merging(ground, view, client, _number(request.query_params.get("other", "")))

    @post(f"{HERE}/{{client:int}}/merge", request_max_body_size=FORM_LIMIT)
    async def merge(request: AnyRequest, client: Id) -> Response[bytes]:
        view, form = await ground.write(request, "clients:write")
        other = _number(form.get("other", "")) or 0
        async with ground.reading.changing(view.whose) as conn:
            survivor = await joining.merge_clients(conn, view.whose, client, other)
            if survivor is not None:
                await audit.record(conn, view.whose, view.caller, "client.merge", survivor, one=client, other=other)
        if survivor is None:
            return await _merging(ground, view, client, None, trouble=view.translated(GONE), status=422)
        return view.go(f"{HERE}/{survivor}", note="merged")

    return [ask, merge]


GONE = N_("That client is no more, or became another meanwhile. Search again.")


async def _merging(
    ground: Ground, view: View, client: int, other: int | None, *, trouble: str = "", status: int = 200
) -> Response[bytes]:
    """Both side by side; or, until the other is chosen, a search for him."""
    text = plain(view.request.query_params.get("search", ""))[:200]
    offered: tuple[ClientListed, ...] = ()
    async with ground.reading.changing(view.whose) as conn, patience(conn):
        card = await _card(conn, view, client)
        beside = await clients.read_card(conn, view.whose, other) if other and other != client else None
        for each in filter(None, (card, beside)):
            await audit.record(conn, view.whose, view.caller, "client.see", each.id)
        if other and beside is None:
            trouble = trouble or view.translated(GONE)
        if beside is None and text:
            offered = tuple(each for each in (await found(conn, view, text, limit=OFFERED)).items if each.id != client)
    both = sorted((card, beside), key=lambda each: each.id) if beside else []
    return view.render(
        "client_merge.html", status=status, card=card, name=_called(view, card), here=f"{HERE}/{client}", both=both,
        names=[_called(view, each) for each in both], told=[facts(view, each, COMPARED) for each in both], search=text,
        other=other, offered=offered, trouble=trouble,
    )  # fmt: skip


def _undo(ground: Ground) -> HTTPRouteHandler:
    @post(f"{HERE}/{{client:int}}/merges/{{merge:int}}/undo", request_max_body_size=FORM_LIMIT)
    async def undo(request: AnyRequest, client: Id, merge: Id) -> Response[bytes]:
        view, _ = await ground.write(request, "clients:write")
        try:
            async with ground.reading.changing(view.whose) as conn:
                card = await _card(conn, view, client)
                if merge not in {each.id for each in card.merges}:
                    return view.go(f"{HERE}/{client}", note="undone_before")
                await undo_merge(conn, view.whose, merge)
                await audit.record(conn, view.whose, view.caller, "client.split", client, merge=merge)
        except Swallowed:
            return view.go(f"{HERE}/{client}", note="merged_again")
        return view.go(f"{HERE}/{client}", note="undone")

    return undo


def _split(ground: Ground) -> list[HTTPRouteHandler]:
    @get(f"{HERE}/{{client:int}}/split")
    async def ask(request: AnyRequest, client: Id) -> Response[bytes]:
        return await _splitting(ground, await ground.open(request, "clients:write"), client)

    @post(f"{HERE}/{{client:int}}/split", request_max_body_size=FORM_LIMIT)
    async def split(request: AnyRequest, client: Id) -> Response[bytes]:
        view, form = await ground.write(request, "clients:write")
        try:
            async with ground.reading.changing(view.whose) as conn:
                wanted = _chosen(await _card(conn, view, client), form)
                new = await joining.split_client(conn, view.whose, client, wanted)
                if new is None:
                    raise unknown_client()
                await audit.record(conn, view.whose, view.caller, "client.split", client, new=new)
        except joining.NotHis as error:
            return await _splitting(ground, view, client, trouble=view.refusal(error), status=422)
        return view.go(f"{HERE}/{new}", note="split", was=client)

    return [ask, split]


async def _splitting(
    ground: Ground, view: View, client: int, *, trouble: str = "", status: int = 200
) -> Response[bytes]:  # fmt: skip
    async with ground.reading.as_account(view.whose) as conn, patience(conn):
        card = await _card(conn, view, client)
        appeals = await joining.appeals_by_identity(conn, view.whose, client)
    return view.render(
        "client_split.html", status=status, card=card, name=_called(view, card), here=f"{HERE}/{client}",
        appeals=appeals, trouble=trouble,
    )  # fmt: skip


def _chosen(card: Card, form: Form) -> tuple[IdentityNamed, ...]:
    """What of his was checked. Raises NotHis if nothing was."""
    chosen = tuple(
        IdentityNamed(kind=each.kind, value=each.value)  # type: ignore[arg-type] # Postgres checks the kind
        for each in card.identities
        if f"{each.kind} {each.value}" in form.values()
    )[: joining.IDENTITIES_AT_ONCE]
    if not chosen:
        raise joining.NotHis("choose what is somebody else's")
    return chosen


def _erase(ground: Ground) -> list[HTTPRouteHandler]:
    @get(f"{HERE}/{{client:int}}/erase")
    async def ask(request: AnyRequest, client: Id) -> Response[bytes]:
        return await _erasing(ground, await ground.open(request, "clients:write"), client)

    @post(f"{HERE}/{{client:int}}/erase", request_max_body_size=FORM_LIMIT)
    async def erase(request: AnyRequest, client: Id) -> Response[bytes]:
        view, form = await ground.write(request, "clients:write")
        if form.get("confirm", "").strip() != str(client):
            trouble = view.translated(N_("Nothing was erased: the number that you wrote is not this client's id."))
            return await _erasing(ground, view, client, trouble=trouble, status=422)
        async with ground.reading.as_service() as conn, conn.transaction():
            if await erasure.erase_client(conn, view.whose, client) is None:
                raise unknown_client()
            await audit.record(conn, view.whose, view.caller, "client.erase", client)
        return view.go(HERE, note="erased")

    return [ask, erase]


async def _erasing(
    ground: Ground, view: View, client: int, *, trouble: str = "", status: int = 200
) -> Response[bytes]:  # fmt: skip
    async with ground.reading.as_account(view.whose) as conn, patience(conn):
        card = await _card(conn, view, client)
    return view.render(
        "client_erase.html", status=status, card=card, name=_called(view, card), here=f"{HERE}/{client}",
        trouble=trouble,
    )  # fmt: skip


async def _card(conn: Connection, view: View, client: int) -> Card:
    card = await clients.read_card(conn, view.whose, client)
    if card is None:
        raise unknown_client()
    return card


def _called(view: View, card: Card) -> str:
    return shown_name(view, card) if card.name_known else shown_number(view, card)


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_ID else None
