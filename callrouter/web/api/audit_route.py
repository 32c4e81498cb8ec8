"""GET /api/v1/audit: who saw or changed what, the latest first."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from callrouter.people import audit
from callrouter.people.audit import Entry
from callrouter.web.api import examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.asked import time_in
from callrouter.web.api.changes import HIGHEST_ID, AccountAsked, Limit, asked_account
from callrouter.web.api.reading import Reading
from callrouter.web.problem import Refusal

Since = Annotated[str | None, QueryParameter(description="ISO 8601 with an offset.")]
User = Annotated[int | None, QueryParameter(ge=1, le=HIGHEST_ID, description="Done by this user.")]
Token = Annotated[int | None, QueryParameter(ge=1, le=HIGHEST_ID, description="Done by this token.")]
Subject = Annotated[
    str | None, QueryParameter(max_length=audit.LONGEST_SUBJECT, description="To what: an id or a name, as it stands.")
]
Action = Annotated[str | None, QueryParameter(max_length=40, description="As `user.add`.")]
Cursor = Annotated[str | None, QueryParameter(max_length=80, description="`next` of the page before.")]


class Audit(msgspec.Struct, frozen=True):
    items: list[Entry]
    next: str | None = None


def audit_handler(access: Access, reading: Reading) -> HTTPRouteHandler:
    @get("/audit", responses=examples.of(Audit, examples.AUDIT), summary="Who saw or changed what")
    async def listed(
        request: ApiRequest, *, since: Since = None, until: Since = None, action: Action = None, user: User = None,
        token: Token = None, subject: Subject = None, account: AccountAsked = None, cursor: Cursor = None,
        limit: Limit = 100,
    ) -> Audit:  # fmt: skip
        """An account's own record; what the operator's people did in it has no name."""
        caller = await access.caller(request, "audit:read")
        async with reading.as_account(caller.account) as conn:
            found = await audit.entries(
                conn, asked_account(caller, account), since=time_in("since", since) if since else None,
                until=time_in("until", until) if until else None, action=plain(action), user=user,
                token=token, subject=plain(subject), before=cursor_in(cursor) if cursor else None, limit=limit,
            )  # fmt: skip
        return Audit(found, cursor_of(found[-1]) if len(found) == limit else None)

    return listed


def plain(text: str | None) -> str | None:
    return text.replace("\x00", "") if text else None


def cursor_of(entry: Entry) -> str:
    return f"{entry.at.isoformat()}~{entry.id}"


def cursor_in(text: str) -> tuple[datetime, int]:
    at, _, number = text.partition("~")
    if not (number.isascii() and number.isdigit() and int(number) <= HIGHEST_ID):
        raise Refusal(400, "bad-cursor", "That is no cursor of ours", "Send back `next` of the page before.")
    return time_in("cursor", at), int(number)
