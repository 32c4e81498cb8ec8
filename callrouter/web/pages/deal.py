"""/deals/new and /deals/N: one deal with the history of its changes and the client it is linked to; told by hand."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from callrouter.db.connect import Connection
from callrouter.journal.client_list import ClientListed
from callrouter.people import audit
from callrouter.people.repeats import Done, OtherWrite, once
from callrouter.pool.inventory import Refused
from callrouter.reports import deals
from callrouter.reports.deal_list import names_in_deals
from callrouter.reports.deals import Deal, Told
from callrouter.reports.money import NoSense
from callrouter.reports.owner import Who
from callrouter.web.api.changes import Id, asked_account, require_unchanged, tag
from callrouter.web.api.deals import by_caller
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.account import CURRENCIES
from callrouter.web.pages.deal_words import FIELD_NAMES, LINKS, STATE_NAMES
from callrouter.web.pages.ground import FORM_LIMIT, Form, Ground, View
from callrouter.web.problem import Refusal

HERE = "/deals"
FORM_FIELDS = (
    "title", "stage", "funnel", "url", "employee", "revenue", "currency", "opened_at", "closed_at", "won",
)  # fmt: skip
CAN_BE_EMPTY = ("title", "stage", "funnel", "url", "employee", "closed_at", "won")
WHO_FIELDS = ("phone", "email", "client")
CLIENT = """
SELECT c.id, c.name, c.created_at AS first_touch_at, NULL::timestamptz AS last_seen_at,
    (SELECT value FROM client_identities i WHERE i.account_id = c.account_id AND i.client_id = c.id AND kind = 'phone'
     ORDER BY first_seen_at LIMIT 1) AS phone,
    (SELECT value FROM client_identities i WHERE i.account_id = c.account_id AND i.client_id = c.id AND kind = 'email'
     ORDER BY first_seen_at LIMIT 1) AS email
FROM clients c WHERE c.account_id = $1 AND c.id = $2"""
USERS = "SELECT id, coalesce(nullif(name, ''), email) AS name FROM users WHERE id = ANY($1)"
TOKENS = "SELECT id, name FROM tokens WHERE id = ANY($1)"


Work = Callable[[Connection, Deal], Awaitable[None]]


class Seen(NamedTuple):
    """All that a deal's page shows."""

    deal: Deal
    client: ClientListed | None
    names: dict[str, list[str]]
    people: dict[str, str]
    """`user 3` and `token 4` of its history, by name."""


def deal_pages(ground: Ground) -> list[HTTPRouteHandler]:
    @get(f"{HERE}/new")
    async def new(request: AnyRequest) -> Response[bytes]:
        view = await ground.open(request, "deals:write")
        client = request.query_params.get("client", "")[:20]
        now = view.formats.for_input(datetime.now(UTC))
        return await _new(ground, view, {"client": client, "opened_at": now, "currency": view.currency})

    @post(f"{HERE}/new", request_max_body_size=FORM_LIMIT)
    async def add(request: AnyRequest) -> Response[bytes]:
        view, form = await ground.write(request, "deals:write")
        try:
            deal = await _add(ground, view, form)
        except (Refused, NoSense) as error:
            return await _new(ground, view, form, trouble=troubles(view, error), status=422)
        return view.go(f"{HERE}/{deal}", note="added")

    return [new, add, *_one(ground), *_linking(ground)]


