"""GET /api/v1/sites, pools, numbers, static-bindings: the inventory, each account its own, the operator all."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from callrouter.journal import inventory_list
from callrouter.journal.columns import Table
from callrouter.journal.conditions import Values
from callrouter.journal.listing import UTC_ZONE
from callrouter.people.roles import Scope
from callrouter.pool.inventory_rows import NumberRow, PoolRow, SiteRow, StaticRow
from callrouter.web.api import examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.asked import number_in
from callrouter.web.api.changes import AccountAsked, After, Limit, asked_account
from callrouter.web.api.filtered import patience
from callrouter.web.api.listed import Where, operation_of, read_list
from callrouter.web.api.reading import Reading

Row = TypeVar("Row", SiteRow, PoolRow, NumberRow, StaticRow)
OWN = ("account", "after", "limit")
AfterNumber = Annotated[str | None, QueryParameter(max_length=64, description="`next` of the page before.")]


class Sites(msgspec.Struct, frozen=True):
    items: list[SiteRow]
    next: int | None


class Pools(msgspec.Struct, frozen=True):
    items: list[PoolRow]
    next: int | None


class Numbers(msgspec.Struct, frozen=True):
    items: list[NumberRow]
    next: str | None


class StaticBindings(msgspec.Struct, frozen=True):
    items: list[StaticRow]
    next: int | None


class _Inventory:
    """Reads the lists, each by its key: by any of their fields, as far as the asker may."""

    def __init__(self, access: Access, reading: Reading) -> None:
        self._access = access
        self._reading = reading

    async def rows(
        self, request: ApiRequest, scope: Scope, table: Table, kind: type[Row], *, account: int | None,
        after: int | str, limit: int,
    ) -> tuple[list[Row], bool]:  # fmt: skip
        """A page, and whether there is another one."""
        caller = await self._access.caller(request, scope)
        whose, values, key = asked_account(caller, account), Values(), table.columns[table.key]
        where = [f"{key.sql} > {values.add(after, 'text' if isinstance(after, str) else 'bigint')}"]
        if whose is not None:
            where.append(f"{table.owner} = {values.add(whose, 'bigint')}")
        async with self._reading.as_account(caller.account) as conn, patience(conn):
            found = await read_list(
                conn, table, Where(where, values), request, own=OWN, sort=table.key, cursor=None, limit=limit,
                zone=UTC_ZONE,
            )  # fmt: skip
        told = [kind(**{name: row[name] for name in kind.__struct_fields__}) for row in found.rows]
        return told, found.next is not None


def inventory_lists(access: Access, reading: Reading) -> list[HTTPRouteHandler]:
    inventory = _Inventory(access, reading)

    @get(
        "/sites", responses=examples.of(Sites, examples.SITES), operation_class=operation_of(inventory_list.SITES),
        summary="Sites",
    )  # fmt: skip
    async def sites(request: ApiRequest, account: AccountAsked = None, after: After = 0, limit: Limit = 100) -> Sites:
        """By any of their fields."""
        found, more = await inventory.rows(
            request, "settings:read", inventory_list.SITES, SiteRow, account=account, after=after, limit=limit
        )
        return Sites(found, found[-1].id if more else None)

    @get(
        "/pools", responses=examples.of(Pools, examples.POOLS), operation_class=operation_of(inventory_list.POOLS),
        summary="Pools",
    )  # fmt: skip
    async def pools(request: ApiRequest, account: AccountAsked = None, after: After = 0, limit: Limit = 100) -> Pools:
        """An account's own; those that the operator shares are the operator's to see."""
        found, more = await inventory.rows(
            request, "numbers:read", inventory_list.POOLS, PoolRow, account=account, after=after, limit=limit
        )
        return Pools(found, found[-1].id if more else None)

    return [sites, pools, *_numbers(inventory)]


def _numbers(inventory: _Inventory) -> list[HTTPRouteHandler]:
    @get(
        "/numbers", responses=examples.of(Numbers, examples.NUMBERS), summary="Numbers",
        operation_class=operation_of(inventory_list.NUMBERS),
    )  # fmt: skip
    async def numbers(
        request: ApiRequest, account: AccountAsked = None, after: AfterNumber = None, limit: Limit = 100
    ) -> Numbers:
        """By any of their fields."""
        start = number_in(after) if after else ""
        found, more = await inventory.rows(
            request, "numbers:read", inventory_list.NUMBERS, NumberRow, account=account, after=start, limit=limit
        )
        return Numbers(found, found[-1].number if more else None)

    @get(
        "/static-bindings", responses=examples.of(StaticBindings, examples.STATIC_BINDINGS), summary="Static numbers",
        operation_class=operation_of(inventory_list.STATIC),
    )  # fmt: skip
    async def bindings(
        request: ApiRequest, account: AccountAsked = None, after: After = 0, limit: Limit = 100
    ) -> StaticBindings:
        """What each was bound to when, past ones too."""
        found, more = await inventory.rows(
            request, "numbers:read", inventory_list.STATIC, StaticRow, account=account, after=after, limit=limit
        )
        return StaticBindings(found, found[-1].id if more else None)

    return [numbers, bindings]
