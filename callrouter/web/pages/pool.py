"""/settings/pools/{id}: a pool's numbers now, beside its plan; numbers are added, moved and set aside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, NamedTuple

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from callrouter.clock import Clock
from callrouter.db.connect import Connection
from callrouter.numbers import Number
from callrouter.people import audit
from callrouter.people.audit import Action
from callrouter.people.model import Caller
from callrouter.pool import inventory, inventory_rows, number_inventory
from callrouter.pool.census import Census, NumberNow, census, standings
from callrouter.pool.holders import Store
from callrouter.pool.inventory import Refused, Unknown
from callrouter.pool.inventory_rows import NumberRow, PoolRow
from callrouter.pool.leak_search import kept_leaks
from callrouter.pool.number_ranges import read_numbers
from callrouter.pool.planning.standing import Standing, standing
from callrouter.pool.store import StoreUnavailable
from callrouter.web.api.changes import Id, require_operator
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.ground import FORM_LIMIT, Form, Ground, Page, View
from callrouter.web.pages.pool_curve import Curve, planned_curve, reckoned_curve
from callrouter.web.pages.pools import HERE
from callrouter.web.pages.words import N_

NUMBERS = 100
MOST_POOLS = 500
TEXT_LIMIT = 2 * 1024 * 1024
"""Bytes of a form with numbers to add."""
STATES = {
    "leased": N_("leased"), "calling": N_("on a call"), "pinned": N_("kept for a caller"), "resting": N_("resting"),
    "free": N_("free"), "disabled": N_("set aside"), "unknown": N_("not loaded"),
}  # fmt: skip
DRIFTS = {
    "numbers": N_("it has fewer numbers than were planned"),
    "occupancy": N_("more numbers are leased at once than in the planned peak"),
    "rest": N_("numbers rest shorter than planned, so that more callers reach another's visit"),
    "overflow": N_("more visitors find no number than planned"),
}


class _Found(NamedTuple):
    pool: PoolRow
    numbers: list[NumberRow]
    standing: Standing
    leaks: dict[str, Any]
    sites: dict[int, str]
    pools: list[PoolRow]
    census: Census | None
    stand: dict[Number, NumberNow]


_Work = Callable[[Connection, str, Form, Caller], Awaitable[None]]
"""What is done with a pool, by its name, as a form says. Raises Refused."""


def pool_page(ground: Ground, store: Store, clock: Clock) -> Page:
    looks = _Looks(ground, store, clock)

    @get(f"{HERE}/{{pool:int}}")
    async def one(request: AnyRequest, pool: Id) -> Response[bytes]:
        return await looks.page(await ground.open(request, "numbers:read"), pool, {})

    return Page([one, *_changes(ground, looks)])


def _changes(ground: Ground, looks: _Looks) -> list[HTTPRouteHandler]:
    async def done(
        request: AnyRequest, pool: int, work: _Work, *, to: str = "", note: str = "saved"
    ) -> Response[bytes]:  # fmt: skip
        view, form = await ground.write(request, "operate")
        require_operator(view.caller)
        try:
            async with ground.reading.changing(view.account) as conn:
                await work(conn, await _named(conn, pool), form, view.caller)
        except Refused as error:
            return await looks.page(view, pool, form, trouble=view.refusal(error), status=422)
        return view.go(to or f"{HERE}/{pool}", note=note)

    @post(f"{HERE}/{{pool:int}}/numbers", request_max_body_size=TEXT_LIMIT)
    async def add(request: AnyRequest, pool: Id) -> Response[bytes]:
        return await done(request, pool, _add)

    @post(f"{HERE}/{{pool:int}}/changes", request_max_body_size=FORM_LIMIT)
    async def change(request: AnyRequest, pool: Id) -> Response[bytes]:
        return await done(request, pool, _change)

    @post(f"{HERE}/{{pool:int}}/remove", request_max_body_size=FORM_LIMIT)
    async def remove(request: AnyRequest, pool: Id) -> Response[bytes]:
        return await done(request, pool, _remove, to=HERE, note="removed")

    return [add, change, remove]


async def _add(conn: Connection, pool: str, form: Form, by: Caller) -> None:
    country = form.get("country", "") if form.get("country", "").isalpha() else "RU"
    listing = read_numbers(form.get("numbers", ""), country)
    await number_inventory.import_numbers(conn, pool, listing, move=bool(form.get("move")))
    await audit.record(conn, by.account, by, "numbers.import", pool, numbers=len(listing.numbers))


async def _change(conn: Connection, _pool: str, form: Form, by: Caller) -> None:
    numbers = [Number(name.removeprefix("number ")) for name in form if name.startswith("number ")]
    if not numbers:
        raise Refused("choose the numbers first")
    action: Action
    target = ""
    match form.get("do"):
        case "disable":
            action = "numbers.disable"
            await number_inventory.disable_numbers(conn, numbers)
        case "enable":
            action = "numbers.enable"
            await number_inventory.enable_numbers(conn, numbers)
        case _:
            action, target = "numbers.move", form.get("pool", "")
            if not target:
                raise Refused("choose the pool to move them to")
            await number_inventory.move_numbers(conn, numbers, target)
    await audit.record(conn, by.account, by, action, target, numbers=numbers[:20])


async def _remove(conn: Connection, pool: str, _form: Form, by: Caller) -> None:
    await inventory.remove_pool(conn, pool)
    await audit.record(conn, by.account, by, "pool.remove", pool)


async def _named(conn: Connection, pool: int) -> str:
    name = await conn.fetchval("SELECT name FROM pools WHERE id = $1", pool)
    if name is None:
        raise Unknown(pool)
    return str(name)


class _Looks:
    """The page, with what somebody typed if it was refused."""

    def __init__(self, ground: Ground, store: Store, clock: Clock) -> None:
        self._reading = ground.reading
        self._store = store
        self._clock = clock

    async def page(
        self, view: View, pool: int, form: Form, *, trouble: str = "", status: int = 200
    ) -> Response[bytes]:  # fmt: skip
        now = self._clock.now()
        after = view.request.query_params.get("after", "")
        found = await self._found(view, pool, after if after.isascii() and after.isdigit() else "", now)
        in_use = found.census.numbers - found.census.disabled if found.census else found.pool.active
        return view.render(
            "pool.html", status=status, form=form, trouble=trouble, now=now, found=found, states=STATES, drifts=DRIFTS,
            curve=_curve(found.standing, in_use), in_use=in_use, may_change=view.is_operator and view.may("operate"),
            older=found.numbers[-1].number if len(found.numbers) == NUMBERS else "", first=not after,
        )  # fmt: skip

    async def _found(self, view: View, pool: int, after: str, now: datetime) -> _Found:
        try:
            counted = await census(self._store, pool, now)
        except StoreUnavailable:
            counted = None
        async with self._reading.as_account(view.account) as conn:
            rows = await inventory_rows.pools(conn, None if view.is_operator else view.account, pool - 1, 1)
            if not rows or rows[0].id != pool:
                raise Unknown(pool)
            numbers = await inventory_rows.numbers_of_pool(conn, pool, after, NUMBERS)
            told = await standing(conn, pool, counted, now)
            leaks = await kept_leaks(conn, [each.number for each in numbers])
            stand = await self._stand(pool, [Number(each.number) for each in numbers], now)
            named = await conn.fetch(NAMES, list({each.site for each in stand.values() if each.site}))
            sites = {row["id"]: row["name"] for row in named}
            pools = await inventory_rows.pools(conn, None, 0, MOST_POOLS) if view.is_operator else []
        return _Found(rows[0], numbers, told, leaks, sites, pools, counted, stand)

    async def _stand(self, pool: int, numbers: list[Number], now: datetime) -> dict[Number, NumberNow]:
        """Nothing, if nobody can tell just now."""
        try:
            return await standings(self._store, pool, numbers, now)
        except StoreUnavailable:
            return {}


def _curve(told: Standing, numbers: int) -> Curve | None:
    if told.plan is not None:
        return planned_curve(told.plan, numbers)
    return reckoned_curve(told.reckoned, numbers) if told.reckoned else None


NAMES = "SELECT id, name FROM sites WHERE id = ANY ($1::bigint[])"
