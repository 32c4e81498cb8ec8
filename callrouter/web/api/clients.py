"""/api/v1/clients: cards, whole histories; joining, parting, forgetting and handing out what is known of a client."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, QueryParameter

from callrouter.appeals.merging import Swallowed, undo_merge
from callrouter.appeals.model import AppealKind
from callrouter.db.connect import Connection
from callrouter.journal import client_list, clients, erasure, history, joining
from callrouter.journal.client_list import ClientPage, ClientsAsked
from callrouter.journal.clients import Card
from callrouter.journal.erasure import Erased
from callrouter.journal.history import History, HistoryAsked, What
from callrouter.journal.keyset import Behind
from callrouter.journal.listing import Clock
from callrouter.journal.period import moment
from callrouter.journal.spelling import phones
from callrouter.people import audit
from callrouter.people.model import Caller
from callrouter.web.api import examples, journal_examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.changes import Id, Key
from callrouter.web.api.filtered import Asking, cursor_read, fitting, known_clock
from callrouter.web.api.journal import BODY_LIMIT, AccountAsked, CursorAsked, Limit, Seen, version_in
from callrouter.web.metrics import API_SECONDS
from callrouter.web.problem import Refusal

ClientId = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
Search = Annotated[str | None, QueryParameter(max_length=200, description="In the name or an e-mail.")]
Phone = Annotated[str | None, QueryParameter(max_length=64, description="In any spelling, or at least three digits.")]
Since = Annotated[str | None, QueryParameter(max_length=64, description="A day or a time, on the account's clock.")]
Until = Annotated[str | None, QueryParameter(max_length=64, description="A day, which is still in it, or a time.")]
Whats = Annotated[list[What] | None, QueryParameter(description="appeal, visit, deal; all if not given.")]
Kinds = Annotated[list[AppealKind] | None, QueryParameter(description="Of appeals: only these.")]
SortAsked = Annotated[
    client_list.Sort, QueryParameter(description="By age or activity; with - the youngest or most lately active first.")
]
Oldest = Annotated[bool, QueryParameter(description="The earliest first.")]


class Sought(NamedTuple):
    """The filters of clients, as they come in a URL."""

    q: str | None
    phone: str | None
    since: str | None
    until: str | None


class ClientNote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What colleagues should know of him."""

    note: Annotated[str, msgspec.Meta(max_length=clients.LONGEST_NOTE)]


