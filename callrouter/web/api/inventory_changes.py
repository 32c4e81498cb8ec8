"""POST /api/v1/pools, numbers, static-bindings: the operator's inventory, changed by the rules of `callrouter.pool`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import delete, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from callrouter.db.connect import Connection
from callrouter.numbers import INTERNATIONAL, Number
from callrouter.people import audit
from callrouter.people.audit import Action
from callrouter.people.model import Caller
from callrouter.pool import inventory, number_inventory
from callrouter.pool.inventory import Refused, Unknown, spelled_number
from callrouter.pool.number_file import LONGEST_TEXT, ListedNumber
from callrouter.pool.number_ranges import in_range
from callrouter.web.api import examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.accounts import account_name
from callrouter.web.api.changes import Id, Key, require_operator, told_once
from callrouter.web.api.reading import Reading

MOST_NUMBERS = 10_000
FIRST_YEAR, LAST_YEAR = 1970, 9000
"""Near year 1 and 9999 no other zone can tell a time."""
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
Line = Annotated[str, msgspec.Meta(max_length=LONGEST_TEXT, pattern=r"^[^\x00-\x1f\x7f]*$")]
Spelled = Annotated[str, msgspec.Meta(max_length=64)]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class NewPool(Body, frozen=True, kw_only=True):
    name: Name


class AddedPool(msgspec.Struct, frozen=True):
    id: int
    name: str


class NewNumber(Body, frozen=True, kw_only=True):
    number: Spelled
    route: Line = ""
    note: Line = ""


class NumberRange(Body, frozen=True, kw_only=True):
    """`first` to `last`, both included."""

    first: Spelled
    last: Spelled
    route: Line = ""
    note: Line = ""


class NewNumbers(Body, frozen=True, kw_only=True):
    """All of them, or none if one is wrong. `move`: also out of other pools."""

    pool: Name
    numbers: Annotated[list[NewNumber], msgspec.Meta(max_length=MOST_NUMBERS)] = []
    ranges: Annotated[list[NumberRange], msgspec.Meta(max_length=100)] = []
    move: bool = False


class NumbersChange(Body, frozen=True, kw_only=True):
    """One of: into another `pool`; `disabled` or not."""

    numbers: Annotated[list[Spelled], msgspec.Meta(min_length=1, max_length=MOST_NUMBERS)]
    pool: Name | None = None
    disabled: bool | None = None


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    changed: int
    unchanged: int = 0


class NewStatic(Body, frozen=True, kw_only=True):
    number: Spelled
    site: Line
    channel: Name
    account: Name | None = None
    """Its name, if several accounts have a site of that domain."""
    source: Line = ""
    medium: Line = ""
    campaign: Line = ""
    since: datetime | None = None
    until: datetime | None = None


class StaticChange(Body, frozen=True, kw_only=True):
    """`until`: when the binding ends; null: it has no end, also if it was ended before."""

    until: datetime | None


class AddedStatic(msgspec.Struct, frozen=True):
    id: int
    number: str


def inventory_changes(access: Access, reading: Reading) -> list[HTTPRouteHandler]:
    return [*_pools(access, reading), *_numbers(access, reading), *_static(access, reading)]


async def _operator(access: Access, request: ApiRequest) -> Caller:
    caller = await access.caller(request, "operate")
    require_operator(caller)
    return caller


def _pools(access: Access, reading: Reading) -> list[HTTPRouteHandler]:
    @post("/pools", responses=examples.of(AddedPool, examples.ADDED_POOL, status=201), summary="Add a pool")
    async def add(request: ApiRequest, data: JSONBody[NewPool], key: Key = None) -> AddedPool:
        caller = await _operator(access, request)

        async def work(conn: Any) -> AddedPool:
            name = account_name(data.name)
            added = AddedPool(await inventory.add_pool(conn, name), name)
            await audit.record(conn, caller.account, caller, "pool.add", name)
            return added

        answer: AddedPool = await told_once(reading, caller, key, ["pool", data], work=work)
        return answer

    @delete("/pools/{pool:int}", responses=examples.refusals(), summary="Remove a pool")
    async def remove(request: ApiRequest, pool: Id) -> None:
        """Only one that has no numbers and serves no site."""
        caller = await _operator(access, request)
        async with reading.changing(caller.account) as conn:
            name = await conn.fetchval("SELECT name FROM pools WHERE id = $1", pool)
            if name is None:
                raise Unknown(pool)
            await inventory.remove_pool(conn, name)
            await audit.record(conn, caller.account, caller, "pool.remove", name)

    return [add, remove]


def _numbers(access: Access, reading: Reading) -> list[HTTPRouteHandler]:
    @post("/numbers", responses=examples.of(Changed, examples.CHANGED, status=201), summary="Put numbers into a pool")
    async def put(request: ApiRequest, data: JSONBody[NewNumbers], key: Key = None) -> Changed:
        """Telling it twice changes nothing more."""
        caller = await _operator(access, request)
        listed = _listed(data)

        async def work(conn: Any) -> Changed:
            done = await number_inventory.import_numbers(conn, data.pool, listed, move=data.move)
            await audit.record(conn, caller.account, caller, "numbers.import", data.pool, numbers=len(listed))
            return Changed(changed=done.added + done.changed, unchanged=done.unchanged)

        answer: Changed = await told_once(reading, caller, key, ["numbers", data], work=work)
        return answer

    @post("/numbers/changes", responses=examples.of(Changed, examples.CHANGED, status=201), summary="Change numbers")
    async def change(request: ApiRequest, data: JSONBody[NumbersChange], key: Key = None) -> Changed:
        """All of them, or none."""
        caller = await _operator(access, request)
        numbers = [_number(each) for each in data.numbers]

        async def work(conn: Any) -> Changed:
            action, changed = await _change(conn, numbers, data)
            await audit.record(conn, caller.account, caller, action, data.pool or "", numbers=numbers[:20])
            return Changed(changed=changed, unchanged=len(set(numbers)) - changed)

        answer: Changed = await told_once(reading, caller, key, ["numbers changed", data], work=work)
        return answer

    return [put, change]


def _listed(data: NewNumbers) -> list[ListedNumber]:
    listed = [ListedNumber(_number(each.number), each.route, each.note) for each in data.numbers]
    for each in data.ranges:
        listed += [ListedNumber(number, each.route, each.note) for number in in_range(each.first, each.last)]
    if not 0 < len({each.number for each in listed}) == len(listed) <= MOST_NUMBERS:
        raise Refused("give each number once, and {most} of them at most", most=MOST_NUMBERS)
    return listed


async def _change(conn: Any, numbers: list[Number], asked: NumbersChange) -> tuple[Action, int]:
    if (asked.pool is None) == (asked.disabled is None):
        raise Refused("give either pool or disabled")
    if asked.pool is not None:
        return "numbers.move", (await number_inventory.move_numbers(conn, numbers, asked.pool)).moved
    switch = number_inventory.disable_numbers if asked.disabled else number_inventory.enable_numbers
    await switch(conn, numbers)
    return ("numbers.disable" if asked.disabled else "numbers.enable"), len(set(numbers))


def _static(access: Access, reading: Reading) -> list[HTTPRouteHandler]:
    @post(
        "/static-bindings",
        responses=examples.of(AddedStatic, examples.ADDED_STATIC, status=201),
        summary="Bind a number to a channel",
    )
    async def bind(request: ApiRequest, data: JSONBody[NewStatic], key: Key = None) -> AddedStatic:
        caller = await _operator(access, request)
        _require_sound(data.since, data.until)

        async def work(conn: Any) -> AddedStatic:
            number = _number(data.number)
            added = await number_inventory.bind_static(
                conn, number, site=data.site, account=data.account, channel=data.channel, source=data.source,
                medium=data.medium, campaign=data.campaign, since=data.since, until=data.until,
            )  # fmt: skip
            owner = await conn.fetchval("SELECT account_id FROM static_bindings WHERE id = $1", added)
            await audit.record(conn, owner, caller, "static.bind", number, channel=data.channel)
            return AddedStatic(added, number)

        answer: AddedStatic = await told_once(reading, caller, key, ["static", data], work=work)
        return answer

    @delete("/static-bindings/{binding:int}", responses=examples.refusals(), summary="End a number's binding now")
    async def end(request: ApiRequest, binding: Id) -> None:
        """What it was bound to until now stays known."""
        caller = await _operator(access, request)
        async with reading.changing(caller.account) as conn:
            row = await conn.fetchrow(IN_FORCE, binding)
            if row is None:
                raise Unknown(binding)
            await number_inventory.end_static(conn, Number(row["number"]))
            await audit.record(conn, row["account_id"], caller, "static.end", row["number"])

    @patch(
        "/static-bindings/{binding:int}", responses=examples.refusals(), summary="Set the end of a number's binding",
        status_code=204,
    )  # fmt: skip
    async def set_end(request: ApiRequest, binding: Id, data: JSONBody[StaticChange]) -> None:
        """Back into force, too, if the number was bound to nothing else since."""
        caller = await _operator(access, request)
        _require_sound(data.until)
        async with reading.changing(caller.account) as conn:
            await end_binding(conn, binding, data.until, by=caller)

    return [bind, end, set_end]


def _require_sound(*times: datetime | None) -> None:
    for at in times:
        if at is not None and at.tzinfo is None:
            raise Refused("times are told with their offset")
        if at is not None and not FIRST_YEAR <= at.year < LAST_YEAR:
            raise Refused("a time between the years {first} and {last}", first=FIRST_YEAR, last=LAST_YEAR)


async def end_binding(conn: Connection, binding: int, until: datetime | None, *, by: Caller) -> None:
    """Within a transaction, with its row in the record. Raises Unknown, Refused."""
    bound = await number_inventory.set_static_end(conn, binding, until)
    action: Action = "static.bind" if until is None else "static.end"
    await audit.record(conn, bound["account"], by, action, bound["number"], until=until)


def _number(text: str) -> Number:
    return spelled_number(text, INTERNATIONAL)


IN_FORCE = """
SELECT account_id, number FROM static_bindings WHERE id = $1 AND tstzrange(valid_from, valid_to) @> now()"""
