"""GET /api/v1/sites, pools, numbers, static-bindings: the inventory, each account its own, the operator all."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from callrouter.pool import inventory_rows
from callrouter.pool.inventory_rows import NumberRow, PoolRow, SiteRow, StaticRow
from callrouter.web.api import examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.asked import number_in
from callrouter.web.api.audit_route import plain
from callrouter.web.api.changes import AccountAsked, After, Limit, asked_account
from callrouter.web.api.reading import Reading

AfterNumber = Annotated[str | None, QueryParameter(max_length=64, description="`next` of the page before.")]
PoolAsked = Annotated[str | None, QueryParameter(max_length=120, description="Of this pool only.")]


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


def inventory_lists(access: Access, reading: Reading) -> list[HTTPRouteHandler]:
    @get("/sites", responses=examples.of(Sites, examples.SITES), summary="Sites")
    async def sites(request: ApiRequest, account: AccountAsked = None, after: After = 0, limit: Limit = 100) -> Sites:
        caller = await access.caller(request, "settings:read")
        async with reading.as_account(caller.account) as conn:
            found = await inventory_rows.sites(conn, asked_account(caller, account), after, limit)
        return Sites(found, found[-1].id if len(found) == limit else None)

    @get("/pools", responses=examples.of(Pools, examples.POOLS), summary="Pools")
    async def pools(request: ApiRequest, account: AccountAsked = None, after: After = 0, limit: Limit = 100) -> Pools:
        """An account's own; those that the operator shares are the operator's to see."""
        caller = await access.caller(request, "numbers:read")
        async with reading.as_account(caller.account) as conn:
            found = await inventory_rows.pools(conn, asked_account(caller, account), after, limit)
        return Pools(found, found[-1].id if len(found) == limit else None)

    @get("/numbers", responses=examples.of(Numbers, examples.NUMBERS), summary="Numbers")
    async def numbers(
        request: ApiRequest, account: AccountAsked = None, pool: PoolAsked = None, after: AfterNumber = None,
        limit: Limit = 100,
    ) -> Numbers:  # fmt: skip
        caller = await access.caller(request, "numbers:read")
        start = number_in(after) if after else ""
        async with reading.as_account(caller.account) as conn:
            found = await inventory_rows.numbers(conn, asked_account(caller, account), start, limit, plain(pool))
        return Numbers(found, found[-1].number if len(found) == limit else None)

    @get("/static-bindings", responses=examples.of(StaticBindings, examples.STATIC_BINDINGS), summary="Static numbers")
    async def bindings(
        request: ApiRequest, account: AccountAsked = None, after: After = 0, limit: Limit = 100
    ) -> StaticBindings:
        """What each was bound to when, past ones too."""
        caller = await access.caller(request, "numbers:read")
        async with reading.as_account(caller.account) as conn:
            found = await inventory_rows.static_bindings(conn, asked_account(caller, account), after, limit)
        return StaticBindings(found, found[-1].id if len(found) == limit else None)

    return [sites, pools, numbers, bindings]
