"""/api/v1/deals: sales, told by CRMs and people. Amounts are text, for JSON's numbers are not exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, QueryParameter

from callrouter.db.connect import Connection
from callrouter.journal.conditions import Values
from callrouter.people import audit
from callrouter.people.model import Caller
from callrouter.reports import deals, money
from callrouter.reports.deal_list import TABLE, DealsAsked, State, asked_conditions
from callrouter.reports.deals import Deal, Told, deal_of
from callrouter.reports.money import NoSense
from callrouter.reports.owner import Who
from callrouter.web.api import examples, report_examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.asked import time_in
from callrouter.web.api.changes import (
    HIGHEST_ID,
    AccountAsked,
    Id,
    IfMatch,
    Key,
    Limit,
    asked_account,
    meant_account,
    require_account,
    require_unchanged,
    tagged,
    told_once,
)
from callrouter.web.api.filtered import known_clock, patience
from callrouter.web.api.listed import CursorAsked, SortAsked, Where, operation_of, read_list
from callrouter.web.api.reading import Reading
from callrouter.web.problem import Refusal

T = TypeVar("T")
OWN = ("since", "until", "outcome", "unlinked", "q", "sort", "cursor", "limit", "account")
OF_DEALS = operation_of(TABLE)
Text = Annotated[str, msgspec.Meta(max_length=money.LONGEST_TEXT)]
Number = Annotated[int, msgspec.Meta(ge=1, le=HIGHEST_ID)]
Since = Annotated[str | None, QueryParameter(description="Opened at or after: ISO 8601 with an offset.")]
StateAsked = Annotated[State | None, QueryParameter(description="`open`: neither won nor lost yet.")]
Unlinked = Annotated[bool, QueryParameter(description="Only deals whose client is not known.")]
Part = Annotated[
    str, QueryParameter(max_length=money.LONGEST_TEXT, description="A part of the title, or the `crm_id`.")
]


class DealTold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new deal wants `opened_at` and `revenue`; of a change, what is left out stays.

    Whose it is: any of `client`, `phone`, `email`, `crm_client`, `ga_client_id`, `ym_client_id`.
    """

    revenue: Annotated[str, msgspec.Meta(max_length=40)] | None = None
    """As 1234.56."""
    currency: Annotated[str, msgspec.Meta(max_length=3)] | None = None
    """The account's if left out."""
    opened_at: Text | None = None
    """ISO 8601; on the account's clock unless it has an offset."""
    closed_at: Text | None = None
    won: bool | None = None
    """Null: not decided yet. A lost deal has no revenue in reports."""
    crm: Text | None = None
    crm_id: Text | None = None
    """Told again with the same `crm` and `crm_id` it is the same deal, changed."""
    title: Text | None = None
    stage: Text | None = None
    funnel: Text | None = None
    url: Text | None = None
    employee: Text | None = None
    client: Number | None = None
    phone: Text | None = None
    email: Text | None = None
    crm_client: Text | None = None
    ga_client_id: Text | None = None
    ym_client_id: Text | None = None


class Deals(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Deal]
    next: str | None = None


def deal_handlers(access: Access, reading: Reading) -> list[HTTPRouteHandler]:
    @get(
        "/deals", responses=examples.of(Deals, report_examples.DEALS), operation_class=OF_DEALS, summary="Deals",
    )  # fmt: skip
    async def listed(
        request: ApiRequest, *, since: Since = None, until: Since = None, outcome: StateAsked = None,
        unlinked: Unlinked = False, q: Part = "", sort: SortAsked = "-opened_at", cursor: CursorAsked = None,
        limit: Limit = 100, account: AccountAsked = None,
    ) -> Deals:  # fmt: skip
        """By any of their fields; the latest opened first."""
        caller = await access.caller(request, "deals:read")
        whose = meant_account(caller, account)
        asked = DealsAsked(
            since=time_in("since", since) if since else None, until=time_in("until", until) if until else None,
            outcome=outcome, unlinked=unlinked, q=q.replace("\0", ""),
        )  # fmt: skip
        async with reading.as_account(whose) as conn, patience(conn):
            values = Values()
            found = await read_list(
                conn, TABLE, Where(asked_conditions(whose, asked, values), values), request, own=OWN, sort=sort,
                cursor=cursor, limit=limit, zone=(await known_clock(conn, whose)).zone,
            )  # fmt: skip
        return Deals(items=[deal_of(row) for row in found.rows], next=found.next)

    @post("/deals", responses=examples.of(Deal, report_examples.DEAL, status=201), summary="Tell of a deal")
    async def tell(
        request: ApiRequest, data: JSONBody[DealTold], key: Key = None, account: AccountAsked = None
    ) -> Deal:
        """A deal that the CRM's id already names is changed."""
        caller = await access.caller(request, "deals:write")
        whose = meant_account(caller, account)

        async def work(conn: Connection) -> Deal:
            await require_account(conn, whose)
            told = await _told(conn, whose, data)
            deal = await deals.tell(conn, whose, told, by=by_caller(caller))
            await audit.record(conn, whose, caller, "deal.change", deal.id)
            return deal

        answer: Deal = await told_once(reading, caller, key, ["deal", whose, data], work=work)
        return answer

    return [listed, tell, *_one(access, reading)]


