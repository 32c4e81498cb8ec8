"""GET /api/v1/numbers/leaks: numbers that are called although nobody was shown them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from callrouter.clock import Clock
from callrouter.pool.leak_search import WINDOW, find_leaks
from callrouter.pool.leaks import Leak
from callrouter.web.api import examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.asked import span_in
from callrouter.web.api.reading import COMMAND_SECONDS, Reading
from callrouter.web.metrics import API_SECONDS

Since = Annotated[str | None, QueryParameter(description="ISO 8601 with an offset; two weeks ago if not given.")]
Until = Annotated[str | None, QueryParameter(description="ISO 8601 with an offset; now if not given.")]


class Leaks(msgspec.Struct, frozen=True, kw_only=True):
    """Most evident first. `next` is always null: there are few."""

    since: datetime
    until: datetime
    items: tuple[Leak, ...]
    next: str | None = None


def leak_handlers(access: Access, reading: Reading, clock: Clock, memory: timedelta) -> list[HTTPRouteHandler]:
    @get("/numbers/leaks", responses=examples.of(Leaks, examples.LEAKS), summary="Numbers that leaked out")
    async def leaks(request: ApiRequest, since: Since = None, until: Until = None) -> Leaks:
        """Called by more different people than chance and their leases explain. An account sees its own numbers,
        the operator all. Who called is told to tokens with the scope appeals:read.
        """
        with API_SECONDS.labels(call="leaks").time():
            caller = await access.caller(request, "numbers:read")
            start, end = span_in(since, until, clock.now(), WINDOW)
            async with reading.as_account(caller.account) as conn:
                found = await find_leaks(
                    conn, start, end, memory=memory, account=caller.account, seconds=COMMAND_SECONDS
                )
            if "appeals:read" not in caller.scopes:
                found = [_without_callers(leak) for leak in found]
            return Leaks(since=start, until=end, items=tuple(found))

    return [leaks]


def _without_callers(leak: Leak) -> Leak:
    evidence = tuple(msgspec.structs.replace(call, caller=None) for call in leak.evidence)
    return msgspec.structs.replace(leak, evidence=evidence)
