"""Saved views of the journal: filters, columns and order under a name, one's own or the account's. Knows the tables.

A view keeps its filters as a URL says them, so that `period=today` is today whenever it is opened. Everybody has the
views of STANDARD besides; they teach what filters are for.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

import msgspec

from callrouter.db.connect import Connection
from callrouter.journal import query, row
from callrouter.journal.listing import SORTS
from callrouter.people import audit
from callrouter.people.model import Caller
from callrouter.pool.inventory import Refused, Unknown
from callrouter.wording import Wording

STANDARD: dict[str, str] = {
    "all": "",
    "missed": "period=today&kind=call&direction=inbound&status=lost",
    "first": "kind=call&direction=inbound&unique=true",
    "forms": "kind=form&kind=callback",
    "spam": "spam=true",
}
"""Views that everybody has → their filters."""
MOST_VIEWS = 200
LONGEST_NAME, LONGEST_QUERY = 80, 8000
MOST_COLUMNS = 80
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_NAME)]
Columns = Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST_COLUMNS)]


class View(msgspec.Struct, frozen=True, kw_only=True):
    """`query`: filters as in a URL. Without `columns` or `sort`: the reader's own. `mine`: the asker saved it."""

    id: int
    name: str
    shared: bool
    query: str
    columns: tuple[str, ...]
    sort: str
    mine: bool
    changed_at: datetime


class ViewChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays, or is empty in a new view."""

    name: Name | None = None
    shared: bool | None = None
    query: Annotated[str, msgspec.Meta(max_length=LONGEST_QUERY)] | None = None
    columns: Columns | None = None
    sort: str | None = None


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """What a person has chosen for himself; empty: nothing."""

    columns: tuple[str, ...] = ()
    opens: str = ""


async def read_views(conn: Connection, account: int, caller: Caller) -> list[View]:
    """Those that he sees: his own and the account's, by name."""
    return [View(**dict(found)) for found in await conn.fetch(SEEN, account, caller.user)]


async def view_numbered(conn: Connection, account: int, caller: Caller, view: int) -> View:
    """Raises Unknown: there is none, or it is another's own."""
    found = await conn.fetchrow(ONE, account, caller.user, view)
    if found is None:
        raise Unknown(view)
    return View(**dict(found))


def may_change(view: View, caller: Caller) -> bool:
    """Whose it is; a shared one also an admin, for its owner may have left."""
    return view.mine or (view.shared and "settings:write" in caller.scopes)


async def add_view(conn: Connection, account: int, caller: Caller, given: ViewChange) -> View:
    """In a transaction. Raises Refused."""
    _require_allowed(caller, shared=bool(given.shared))
    await conn.execute("SELECT pg_advisory_xact_lock(hashtext('callrouter.views'), $1::bigint::int)", account % 2**31)
    seen = await read_views(conn, account, caller)
    if len(seen) >= MOST_VIEWS:
        raise Refused("there are {most} views already; delete some", most=MOST_VIEWS)
    name = _name(given.name or "")
    _require_new(name, seen)
    sound = _sound(given)
    added = await conn.fetchval(
        ADD, account, caller.user, name, bool(given.shared), sound.query or "", list(sound.columns or ()),
        sound.sort or "",
    )  # fmt: skip
    if given.shared:
        await audit.record(conn, account, caller, "view.change", name, added=True)
    return await view_numbered(conn, account, caller, added)


async def change_view(conn: Connection, account: int, caller: Caller, before: View, given: ViewChange) -> View:
    """In a transaction. Raises Refused."""
    if not may_change(before, caller):
        raise Refused("it is another's view: save it as one of your own")
    if given.shared is not None and given.shared != before.shared:
        _require_allowed(caller, shared=True)
        if not before.mine:
            raise Refused("only its owner can take it back for himself")
    sound = _sound(given)
    name = before.name if given.name is None else _name(given.name)
    _require_new(name, [each for each in await read_views(conn, account, caller) if each.id != before.id])
    told = {field: value for field, value in msgspec.structs.asdict(sound).items() if value is not None}
    after = msgspec.structs.replace(before, **(told | {"name": name}))
    await conn.execute(
        CHANGE, account, before.id, after.name, after.shared, after.query, list(after.columns), after.sort
    )  # fmt: skip
    if before.shared or after.shared:
        await audit.record(conn, account, caller, "view.change", after.name)
    return await view_numbered(conn, account, caller, before.id)