def _one(ground: Ground) -> list[HTTPRouteHandler]:
    @get(f"{HERE}/{{deal:int}}")
    async def one(request: AnyRequest, deal: Id) -> Response[bytes]:
        view = await ground.open(request, "deals:read")
        return _shown(view, await _seen(ground, view, deal))

    @post(f"{HERE}/{{deal:int}}", request_max_body_size=FORM_LIMIT)
    async def change(request: AnyRequest, deal: Id) -> Response[bytes]:
        view, form = await ground.write(request, "deals:write")

        async def work(conn: Connection, found: Deal) -> None:
            told = await _told(conn, found.account, view, form, FORM_FIELDS)
            emptied = [name for name in CAN_BE_EMPTY if not form.get(name, "").strip()]
            await deals.change(conn, found.account, deal, told, by=by_caller(view.caller), emptied=emptied)

        return await _changing(ground, view, form, deal, work, note="saved")

    @post(f"{HERE}/{{deal:int}}/remove", request_max_body_size=FORM_LIMIT)
    async def remove(request: AnyRequest, deal: Id) -> Response[bytes]:
        view, form = await ground.write(request, "deals:write")

        async def work(conn: Connection, found: Deal) -> None:
            await deals.remove(conn, found.account, deal)

        return await _changing(ground, view, form, deal, work, note="removed", to=HERE)

    return [one, change, remove]


def _linking(ground: Ground) -> list[HTTPRouteHandler]:
    @post(f"{HERE}/{{deal:int}}/link", request_max_body_size=FORM_LIMIT)
    async def link(request: AnyRequest, deal: Id) -> Response[bytes]:
        view, form = await ground.write(request, "deals:write")

        async def work(conn: Connection, found: Deal) -> None:
            told = await _told(conn, found.account, view, form, WHO_FIELDS)
            if told.who == Who():
                raise Refused("say who it is: a phone number, an e-mail or the client's number")
            await deals.change(conn, found.account, deal, told, by=by_caller(view.caller))

        return await _changing(ground, view, form, deal, work, note="linked")

    @post(f"{HERE}/{{deal:int}}/unlink", request_max_body_size=FORM_LIMIT)
    async def unlink(request: AnyRequest, deal: Id) -> Response[bytes]:
        view, form = await ground.write(request, "deals:write")

        async def work(conn: Connection, found: Deal) -> None:
            by = by_caller(view.caller)
            await deals.change(conn, found.account, deal, Told(), by=by, emptied=("client_id",))

        return await _changing(ground, view, form, deal, work, note="unlinked")

    return [link, unlink]


async def _changing(
    ground: Ground, view: View, form: Form, deal: int, work: Work, *, note: str, to: str = ""
) -> Response[bytes]:  # fmt: skip
    """`work` on a deal that nobody changed since it was shown; what is wrong is said beside the form."""
    try:
        async with ground.reading.changing(view.account) as conn:
            found = await deals.deal_numbered(conn, asked_account(view.caller, None), deal, lock=True)
            require_unchanged(form.get("read"), found.version)
            await work(conn, found)
            await audit.record(conn, found.account, view.caller, "deal.change", deal, done=note)
    except (Refused, NoSense) as error:
        seen = await _seen(ground, view, deal)
        return _shown(view, seen, form=form, trouble=troubles(view, error), status=422)
    except Refusal as refusal:
        if refusal.kind != "changed-meanwhile":
            raise
        return _shown(view, await _seen(ground, view, deal), form=form, meanwhile=True, status=412)
    return view.go(to or f"{HERE}/{deal}", note=note)


async def _add(ground: Ground, view: View, form: Form) -> int:
    """Its number; that of the first if the same form is sent twice."""
    key = f"form {form.get('once', '')[:60]}" if form.get("once") else None
    fields = (*FORM_FIELDS, *WHO_FIELDS)
    async with ground.reading.changing(view.account) as conn:

        async def work() -> int:
            told = await _told(conn, view.whose, view, form, fields)
            deal = await deals.tell(conn, view.whose, told, by=by_caller(view.caller))
            await audit.record(conn, view.whose, view.caller, "deal.change", deal.id, done="added")
            return deal.id

        try:
            made = await once(conn, view.account, key, ["deal", [form.get(name, "") for name in fields]], work)
        except OtherWrite:
            raise Refused("this form was sent before, with something else in it") from None
    return msgspec.convert(made.answer, int) if isinstance(made, Done) else made


async def _told(conn: Connection, account: int, view: View, form: Form, fields: tuple[str, ...]) -> Told:
    """What the form says. Raises NoSense, with all that makes none."""
    cells = {name: form.get(name, "") for name in fields}
    cells["client"] = cells.get("client", "").strip().removeprefix("№").removeprefix("#")
    needed = deals.NEEDED if "revenue" in fields else ()
    return deals.told_in(cells, view.formats.zone, await deals.country_of(conn, account), needed=needed)


