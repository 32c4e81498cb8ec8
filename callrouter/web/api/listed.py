"""Lists of which each column can be filtered and sorted by: their parameters described, read, refused with the mend."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import asyncpg
import msgspec
from litestar.openapi.spec import OpenAPIType, Operation, Parameter, Schema
from litestar.params import QueryParameter

from callrouter.db.connect import Connection
from callrouter.journal import columns
from callrouter.journal.columns import Table
from callrouter.journal.conditions import Values
from callrouter.journal.listing import UTC_ZONE
from callrouter.people.roles import Scope
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.changes import asked_account
from callrouter.web.api.filtered import cursor_read, fitting, patience
from callrouter.web.api.reading import Reading
from callrouter.web.problem import Refusal

T = TypeVar("T", bound=msgspec.Struct)
SortAsked = Annotated[str, QueryParameter(max_length=64, description="A column; with - the largest or latest first.")]
CursorAsked = Annotated[str | None, QueryParameter(max_length=4096, description="`next` of the page before.")]
WORDING = {
    "": "one of them", "not": "none of them", "has": "has this in it", "min": "at least", "max": "at most",
    "empty": "nothing is there (true), or something",
}  # fmt: skip
SHAPES = {"whole": OpenAPIType.INTEGER, "number": OpenAPIType.NUMBER, "flag": OpenAPIType.BOOLEAN}


class Where(NamedTuple):
    """Whose rows: conditions, with their values."""

    conditions: Sequence[str]
    values: Values


class Found(NamedTuple):
    rows: list[asyncpg.Record]
    next: str | None

    def told(self, kind: type[T]) -> list[T]:
        """The rows, of which `kind` has some columns."""
        names = [field.name for field in msgspec.structs.fields(kind)]
        return [kind(**{name: row[name] for name in names}) for row in self.rows]


class Page(NamedTuple):
    """Which rows are asked for besides the filters: whose, in which order, behind which, how many."""

    account: int | None
    sort: str
    cursor: str | None
    limit: int


OF_PAGE = Page._fields


class Lists:
    """Reads what is set up: each account its own, the operator all of them. Times without a zone are UTC."""

    def __init__(self, access: Access, reading: Reading) -> None:
        self._access = access
        self._reading = reading

    async def found(self, request: ApiRequest, scope: Scope, table: Table, page: Page) -> Found:
        """Raises Refusal."""
        caller = await self._access.caller(request, scope)
        whose, values = asked_account(caller, page.account), Values()
        where = [] if whose is None else [f"{table.owner} = {values.add(whose, 'bigint')}"]
        async with self._reading.as_account(caller.account) as conn, patience(conn):
            return await read_list(
                conn, table, Where(where, values), request, own=OF_PAGE, sort=page.sort, cursor=page.cursor,
                limit=page.limit, zone=UTC_ZONE,
            )  # fmt: skip


async def read_list(
    conn: Connection, table: Table, where: Where, request: ApiRequest, *, own: Collection[str], sort: str,
    cursor: str | None, limit: int, zone: ZoneInfo,
) -> Found:  # fmt: skip
    """The page that the request's parameters, but for the handler's `own`, ask for. Raises Refusal 400."""
    values = where.values
    told = [*where.conditions, *_filters(table, request, own, values, zone)]
    if sort not in table.sorts:
        raise Refusal(400, "bad-sort", "It cannot be sorted by that", f"Sort by one of {', '.join(table.sorts)}.")
    asked = cursor_read(lambda: columns.asked(table, values, told, sort=sort, cursor=cursor or None, limit=limit))
    try:
        rows = await conn.fetch(asked.sql, *asked.values)
    except asyncpg.DataError:
        if not cursor:
            raise
        rows = cursor_read(_no_cursor)
    last = rows[limit - 1] if len(rows) > limit else None
    return Found(rows[:limit], asked.behind(last["_value"], last["_key"]) if last else None)


def require_fitting(table: Table, request: ApiRequest, own: Collection[str], zone: ZoneInfo) -> None:
    """Raises Refusal 400 if a filter does not fit."""
    _filters(table, request, own, Values(), zone)


def _filters(
    table: Table, request: ApiRequest, own: Collection[str], values: Values, zone: ZoneInfo
) -> list[str]:  # fmt: skip
    items = [(name, value) for name, value in request.query_params.multi_items() if name not in own]
    return fitting(lambda: columns.conditions(table, items, values, zone=zone))


def _no_cursor() -> list[asyncpg.Record]:
    """Its values are none of the columns that it names."""
    raise ValueError("not a cursor that was given out")


def operation_of(table: Table) -> type[Operation]:
    """Described with the filters of the table besides its own parameters."""
    filters = [_parameter(name, table) for name in table.names]

    @dataclass
    class OfTable(Operation):
        def __post_init__(self) -> None:
            told = self.parameters or []
            own = {each.name for each in told if isinstance(each, Parameter)}
            self.parameters = [*told, *(each for each in filters if each.name not in own)]

    return OfTable


def _parameter(name: str, table: Table) -> Parameter:
    field, _, ending = name.partition(".")
    kind = table.columns[field].kind
    text = f"{field}: {WORDING[ending]}"
    shape = OpenAPIType.BOOLEAN if ending == "empty" else SHAPES.get(kind, OpenAPIType.STRING)
    if ending in {"", "not"} and kind != "flag":
        items = Schema(type=OpenAPIType.ARRAY, items=Schema(type=shape))
        return Parameter(name=name, param_in="query", description=text, style="form", explode=True, schema=items)
    return Parameter(name=name, param_in="query", description=text, schema=Schema(type=shape))
