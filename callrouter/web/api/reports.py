"""GET /api/v1/reports/…: what appeals, visits, deals and costs add up to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Annotated, Literal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import asyncpg
import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, QueryParameter

from callrouter.appeals.credit import Model
from callrouter.clock import Clock
from callrouter.db.connect import Connection
from callrouter.journal.filters import Filters
from callrouter.journal.query import BadFilter, parse
from callrouter.reports.asking import MOST_ROWS, Compared, Question, Row, answer, compared
from callrouter.reports.facts import Scope
from callrouter.reports.figures import BY_NAME, JOURNAL_ROWS, Dimension, Figures
from callrouter.reports.numbers import NumberUse, PoolUse, SiteUse, numbers_used, pools_used, sites_served
from callrouter.reports.paths import Assist, PathRow, read_assists, read_paths
from callrouter.web.api import examples, report_examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.changes import AccountAsked, meant_account
from callrouter.web.api.reading import Reading
from callrouter.web.metrics import API_SECONDS
from callrouter.web.problem import Refusal

MOST_KEYS = 3
LONGEST = timedelta(days=3700)
PATIENCE = "12s"
"""Less than a command may take altogether."""

Name = FromPath[str]
By = Annotated[
    list[Dimension] | None, QueryParameter(description="Rows by these, three at most; else as the name says.")
]
ModelAsked = Annotated[
    Model, QueryParameter(description="Who has the credit for an appeal; the past is told by it as well.")
]
Compare = Annotated[
    Literal["previous"] | None, QueryParameter(description="`previous`: beside the period before, as long.")
]
Most = Annotated[int, QueryParameter(ge=1, le=MOST_ROWS, description="Rows at most; the total has all.")]
OWN = frozenset({"by", "model", "compare", "limit", "account"})


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`figures`: what to add to a row's `filter` for the journal's rows of that figure."""

    name: str
    account: int
    since: datetime
    until: datetime
    time_zone: str
    currency: str
    by: tuple[Dimension, ...]
    model: Model
    rows: tuple[Row, ...]
    total: Figures
    left_off: int
    previous: Compared | None
    figures: dict[str, str]


class NumbersReport(msgspec.Struct, frozen=True, kw_only=True):
    since: datetime
    until: datetime
    items: list[NumberUse]


class PoolsReport(msgspec.Struct, frozen=True, kw_only=True):
    since: datetime
    until: datetime
    items: list[PoolUse]
    sites: list[SiteUse]


class PathsReport(msgspec.Struct, frozen=True, kw_only=True):
    since: datetime
    until: datetime
    items: list[PathRow]
    assists: list[Assist]


class Reports:
    """What the reports' handlers share: whose they are, on whose clock, of what period."""

    def __init__(self, access: Access, reading: Reading, clock: Clock) -> None:
        self.access = access
        self._reading = reading
        self._clock = clock

    @asynccontextmanager
    async def asked(
        self, request: ApiRequest, account: int | None, own: Collection[str] = OWN
    ) -> AsyncIterator[tuple[Connection, Scope, Filters, str]]:
        """A connection with one snapshot, the scope, the filters with a period, and the account's currency."""
        caller = await self.access.caller(request, "reports:read")
        whose = meant_account(caller, account)
        async with self._reading.as_account(whose, snapshot=True) as conn, _patience(conn):
            scope, currency = await scope_of(conn, whose)
            yield conn, scope, self._filters(request, scope, own), currency

    def _filters(self, request: ApiRequest, scope: Scope, own: Collection[str]) -> Filters:
        items = [(name, value) for name, value in request.query_params.multi_items() if name not in own]
        if not {name for name, value in items if value} & {"period", "since", "until"}:
            items.append(("period", "30d"))
        try:
            filters = parse(items, zone=scope.zone, now=self._clock.now())
        except BadFilter as error:
            raise Refusal(400, "bad-filter", "A filter does not fit", str(error)) from None
        until = filters.until or self._clock.now()
        since = filters.since or until - timedelta(days=30)
        if not timedelta() < until - since <= LONGEST:
            raise Refusal(
                400, "bad-span", "That is no span of time", "since must lie before until, by ten years at most."
            )
        return msgspec.structs.replace(filters, since=since, until=until)


async def scope_of(conn: Connection, account: int) -> tuple[Scope, str]:
    """The account, its clock and its currency."""
    row = await conn.fetchrow("SELECT time_zone, currency FROM accounts WHERE id = $1", account)
    if row is None:
        raise Refusal(404, "unknown-account", "No such account")
    return Scope(account, ZoneInfo(row["time_zone"])), row["currency"]


@asynccontextmanager
async def _patience(conn: Connection) -> AsyncIterator[None]:
    await conn.execute(f"SET LOCAL statement_timeout = '{PATIENCE}'")
    try:
        yield
    except asyncpg.QueryCanceledError:
        detail = "Choose a shorter period, or filters by source only: these are added up beforehand."
        raise Refusal(503, "too-long", "That takes too long to count", detail, retry_s=60) from None


