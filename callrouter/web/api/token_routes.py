"""/api/v1/tokens: bearer tokens of programs. A token may do no more than whoever makes it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar import delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from callrouter.journal.people_list import TOKENS
from callrouter.people.roles import Scope, may_give
from callrouter.pool.inventory import Unknown
from callrouter.web.api import examples, tokens
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.changes import (
    HIGHEST_ID,
    AccountAsked,
    Id,
    Key,
    Limit,
    asked_account,
    meant_account,
    require_account,
    told_once,
)
from callrouter.web.api.listed import CursorAsked, Lists, Page, SortAsked, operation_of
from callrouter.web.api.reading import Reading
from callrouter.web.api.tokens import Made, Token
from callrouter.web.problem import Refusal


class NewToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=tokens.LONGEST_NAME)]
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1, max_length=50)]
    expires_at: datetime | None = None
    account: Annotated[int, msgspec.Meta(ge=1, le=HIGHEST_ID)] | None = None
    """By the operator: for whom it acts; for the operator if left out."""


class Tokens(msgspec.Struct, frozen=True):
    items: list[Token]
    next: str | None = None


def token_handlers(access: Access, reading: Reading) -> list[HTTPRouteHandler]:
    lists = Lists(access, reading)

    @get(
        "/tokens", responses=examples.of(Tokens, examples.TOKENS), operation_class=operation_of(TOKENS),
        summary="Tokens",
    )  # fmt: skip
    async def listed(
        request: ApiRequest, *, account: AccountAsked = None, sort: SortAsked = "id", cursor: CursorAsked = None,
        limit: Limit = 100,
    ) -> Tokens:  # fmt: skip
        """By any of their fields but `scopes`; revoked and expired ones too."""
        found = await lists.found(request, "users:read", TOKENS, Page(account, sort, cursor, limit))
        return Tokens([tokens.token_of(row) for row in found.rows], found.next)

    @post("/tokens", responses=examples.of(Made, examples.MADE_TOKEN, status=201), summary="Make a token")
    async def make(request: ApiRequest, data: JSONBody[NewToken], key: Key = None) -> Made:
        """`secret` is told this once; when the request is repeated it is empty."""
        caller = await access.caller(request, "users:write")
        whose = meant_account(caller, data.account)
        if not may_give(caller.scopes, frozenset(data.scopes)):
            missing = ", ".join(sorted(set(data.scopes) - caller.scopes))
            raise Refusal(403, "missing-scope", "A token may do no more than whoever makes it", f"You lack {missing}.")

        async def work(conn: Any) -> Made:
            expires = tokens.require_future(data.expires_at, datetime.now(UTC))
            name, scopes = tokens.name_of(data.name), tuple(dict.fromkeys(data.scopes))
            await require_account(conn, whose)
            return await tokens.add_token(conn, whose, name, scopes, expires, by=caller)

        answer: Made = await told_once(
            reading, caller, key, ["token", data], work=work, keep=lambda made: msgspec.structs.replace(made, secret="")
        )
        return answer

    @delete("/tokens/{token:int}", responses=examples.refusals(), summary="Revoke a token")
    async def revoke(request: ApiRequest, token: Id) -> None:
        """It is refused from now on. Revoked before, or not yours: 404."""
        caller = await access.caller(request, "users:write")
        async with reading.changing(caller.account) as conn:
            if not await tokens.revoke_token(conn, token, account=asked_account(caller, None), by=caller):
                raise Unknown(token)

    return [listed, make, revoke]
