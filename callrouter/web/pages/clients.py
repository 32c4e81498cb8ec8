"""/clients: who called, wrote or bought; /clients/{id}: the card of one, with his whole history, chains and deals."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from callrouter.db.connect import Connection
from callrouter.journal import client_list, clients, history
from callrouter.journal.chains import read_chains
from callrouter.journal.client_list import ClientPage, ClientsAsked, Doings, client_behind
from callrouter.journal.clients import Card
from callrouter.journal.keyset import Behind
from callrouter.journal.visits import pages_of_each
from callrouter.people import accounts, audit
from callrouter.reports.deal_list import DealsAsked, read_deals
from callrouter.web.api.changes import Id
from callrouter.web.api.clients import plain, unknown_client
from callrouter.web.api.filtered import known_clock, patience
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages import appeal_words, client_history
from callrouter.web.pages.appeal import call_over_time
from callrouter.web.pages.client_fields import NAMES, chosen_fields, facts, shown_name, shown_number
from callrouter.web.pages.ground import Entry, Ground, Page, View
from callrouter.web.pages.words import N_
from callrouter.web.problem import Refusal

HERE = "/clients"
ENTRY = Entry(HERE, N_("Clients"), "clients:read")
ROWS = 50
CHAINS = 5
DEALS = 50
PAGES = 12
"""Of a visit, on the card; the visit's own page has more."""


@dataclass(frozen=True)
class Opened:
    """A card, and what stands above each of its tabs."""

    card: Card
    fields: tuple[str, ...]


def client_pages(ground: Ground) -> list[HTTPRouteHandler]:
    @get(HERE)
    async def listed(request: AnyRequest) -> Response[bytes]:
        view = await ground.open(request, "clients:read")
        text = plain(request.query_params.get("search", ""))[: client_list.LONGEST_SEARCH]
        trouble, page, doings = "", ClientPage(items=(), next=None), dict[int, Doings]()
        try:
            async with ground.reading.as_account(view.whose) as conn, patience(conn):
                page = await found(conn, view, text, request.query_params.get("after", ""))
                doings = await client_list.doings_of(conn, view.whose, [each.id for each in page.items])
        except Refusal as refusal:
            if refusal.kind != "too-long":
                raise
            trouble = view.translated(N_("That takes too long to find. Search by a whole number, e-mail or id."))
        return view.render(
            "clients.html", clients=page.items, doings=doings, search=text, trouble=trouble, next=page.next,
            first="after" not in request.query_params,
        )  # fmt: skip

    return [listed, _whole_history(ground), _multichannel(ground), _deals(ground)]


async def found(conn: Connection, view: View, text: str, after: str = "", limit: int = ROWS) -> ClientPage:
    """Clients for what was written into a search, the most lately active first."""
    clock = await known_clock(conn, view.whose)
    start = ClientsAsked(
        account=view.whose, sort="-last_seen_at", limit=limit, behind=client_history.behind(after, client_behind)
    )
    return await client_list.read_clients(conn, client_list.searched(start, text, clock.country))


def _whole_history(ground: Ground) -> HTTPRouteHandler:
    @get(f"{HERE}/{{client:int}}")
    async def card(request: AnyRequest, client: Id) -> Response[bytes]:
        view = await ground.open(request, "clients:read")
        asked = client_history.asked(view)
        opened = await _opened(ground, view, client, seen=asked.behind is None)
        if isinstance(opened, Response):
            return opened
        async with ground.reading.as_account(view.whose, snapshot=True) as conn, patience(conn):
            told = await history.read_history(conn, asked.history(view.whose, client), asked.behind)
            visits = [item.visit for item in told.items if item.visit]
            pages = await pages_of_each(conn, view.whose, visits, PAGES + 1)
        return _shown(
            view, "client_history.html", opened, asked=asked, told=told, pages=pages, most_pages=PAGES,
            pictures={item.appeal.id: call_over_time(view, item.appeal) for item in told.items if item.appeal},
            choices=client_history.CHOICES, orders=client_history.ORDERS,
        )  # fmt: skip

    return card


def _multichannel(ground: Ground) -> HTTPRouteHandler:
    @get(f"{HERE}/{{client:int}}/multichannel")
    async def chains(request: AnyRequest, client: Id) -> Response[bytes]:
        view = await ground.open(request, "clients:read")
        behind = client_history.behind(request.query_params.get("after", ""), Behind.of)
        opened = await _opened(ground, view, client, seen=behind is None)
        if isinstance(opened, Response):
            return opened
        async with ground.reading.as_account(view.whose) as conn, patience(conn):
            told = await read_chains(conn, view.whose, client, behind=behind, limit=CHAINS)
            account = await accounts.account_numbered(conn, view.whose)
        return _shown(view, "client_multichannel.html", opened, told=told, keeps_chains=account.multichannel)

    return chains


def _deals(ground: Ground) -> HTTPRouteHandler:
    @get(f"{HERE}/{{client:int}}/deals")
    async def of_client(request: AnyRequest, client: Id) -> Response[bytes]:
        view = await ground.open(request, "deals:read")
        opened = await _opened(ground, view, client)
        if isinstance(opened, Response):
            return opened
        async with ground.reading.as_account(view.whose) as conn:
            told = await read_deals(conn, view.whose, DealsAsked(client=client), limit=DEALS + 1)
        return _shown(view, "client_deals.html", opened, deals=told[:DEALS], more=len(told) > DEALS,
                      amounts={deal.id: Decimal(deal.revenue) for deal in told})  # fmt: skip

    return of_client


async def _opened(ground: Ground, view: View, client: int, *, seen: bool = True) -> Opened | Response[bytes]:
    """The card, that it is `seen` recorded; or the way to whom the client has become by a merge."""
    async with ground.reading.changing(view.whose) as conn, patience(conn):
        card = await clients.read_card(conn, view.whose, client)
        survivor = None if card else await clients.survivor_of(conn, view.whose, client)
        if card is not None:
            record = audit.record if seen else audit.record_part
            await record(conn, view.whose, view.caller, "client.see", client)
    if survivor is not None:
        return view.go(f"{HERE}/{survivor}", note="became", was=client)
    if card is None:
        raise unknown_client()
    async with ground.reading.as_account(view.account) as conn:
        return Opened(card, await chosen_fields(conn, view.person))


def _shown(view: View, template: str, opened: Opened, **values: Any) -> Response[bytes]:
    card = opened.card
    return view.render(
        template, card=card, name=card.name if card.name_known else shown_number(view, card),
        number=shown_number(view, card), facts=facts(view, card, opened.fields), fields=opened.fields,
        field_names=NAMES, words=appeal_words, shown_name=shown_name(view, card), here=f"{HERE}/{card.id}",
        read=clients.note_version(card.note), **values,
    )  # fmt: skip


def clients_page(ground: Ground, *more: HTTPRouteHandler) -> Page:
    """`more`: what is done with clients."""
    return Page([*client_pages(ground), *more], ENTRY)