def report_handlers(access: Access, reading: Reading, clock: Clock) -> list[HTTPRouteHandler]:
    reports = Reports(access, reading, clock)
    return [_traffic(reports), *_apart(reports)]


def _traffic(reports: Reports) -> HTTPRouteHandler:
    @get(
        "/reports/{name:str}", responses=examples.of(Report, report_examples.REPORT), summary="A report",
        description=f"`name`: {', '.join(BY_NAME)}; besides, the filters of the journal.",
    )  # fmt: skip
    async def report(
        request: ApiRequest, name: Name, *, by: By = None, model: ModelAsked = "last_click", compare: Compare = None,
        limit: Most = 1000, account: AccountAsked = None,
    ) -> Report:  # fmt: skip
        """Every figure is the sum of the journal's rows, visits, deals and costs as they stand now."""
        with API_SECONDS.labels(call="reports").time():
            keys = _keys(name, by)
            async with reports.asked(request, account) as (conn, scope, filters, currency):
                question = Question(filters=filters, by=keys, model=model, limit=limit)
                before = None
                if compare:
                    told, before = await compared(conn, scope, question)
                else:
                    told = await answer(conn, scope, question)
            return Report(
                name=name, account=scope.account, since=_set(filters.since), until=_set(filters.until),
                time_zone=scope.zone.key, currency=currency, by=keys, model=model, rows=told.rows, total=told.total,
                left_off=told.left_off, previous=before,
                figures={figure: urlencode(query) for figure, query in JOURNAL_ROWS.items()},
            )  # fmt: skip

    return report


def _keys(name: str, by: list[Dimension] | None) -> tuple[Dimension, ...]:
    if name not in BY_NAME:
        raise Refusal(404, "unknown-report", "No such report", f"There are {', '.join(BY_NAME)}.")
    keys = tuple(dict.fromkeys(by)) if by else BY_NAME[name]
    if len(keys) > MOST_KEYS:
        raise Refusal(400, "bad-filter", "A filter does not fit", f"by: {MOST_KEYS} at most")
    return keys


def _apart(reports: Reports) -> list[HTTPRouteHandler]:
    """Reports with rows of their own."""

    async def used(request: ApiRequest, account: int | None, limit: int, *, only_static: bool) -> NumbersReport:
        with API_SECONDS.labels(call="reports").time():
            async with reports.asked(request, account) as (conn, scope, filters, _):
                items = await numbers_used(conn, scope, filters, only_static=only_static, limit=limit)
            return NumbersReport(since=_set(filters.since), until=_set(filters.until), items=items)

    answers = examples.of(NumbersReport, report_examples.NUMBERS)

    @get("/reports/numbers", responses=answers, summary="Calls by number")
    async def numbers(request: ApiRequest, *, limit: Most = 1000, account: AccountAsked = None) -> NumbersReport:
        """Numbers that were called, and static ones that were not. Filters are the journal's."""
        return await used(request, account, limit, only_static=False)

    @get("/reports/static", responses=answers, summary="Calls by static number")
    async def static(request: ApiRequest, *, limit: Most = 1000, account: AccountAsked = None) -> NumbersReport:
        """Numbers that were bound to a channel at some time of the period."""
        return await used(request, account, limit, only_static=True)

    @get("/reports/pools", responses=examples.of(PoolsReport, report_examples.POOLS), summary="Use of pools")
    async def pools(request: ApiRequest, *, account: AccountAsked = None) -> PoolsReport:
        """What the account's visits took of each pool, and how many visits of each site found it empty."""
        with API_SECONDS.labels(call="reports").time():
            async with reports.asked(request, account) as (conn, scope, filters, _):
                since, until = _set(filters.since), _set(filters.until)
                items = await pools_used(conn, scope.account, since, until)
                sites = await sites_served(conn, scope.account, since, until)
            return PoolsReport(since=since, until=until, items=items, sites=sites)

    @get("/reports/paths", responses=examples.of(PathsReport, report_examples.PATHS), summary="Multichannel paths")
    async def paths(request: ApiRequest, *, limit: Most = 100, account: AccountAsked = None) -> PathsReport:
        """Ways that multichannel appeals came by, and which sources were the last touch or an earlier one."""
        with API_SECONDS.labels(call="reports").time():
            async with reports.asked(request, account) as (conn, scope, filters, _):
                items = await read_paths(conn, scope, filters, limit)
                assists = await read_assists(conn, scope, filters, limit)
            return PathsReport(since=_set(filters.since), until=_set(filters.until), items=items, assists=assists)

    return [numbers, static, pools, paths]


def _set(at: datetime | None) -> datetime:
    assert at is not None  # noqa: S101 - `_filters` set it
    return at
