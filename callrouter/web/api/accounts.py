"""/api/v1/accounts: the operator's customers. An account sees and changes itself only."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, get, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from callrouter.journal.people_list import ACCOUNTS
from callrouter.people import accounts, audit
from callrouter.people.accounts import Account, AccountChange
from callrouter.pool import inventory
from callrouter.pool.inventory import Refused
from callrouter.web.api import examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.changes import (
    AccountAsked,
    Id,
    IfMatch,
    Key,
    Limit,
    meant_account,
    require_operator,
    require_unchanged,
    tagged,
    told_once,
)
from callrouter.web.api.listed import CursorAsked, Lists, Page, SortAsked, operation_of
from callrouter.web.api.reading import Reading

LONGEST_NAME = 120


class NewAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_NAME)]
    time_zone: str | None = None
    currency: str | None = None


class Accounts(msgspec.Struct, frozen=True):
    items: list[Account]
    next: str | None = None


def account_handlers(access: Access, reading: Reading) -> list[HTTPRouteHandler]:
    lists = Lists(access, reading)

    @get(
        "/accounts", responses=examples.of(Accounts, examples.ACCOUNTS), operation_class=operation_of(ACCOUNTS),
        summary="Accounts",
    )  # fmt: skip
    async def listed(
        request: ApiRequest, *, account: AccountAsked = None, sort: SortAsked = "id", cursor: CursorAsked = None,
        limit: Limit = 100,
    ) -> Accounts:  # fmt: skip
        """The operator sees all, an account itself; by any of their fields."""
        found = await lists.found(request, "settings:read", ACCOUNTS, Page(account, sort, cursor, limit))
        return Accounts(found.told(Account), found.next)

    @post("/accounts", responses=examples.of(Account, examples.ACCOUNT, status=201), summary="Add an account")
    async def add(request: ApiRequest, data: JSONBody[NewAccount], key: Key = None) -> Account:
        """By the operator only."""
        caller = await access.caller(request, "operate")
        require_operator(caller)

        async def work(conn: Any) -> Account:
            name = account_name(data.name)
            added = await inventory.add_account(conn, name)
            await audit.record(conn, added, caller, "account.add", name)
            given = AccountChange(time_zone=data.time_zone, currency=data.currency)
            return await accounts.change_account(conn, added, given, by=caller)

        answer: Account = await told_once(reading, caller, key, ["account", data], work=work)
        return answer

    @get("/accounts/{account:int}", responses=examples.of(Account, examples.ACCOUNT), summary="An account")
    async def one(request: ApiRequest, account: Id) -> Response[Account]:
        caller = await access.caller(request, "settings:read")
        async with reading.as_account(caller.account) as conn:
            found = await accounts.account_numbered(conn, meant_account(caller, account))
        return tagged(found, found)

    @patch("/accounts/{account:int}", responses=examples.of(Account, examples.ACCOUNT), summary="Change an account")
    async def change(
        request: ApiRequest, account: Id, data: JSONBody[AccountChange], if_match: IfMatch = None
    ) -> Response[Account]:
        """What is left out stays. With `If-Match` only if nobody changed it since it was read."""
        caller = await access.caller(request, "settings:write")
        async with reading.changing(caller.account) as conn:
            require_unchanged(if_match, await accounts.lock_account(conn, meant_account(caller, account)))
            found = await accounts.change_account(conn, account, data, by=caller)
        return tagged(found, found)

    return [listed, add, one, change]


def account_name(text: str) -> str:
    name = " ".join(text.split())
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise Refused("an account has a name, of {most} characters at most", most=LONGEST_NAME)
    return name
