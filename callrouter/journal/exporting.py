"""The whole journal by filters, all of it, in constant memory: page by page, so that a slow reader holds nothing.

Neither a connection nor a snapshot is kept between pages: who fetches an export over a bad line for hours does not keep
Postgres from tidying up. Each row comes once, as in the journal itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from callrouter.db.connect import Connection
from callrouter.journal.history import HistoryAsked, Item, read_history
from callrouter.journal.keyset import Behind
from callrouter.journal.listing import Asked, Cursor, Page, read_page
from callrouter.journal.row import AppealTold
from callrouter.journal.visits import PageSeen, pages_of

ROWS_AT_ONCE = 1000
HISTORY_AT_ONCE = 200

ReadPage = Callable[[Asked], Awaitable[Page]]


class ItemInFull(msgspec.Struct, frozen=True, kw_only=True):
    """An item of a client's history with, if it is a visit, its pages."""

    item: Item
    pages: tuple[PageSeen, ...] = ()


async def batches(read: ReadPage, asked: Asked) -> AsyncIterator[tuple[AppealTold, ...]]:
    """All rows that `asked` asks for, from its cursor on."""
    asked = msgspec.structs.replace(asked, limit=ROWS_AT_ONCE)
    while True:
        page = await read(asked)
        if page.items:
            yield page.items
        if page.next is None:
            return
        asked = msgspec.structs.replace(asked, cursor=Cursor.of(page.next, asked.sort))


def reader(conn: Connection) -> ReadPage:
    """Reads all pages on one connection, for who has one of his own."""

    async def read(asked: Asked) -> Page:
        return await read_page(conn, asked)

    return read


async def whole_story(conn: Connection, account: int, client: int) -> AsyncIterator[ItemInFull]:
    """All that is known of a client's doings, the earliest first."""
    asked = HistoryAsked(account=account, client=client, ascends=True, limit=HISTORY_AT_ONCE)
    behind: Behind | None = None
    while True:
        part = await read_history(conn, asked, behind)
        for item in part.items:
            visit = item.visit
            pages = await pages_of(conn, account, visit.session, visit.started_at) if visit else ()
            yield ItemInFull(item=item, pages=pages)
        if part.next is None:
            return
        behind = Behind.of(part.next)