class MergeWith(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    other: ClientId


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """`client`: who survives, the older of both."""

    client: int


class SplitOff(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be another client's; his appeals go with it."""

    identities: Annotated[
        tuple[joining.IdentityNamed, ...], msgspec.Meta(min_length=1, max_length=joining.IDENTITIES_AT_ONCE)
    ]


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """`new`: the client with the identities that were split off."""

    client: int
    new: int


class Undone(msgspec.Struct, frozen=True, kw_only=True):
    undone: bool


def client_handlers(access: Access, asking: Asking) -> list[HTTPRouteHandler]:
    @get("/clients", responses=examples.of(ClientPage, journal_examples.CLIENTS), summary="Clients")
    async def listed(
        request: ApiRequest, *, account: AccountAsked = None, q: Search = None, phone: Phone = None,
        since: Since = None, until: Until = None, sort: SortAsked = "-id", cursor: CursorAsked = None,
        limit: Limit = 100,
    ) -> ClientPage:  # fmt: skip
        """The youngest first, or as `sort` says; `since` and `until` are of the first touch."""
        with API_SECONDS.labels(call="clients").time():
            caller = await access.caller(request, "clients:read")
            behind = cursor_read(lambda: client_list.client_behind(cursor)) if cursor else None
            async with asking.of(caller, account) as (conn, whose):
                asked = clients_asked(whose, await known_clock(conn, whose), Sought(q, phone, since, until))
                return await client_list.read_clients(
                    conn, msgspec.structs.replace(asked, sort=sort, behind=behind, limit=limit)
                )  # fmt: skip

    @get(
        "/clients/{client:int}", responses=examples.of(Card, journal_examples.CARD, also=(410,)),
        summary="A client's card",
    )  # fmt: skip
    async def card(request: ApiRequest, client: Id, account: AccountAsked = None) -> Response[Card]:
        """Who he is over all numbers, e-mails and browsers. A client that became another by a merge says whom. The ETag
        is the note's."""
        with API_SECONDS.labels(call="card").time():
            caller = await access.caller(request, "clients:read")
            async with asking.changing(caller, account) as (conn, whose):
                found = await clients.read_card(conn, whose, client)
                if found is None:
                    survivor = await clients.survivor_of(conn, whose, client)
                    raise _merged(survivor) if survivor else unknown_client()
                await audit.record(conn, whose, caller, "client.see", client)
            return Response(found, headers=_tag(found.note))

    return [
        listed, card, _note(access, asking), _history(access, asking), *_hands(access, asking),
        _split(access, asking), _erase(access, asking),
    ]  # fmt: skip


def _note(access: Access, asking: Asking) -> HTTPRouteHandler:
    @patch(
        "/clients/{client:int}", responses=examples.of(ClientNote, journal_examples.CLIENT_NOTE, also=(412, 428)),
        request_max_body_size=BODY_LIMIT, summary="Change a client's note",
    )  # fmt: skip
    async def note(
        request: ApiRequest, client: Id, data: JSONBody[ClientNote], *, account: AccountAsked = None, seen: Seen = None
    ) -> Response[ClientNote]:
        """Name the version that you saw, so that nobody's words are overwritten."""
        with API_SECONDS.labels(call="note").time():
            caller = await access.caller(request, "clients:write")
            version = version_in(seen)
            async with asking.changing(caller, account) as (conn, whose):
                try:
                    kept = await clients.change_note(conn, whose, client, plain(data.note), seen=version)
                except clients.StaleNote as stale:
                    detail = f'Somebody changed it meanwhile; its ETag is now "{clients.note_version(stale.now)}".'
                    raise Refusal(412, "changed-meanwhile", "The note is another by now", detail) from None
                if kept is None:
                    raise unknown_client()
                await audit.record(conn, whose, caller, "client.change", client)
            return Response(ClientNote(note=kept), headers=_tag(kept))

    return note


def _history(access: Access, asking: Asking) -> HTTPRouteHandler:
    @get(
        "/clients/{client:int}/history", responses=examples.of(History, journal_examples.HISTORY),
        summary="A client's whole history",
    )  # fmt: skip
    async def whole_history(
        request: ApiRequest, client: Id, *, account: AccountAsked = None, what: Whats = None,
        kind: Kinds = None, since: Since = None, until: Until = None, oldest_first: Oldest = False,
        cursor: CursorAsked = None, limit: Limit = 50,
    ) -> History:  # fmt: skip
        """Appeals, visits and deals, each with its number in the whole history and the time since the one before."""
        with API_SECONDS.labels(call="history").time():
            caller = await access.caller(request, "clients:read")
            behind = cursor_read(lambda: Behind.of(cursor)) if cursor else None
            async with asking.changing(caller, account) as (conn, whose):
                clock = await known_clock(conn, whose)
                span = fitting(lambda: _span(clock.zone, since, until))
                if not await clients.exists(conn, whose, client):
                    raise unknown_client()
                await (audit.record_part if behind else audit.record)(conn, whose, caller, "client.see", client)
                asked = HistoryAsked(
                    account=whose, client=client, what=tuple(what or ("appeal", "visit", "deal")),
                    kinds=tuple(kind or ()), since=span[0], until=span[1], ascends=oldest_first, limit=limit,
                )  # fmt: skip
                return await history.read_history(conn, asked, behind)

    return whole_history


def _hands(access: Access, asking: Asking) -> list[HTTPRouteHandler]:
    @post(
        "/clients/{client:int}/merge", responses=examples.of(Merged, {"client": 17}), status_code=200,
        summary="Make one client of two",
    )  # fmt: skip
    async def merged(
        request: ApiRequest, client: Id, data: JSONBody[MergeWith], *, account: AccountAsked = None, key: Key = None
    ) -> Merged:
        """The older survives. It can be undone."""
        caller = await access.caller(request, "clients:write")

        async def work(conn: Connection, whose: int) -> Merged:
            survivor = await joining.merge_clients(conn, whose, client, data.other)
            if survivor is None:
                raise unknown_client()
            await audit.record(conn, whose, caller, "client.merge", survivor, one=client, other=data.other)
            return Merged(client=survivor)

        return await asking.once(caller, account, key, ("merge", client, data), work)

    @post(
        "/clients/{client:int}/merges/{merge:int}/undo", responses=examples.of(Undone, {"undone": True}, also=(409,)),
        status_code=200, summary="Undo a merge",
    )  # fmt: skip
    async def undone(
        request: ApiRequest, client: Id, merge: Id, *, account: AccountAsked = None, key: Key = None
    ) -> Undone:
        """What the merge moved goes back, as far as the client still has it."""
        caller = await access.caller(request, "clients:write")

        async def work(conn: Connection, whose: int) -> Undone:
            card = await clients.read_card(conn, whose, client)
            if card is None or merge not in {each.id for each in card.merges}:
                raise Refusal(404, "unknown-merge", "No such merge", "It is another client's, or undone.")
            try:
                await undo_merge(conn, whose, merge)
            except Swallowed as error:
                first = f"Undo merge {error.later} first: by it the survivor went into another client."
                raise Refusal(409, "merged-again", "The survivor was merged again", first) from None
            await audit.record(conn, whose, caller, "client.split", client, merge=merge)
            return Undone(undone=True)

        return await asking.once(caller, account, key, ("undo", client, merge), work)

    return [merged, undone]


def _split(access: Access, asking: Asking) -> HTTPRouteHandler:
    @post(
        "/clients/{client:int}/split", responses=examples.of(Split, {"client": 17, "new": 90}), status_code=200,
        summary="Make two clients of one",
    )  # fmt: skip
    async def split(
        request: ApiRequest, client: Id, data: JSONBody[SplitOff], *, account: AccountAsked = None, key: Key = None
    ) -> Split:
        """Numbers, e-mails or browsers that are somebody else's, with the appeals that came by them."""
        caller = await access.caller(request, "clients:write")

        async def work(conn: Connection, whose: int) -> Split:
            try:
                new = await joining.split_client(conn, whose, client, data.identities)
            except joining.NotHis as error:
                raise Refusal(422, "not-his", "That cannot be split off", str(error)) from None
            if new is None:
                raise unknown_client()
            await audit.record(conn, whose, caller, "client.split", client, new=new)
            return Split(client=client, new=new)

        return await asking.once(caller, account, key, ("split", client, data), work)

    return split


def _erase(access: Access, asking: Asking) -> HTTPRouteHandler:
    @delete(
        "/clients/{client:int}", responses=examples.of(Erased, {"appeals": 3, "visits": 7, "deals": 0}),
        status_code=200, summary="Forget a client",
    )  # fmt: skip
    async def erase(request: ApiRequest, client: Id, account: AccountAsked = None) -> Erased:
        """As the law on personal data has it: who he was goes for good, that somebody called stays in the counts."""
        caller: Caller = await access.caller(request, "clients:write")
        async with asking.as_service(caller, account) as (conn, whose):
            erased = await erasure.erase_client(conn, whose, client)
            if erased is None:
                raise unknown_client()
            await audit.record(conn, whose, caller, "client.erase", client)
            return erased

    return erase


def clients_asked(account: int, clock: Clock, sought: Sought) -> ClientsAsked:
    """Raises Refusal 400."""
    since, until = fitting(lambda: _span(clock.zone, sought.since, sought.until))
    number = fitting(lambda: phones((sought.phone,) if sought.phone else (), clock.country))
    return ClientsAsked(account=account, q=plain(sought.q or ""), phone=number, since=since, until=until)


def _span(zone: ZoneInfo, since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    start = moment(since, zone) if since else None
    end = moment(until, zone, ends=True) if until else None
    if start and end and start >= end:
        raise ValueError("since must lie before until")
    return start, end


def plain(text: str) -> str:
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _tag(note: str) -> dict[str, str]:
    return {"ETag": f'"{clients.note_version(note)}"'}


def unknown_client() -> Refusal:
    return Refusal(404, "unknown-client", "No such client")


def _merged(survivor: int) -> Refusal:
    return Refusal(410, "merged-client", "This client became another", f"He is client {survivor} now.")
