"""GET /api/v1/leases and /numbers/{number}/timeline: who held a number when. Answers as `callrouter lease` does."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, QueryParameter

from callrouter.clock import Clock
from callrouter.pool.holders import Found, Store, holding, look_up
from callrouter.pool.holding import Holding
from callrouter.pool.timeline import Asked, CallItem, Timeline, read_timeline
from callrouter.web.api import examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.asked import cursor_in, number_in, span_in, time_in
from callrouter.web.api.reading import Reading
from callrouter.web.metrics import API_SECONDS
from callrouter.web.problem import Refusal

NumberAsked = Annotated[str, QueryParameter(description="With its country code, digits only, as 74952232725.")]
At = Annotated[str | None, QueryParameter(description="ISO 8601 with an offset; now if not given.")]
Since = Annotated[str | None, QueryParameter(description="ISO 8601 with an offset; a day before `until` if not given.")]
Until = Annotated[str | None, QueryParameter(description="ISO 8601 with an offset; now if not given.")]
CursorAsked = Annotated[str | None, QueryParameter(description="`next` of the page before.")]
Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Items of a page.")]


def lease_handlers(access: Access, reading: Reading, store: Store, clock: Clock) -> list[HTTPRouteHandler]:
    @get("/leases", responses=examples.of(Holding, examples.HOLDING), summary="Who held a number at a moment")
    async def leases(request: ApiRequest, number: NumberAsked, at: At = None) -> Holding:
        """From the running lease and the history alike. Of another account's visitor only that there is one."""
        with API_SECONDS.labels(call="leases").time():
            caller = await access.caller(request, "leases:read")
            asked, moment = number_in(number), time_in("at", at) if at else clock.now()
            async with reading.as_account(caller.account) as conn:
                told = await holding(conn, store, asked, moment, account=caller.account)
            if told.state == "unknown":
                raise _unknown_number()
            return told

    @get(
        "/numbers/{number:str}/timeline",
        responses=examples.of(Timeline, examples.TIMELINE),
        summary="What happened to a number",
    )
    async def timeline(
        request: ApiRequest,
        number: FromPath[str],
        *,
        since: Since = None,
        until: Until = None,
        cursor: CursorAsked = None,
        limit: Limit = 100,
    ) -> Timeline:
        """Leases, calls, bindings, by their start. Who called is told to tokens with the scope appeals:read."""
        with API_SECONDS.labels(call="timeline").time():
            caller = await access.caller(request, "leases:read")
            (start, end), asked = span_in(since, until, clock.now()), number_in(number)
            page = Asked(
                number=asked, since=start, until=end, account=caller.account, limit=limit, cursor=cursor_in(cursor)
            )
            async with reading.as_account(caller.account) as conn:
                found = await look_up(conn, store, asked, end, caller.account)
                if not _concerns(found):
                    raise _unknown_number()
                told = await read_timeline(
                    conn, page, inventory=found.inventory, sight=found.sight, missing=found.missing
                )
            return told if "appeals:read" in caller.scopes else _without_callers(told)

    return [leases, timeline]


def _concerns(found: Found) -> bool:
    return bool(found.archive and (found.archive.inventory or found.archive.leases or found.archive.binding))


def _unknown_number() -> Refusal:
    return Refusal(
        404, "unknown-number", "No such number", "It is not one of yours, nor of a pool that serves your sites."
    )


def _without_callers(told: Timeline) -> Timeline:
    items = [msgspec.structs.replace(item, caller=None) if isinstance(item, CallItem) else item for item in told.items]
    return msgspec.structs.replace(told, items=tuple(items))
