"""GET /api/v1/pools/{pool}: how a pool stands now, and beside its plan."""

from __future__ import annotations

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler

from callrouter.clock import Clock
from callrouter.pool import inventory_rows
from callrouter.pool.census import Census, census
from callrouter.pool.holders import Store
from callrouter.pool.inventory import Unknown
from callrouter.pool.planning.standing import Standing, standing
from callrouter.pool.store import StoreUnavailable
from callrouter.web.api import examples, site_examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.changes import Id, asked_account
from callrouter.web.api.reading import Reading


class PoolDetails(msgspec.Struct, frozen=True, kw_only=True):
    """`now` null: the lease store does not answer."""

    id: int
    account: int
    name: str
    active: int
    disabled: int
    now: Census | None
    standing: Standing


def pool_handlers(access: Access, reading: Reading, store: Store, clock: Clock) -> list[HTTPRouteHandler]:
    @get("/pools/{pool:int}", responses=examples.of(PoolDetails, site_examples.POOL), summary="A pool now")
    async def one(request: ApiRequest, pool: Id) -> PoolDetails:
        """How many of its numbers are leased, resting, kept for callers, free; and whether it is as planned."""
        caller = await access.caller(request, "numbers:read")
        now = clock.now()
        try:
            counted = await census(store, pool, now)
        except StoreUnavailable:
            counted = None
        async with reading.as_account(caller.account) as conn:
            rows = await inventory_rows.pools(conn, asked_account(caller, None), pool - 1, 1)
            if not rows or rows[0].id != pool:
                raise Unknown(pool)
            told = await standing(conn, pool, counted, now)
        return PoolDetails(**msgspec.structs.asdict(rows[0]), now=counted, standing=told)

    return [one]
