"""GET /api/v1/sites, pools, numbers, static-bindings: the inventory, each account its own, the operator all."""

from __future__ import annotations

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler

from callrouter.journal import inventory_list
from callrouter.pool.inventory_rows import NumberRow, PoolRow, SiteRow, StaticRow
from callrouter.web.api import examples
from callrouter.web.api.access import ApiRequest
from callrouter.web.api.changes import AccountAsked, Limit
from callrouter.web.api.listed import CursorAsked, Lists, Page, SortAsked, operation_of


class Sites(msgspec.Struct, frozen=True):
    items: list[SiteRow]
    next: str | None


class Pools(msgspec.Struct, frozen=True):
    items: list[PoolRow]
    next: str | None


class Numbers(msgspec.Struct, frozen=True):
    items: list[NumberRow]
    next: str | None


class StaticBindings(msgspec.Struct, frozen=True):
    items: list[StaticRow]
    next: str | None


def inventory_lists(lists: Lists) -> list[HTTPRouteHandler]:
    @get(
        "/sites", responses=examples.of(Sites, examples.SITES), operation_class=operation_of(inventory_list.SITES),
        summary="Sites",
    )  # fmt: skip
    async def sites(
        request: ApiRequest, *, account: AccountAsked = None, sort: SortAsked = "id", cursor: CursorAsked = None,
        limit: Limit = 100,
    ) -> Sites:  # fmt: skip
        """By any of their fields."""
        page = Page(account, sort, cursor, limit)
        found = await lists.found(request, "settings:read", inventory_list.SITES, page)
        return Sites(found.told(SiteRow), found.next)

    @get(
        "/pools", responses=examples.of(Pools, examples.POOLS), operation_class=operation_of(inventory_list.POOLS),
        summary="Pools",
    )  # fmt: skip
    async def pools(
        request: ApiRequest, *, account: AccountAsked = None, sort: SortAsked = "id", cursor: CursorAsked = None,
        limit: Limit = 100,
    ) -> Pools:  # fmt: skip
        """An account's own; those that the operator shares are the operator's to see."""
        page = Page(account, sort, cursor, limit)
        found = await lists.found(request, "numbers:read", inventory_list.POOLS, page)
        return Pools(found.told(PoolRow), found.next)

    return [sites, pools, *_numbers(lists)]


def _numbers(lists: Lists) -> list[HTTPRouteHandler]:
    @get(
        "/numbers", responses=examples.of(Numbers, examples.NUMBERS), summary="Numbers",
        operation_class=operation_of(inventory_list.NUMBERS),
    )  # fmt: skip
    async def numbers(
        request: ApiRequest, *, account: AccountAsked = None, sort: SortAsked = "number", cursor: CursorAsked = None,
        limit: Limit = 100,
    ) -> Numbers:  # fmt: skip
        """By any of their fields."""
        page = Page(account, sort, cursor, limit)
        found = await lists.found(request, "numbers:read", inventory_list.NUMBERS, page)
        return Numbers(found.told(NumberRow), found.next)

    @get(
        "/static-bindings", responses=examples.of(StaticBindings, examples.STATIC_BINDINGS), summary="Static numbers",
        operation_class=operation_of(inventory_list.STATIC),
    )  # fmt: skip
    async def bindings(
        request: ApiRequest, *, account: AccountAsked = None, sort: SortAsked = "id", cursor: CursorAsked = None,
        limit: Limit = 100,
    ) -> StaticBindings:  # fmt: skip
        """What each was bound to when, past ones too."""
        page = Page(account, sort, cursor, limit)
        found = await lists.found(request, "numbers:read", inventory_list.STATIC, page)
        return StaticBindings(found.told(StaticRow), found.next)

    return [numbers, bindings]
