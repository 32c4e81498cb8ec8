"""/api/v1/costs and /api/v1/rates: what advertising cost, and what currencies were worth."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import msgspec
from litestar import get, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter

from callrouter.journal.conditions import Values
from callrouter.people import audit
from callrouter.reports import costs, money
from callrouter.reports.cost_list import TABLE, conditions_of
from callrouter.reports.costs import Cost, CostTold, Rate, cost_of
from callrouter.reports.money import NoSense
from callrouter.web.api import examples, report_examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.changes import HIGHEST_ID, AccountAsked, Limit, meant_account, require_account
from callrouter.web.api.filtered import known_clock, patience
from callrouter.web.api.listed import CursorAsked, SortAsked, Where, operation_of, read_list
from callrouter.web.api.reading import Reading
from callrouter.web.problem import Refusal

MOST_COSTS = 10_000
OWN = ("since", "until", "sort", "cursor", "limit", "account")
OF_COSTS = operation_of(TABLE)
Day = FromPath[str]
Origin = Annotated[
    str, QueryParameter(min_length=1, max_length=200, description="Who tells: costs of others for the day stay.")
]
Since = Annotated[str, QueryParameter(max_length=10, description="A day.")]
Until = Annotated[str, QueryParameter(max_length=10, description="A day, which is still in it.")]
Text = Annotated[str, msgspec.Meta(max_length=money.LONGEST_TEXT)]
Count = Annotated[int, msgspec.Meta(ge=0, le=money.LARGEST_COUNT)]


class CostOfDay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Levels that are not known are left out. Without `channel` it follows from source and medium, as a visit's."""

    amount: Annotated[str, msgspec.Meta(max_length=40)]
    """As 1234.56."""
    currency: Annotated[str, msgspec.Meta(max_length=3)] = ""
    """The account's if left out."""
    site: Annotated[int, msgspec.Meta(ge=1, le=HIGHEST_ID)] | None = None
    channel: Text = ""
    source: Text = ""
    medium: Text = ""
    campaign: Text = ""
    keyword: Text = ""
    content: Text = ""
    clicks: Count | None = None
    impressions: Count | None = None


class CostsOfDay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    items: Annotated[list[CostOfDay], msgspec.Meta(max_length=MOST_COSTS)]


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    items: list[CostTold]
    next: str | None = None


class Replaced(msgspec.Struct, frozen=True, kw_only=True):
    origin: str
    day: date
    costs: int


class RateTold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rate: Annotated[str, msgspec.Meta(max_length=40)]


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Rate]


def cost_handlers(access: Access, reading: Reading) -> list[HTTPRouteHandler]:
    @get(
        "/costs", responses=examples.of(Costs, report_examples.COSTS), operation_class=OF_COSTS, summary="Costs",
    )  # fmt: skip
    async def listed(
        request: ApiRequest, *, since: Since = "", until: Until = "", sort: SortAsked = "day",
        cursor: CursorAsked = None, limit: Limit = 100, account: AccountAsked = None,
    ) -> Costs:  # fmt: skip
        """By any of their fields; the earliest day first."""
        caller = await access.caller(request, "costs:read")
        whose = meant_account(caller, account)
        first, last = (_day(text) if text else None for text in (since, until))
        async with reading.as_account(whose) as conn, patience(conn):
            values = Values()
            found = await read_list(
                conn, TABLE, Where(conditions_of(whose, first, last, values), values), request, own=OWN, sort=sort,
                cursor=cursor, limit=limit, zone=(await known_clock(conn, whose)).zone,
            )  # fmt: skip
        return Costs(items=[cost_of(row) for row in found.rows], next=found.next)

    @put("/costs/{day:str}", responses=examples.of(Replaced, report_examples.REPLACED), summary="Tell a day's costs")
    async def replace(
        request: ApiRequest, day: Day, data: JSONBody[CostsOfDay], origin: Origin, account: AccountAsked = None
    ) -> Replaced:
        """What this origin told of the day before is replaced: to tell it again changes nothing."""
        caller = await access.caller(request, "costs:write")
        whose, of = meant_account(caller, account), _day(day)
        told = [_cost(of, each, index) for index, each in enumerate(data.items)]
        teller = _fits("origin", origin)
        async with reading.changing(caller.account) as conn:
            await require_account(conn, whose)
            await costs.replace_costs(conn, whose, teller, [of], told)
            await audit.record(conn, whose, caller, "cost.change", f"{of} {teller}", costs=len(told))
        return Replaced(origin=teller, day=of, costs=len(told))

    return [listed, replace, *_rates(access, reading)]


def _rates(access: Access, reading: Reading) -> list[HTTPRouteHandler]:
    answers = examples.of(Rates, report_examples.RATES)

    @get("/rates", responses=answers, summary="What currencies are worth")
    async def rates(request: ApiRequest, account: AccountAsked = None) -> Rates:
        """In the account's currency, from each day on."""
        caller = await access.caller(request, "costs:read")
        whose = meant_account(caller, account)
        async with reading.as_account(whose) as conn:
            return Rates(items=await costs.read_rates(conn, whose))

    @put("/rates/{currency:str}/{day:str}", responses=answers, summary="Tell what a currency is worth")
    async def set_rate(
        request: ApiRequest, currency: FromPath[str], day: Day, data: JSONBody[RateTold], account: AccountAsked = None
    ) -> Rates:
        """From that day on, reports count it in the account's currency; without a rate currencies stay apart."""
        caller = await access.caller(request, "costs:write")
        whose = meant_account(caller, account)
        try:
            code, of, rate = money.currency(currency), money.day(day), money.rate(data.rate)
        except NoSense as error:
            raise _no_sense(error) from None
        async with reading.changing(caller.account) as conn:
            await require_account(conn, whose)
            await costs.set_rate(conn, whose, code, of, rate)
            await audit.record(conn, whose, caller, "cost.change", f"{code} {of}", rate=data.rate)
            return Rates(items=await costs.read_rates(conn, whose))

    return [rates, set_rate]


def _cost(day: date, told: CostOfDay, index: int) -> Cost:
    texts = {name: _fits(name, getattr(told, name)) for name in costs.LEVELS}
    try:
        amount = money.amount(told.amount)
        currency = money.currency(told.currency) if told.currency else ""
    except NoSense as error:
        raise _no_sense(f"items[{index}]: {error}") from None
    return Cost(
        day=day, amount=amount, currency=currency, site=told.site, clicks=told.clicks, impressions=told.impressions,
        **texts,
    )  # fmt: skip


def _fits(name: str, text: str) -> str:
    try:
        return money.line_of_text(text)
    except NoSense as error:
        raise _no_sense(f"{name}: {error}") from None


def _day(text: str) -> date:
    try:
        return money.day(text)
    except NoSense as error:
        raise Refusal(400, "bad-time", "That is no day", str(error)) from None


def _no_sense(why: object) -> Refusal:
    return Refusal(422, "no-sense", "The costs make no sense", str(why))
