"""GET /api/v1/reports/…: what appeals, visits, deals and costs add up to."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlencode

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency, Provide
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, QueryParameter

from callrouter.appeals.credit import Model
from callrouter.db.connect import Connection
from callrouter.journal import formats
from callrouter.journal.filters import Filters
from callrouter.journal.formats import FileFormat, Separator
from callrouter.reports.asking import MOST_ROWS, Compared, Question, Row, answer, compared
from callrouter.reports.facts import Scope
from callrouter.reports.figures import BY_NAME, JOURNAL_ROWS, Dimension, Figures, Order
from callrouter.reports.numbers import NumberUse, PoolUse, SiteUse, numbers_used, pools_used, sites_served
from callrouter.reports.paths import Assist, PathRow, read_assists, read_paths
from callrouter.reports.span import report_filters, span
from callrouter.reports.tables import Table, of_items, of_report
from callrouter.web.api import examples, report_examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.changes import AccountAsked
from callrouter.web.api.files import Bom, SeparatorAsked
from callrouter.web.api.filtered import Asking, fitting, known_clock
from callrouter.web.metrics import API_SECONDS
from callrouter.web.problem import Refusal

MOST_KEYS = 3

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
OrderAsked = Annotated[
    Order | None, QueryParameter(description="The most of this first; else by time, or the most appeals first.")
]
Most = Annotated[
    int | None,
    QueryParameter(
        ge=1, le=MOST_ROWS, description="Rows at most, 1000 if not given, in a file all; the total has all."
    ),
]
Written = Literal["json", "csv", "xlsx"]
FormatAsked = Annotated[Written, QueryParameter(name="format", description="json, or a file: csv or xlsx.")]
WHICH = QueryParameter(description="Which of the two tables, in a file.")
OWN = frozenset({"by", "model", "compare", "order", "limit", "account", "format", "bom", "separator", "table"})
MOST_TOLD, MOST_PATHS = 1000, 100
CURRENCY = "SELECT currency FROM accounts WHERE id = $1"


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
    filter: str | None
    """The total's: the query that opens all of its appeals in the journal."""
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


class Told(NamedTuple):
    """How an answer is wanted: as JSON, or as a file."""

    file_format: Written
    bom: bool
    separator: Separator

    async def answer(self, name: str, body: object, table: Table, scope: Scope) -> Response[Any]:
        if self.file_format == "json":
            return Response(body)
        return await asyncio.to_thread(as_file, self, name, table, scope)


ToldAsked = NamedDependency[Told]


class Reports:
    """What the reports' handlers share: whose they are, on whose clock, of what period."""

    def __init__(self, access: Access, asking: Asking) -> None:
        self.access = access
        self.asking = asking

    @asynccontextmanager
    async def asked(self, request: ApiRequest, account: int | None) -> AsyncIterator[tuple[Connection, Scope, Filters]]:
        """A connection with one snapshot, the scope, and the filters with a period."""
        caller = await self.access.caller(request, "reports:read")
        async with self.asking.of(caller, account, snapshot=True) as (conn, whose):
            clock = await known_clock(conn, whose)
            items = [(name, value) for name, value in request.query_params.items() if name not in OWN]
            filters = fitting(
                lambda: report_filters(items, zone=clock.zone, now=self.asking.clock.now(), country=clock.country)
            )
            yield conn, Scope(whose, clock.zone), filters


def as_file(told: Told, name: str, table: Table, scope: Scope) -> Response[bytes]:
    """Reports are short: made in memory, as one piece. Texts that a spreadsheet would run are defused."""
    kind: FileFormat = "xlsx" if told.file_format == "xlsx" else "csv"
    if kind == "csv":
        csv = formats.Csv(table.columns, scope.zone, separator=told.separator, bom=told.bom)
        body = csv.header() + csv.values(table.rows)
    else:
        with tempfile.TemporaryDirectory(prefix="callrouter-report-") as folder:
            path = Path(folder) / "report.xlsx"
            book = formats.Xlsx(path, table.columns, scope.zone)
            book.values(table.rows)
            book.close()
            body = path.read_bytes()
    headers = {"Content-Disposition": f'attachment; filename="{name}.{kind}"', "Cache-Control": "no-store"}
    return Response(body, media_type=formats.MEDIA_TYPES[kind], headers=headers)


def report_handlers(access: Access, asking: Asking) -> list[HTTPRouteHandler]:
    reports = Reports(access, asking)
    return [_traffic(reports), *_numbers(reports), _pools(reports), _paths(reports)]


