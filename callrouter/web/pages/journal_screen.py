"""What a journal page is made of: rows and where they stand, saved views, and what its form shows. Knows no HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from callrouter.db.connect import Connection
from callrouter.journal import listing, query, views
from callrouter.journal.filters import Filters
from callrouter.journal.listing import Asked, Clock, Cursor
from callrouter.journal.period import PERIODS
from callrouter.journal.row import AppealTold
from callrouter.journal.views import Choices
from callrouter.journal.views import View as Saved
from callrouter.people.model import Caller
from callrouter.web.api.filtered import Asking, known_clock
from callrouter.web.pages import appeal_words, journal_address
from callrouter.web.pages.columns import COLUMNS, GROUPS, Column, columns_of, fields_of
from callrouter.web.pages.journal_address import USUAL_SORT, Address, Chip, Item
from callrouter.wording import Worded

ROWS = 50
SINGLE = (
    "since", "until", "q", "customer", "called", "source", "medium", "campaign", "keyword", "group", "employee", "tag",
    "unique", "quality", "first", "multichannel", "spam", "talk_s.min", "talk_s.max", "wait_s.min", "wait_s.max",
    "confidence.min", "confidence.max",
)  # fmt: skip
SEVERAL = ("kind", "status", "site", "channel", "period")
"""Filters that the form has controls for: of one value, of several."""
OFFERED = ("source", "medium", "campaign", "keyword", "group", "employee")
"""Those whose values are offered as one writes."""
FLAGS = ("unique", "quality", "first", "multichannel", "spam")
RANGES = ("talk_s", "wait_s", "confidence")


class Rows(NamedTuple):
    """`newer`, `older`: cursors of the pages beside; `trouble`: why there are no rows."""

    rows: tuple[AppealTold, ...] = ()
    newer: str = ""
    older: str = ""
    trouble: Worded | None = None
    any_at_all: bool = True


NO_ROWS = Rows()


class Tab(NamedTuple):
    """A view to open; `title` is to be translated if it is everybody's."""

    key: str
    title: str
    path: str
    standard: bool = True


@dataclass
class Screen:
    """One look at the journal."""

    address: Address
    clock: Clock
    sites: dict[int, str]
    views: list[Saved]
    choices: Choices
    caller: Caller
    found: Rows = NO_ROWS

    words = appeal_words
    periods = PERIODS
    groups = GROUPS
    flags, ranges, offered = FLAGS, RANGES, OFFERED
    any_field = tuple(name for name in Filters.__struct_fields__ if name not in {"since", "until", "q"})

    @property
    def saved(self) -> Saved | None:
        """The saved view that is open."""
        return next((each for each in self.views if str(each.id) == self.address.view), None)

    @property
    def columns(self) -> list[Column]:
        """The URL's, the saved view's, one's own."""
        saved = self.saved
        return columns_of(self.address.columns or (saved.columns if saved else ()) or self.choices.columns)

    @property
    def tabs(self) -> list[Tab]:
        standard = [
            Tab(name, appeal_words.VIEWS[name], Address(view=name, items=items_in(text)).path())
            for name, text in views.STANDARD.items()
        ]
        return [*standard, *(Tab(str(each.id), each.name, of_saved(each).path(), False) for each in self.views)]

    @property
    def is_changed(self) -> bool:
        """Whether there is something to save in the open view."""
        saved = self.saved
        if saved is None:
            return False
        own = of_saved(saved)
        is_other = (set(own.items), own.sort) != (set(self.address.items), self.address.sort)
        return is_other or (bool(self.address.columns) and self.address.columns != saved.columns)

    @property
    def may_change(self) -> bool:
        saved = self.saved
        return saved is not None and views.may_change(saved, self.caller)

    @property
    def chips(self) -> list[Chip]:
        return journal_address.chips(self.address.items)

    @property
    def kept(self) -> list[Item]:
        return journal_address.kept_apart(self.address, SINGLE, SEVERAL)

    @property
    def more(self) -> int:
        """How many filters are set among those that are folded away."""
        return sum(name not in {"since", "until", "q", *SEVERAL} for name, _ in self.address.items)

    @property
    def query(self) -> str:
        return self.address.path("").removeprefix("?")

    @property
    def filters(self) -> str:
        """The filters alone, as the API takes them."""
        only = Address(items=self.address.items)
        return only.path("").removeprefix("?")

    def site_name(self, site: object) -> str:
        return self.sites.get(int(str(site)), f"№ {site}") if str(site).isdigit() else str(site)


