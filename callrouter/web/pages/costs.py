"""/costs: what advertising cost, by day and level of source; told by hand, deleted again; what currencies are worth."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from callrouter.people import audit
from callrouter.people.repeats import OtherWrite, once
from callrouter.pool.inventory import Refused
from callrouter.reports import cost_sums, costs, money
from callrouter.reports.cost_sums import GRAINS, LEVELS, MOST_ROWS, CostSum, Grain, Level
from callrouter.reports.money import NoSense
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.cost_rows import row_pages
from callrouter.web.pages.deal import currencies, troubles
from callrouter.web.pages.ground import FORM_LIMIT, Entry, Form, Ground, Page, View
from callrouter.web.pages.import_file import import_pages
from callrouter.web.pages.import_words import HAND
from callrouter.web.pages.spans import PERIOD_NAMES, Span, asked_span
from callrouter.web.pages.words import N_

HERE = "/costs"
ENTRY = Entry(HERE, N_("Costs"), "costs:read")
LEVEL_NAMES: dict[Level, str] = {
    "channel": N_("channel"), "source": N_("source"), "medium": N_("medium"), "campaign": N_("campaign"),
    "keyword": N_("keyword"), "content": N_("content"), "site": N_("site"), "origin": N_("who told"),
}  # fmt: skip
GRAIN_NAMES: dict[Grain, str] = {"": N_("all together"), "day": N_("by day"), "month": N_("by month")}
FIRST_DAY, LAST_DAY = date(money.FIRST_YEAR, 1, 1), date(money.LAST_YEAR - 1, 12, 31)
DAYS_OF_BARS = 100
FIELDS = (
    "day", "amount", "currency", "source", "medium", "campaign", "keyword", "content", "channel", "clicks",
    "impressions",
)  # fmt: skip


class Bar(NamedTuple):
    """Of the chart, in parts of a thousand of its width and height."""

    day: date
    amount: Decimal
    left: float
    width: float
    height: float


class Total(NamedTuple):
    currency: str
    amount: Decimal
    clicks: int
    each: Decimal | None
    """What a click cost."""


def costs_page(ground: Ground) -> Page:
    @get(HERE)
    async def shown(request: AnyRequest) -> Response[bytes]:
        return await _shown(ground, await ground.open(request, "costs:read"))

    handlers = [shown, _add(ground), *_rates(ground), *row_pages(ground), *import_pages(ground, "costs")]
    return Page(handlers, ENTRY)


def _add(ground: Ground) -> HTTPRouteHandler:
    @post(f"{HERE}/add", request_max_body_size=FORM_LIMIT)
    async def add(request: AnyRequest) -> Response[bytes]:
        view, form = await ground.write(request, "costs:write")
        key = f"form {form.get('once', '')[:60]}" if form.get("once") else None
        cells = {name: form.get(name, "") for name in FIELDS}
        try:
            cost = costs.cost_in(cells)
            async with ground.reading.changing(view.account) as conn:

                async def work() -> str:
                    await cost_sums.add_cost(conn, view.whose, HAND, cost)
                    await audit.record(conn, view.whose, view.caller, "cost.change", f"{cost.day} {HAND}", costs=1)
                    return "added"

                await once(conn, view.account, key, ["cost", cells], work)
        except (Refused, NoSense) as error:
            return await _shown(ground, view, form=form, trouble=troubles(view, error), status=422)
        except OtherWrite:
            return view.go(HERE)
        return view.go(HERE, note="added", since=cost.day, until=cost.day)

    return add


def _rates(ground: Ground) -> list[HTTPRouteHandler]:
    @post(f"{HERE}/rates", request_max_body_size=FORM_LIMIT)
    async def tell(request: AnyRequest) -> Response[bytes]:
        view, form = await ground.write(request, "costs:write")
        try:
            code, day = money.currency(form.get("rate_currency", "")), money.day(form.get("rate_day", ""))
            rate = money.rate(form.get("rate", ""))
            async with ground.reading.changing(view.account) as conn:
                await costs.set_rate(conn, view.whose, code, day, rate)
                await audit.record(conn, view.whose, view.caller, "cost.change", f"{code} {day}", rate=str(rate))
        except (Refused, NoSense) as error:
            return await _shown(ground, view, form=form, trouble=troubles(view, error), status=422)
        return view.go(HERE, note="saved")

    @post(f"{HERE}/rates/remove", request_max_body_size=FORM_LIMIT)
    async def remove(request: AnyRequest) -> Response[bytes]:
        view, form = await ground.write(request, "costs:write")
        try:
            code, day = money.currency(form.get("currency", "")), money.day(form.get("day", ""))
        except NoSense as error:
            return await _shown(ground, view, trouble=troubles(view, error), status=422)
        async with ground.reading.changing(view.account) as conn:
            if await cost_sums.delete_rate(conn, view.whose, code, day):
                await audit.record(conn, view.whose, view.caller, "cost.change", f"{code} {day}", removed=True)
        return view.go(HERE, note="removed")

    return [tell, remove]


async def _shown(
    ground: Ground, view: View, *, form: Form | None = None, trouble: list[str] | None = None, status: int = 200
) -> Response[bytes]:  # fmt: skip
    asked = view.request.query_params
    span = asked_span(asked, view.formats.zone, default="30d")
    first, last = days_of(view, span)
    level: Level = next((each for each in LEVELS if each == asked.get("level")), "campaign")
    grain: Grain = next((each for each in GRAINS if each == asked.get("grain")), "")
    fine: Grain = "day" if (last - first).days <= DAYS_OF_BARS else "month"
    async with ground.reading.as_account(view.account, snapshot=True) as conn:
        rows = await cost_sums.sum_costs(conn, view.whose, first, last, level=level, grain=grain)
        by_time = await cost_sums.sum_costs(conn, view.whose, first, last, level="origin", grain=fine)
        told = await cost_sums.origins(conn, view.whose, first, last)
        rates = await costs.read_rates(conn, view.whose)
        has_costs = await conn.fetchval("SELECT EXISTS (SELECT FROM costs WHERE account_id = $1)", view.whose)
    totals = _totals(by_time, view.currency)
    charted = totals[0].currency if totals else view.currency
    kept = {**span.query(), "level": level, "grain": grain}
    return view.render(
        "costs.html", status=status, rows=rows[:MOST_ROWS], left_off=len(rows) > MOST_ROWS, totals=totals, span=span,
        bars=_bars(by_time, charted, fine, (first, last)), fine=fine, charted=charted, origins=told, rates=rates,
        level=level, levels=LEVEL_NAMES, grain=grain, grains=GRAIN_NAMES, periods=PERIOD_NAMES,
        form=dict(form or {"day": str(datetime.now(view.formats.zone).date())}), trouble=trouble or [], hand=HAND,
        once=secrets.token_urlsafe(16), currencies=currencies(view, (form or {}).get("currency", "")),
        may_write=view.may("costs:write"), days={"since": str(first), "until": str(last)},
        rows_query=urlencode(kept | {"since": first, "until": last}), has_costs=has_costs,
    )  # fmt: skip


def days_of(view: View, span: Span) -> tuple[date, date]:
    """The first and last day of a span; a cost has no hour."""
    zone = view.formats.zone
    first = span.since.astimezone(zone).date() if span.since else FIRST_DAY
    last = (span.until.astimezone(UTC) - timedelta(seconds=1)).astimezone(zone).date() if span.until else LAST_DAY
    return first, last


def _totals(sums: Sequence[CostSum], own: str) -> list[Total]:
    """By currency, the account's own first."""
    amounts: dict[str, Decimal] = defaultdict(Decimal)
    clicks: dict[str, int] = defaultdict(int)
    for each in sums:
        amounts[each.currency] += each.amount
        clicks[each.currency] += each.clicks or 0
    ordered = sorted(amounts, key=lambda code: (code != own, -amounts[code]))
    return [
        Total(code, amounts[code], clicks[code], amounts[code] / clicks[code] if clicks[code] else None)
        for code in ordered
    ]


def _bars(sums: Sequence[CostSum], currency: str, fine: Grain, ends: tuple[date, date]) -> list[Bar]:
    amounts: dict[date, Decimal] = defaultdict(Decimal)
    for each in sums:
        if each.day and each.currency == currency:
            amounts[each.day] += each.amount
    if not amounts:
        return []
    days = _steps(max(ends[0], min(amounts)) if fine == "month" else ends[0], min(ends[1], max(amounts)), fine)
    highest = max(*amounts.values(), Decimal("0.0001"))
    step = 1000 / len(days)
    return [
        Bar(day, amounts[day], round(place * step, 2), round(step * 0.8, 2),
            round(float(max(amounts[day], Decimal()) / highest) * 1000, 1))
        for place, day in enumerate(days)
    ]  # fmt: skip


def _steps(first: date, last: date, fine: Grain) -> list[date]:
    if fine == "day":
        return [first + timedelta(days=n) for n in range((last - first).days + 1)]
    months, day = [], first.replace(day=1)
    while day <= last:
        months.append(day)
        day = (day + timedelta(days=32)).replace(day=1)
    return months
