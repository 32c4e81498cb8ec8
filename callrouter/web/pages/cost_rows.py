"""/costs/rows: each cost as it was told, and /costs/delete: those of a time and teller, deleted after a look."""

from __future__ import annotations

from datetime import date
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from callrouter.people import audit
from callrouter.pool.inventory import Unknown
from callrouter.reports import cost_sums, costs, money
from callrouter.reports.money import NoSense
from callrouter.web.api.changes import HIGHEST_ID, Id
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.ground import FORM_LIMIT, Form, Ground
from callrouter.web.pages.import_words import HAND
from callrouter.web.problem import Refusal

HERE = "/costs"
ROWS = 100


def row_pages(ground: Ground) -> list[HTTPRouteHandler]:
    @get(f"{HERE}/rows")
    async def rows(request: AnyRequest) -> Response[bytes]:
        view = await ground.open(request, "costs:read")
        asked = request.query_params
        first, last = _day(asked.get("since", "")), _day(asked.get("until", ""))
        origin = asked.get("origin", "").replace("\0", "")[:200]
        async with ground.reading.as_account(view.account) as conn:
            found = await costs.read_costs(
                conn, view.whose, first, last, origin=origin, behind=_behind(asked.get("after", "")), limit=ROWS + 1
            )
        shown = found[:ROWS]
        kept = {"since": str(first), "until": str(last), "origin": origin}
        after = f"{shown[-1].day}~{shown[-1].id}" if len(found) > ROWS else ""
        return view.render(
            "cost_rows.html", rows=shown, kept=kept, after=urlencode({**kept, "after": after}) if after else "",
            first=first, last=last, origin=origin, hand=HAND, may_write=view.may("costs:write"),
        )  # fmt: skip

    @post(f"{HERE}/rows/{{cost:int}}/remove", request_max_body_size=FORM_LIMIT)
    async def remove(request: AnyRequest, cost: Id) -> Response[bytes]:
        view, form = await ground.write(request, "costs:write")
        async with ground.reading.changing(view.account) as conn:
            if not await cost_sums.delete_cost(conn, view.whose, cost):
                raise Unknown(cost)
            await audit.record(conn, view.whose, view.caller, "cost.change", cost, removed=True)
        back = {name: form.get(name, "") for name in ("since", "until", "origin")}
        return view.go(f"{HERE}/rows", note="removed", **back)

    return [rows, remove, *_deleting(ground)]


def _deleting(ground: Ground) -> list[HTTPRouteHandler]:
    @get(f"{HERE}/delete")
    async def look(request: AnyRequest) -> Response[bytes]:
        view = await ground.open(request, "costs:write")
        first, last, origin = _meant(request.query_params)
        async with ground.reading.as_account(view.account) as conn:
            found = await cost_sums.in_period(conn, view.whose, first, last, origin)
        return view.render("cost_delete.html", found=found, first=first, last=last, origin=origin, hand=HAND)

    @post(f"{HERE}/delete", request_max_body_size=FORM_LIMIT)
    async def delete(request: AnyRequest) -> Response[bytes]:
        view, form = await ground.write(request, "costs:write")
        first, last, origin = _meant(form)
        async with ground.reading.changing(view.account) as conn:
            done = await cost_sums.delete_period(conn, view.whose, first, last, origin)
            told = {"removed": done, "origin": origin or ""}
            await audit.record(conn, view.whose, view.caller, "cost.change", f"{first} {last}", **told)
        return view.go(HERE, note="removed", since=first, until=last)

    return [look, delete]


def _meant(asked: Form) -> tuple[date, date, str | None]:
    """`origin` not given: whoever told."""
    origin = asked.get("origin")
    return _day(asked.get("since", "")), _day(asked.get("until", "")), origin if origin is None else origin[:200]


def _day(text: str) -> date:
    try:
        return money.day(text)
    except NoSense as error:
        raise Refusal(400, "bad-time", "That is no day", str(error)) from None


def _behind(text: str) -> tuple[date, int]:
    day, sign, number = text.partition("~")
    if not sign:
        return date(1, 1, 1), 0
    if not (number.isascii() and number.isdigit() and number == number[:19] and int(number) <= HIGHEST_ID):
        raise Refusal(400, "bad-cursor", "That is no page of this list")
    return _day(day), int(number)