def _traffic(reports: Reports) -> HTTPRouteHandler:
    @get(
        "/reports/{name:str}", responses=examples.of(Report, report_examples.REPORT), summary="A report",
        description=f"`name`: {', '.join(BY_NAME)}; besides, the filters of the journal.",
        dependencies={"told": Provide(_told, sync_to_thread=False)},
    )  # fmt: skip
    async def report(
        request: ApiRequest, name: Name, *, told: ToldAsked, by: By = None, model: ModelAsked = "last_click",
        compare: Compare = None, order: OrderAsked = None, limit: Most = None, account: AccountAsked = None,
    ) -> Response[Any]:  # fmt: skip
        """Every figure is the sum of the journal's rows, visits, deals and costs as they stand now."""
        with API_SECONDS.labels(call="reports").time():
            keys = _keys(name, by)
            most = limit or (MOST_TOLD if told.file_format == "json" else MOST_ROWS)
            async with reports.asked(request, account) as (conn, scope, filters):
                question = Question(filters=filters, by=keys, model=model, limit=most, order=order)
                before = None
                if compare:
                    found, before = await compared(conn, scope, question, reports.asking.clock.now())
                else:
                    found = await answer(conn, scope, question)
                currency = await conn.fetchval(CURRENCY, scope.account)
            since, until = span(filters)
            body = Report(
                name=name, account=scope.account, since=since, until=until, time_zone=scope.zone.key,
                currency=currency, by=keys, model=model, rows=found.rows, total=found.total, left_off=found.left_off,
                filter=found.filter, previous=before,
                figures={figure: urlencode(query) for figure, query in JOURNAL_ROWS.items()},
            )  # fmt: skip
            table = of_report(keys, found.rows, found.total, with_before=before is not None)
            return await told.answer(name, body, table, scope)

    return report


def _told(file_format: FormatAsked = "json", bom: Bom = False, separator: SeparatorAsked = "comma") -> Told:
    return Told(file_format, bom, separator)


def _keys(name: str, by: list[Dimension] | None) -> tuple[Dimension, ...]:
    if name not in BY_NAME:
        raise Refusal(404, "unknown-report", "No such report", f"There are {', '.join(BY_NAME)}.")
    keys = tuple(dict.fromkeys(by)) if by else BY_NAME[name]
    if len(keys) > MOST_KEYS:
        raise Refusal(400, "bad-filter", "A filter does not fit", f"by: {MOST_KEYS} at most")
    return keys


def _numbers(reports: Reports) -> list[HTTPRouteHandler]:
    async def used(
        request: ApiRequest, account: int | None, limit: int | None, told: Told, *, only_static: bool
    ) -> Response[Any]:
        with API_SECONDS.labels(call="reports").time():
            most = limit or (MOST_TOLD if told.file_format == "json" else MOST_ROWS)
            async with reports.asked(request, account) as (conn, scope, filters):
                items = await numbers_used(conn, scope, filters, only_static=only_static, limit=most)
            since, until = span(filters)
            body = NumbersReport(since=since, until=until, items=items)
            return await told.answer("static" if only_static else "numbers", body, of_items(NumberUse, items), scope)

    answers = examples.of(NumbersReport, report_examples.NUMBERS)
    wanted = {"told": Provide(_told, sync_to_thread=False)}

    @get("/reports/numbers", responses=answers, summary="Calls by number", dependencies=wanted)
    async def numbers(
        request: ApiRequest, *, told: ToldAsked, limit: Most = None, account: AccountAsked = None
    ) -> Response[Any]:
        """Numbers that were called, and static ones that were not. Filters are the journal's."""
        return await used(request, account, limit, told, only_static=False)

    @get("/reports/static", responses=answers, summary="Calls by static number", dependencies=wanted)
    async def static(
        request: ApiRequest, *, told: ToldAsked, limit: Most = None, account: AccountAsked = None
    ) -> Response[Any]:
        """Numbers that were bound to a channel at some time of the period."""
        return await used(request, account, limit, told, only_static=True)

    return [numbers, static]


def _pools(reports: Reports) -> HTTPRouteHandler:
    @get(
        "/reports/pools", responses=examples.of(PoolsReport, report_examples.POOLS), summary="Use of pools",
        dependencies={"told": Provide(_told, sync_to_thread=False)},
    )  # fmt: skip
    async def pools(
        request: ApiRequest, *, told: ToldAsked, table: Annotated[Literal["items", "sites"], WHICH] = "items",
        account: AccountAsked = None,
    ) -> Response[Any]:  # fmt: skip
        """What the account's visits took of each pool, and how many visits of each site found it empty."""
        with API_SECONDS.labels(call="reports").time():
            async with reports.asked(request, account) as (conn, scope, filters):
                since, until = span(filters)
                items = await pools_used(conn, scope.account, since, until)
                sites = await sites_served(conn, scope.account, since, until)
            body = PoolsReport(since=since, until=until, items=items, sites=sites)
            rows = of_items(PoolUse, items) if table == "items" else of_items(SiteUse, sites)
            return await told.answer("pools", body, rows, scope)

    return pools


def _paths(reports: Reports) -> HTTPRouteHandler:
    @get(
        "/reports/paths", responses=examples.of(PathsReport, report_examples.PATHS), summary="Multichannel paths",
        dependencies={"told": Provide(_told, sync_to_thread=False)},
    )  # fmt: skip
    async def paths(
        request: ApiRequest, *, told: ToldAsked, table: Annotated[Literal["items", "assists"], WHICH] = "items",
        limit: Most = None, account: AccountAsked = None,
    ) -> Response[Any]:  # fmt: skip
        """Ways that multichannel appeals came by, and which sources were the last touch or an earlier one."""
        with API_SECONDS.labels(call="reports").time():
            most = limit or (MOST_PATHS if told.file_format == "json" else MOST_ROWS)
            async with reports.asked(request, account) as (conn, scope, filters):
                items = await read_paths(conn, scope, filters, most)
                assists = await read_assists(conn, scope, filters, most)
            since, until = span(filters)
            body = PathsReport(since=since, until=until, items=items, assists=assists)
            rows = of_items(PathRow, items) if table == "items" else of_items(Assist, assists)
            return await told.answer("paths", body, rows, scope)

    return paths
