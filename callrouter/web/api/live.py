"""GET /api/v1/appeals/live: server-sent events of calls that ring, and of appeals as they are published."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.response import Stream

from callrouter.db.connect import Connection
from callrouter.journal import clients, live
from callrouter.journal.appeal import read_passing
from callrouter.journal.filters import Filters
from callrouter.journal.live import Feed, Missed, News, Notice
from callrouter.journal.news import CallNews
from callrouter.journal.row import LISTED
from callrouter.numbers import INTERNATIONAL, NotANumber, display_number, parse_number
from callrouter.people.model import Caller
from callrouter.web.api import examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.filtered import Asking, OfAppeals, fitting
from callrouter.web.api.journal import AccountAsked, Fields, fields_in
from callrouter.web.metrics import WATCHERS
from callrouter.web.problem import Refusal

OWN = ("account", "fields")
MOST_WATCHERS = 500
"""Of a process: each is a connection and a few kilobytes."""
MOST_OF_ACCOUNT = 100
"""None shuts others out."""
SETTLE_SECONDS = 0.1
"""Appeals that are published together are asked for together."""
BEAT_SECONDS = 15.0
LONGEST_SECONDS = 1800.0
"""Then the browser connects anew, and whether he may still is asked anew."""


class Ringing(msgspec.Struct, frozen=True, kw_only=True):
    """`client` and `client_name`: who it is, if he is known. `customer`, `called`: the numbers as people write them."""

    call: CallNews
    customer: str = ""
    called: str = ""
    client: int | None = None
    client_name: str | None = None


def live_handlers(access: Access, asking: Asking, feed: Feed) -> list[HTTPRouteHandler]:
    @get("/appeals/live", responses=_stream(), operation_class=OfAppeals, summary="What happens just now")
    async def watch(request: ApiRequest, account: AccountAsked = None, fields: Fields = None) -> Stream:
        """Server-sent events: `hello` once it listens, with `ringing` for calls that last; `appeal` with a row that is
        new or has changed and passes the filters; `gone` with the id of one that does not pass any more; `ringing` and
        `ended` of calls; `missed`: ask the journal for what is new. A comment now and then keeps the line open; after
        half an hour connect anew."""
        caller = await access.caller(request, "appeals:read")
        names = fitting(lambda: fields_in(fields), "bad-field", "There is no such field") if fields else LISTED
        async with asking.of(caller, account) as (conn, whose):
            filters, clock = await asking.filters(conn, whose, request, OWN)
        if len(feed) >= MOST_WATCHERS or feed.of(whose) >= MOST_OF_ACCOUNT:
            raise Refusal(503, "busy", "Too many watch already", "Try again in a while.", retry_s=60)
        watched = _Watched(asking, caller, account=whose, filters=filters, zone=clock.zone, fields=names)
        return Stream(
            _events(feed, watched), media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )  # fmt: skip

    return [watch]


class _Watched:
    """What one watcher wants to see."""

    def __init__(
        self, asking: Asking, caller: Caller, *, account: int, filters: Filters, zone: ZoneInfo,
        fields: tuple[str, ...],
    ) -> None:  # fmt: skip
        self._asking = asking
        self._caller = caller
        self.account = account
        self._filters = filters
        now, until = asking.clock.now(), filters.until
        self.lasts = LONGEST_SECONDS
        """A named period is another one after its end."""
        if until is not None and until > now:
            self.lasts = min(LONGEST_SECONDS, (until - now).total_seconds())
        self._zone = zone
        self._fields = fields

    async def told(self, news: list[News]) -> AsyncIterator[bytes]:
        """Events of the news of one moment."""
        notices = [each for each in news if isinstance(each, Notice)]
        if any(isinstance(each, Missed) for each in news) or any(not notice.ids for notice in notices):
            yield event("missed", {})
        ids = list(dict.fromkeys(appeal for notice in notices for appeal in notice.ids))
        calls = [each for each in news if isinstance(each, CallNews)]
        if not ids and not calls:
            return
        async with self._asking.of(self._caller, self.account) as (conn, _):  # whoever reads slowly holds none
            events = [
                event(call.state, await self._who(conn, call) if call.state == "ringing" else Ringing(call=call))
                for call in calls
            ]
            events += [each async for each in self._appeals(conn, ids)]
        for each in events:
            yield each

    async def _appeals(self, conn: Connection, ids: list[UUID]) -> AsyncIterator[bytes]:
        if not ids:
            return
        rows = await read_passing(conn, self.account, self._filters, ids, zone=self._zone, fields=self._fields)
        for row in reversed(rows):
            yield event("appeal", row)
        for gone in sorted({*ids} - {row.id for row in rows}):
            yield event("gone", {"id": gone})

    async def _who(self, conn: Connection, call: CallNews) -> Ringing:
        known = await clients.by_phone(conn, self.account, call.customer) if call.customer else None
        return Ringing(
            call=call, customer=_spelled(call.customer), called=_spelled(call.called),
            client=known[0] if known else None, client_name=known[1] if known else None,
        )  # fmt: skip


def _spelled(number: str | None) -> str:
    try:
        return display_number(parse_number(number, INTERNATIONAL)) if number else ""
    except NotANumber:
        return number or ""


async def _events(feed: Feed, watched: _Watched) -> AsyncIterator[bytes]:
    with feed.watching(watched.account) as watcher, WATCHERS.track_inprogress():
        loop = asyncio.get_running_loop()
        ends = loop.time() + watched.lasts
        yield b": callrouter\nretry: 2000\n\n"
        await feed.ready()
        yield event("hello", {})
        try:
            async for each in watched.told(list(feed.calls_of(watched.account))):
                yield each
        except Refusal:
            yield event("missed", {})
        async for news in live.gathered(watcher, settle=SETTLE_SECONDS, idle=BEAT_SECONDS):
            if any(isinstance(each, Missed) for each in news):  # which calls last is told anew
                yield event("hello", {})
                news = [*news, *feed.calls_of(watched.account)]  # noqa: PLW2901 - with what goes on besides
            try:
                async for each in watched.told(news):
                    yield each
            except Refusal:  # Postgres is away for the moment
                yield event("missed", {})
            if not news:
                yield b":\n\n"
            if loop.time() >= ends:
                return


def event(name: str, data: object) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"


def _stream() -> dict[int, ResponseSpec]:
    found = ResponseSpec(bytes, generate_examples=False, description="Events", media_type="text/event-stream")
    return examples.of(bytes, {}) | {200: found}