async def _new(
    ground: Ground, view: View, form: Form, *, trouble: list[str] | None = None, status: int = 200
) -> Response[bytes]:  # fmt: skip
    async with ground.reading.as_account(view.account) as conn:
        names = await names_in_deals(conn, view.whose)
    filled = {name: form.get(name, "") for name in (*FORM_FIELDS, *WHO_FIELDS)}
    return view.render(
        "deal_new.html", status=status, form=filled, names=names, trouble=trouble or [],
        currencies=currencies(view, filled["currency"]), states=STATE_NAMES, once=secrets.token_urlsafe(16),
    )  # fmt: skip


async def _seen(ground: Ground, view: View, number: int) -> Seen:
    async with ground.reading.as_account(view.account, snapshot=True) as conn:
        deal = await deals.deal_numbered(conn, asked_account(view.caller, None), number)
        row = await conn.fetchrow(CLIENT, deal.account, deal.client) if deal.client else None
        client = ClientListed(**dict(row)) if row else None
        names = await names_in_deals(conn, deal.account)
        return Seen(deal, client, names, await _people(conn, deal.history))


async def _people(conn: Connection, history: list[dict[str, Any]]) -> dict[str, str]:
    """`user 3`, perhaps with what he did it by, → his name."""
    known: dict[str, str] = {}
    told = [str(entry.get("by", "")) for entry in history]
    for kind, query in (("user", USERS), ("token", TOKENS)):
        ids = {by: int(found[1]) for by in told if (found := re.match(rf"{kind} ([0-9]{{1,18}})\b", by))}
        names = {row["id"]: row["name"] for row in await conn.fetch(query, sorted(set(ids.values())))}
        known |= {by: names[number] for by, number in ids.items() if number in names}
    return known


def _shown(
    view: View, seen: Seen, *, form: Form | None = None, trouble: list[str] | None = None, meanwhile: bool = False,
    status: int = 200,
) -> Response[bytes]:  # fmt: skip
    deal = seen.deal
    filled = form_of(view, deal)
    if form is not None:
        filled |= {name: form[name] for name in (*FORM_FIELDS, *WHO_FIELDS) if name in form}
    return view.render(
        "deal.html", status=status, deal=deal, client=seen.client, names=seen.names, people=seen.people, form=filled,
        trouble=trouble or [], meanwhile=meanwhile, read=tag(deal.version), states=STATE_NAMES, links=LINKS,
        fields=FIELD_NAMES, currencies=currencies(view, deal.currency), may_write=view.may("deals:write"),
        link_to_client=view.may("clients:read"), moment_of=_moment_of,
    )  # fmt: skip


def form_of(view: View, deal: Deal) -> dict[str, str]:
    """A deal as its form has it."""
    texts = {name: str(getattr(deal, name)) for name in ("title", "stage", "funnel", "url", "employee", "revenue")}
    return {
        **texts, "currency": deal.currency, "opened_at": view.formats.for_input(deal.opened_at),
        "closed_at": view.formats.for_input(deal.closed_at), **dict.fromkeys(WHO_FIELDS, ""),
        "won": "" if deal.won is None else "yes" if deal.won else "no",
    }  # fmt: skip


def currencies(view: View, chosen: str) -> list[tuple[str, str]]:
    """To choose from, what is chosen already among them."""
    return [(code, code) for code in dict.fromkeys((chosen, view.currency, *CURRENCIES)) if code]


def troubles(view: View, error: Refused | NoSense) -> list[str]:
    """What is wrong, field by field."""
    if isinstance(error, Refused):
        return [view.refusal(error)]
    named = [(view.translated(FIELD_NAMES.get(name, name)), view.refusal(one)) for name, one in error.each()]
    return [f"{name}: {why}" if name else why for name, why in named]


def _moment_of(text: object) -> datetime | None:
    """A time as history keeps it."""
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
