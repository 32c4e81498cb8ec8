"""/settings/pools: the pools, how full they are, and what is wrong with them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from litestar import Response, get, post

from callrouter.clock import Clock
from callrouter.people import audit
from callrouter.pool import inventory, inventory_rows
from callrouter.pool.census import Census, census
from callrouter.pool.holders import Store
from callrouter.pool.inventory import Refused
from callrouter.pool.inventory_rows import PoolRow
from callrouter.pool.store import StoreUnavailable
from callrouter.web.api.accounts import account_name
from callrouter.web.api.changes import require_operator
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.ground import FORM_LIMIT, Entry, Form, Ground, Page, View
from callrouter.web.pages.words import N_

HERE = "/settings/pools"
ENTRY = Entry(HERE, N_("Pools"), "numbers:read", "settings")
MOST = 200


def pools_page(ground: Ground, store: Store, clock: Clock) -> Page:
    @get(HERE)
    async def listed(request: AnyRequest) -> Response[bytes]:
        return await _list(ground, await ground.open(request, "numbers:read"), store, clock, {})

    @post(HERE, request_max_body_size=FORM_LIMIT)
    async def add(request: AnyRequest) -> Response[bytes]:
        view, form = await ground.write(request, "operate")
        require_operator(view.caller)
        try:
            async with ground.reading.changing(view.account) as conn:
                name = account_name(form.get("name", ""))
                added = await inventory.add_pool(conn, name)
                await audit.record(conn, view.account, view.caller, "pool.add", name)
        except Refused as error:
            return await _list(ground, view, store, clock, form, trouble=view.refusal(error), status=422)
        return view.go(f"{HERE}/{added}", note="added")

    return Page([listed, add], ENTRY)


async def _list(
    ground: Ground, view: View, store: Store, clock: Clock, form: Form, *, trouble: str = "", status: int = 200
) -> Response[bytes]:  # fmt: skip
    async with ground.reading.as_account(view.account) as conn:
        found = await inventory_rows.pools(conn, None if view.is_operator else view.account, 0, MOST)
        served = await conn.fetch(SERVED)
    taken = await _taken(store, found, clock)
    return view.render(
        "pools.html", status=status, pools=found, taken=taken, form=form, trouble=trouble,
        served={row["pool_id"]: row["sites"] for row in served}, now=clock.now(), most=MOST,
    )  # fmt: skip


async def _taken(store: Store, pools: Sequence[PoolRow], clock: Clock) -> dict[int, Census] | None:
    """None: nobody can tell just now."""
    try:
        found = await asyncio.gather(*(census(store, pool.id, clock.now(), closely=False) for pool in pools))
    except StoreUnavailable:
        return None
    return {pool.id: each for pool, each in zip(pools, found, strict=True)}


SERVED = """
SELECT pool_id, array_agg(name ORDER BY name) AS sites FROM (
    SELECT sp.pool_id, s.name, row_number() OVER (PARTITION BY sp.pool_id ORDER BY s.name) AS place
    FROM site_pools sp JOIN sites s ON s.account_id = sp.account_id AND s.id = sp.site_id) named
WHERE place <= 4 GROUP BY pool_id"""
