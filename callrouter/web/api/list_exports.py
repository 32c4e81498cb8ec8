"""/api/v1/visits/export, clients, deals, costs: what the lists tell, all of it, as files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

import asyncpg
import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from callrouter.db.connect import Connection
from callrouter.journal import client_list, visits
from callrouter.journal.client_list import ClientListed
from callrouter.journal.columns import Table
from callrouter.journal.conditions import Values
from callrouter.journal.filters import Filters
from callrouter.journal.keyset import Behind
from callrouter.journal.listing import Clock
from callrouter.journal.visits import VisitTold
from callrouter.people import audit
from callrouter.people.model import Caller
from callrouter.people.roles import Scope
from callrouter.reports import cost_list, deal_list
from callrouter.reports.costs import CostTold, cost_of
from callrouter.reports.deals import Deal, deal_of
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.clients import Phone, Search, Since, Sought, Until, clients_asked
from callrouter.web.api.files import Bom, Files, FormatAsked, SeparatorAsked, Shape, described
from callrouter.web.api.filtered import Asking, OfVisits, known_clock
from callrouter.web.api.journal import AccountAsked
from callrouter.web.api.listed import Where, operation_of, read_list, require_fitting
from callrouter.web.api.visits import require_visit_fields

OWN = ("account", "format", "bom", "separator")
AT_ONCE = 1000
AMOUNTS = frozenset({"revenue", "amount"})
"""Texts, so that JSON keeps them exact; numbers to a spreadsheet."""


class Part(NamedTuple):
    rows: Sequence[msgspec.Struct]
    next: str | None


Told = Callable[[asyncpg.Record], msgspec.Struct]
Read = Callable[[Connection, str | None], Awaitable[Part]]
"""The page behind a cursor."""


class _What(NamedTuple):
    """Which list it is, in the URL and in the record; `scope`: who may."""

    name: str
    scope: Scope
    kind: type[msgspec.Struct]


class _Asked(NamedTuple):
    account: int | None
    file_format: FormatAsked
    bom: bool
    separator: SeparatorAsked


class _Exports:
    def __init__(self, access: Access, asking: Asking, files: Files) -> None:
        self._access = access
        self._asking = asking
        self._files = files

    async def answer(
        self, request: ApiRequest, what: _What, asked: _Asked,
        prepare: Callable[[Connection, int, Clock], Awaitable[Read]],
    ) -> Stream:  # fmt: skip
        """`prepare` reads the filters, and refuses what does not fit before anything is recorded."""
        asking = self._asking
        caller = await self._access.caller(request, what.scope)
        async with asking.changing(caller, asked.account) as (conn, whose):
            clock = await known_clock(conn, whose)
            read = await prepare(conn, whose, clock)
            query = request.url.query[:500]
            await audit.record(conn, whose, caller, "export", what.name, format=asked.file_format, query=query)
        name = f"{what.name}-{asking.clock.now().astimezone(clock.zone):%Y-%m-%d}"
        shape = Shape(
            asked.file_format, what.kind.__struct_fields__, clock.zone, name, bom=asked.bom, separator=asked.separator,
            cell=_cell,
        )  # fmt: skip
        return await self._files.answer(self._pages(caller, whose, read), shape)

    async def _pages(self, caller: Caller, whose: int, read: Read) -> AsyncIterator[Sequence[msgspec.Struct]]:
        """Nothing is held between pages."""
        cursor: str | None = None
        while True:
            async with self._asking.of(caller, whose) as (conn, _):
                part = await read(conn, cursor)
            if part.rows:
                yield part.rows
            cursor = part.next
            if cursor is None:
                return


def _cell(row: msgspec.Struct, name: str) -> object:
    value = getattr(row, name)
    return Decimal(value) if name in AMOUNTS else value


def list_export_handlers(access: Access, asking: Asking, files: Files) -> list[HTTPRouteHandler]:
    exports = _Exports(access, asking, files)
    deals, costs = _What("deals", "deals:read", Deal), _What("costs", "costs:read", CostTold)
    return [
        _visits(exports, asking), _clients(exports), _table(exports, deals, deal_list.TABLE, "opened_at", deal_of),
        _table(exports, costs, cost_list.TABLE, "day", cost_of),
    ]  # fmt: skip


def _visits(exports: _Exports, asking: Asking) -> HTTPRouteHandler:
    what = _What("visits", "visits:read", VisitTold)

    @get("/visits/export", responses=described("The rows"), operation_class=OfVisits, summary="Visits as a file")
    async def export(
        request: ApiRequest, *, account: AccountAsked = None, file_format: FormatAsked = "csv", bom: Bom = False,
        separator: SeparatorAsked = "comma",
    ) -> Stream:  # fmt: skip
        """By the same filters as the list, without a limit."""

        async def prepare(conn: Connection, whose: int, clock: Clock) -> Read:
            filters: Filters = (await asking.filters(conn, whose, request, OWN))[0]
            require_visit_fields(filters)

            async def read(conn: Connection, cursor: str | None) -> Part:
                behind = Behind.of(cursor) if cursor else None
                page = await visits.read_visits(conn, whose, clock.zone, filters, behind=behind, limit=AT_ONCE)
                return Part(page.items, page.next)

            return read

        return await exports.answer(request, what, _Asked(account, file_format, bom, separator), prepare)

    return export


def _clients(exports: _Exports) -> HTTPRouteHandler:
    what = _What("clients", "clients:read", ClientListed)

    @get("/clients/export", responses=described("The rows"), summary="Clients as a file")
    async def export(
        request: ApiRequest, *, account: AccountAsked = None, q: Search = None, phone: Phone = None,
        since: Since = None, until: Until = None, file_format: FormatAsked = "csv", bom: Bom = False,
        separator: SeparatorAsked = "comma",
    ) -> Stream:  # fmt: skip
        """By the same filters as the list, without a limit; the youngest first."""

        async def prepare(_conn: Connection, whose: int, clock: Clock) -> Read:
            asked = clients_asked(whose, clock, Sought(q, phone, since, until))

            async def read(conn: Connection, cursor: str | None) -> Part:
                behind = client_list.client_behind(cursor) if cursor else None
                page = await client_list.read_clients(
                    conn, msgspec.structs.replace(asked, behind=behind, limit=AT_ONCE)
                )  # fmt: skip
                return Part(page.items, page.next)

            return read

        return await exports.answer(request, what, _Asked(account, file_format, bom, separator), prepare)

    return export


def _table(exports: _Exports, what: _What, table: Table, sort: str, told: Told) -> HTTPRouteHandler:
    @get(
        f"/{what.name}/export", responses=described("The rows"), operation_class=operation_of(table),
        summary=f"{what.name.capitalize()} as a file",
    )  # fmt: skip
    async def export(
        request: ApiRequest, *, account: AccountAsked = None, file_format: FormatAsked = "csv", bom: Bom = False,
        separator: SeparatorAsked = "comma",
    ) -> Stream:  # fmt: skip
        """By any of their fields, without a limit; the earliest first."""
        prepare = _of_table(request, table, sort, told)
        return await exports.answer(request, what, _Asked(account, file_format, bom, separator), prepare)

    return export


def _of_table(
    request: ApiRequest, table: Table, sort: str, told: Told
) -> Callable[[Connection, int, Clock], Awaitable[Read]]:
    async def prepare(_conn: Connection, whose: int, clock: Clock) -> Read:
        require_fitting(table, request, OWN, clock.zone)

        async def read(conn: Connection, cursor: str | None) -> Part:
            values = Values()
            where = Where([f"{table.owner} = {values.add(whose, 'bigint')}"], values)
            found = await read_list(
                conn, table, where, request, own=OWN, sort=sort, cursor=cursor, limit=AT_ONCE, zone=clock.zone
            )
            return Part([told(row) for row in found.rows], found.next)

        return read

    return prepare
