"""/api/v1/users: who may sign in to the pages. Nobody makes a user who may do more than he may himself."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, get, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from callrouter.journal.people_list import USERS
from callrouter.people import users
from callrouter.people.model import Locale
from callrouter.people.openid import Newcomers, require_not_anothers
from callrouter.people.passwords import LONGEST, Passwords, generated, require_strong
from callrouter.people.roles import Role
from callrouter.people.users import Change, User, settable
from callrouter.pool.inventory import OPERATOR
from callrouter.web.api import examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.changes import (
    HIGHEST_ID,
    AccountAsked,
    Id,
    IfMatch,
    Key,
    Limit,
    asked_account,
    meant_account,
    require_unchanged,
    tagged,
    told_once,
)
from callrouter.web.api.listed import CursorAsked, Lists, Page, SortAsked, operation_of
from callrouter.web.api.reading import Reading

Email = Annotated[str, msgspec.Meta(min_length=3, max_length=254)]
Name = Annotated[str, msgspec.Meta(max_length=users.LONGEST_NAME)]
Password = Annotated[str, msgspec.Meta(max_length=LONGEST)]


class NewUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Without `password` one is drawn; either is to be changed at the first sign-in."""

    email: Email
    role: Role
    name: Name = ""
    locale: Locale = "ru"
    password: Password | None = None
    account: Annotated[int, msgspec.Meta(ge=1, le=HIGHEST_ID)] | None = None
    """By the operator: whose user; his own if left out."""


class UserChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays."""

    name: Name | None = None
    role: Role | None = None
    locale: Locale | None = None
    disabled: bool | None = None


class NewPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    password: Password | None = None


class Users(msgspec.Struct, frozen=True):
    items: list[User]
    next: str | None = None


class AddedUser(msgspec.Struct, frozen=True):
    """`password` is told this once, and not when the request is repeated."""

    user: User
    password: str | None


async def _asked(told: NewUser | NewPassword, key: str | None, passwords: Passwords) -> object:
    """By which a repeated request is known. Its quick hash is kept as long as the key, so it has no password in it."""
    mark = await passwords.mark(told.password, key) if told.password and key else None
    return msgspec.structs.replace(told, password=mark)


def user_handlers(access: Access, reading: Reading, newcomers: Newcomers | None) -> list[HTTPRouteHandler]:
    passwords, lists = Passwords(), Lists(access, reading)

    @get("/users", responses=examples.of(Users, examples.USERS), operation_class=operation_of(USERS), summary="Users")
    async def listed(
        request: ApiRequest, *, account: AccountAsked = None, sort: SortAsked = "id", cursor: CursorAsked = None,
        limit: Limit = 100,
    ) -> Users:  # fmt: skip
        """By any of their fields; disabled ones too."""
        found = await lists.found(request, "users:read", USERS, Page(account, sort, cursor, limit))
        return Users(found.told(User), found.next)

    @post("/users", responses=examples.of(AddedUser, examples.ADDED_USER, status=201), summary="Add a user")
    async def add(request: ApiRequest, data: JSONBody[NewUser], key: Key = None) -> AddedUser:
        caller = await access.caller(request, "users:write")
        whose = meant_account(caller, data.account)
        drawn = data.password or generated()
        require_strong(drawn, email=data.email, name=data.name)
        hashed = await passwords.hash(drawn)

        async def work(conn: Any) -> AddedUser:
            if caller.account != OPERATOR:
                await require_not_anothers(conn, whose, data.email, newcomers)
            added = await users.add_user(
                conn, whose, data.email, role=data.role, name=data.name, locale=data.locale, password_hash=hashed,
                must_change=True, by=caller,
            )  # fmt: skip
            return AddedUser(added, None if data.password else drawn)

        asked = ["user", await _asked(data, key, passwords)]
        answer: AddedUser = await told_once(
            reading, caller, key, asked, work=work, keep=lambda done: AddedUser(done.user, None)
        )
        return answer

    return [listed, add, *_one(access, reading), _password(access, reading, passwords)]


def _one(access: Access, reading: Reading) -> list[HTTPRouteHandler]:
    @get("/users/{user:int}", responses=examples.of(User, examples.USER), summary="A user")
    async def one(request: ApiRequest, user: Id) -> Response[User]:
        caller = await access.caller(request, "users:read")
        async with reading.as_account(caller.account) as conn:
            found = await users.user_numbered(conn, user, asked_account(caller, None))
        return tagged(found, settable(found))

    @patch("/users/{user:int}", responses=examples.of(User, examples.USER), summary="Change a user")
    async def change(
        request: ApiRequest, user: Id, data: JSONBody[UserChange], if_match: IfMatch = None
    ) -> Response[User]:
        """`disabled`: he is signed out at once. With `If-Match` only if nobody changed him since he was read."""
        caller = await access.caller(request, "users:write")
        async with reading.changing(caller.account) as conn:
            found = await users.user_numbered(conn, user, asked_account(caller, None), lock=True)
            require_unchanged(if_match, settable(found))
            given = Change(name=data.name, role=data.role, locale=data.locale, disabled=data.disabled)
            changed = await users.change_user(conn, found.account, user, given, by=caller)
        return tagged(changed, settable(changed))

    return [one, change]


def _password(access: Access, reading: Reading, passwords: Passwords) -> HTTPRouteHandler:
    @post(
        "/users/{user:int}/password",
        responses=examples.of(AddedUser, examples.ADDED_USER, status=201),
        summary="Give a user another password",
    )
    async def give(request: ApiRequest, user: Id, data: JSONBody[NewPassword], key: Key = None) -> AddedUser:
        """To be changed when he signs in; his browsers are signed out. Drawn, and told this once, if none is given."""
        caller = await access.caller(request, "users:write")
        async with reading.as_account(caller.account) as conn:
            found = await users.user_numbered(conn, user, asked_account(caller, None))
        drawn = data.password or generated()
        require_strong(drawn, email=found.email, name=found.name)
        hashed = await passwords.hash(drawn)

        async def work(conn: Any) -> AddedUser:
            await users.set_password(conn, found.account, user, hashed, must_change=True, by=caller)
            return AddedUser(found, None if data.password else drawn)

        asked = ["password", user, await _asked(data, key, passwords)]
        answer: AddedUser = await told_once(
            reading, caller, key, asked, work=work, keep=lambda done: AddedUser(done.user, None)
        )
        return answer

    return give