def _one(access: Access, reading: Reading) -> list[HTTPRouteHandler]:
    @get("/deals/{deal:int}", responses=examples.of(Deal, report_examples.DEAL), summary="A deal")
    async def one(request: ApiRequest, deal: Id) -> Response[Deal]:
        """With the history of its changes."""
        caller = await access.caller(request, "deals:read")
        async with reading.as_account(caller.account) as conn:
            found = await deals.deal_numbered(conn, asked_account(caller, None), deal)
        return tagged(found, found.version)

    @patch("/deals/{deal:int}", responses=examples.of(Deal, report_examples.DEAL), summary="Change a deal")
    async def change(
        request: ApiRequest, deal: Id, data: JSONBody[DealTold], if_match: IfMatch = None
    ) -> Response[Deal]:
        """With `If-Match` only if nobody changed it since it was read."""
        caller = await access.caller(request, "deals:write")
        async with reading.changing(caller.account) as conn:
            found = await deals.deal_numbered(conn, asked_account(caller, None), deal, lock=True)
            require_unchanged(if_match, found.version)
            told = await _told(conn, found.account, data)
            changed = await deals.change(conn, found.account, deal, told, by=by_caller(caller))
            await audit.record(conn, found.account, caller, "deal.change", deal)
        return tagged(changed, changed.version)

    @delete("/deals/{deal:int}", responses=examples.refusals(), summary="Remove a deal")
    async def remove(request: ApiRequest, deal: Id, if_match: IfMatch = None) -> None:
        """For what was told by mistake: a deal that fell through has `won` false."""
        caller = await access.caller(request, "deals:write")
        async with reading.changing(caller.account) as conn:
            found = await deals.deal_numbered(conn, asked_account(caller, None), deal, lock=True)
            require_unchanged(if_match, found.version)
            await deals.remove(conn, found.account, deal)
            await audit.record(conn, found.account, caller, "deal.change", deal, removed=True)

    @delete(
        "/deals/{deal:int}/client",
        status_code=200,
        responses=examples.of(Deal, report_examples.DEAL),
        summary="Unlink a deal",
    )
    async def unlink(request: ApiRequest, deal: Id, if_match: IfMatch = None) -> Response[Deal]:
        """It is nobody's then, and owed to no appeal; `PATCH` with a `phone`, `email` or `client` links it again."""
        caller = await access.caller(request, "deals:write")
        async with reading.changing(caller.account) as conn:
            found = await deals.deal_numbered(conn, asked_account(caller, None), deal, lock=True)
            require_unchanged(if_match, found.version)
            changed = await deals.change(
                conn, found.account, deal, Told(), by=by_caller(caller), emptied=("client_id",)
            )  # fmt: skip
            await audit.record(conn, found.account, caller, "deal.change", deal, unlinked=True)
        return tagged(changed, changed.version)

    return [one, change, remove, unlink]


async def _told(conn: Connection, account: int, data: DealTold) -> Told:
    """Raises Refusal 422 with all that makes no sense."""
    zone = ZoneInfo(await conn.fetchval("SELECT time_zone FROM accounts WHERE id = $1", account) or "UTC")
    country = await deals.country_of(conn, account)
    wrong: list[str] = []
    who = Who(
        client=data.client, phone=_fits("phone", data.phone, lambda text: deals.phone(text, country), wrong) or "",
        email=_fits("email", data.email, deals.email, wrong) or "",
        crm_client=_fits("crm_client", data.crm_client, money.line_of_text, wrong) or "",
    )  # fmt: skip
    texts = ("crm", "crm_id", "title", "stage", "funnel", "employee", "ga_client_id", "ym_client_id")
    told = Told(
        revenue=_fits("revenue", data.revenue, money.amount, wrong),
        currency=_fits("currency", data.currency, money.currency, wrong),
        opened_at=_fits("opened_at", data.opened_at, lambda text: money.moment(text, zone), wrong),
        closed_at=_fits("closed_at", data.closed_at, lambda text: money.moment(text, zone), wrong),
        url=_fits("url", data.url, lambda text: deals.link(money.line_of_text(text)), wrong), won=data.won, who=who,
        **{name: _fits(name, getattr(data, name), money.line_of_text, wrong) for name in texts},
    )  # fmt: skip
    if wrong:
        raise Refusal(422, "no-sense", "The deal makes no sense", "; ".join(wrong))
    return told


def _fits(name: str, text: str | None, read: Callable[[str], T], wrong: list[str]) -> T | None:
    if not text:
        return None
    try:
        return read(text)
    except NoSense as error:
        wrong.append(f"{name}: {error}")
        return None


def by_caller(caller: Caller) -> str:
    """As the history of a deal names him."""
    return f"user {caller.user}" if caller.user else f"token {caller.token}"
