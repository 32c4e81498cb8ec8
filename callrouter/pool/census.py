"""How a pool's numbers stand now: how many of each kind, and each of some. Reads the lease store, changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from callrouter.numbers import Number
from callrouter.pool import live
from callrouter.pool.holders import Store
from callrouter.pool.keys import Slot, pool_slot
from callrouter.pool.store import FAILURES, StoreUnavailable

MOST_LOOKED_AT = 2000
"""Each number of a pool is looked at if there are no more than so many; else the store's own sets are counted."""
MILLISECOND = timedelta(milliseconds=1)
Stands = Literal["leased", "calling", "pinned", "resting", "free", "disabled", "unknown"]
"""`calling`: not leased, and somebody calls on it. `unknown`: the lease store does not have it, or not yet."""


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """`numbers` are all; `leased`, `resting`, `pinned`, `free`, `disabled` add up to them. `pinned` null: too many to
    be told from those that rest, `resting` has them all."""

    numbers: int
    leased: int
    resting: int
    pinned: int | None
    free: int
    disabled: int
    longest_free: datetime | None
    """When the last lease of the number that is free longest ended; null: it was never leased, or none is free."""
    visits: int
    backlog: int
    """Entries that the history has not taken yet."""


class NumberNow(msgspec.Struct, frozen=True, kw_only=True):
    number: Number
    state: Stands
    site: int | None = None
    """Whose visitor has it, or had it last."""
    since: datetime | None = None
    """When that lease began, or, if it is over, when it ended."""
    until: datetime | None = None
    """Resting or pinned: until when."""


async def census(store: Store, pool: int, now: datetime, *, closely: bool = True) -> Census:
    """`closely`: also what is pinned, which each number's record has to be read for. Raises StoreUnavailable."""
    slot = pool_slot(pool, store.namespace)
    found = await store.leases.occupancy(slot)
    counted = Census(
        numbers=found.numbers, leased=found.leased, resting=found.waiting, pinned=None,
        free=max(0, found.free - found.waiting), disabled=max(0, found.numbers - found.leased - found.free),
        longest_free=found.longest_free, visits=found.visits, backlog=found.backlog,
    )  # fmt: skip
    if not closely or found.numbers > MOST_LOOKED_AT:
        return counted
    return await _looked_at(store, slot, counted, now)


async def standings(store: Store, pool: int, numbers: Sequence[Number], now: datetime) -> dict[Number, NumberNow]:
    """How each of these stands. Raises StoreUnavailable."""
    slot = pool_slot(pool, store.namespace)
    rest = store.leases.lifetimes.rest // MILLISECOND
    return {
        number: _now(number, packed, rest, now)
        for number, packed in zip(numbers, await _records(store, slot, numbers), strict=True)
    }


def _now(number: Number, packed: bytes | None, rest: int, now: datetime) -> NumberNow:
    if not packed:
        return NumberNow(number=number, state="unknown")
    record, standing = live.number_record(packed), live.read_standing(packed, rest)
    site = int(record.site) if record.session else None
    if standing.state == "disabled":
        return NumberNow(number=number, state="disabled", site=site)
    if standing.state == "leased":
        return NumberNow(number=number, state="leased", site=site, since=live.moment(record.begun))
    since = live.moment(record.ended) if record.session else None
    state, until = _waiting(standing, now)
    return NumberNow(number=number, state=state, site=site, since=since, until=until)


def _waiting(standing: live.Standing, now: datetime) -> tuple[Stands, datetime | None]:
    pinned, free_from = standing.pinned_until, standing.free_from
    if pinned is not None and pinned > now:
        return ("calling" if standing.calls else "pinned"), pinned
    if free_from is not None and free_from > now:
        return "resting", free_from
    return "free", None


async def _looked_at(store: Store, slot: Slot, counted: Census, now: datetime) -> Census:
    """By each number's record, which alone tells what is pinned, and by what is over although nobody has swept it."""
    records = await _records(store, slot, [number async for number in store.leases.members(slot)])
    rest = store.leases.lifetimes.rest // MILLISECOND
    states = Counter(_now(Number(""), packed, rest, now).state for packed in records if packed)
    return msgspec.structs.replace(
        counted, numbers=states.total(), leased=states["leased"], resting=states["resting"],
        pinned=states["pinned"] + states["calling"], free=states["free"], disabled=states["disabled"],
    )  # fmt: skip


async def _records(store: Store, slot: Slot, numbers: Sequence[Number]) -> list[bytes | None]:
    if not numbers:
        return []
    try:
        return list(await store.client.execute_command("MGET", *(f"{slot}n:{number}" for number in numbers)))
    except FAILURES as error:
        raise StoreUnavailable(str(error) or type(error).__name__) from error
