"""What writes of the API share: whose account is meant, told twice and done once, changed by others meanwhile.

`Refused` and Unknown of the functions that do the work are answered as 422 and 404 (`web.app` says so).
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Response
from litestar.params import HeaderParameter, PathParameter, QueryParameter

from callrouter.db.connect import Connection
from callrouter.people.model import Caller
from callrouter.people.repeats import Done, OtherWrite, once
from callrouter.pool.inventory import OPERATOR
from callrouter.web.api.reading import Reading
from callrouter.web.problem import Refusal

HIGHEST_ID = 2**63 - 1
T = TypeVar("T")
Id = Annotated[int, PathParameter(ge=1, le=HIGHEST_ID)]
AccountAsked = Annotated[
    int | None, QueryParameter(ge=1, le=HIGHEST_ID, description="Of this account only; the operator's tokens may ask.")
]
Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Items of a page.")]
Key = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        max_length=200,
        description="The same again within a day is done once and answered alike.",
    ),
]
IfMatch = Annotated[
    str | None, HeaderParameter(name="If-Match", max_length=200, description="The ETag that was read; else 412.")
]


def asked_account(caller: Caller, asked: int | None) -> int | None:
    """Which account's rows are listed; None: all, which the operator's own see."""
    if caller.account == OPERATOR:
        return asked
    return meant_account(caller, asked)


def meant_account(caller: Caller, asked: int | None) -> int:
    """Whose something new shall be. Another account is one that does not exist, but to the operator."""
    if asked not in (None, caller.account) and caller.account != OPERATOR:
        raise Refusal(404, "unknown-account", "No such account")
    return caller.account if asked is None else asked


async def require_account(conn: Connection, account: int) -> None:
    """For the operator, who may name any. Raises Refusal."""
    if not await conn.fetchval("SELECT true FROM accounts WHERE id = $1", account):
        raise Refusal(404, "unknown-account", "No such account")


def require_operator(caller: Caller) -> None:
    """For what belongs to the operator, whatever scopes another account's token was given."""
    if caller.account != OPERATOR:
        raise Refusal(403, "operator-only", "That is the operator's", "Accounts, pools and numbers are set by him.")


def tag(value: object) -> str:
    return f'"{hashlib.blake2s(msgspec.json.encode(value, order="deterministic"), digest_size=12).hexdigest()}"'


def tagged(value: T, settable: object) -> Response[T]:
    """Answered with the ETag of what can be changed of it."""
    return Response(value, headers={"ETag": tag(settable)})


def require_unchanged(given: str | None, settable: object) -> None:
    """Raises Refusal 412 if somebody else changed it since it was read."""
    if given and given.strip() != "*" and tag(settable) not in [each.strip() for each in given.split(",")]:
        raise Refusal(412, "changed-meanwhile", "Somebody changed it meanwhile", "Read it again, and change that.")


async def told_once(
    reading: Reading, caller: Caller, key: str | None, asked: object, *, work: Callable[[Any], Awaitable[T]],
    keep: Callable[[T], object] = lambda answer: answer,
) -> T | Any:  # fmt: skip
    """`work(connection)` in one transaction. A repeated Idempotency-Key that asks the same gets the first answer, or
    what `keep` left of it: no secrets."""
    try:
        async with reading.changing(caller.account) as conn:
            done = await once(conn, caller.account, key, asked, lambda: work(conn), keep=keep)
    except OtherWrite:
        detail = "Draw a new key for each thing that is to be done."
        raise Refusal(422, "key-used", "That Idempotency-Key was used for something else", detail) from None
    return done.answer if isinstance(done, Done) else done
