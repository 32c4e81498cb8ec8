"""Filters and cursors of the journal as they come in a URL, and how they are described. Refused with the mend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import asyncpg
from litestar.openapi.spec import OpenAPIType, Operation, Parameter, Schema

from callrouter.clock import Clock
from callrouter.db.connect import Connection
from callrouter.journal import listing, query
from callrouter.journal.filters import VISIT_FIELDS, Filters, Ids
from callrouter.people.model import Caller
from callrouter.pool.directory import OPERATOR
from callrouter.web.api.access import ApiRequest
from callrouter.web.api.changes import told_once
from callrouter.web.api.reading import Reading
from callrouter.web.problem import Refusal

T = TypeVar("T")
PATIENCE = "10s"
"""Less than a command may take altogether."""


def account_asked(caller: Caller, account: int | None) -> int:
    """Whose journal: the asker's own; the operator says whose, or means his own."""
    if account is None or account == caller.account:
        return caller.account
    if caller.account != OPERATOR:
        raise Refusal(404, "unknown-account", "No such account", "A token sees its own account.")
    return account


class Asking:
    """Reads for handlers: whose journal, on whose clock, for how long at most."""

    def __init__(self, reading: Reading, clock: Clock) -> None:
        self._reading = reading
        self.clock = clock

    @asynccontextmanager
    async def of(
        self, caller: Caller, account: int | None, *, snapshot: bool = False
    ) -> AsyncIterator[tuple[Connection, int]]:
        """A connection that sees the account's rows, and the account. Too long a question ends as a refusal.

        `snapshot`: all that is read is as it was at one moment.
        """
        asked = account_asked(caller, account)
        async with self._reading.as_account(asked, snapshot=snapshot) as conn, patience(conn):
            yield conn, asked

    @asynccontextmanager
    async def changing(self, caller: Caller, account: int | None) -> AsyncIterator[tuple[Connection, int]]:
        """A transaction that may write, behind the same wall."""
        asked = account_asked(caller, account)
        async with self._reading.changing(asked) as conn, patience(conn):
            yield conn, asked

    async def once(
        self, caller: Caller, account: int | None, key: str | None, asked: tuple[object, ...],
        work: Callable[[Connection, int], Awaitable[T]],
    ) -> T:  # fmt: skip
        """What `work` does in such a transaction, once for each Idempotency-Key. `asked`: what is to be done."""
        whose = account_asked(caller, account)
        answer: T = await told_once(
            self._reading, caller, key, [*asked, whose], work=lambda conn: work(conn, whose)
        )  # fmt: skip
        return answer

    @asynccontextmanager
    async def as_service(self, caller: Caller, account: int | None) -> AsyncIterator[tuple[Connection, int]]:
        """A transaction without the wall, for what an account may ask for and not do itself."""
        asked = account_asked(caller, account)
        async with self._reading.as_service() as conn, conn.transaction(), patience(conn):
            yield conn, asked

    async def filters(
        self, conn: Connection, account: int, request: ApiRequest, own: Collection[str]
    ) -> tuple[Filters, listing.Clock]:
        """What the request's parameters ask, but for the handler's `own`; and the account's clock."""
        clock = await known_clock(conn, account)
        items = [(name, value) for name, value in request.query_params.items() if name not in own]
        return fitting(lambda: query.parse(items, zone=clock.zone, now=self.clock.now(), country=clock.country)), clock


async def known_clock(conn: Connection, account: int) -> listing.Clock:
    clock = await listing.clock_of(conn, account)
    if clock is None:
        raise Refusal(404, "unknown-account", "No such account")
    return clock


def fitting(read: Callable[[], T], kind: str = "bad-filter", title: str = "A filter does not fit") -> T:
    """What `read` reads, or the refusal of what does not fit."""
    try:
        return read()
    except ValueError as error:
        raise Refusal(400, kind, title, str(error)) from None


def cursor_read(read: Callable[[], T]) -> T:
    detail = "Send back `next` of the page before, unchanged, with the same other parameters."
    try:
        return read()
    except ValueError:
        raise Refusal(400, "bad-cursor", "That is no cursor of ours", detail) from None


@asynccontextmanager
async def patience(conn: Connection) -> AsyncIterator[None]:
    await conn.execute(f"SET LOCAL statement_timeout = '{PATIENCE}'")
    try:
        yield
    except asyncpg.QueryCanceledError:
        detail = "Choose a shorter period, or fewer filters by parts of texts."
        raise Refusal(503, "too-long", "That takes too long to find", detail, retry_s=60) from None


def _parameter(name: str) -> Parameter:
    field, _, ending = name.partition(".")
    wording = {"": "", "not": "none of them", "has": "has this in it", "empty": "nothing is there (true), or something"}
    if ending in {"min", "max"}:
        return _of(name, OpenAPIType.NUMBER, f"{field}: at {'least' if ending == 'min' else 'most'}")
    if ending == "empty" or query.KINDS.get(field, bool) is bool:
        return _of(name, OpenAPIType.BOOLEAN, f"{field}: {wording['empty']}" if ending else "")
    if name in {"q", "period", "since", "until"} or ending == "has":
        return _of(name, OpenAPIType.STRING, APART.get(name, f"{field} {wording['has']}"))
    items = Schema(type=OpenAPIType.INTEGER if query.KINDS.get(field) is Ids else OpenAPIType.STRING)
    text = f"{field}: {wording[ending] or 'one of them'}"
    return Parameter(
        name=name, param_in="query", description=APART.get(name, text), style="form", explode=True,
        schema=Schema(type=OpenAPIType.ARRAY, items=items),
    )  # fmt: skip


def _of(name: str, kind: OpenAPIType, text: str) -> Parameter:
    return Parameter(name=name, param_in="query", description=text or name, schema=Schema(type=kind))


APART = {
    "q": "Each of these words is somewhere in the row's texts, tags or comment.",
    "period": "today, yesterday, 7d, 30d, 90d, 365d, week, last_week, month, last_month, quarter or year.",
    "since": "A day, or a time; on the account's clock unless it has an offset.",
    "until": "A day, which is still in it, or a time, which is not.",
    "customer": "The client's number in any spelling, or at least three digits of it.",
    "called": "The number called in any spelling, or at least three digits of it.",
}
FILTERS = [_parameter(name) for name in query.NAMES]
VISIT_FILTERS = [each for each in FILTERS if each.name.partition(".")[0] in VISIT_FIELDS or each.name == "period"]


@dataclass
class OfAppeals(Operation):
    """Described with the filters of appeals besides its own parameters."""

    def __post_init__(self) -> None:
        self.parameters = [*(self.parameters or []), *FILTERS]


@dataclass
class OfVisits(Operation):
    """Described with the filters of visits besides its own parameters."""

    def __post_init__(self) -> None:
        self.parameters = [*(self.parameters or []), *VISIT_FILTERS]
