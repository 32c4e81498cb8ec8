"""A site's pools in the order in which they are asked for a number, until one has a number to give.

Knows the store's operations and a site's choices; knows neither tokens nor what a page shows.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from callrouter.pool.directory import Directory, Site
from callrouter.pool.live import Allocation
from callrouter.pool.store import LeaseStore
from callrouter.sessions.model import Visit

NO_POOL = 0
"""The visit is kept in the site's own slot."""
LOOK_SECONDS = 0.05
"""A pool whose server is away delays no page of the others."""


class Placed(NamedTuple):
    pool: int
    """Whose slot keeps the visit; NO_POOL: the site's own."""
    allocation: Allocation


def pools_in_order(
    site: Site, *, known: int = NO_POOL, regions: frozenset[str] = frozenset(), source: str = ""
) -> tuple[int, ...]:
    """The pools for this visitor. The one that he is `known` in comes first, if the site still has it."""
    fitting = site.pools_for(regions=regions, source=source)
    if known and any(choice.pool == known for choice in site.pools):
        return (known, *(pool for pool in fitting if pool != known))
    return fitting


async def lease_from(
    store: LeaseStore,
    directory: Directory,
    site: Site,
    pools: tuple[int, ...],
    visit: Visit,
    *,
    known: str = "",
    repeated: bool = False,
    campaign: str = "",
    wants_number: bool = True,
    counts: bool = True,
    now: datetime | None = None,
) -> Placed:
    """Answer a hit from the first of `pools` that has a number.

    An empty pool keeps no trace of the hit unless all are empty: then the closed lease nearest to its end is taken, by
    the same order, if the site wants that; else the visit is the first pool's, marked as overflow. `known`: the session
    that goes on in the first of the pools; one that begins in another pool instead came by the same source. `repeated`:
    nothing tells whether this request came before, so the pool that answered it then is looked for.
    """
    if repeated and wants_number and len(pools) > 1:
        pools = await _begun_first(store, directory, pools, visit)

    async def ask(pool: int, *, trial: bool, nearest_end: bool) -> Placed:
        slot = directory.slot_of_pool(pool) if pool else directory.slot_of_site(site.id)
        allocation = await store.allocate(
            slot, visit, campaign=campaign, hold=site.hold, wants_number=wants_number and pool != NO_POOL,
            policy="nearest_end" if nearest_end else "fallback", rest=site.rest, gap=site.gap, counts=counts,
            trial=trial, now=now,
        )  # fmt: skip
        return Placed(pool, allocation)

    takes = site.overflow == "nearest_end"
    if len(pools) > 1 and wants_number:
        for nearest_end in (False, True) if takes else (False,):
            for pool in pools:
                placed = await ask(pool, trial=True, nearest_end=nearest_end)
                if placed.allocation.outcome != "empty":
                    return placed
                if known and not campaign:
                    earlier = await store.visit(directory.slot_of_pool(pool), known)
                    visit, known = _as_before(visit, earlier, site.gap, placed.allocation.at), ""
    return await ask(pools[0] if pools else NO_POOL, trial=False, nearest_end=takes)


async def _begun_first(
    store: LeaseStore, directory: Directory, pools: tuple[int, ...], visit: Visit
) -> tuple[int, ...]:
    """The pool that keeps this very visit comes first. Asked of all but the first, and not waited for: it is rare."""
    looks = {
        asyncio.ensure_future(store.visit(directory.slot_of_pool(pool), visit.session)): pool for pool in pools[1:]
    }
    try:
        done, _ = await asyncio.wait(looks, timeout=LOOK_SECONDS)
    finally:
        for look in looks:
            look.cancel()
    for look in done:
        found = None if look.exception() else look.result()
        if found and (found.visitor, found.site) == (visit.visitor, visit.site):
            return (looks[look], *(pool for pool in pools if pool != looks[look]))
    return pools


def _as_before(visit: Visit, earlier: Visit | None, gap: timedelta, at: datetime) -> Visit:
    """`visit` with what brought the visitor at first, if `earlier` is his and has not ended."""
    if earlier is None or earlier.visitor != visit.visitor or at >= earlier.seen_at + gap:
        return visit
    return msgspec.structs.replace(
        visit, traffic=earlier.traffic, landing_page=earlier.landing_page, referrer=earlier.referrer
    )