async def read_screen(conn: Connection, caller: Caller, account: int, address: Address) -> Screen:
    """All but the rows."""
    sites = {row["id"]: row["name"] for row in await conn.fetch(SITES, account)}
    return Screen(
        address, await known_clock(conn, account), sites, await views.read_views(conn, account, caller),
        await views.choices_of(conn, account, caller.user), caller,
    )  # fmt: skip


def opened(screen: Screen, *, bare: bool) -> Address | None:
    """The view that is meant where the URL says no more than its name, or nothing at all; None: what the URL says."""
    address = screen.address
    name = screen.choices.opens if bare else address.view
    if not name or name == "all" or address.items or address.sort != USUAL_SORT:
        return None
    if text := views.STANDARD.get(name):
        return Address(view=name, items=items_in(text))
    saved = next((each for each in screen.views if str(each.id) == name), None)
    if saved is None or (not bare and not saved.query and not saved.sort):
        return None
    return of_saved(saved)


def of_saved(saved: Saved) -> Address:
    sort = next((each for each in listing.SORTS if each == saved.sort), USUAL_SORT)
    return Address(view=str(saved.id), items=items_in(saved.query), sort=sort)


def items_in(text: str) -> tuple[Item, ...]:
    """The filters of a query string."""
    return journal_address.read(journal_address.split(text))[0].items


def filters_of(screen: Screen, asking: Asking) -> Filters:
    """Raises BadFilter."""
    clock = screen.clock
    return query.parse(screen.address.items, zone=clock.zone, now=asking.clock.now(), country=clock.country)


async def read_rows(conn: Connection, account: int, screen: Screen, asking: Asking) -> Rows:
    address, back = screen.address, bool(screen.address.before)
    sort = listing.turned(address.sort) if back else address.sort
    try:
        filters = filters_of(screen, asking)
        place = address.before or address.after
        cursor = Cursor.of(place, sort) if place else None
    except Worded as error:
        return Rows(trouble=error)
    asked = Asked(
        account=account, zone=screen.clock.zone, filters=filters, sort=sort, cursor=cursor, limit=ROWS,
        fields=fields_of(screen.columns, address.sort.removeprefix("-")),
    )  # fmt: skip
    page = await listing.read_page(conn, asked)
    if back and page.next is None:  # what is left is the first page, which is shown in full
        asked = msgspec.structs.replace(asked, cursor=None, sort=address.sort)
        page, back = await listing.read_page(conn, asked), False
        address = msgspec.structs.replace(address, before="")
    rows = page.items[::-1] if back else page.items
    if not rows:
        return Rows(any_at_all=bool(await conn.fetchval(ANY, account)))
    newer = Cursor.at_row(rows[0], listing.turned(address.sort)).text() if back or address.after else ""
    older = Cursor.at_row(rows[-1], address.sort).text() if back or page.next else ""
    return Rows(rows, newer, older)


def form_columns(form: Mapping[str, str]) -> tuple[str, ...]:
    """The columns that were ticked; none: the usual ones."""
    return () if form.get("usual") else tuple(key for key in COLUMNS if form.get(f"column.{key}"))


SITES = "SELECT id, name FROM sites WHERE account_id = $1 ORDER BY name, id"
ANY = "SELECT EXISTS (SELECT FROM appeals WHERE account_id = $1)"