async def remove_view(conn: Connection, account: int, caller: Caller, view: View) -> None:
    """Raises Refused. Who opened the journal with it sees all appeals again."""
    if not may_change(view, caller):
        raise Refused("it is another's view: only its owner, or an admin, can delete it")
    await conn.execute("DELETE FROM views WHERE account_id = $1 AND id = $2", account, view.id)
    await conn.execute("UPDATE view_choices SET opens = '' WHERE account_id = $1 AND opens = $2", account, str(view.id))
    if view.shared:
        await audit.record(conn, account, caller, "view.change", view.name, removed=True)


async def choices_of(conn: Connection, account: int, user: int | None) -> Choices:
    found = await conn.fetchrow(CHOICES, account, user)
    return Choices(columns=tuple(found["columns"]), opens=found["opens"]) if found else Choices()


async def choose(
    conn: Connection, account: int, user: int, *, columns: Iterable[str] | None = None, opens: str | None = None
) -> None:
    """What is None stays."""
    await conn.execute(CHOOSE, account, user, None if columns is None else list(columns), opens)


def filters_in(text: str) -> list[tuple[str, str]]:
    """The filters that a view's query says, each known. Raises Refused."""
    try:
        items = [(name, value) for name, value in parse_qsl(text, max_num_fields=query.MOST_VALUES) if value]
        query.parse(items, zone=ZoneInfo("UTC"), now=datetime.now(UTC))
    except query.BadFilter as error:
        raise Refused("a filter does not fit: {reason}", reason=Wording(error.template, error.values)) from None
    except ValueError:
        raise Refused("no more than {most} filters at once", most=query.MOST_VALUES) from None
    return items


def _sound(given: ViewChange) -> ViewChange:
    if given.sort and given.sort not in SORTS:
        raise Refused("there is no such order")
    if unknown := set(given.columns or ()) - KNOWN_COLUMNS:
        raise Refused("there is no column {column!r}", column=min(unknown)[:40])
    if given.query is None:
        return given
    return msgspec.structs.replace(given, query=urlencode(filters_in(given.query)))


TOGETHER = ("when", "what", "who", "whence", "outcome", "credit", "notes")
"""Columns that tell several fields at once."""
KNOWN_COLUMNS = frozenset(TOGETHER) | frozenset(row.FIELDS)


def _name(text: str) -> str:
    name = " ".join(text.replace("\0", "").split())
    if not name:
        raise Refused("give the view a name")
    return name[:LONGEST_NAME]


def _require_new(name: str, seen: Iterable[View]) -> None:
    if any(each.name.casefold() == name.casefold() for each in seen):
        raise Refused("there is a view named {name!r} already", name=name)


def _require_allowed(caller: Caller, *, shared: bool) -> None:
    if shared and "appeals:write" not in caller.scopes:
        raise Refused("you may save views for yourself, not for the whole account")
    if not shared and caller.user is None:
        raise Refused("a program can only save views for the whole account: say shared")


SEEN = """
SELECT id, name, shared, query, columns, sort, coalesce(user_id = $2, false) AS mine, changed_at FROM views
WHERE account_id = $1 AND (shared OR user_id = $2) ORDER BY lower(name), id"""
ONE = SEEN.replace("ORDER BY", "AND id = $3 ORDER BY")
ADD = """
INSERT INTO views (account_id, user_id, name, shared, query, columns, sort)
VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id"""
CHANGE = """
UPDATE views SET name = $3, shared = $4, query = $5, columns = $6, sort = $7, changed_at = clock_timestamp()
WHERE account_id = $1 AND id = $2"""
CHOICES = "SELECT columns, opens FROM view_choices WHERE account_id = $1 AND user_id = $2"
CHOOSE = """
INSERT INTO view_choices (account_id, user_id, columns, opens)
VALUES ($1, $2, coalesce($3::text[], '{}'), coalesce($4, ''))
ON CONFLICT (account_id, user_id) DO UPDATE
SET columns = coalesce($3, view_choices.columns), opens = coalesce($4, view_choices.opens)"""
