"""The general block of a client card: which facts it may show, which it shows to whom, and in which words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec

from callrouter.db.connect import Connection
from callrouter.journal.client_list import Revenue
from callrouter.journal.clients import NO_LOCATION, Card
from callrouter.people.model import Person
from callrouter.people.preferences import prefer, preference
from callrouter.web.pages.appeal_words import CHANNELS
from callrouter.web.pages.formats import DASH
from callrouter.web.pages.ground import View
from callrouter.web.pages.words import N_

PREFERENCE = "client card"
NAMES: dict[str, str] = {
    "id": N_("Client ID"), "phones": N_("Numbers"), "name": N_("Name"), "emails": N_("E-mail addresses"),
    "location": N_("Location"), "first_touch": N_("First touch"), "first_source": N_("First source"),
    "revenue": N_("Revenue"), "deals": N_("Deals"), "appeals": N_("Appeals"), "calls": N_("Calls"),
    "lost": N_("Lost calls"), "unique": N_("Unique calls"), "quality": N_("Quality calls"),
    "multichannel": N_("Multichannel appeals"), "talk": N_("Talked in all"), "visits": N_("Visits"),
    "site_time": N_("Time on site in all"), "first_visit": N_("First visit"), "last_visit": N_("Last visit"),
    "first_appeal": N_("First appeal"), "last_appeal": N_("Last appeal"), "crm": N_("Ids in CRMs"),
    "browsers": N_("Browsers"), "created": N_("Known since"),
}  # fmt: skip
USUAL = (
    "phones", "name", "emails", "location", "first_touch", "first_source", "revenue", "deals", "appeals", "calls",
    "lost", "unique", "visits", "last_appeal",
)  # fmt: skip
MOST_LISTED = 10


class Chosen(msgspec.Struct, frozen=True):
    """As it is kept with the user."""

    fields: tuple[str, ...]


class Fact(msgspec.Struct, frozen=True):
    """A line of the block. `lines`: what it says; `known` false: that nothing is known."""

    name: str
    title: str
    lines: tuple[str, ...]
    at: datetime | None = None
    known: bool = True


async def chosen_fields(conn: Connection, person: Person) -> tuple[str, ...]:
    kept = await preference(conn, person, PREFERENCE)
    try:
        return only_known(msgspec.convert(kept, Chosen).fields)
    except msgspec.ValidationError:  # nothing was chosen yet
        return USUAL


async def choose_fields(conn: Connection, person: Person, names: Iterable[str] | None) -> None:
    """None: the usual ones again."""
    await prefer(conn, person, PREFERENCE, None if names is None else Chosen(only_known(names)))


def only_known(names: Iterable[str]) -> tuple[str, ...]:
    """In the order of the block."""
    wanted = set(names)
    return tuple(name for name in NAMES if name in wanted)


def facts(view: View, card: Card, names: Iterable[str]) -> list[Fact]:
    return [_fact(view, card, name) for name in names]


def shown_name(view: View, card: Card) -> str:
    return card.name if card.name_known else view.translated(N_("unknown"))


def shown_number(view: View, card: Card) -> str:
    return view.formats.phone(card.number) if card.number_known else view.translated(N_("Not determined"))


def money(view: View, revenue: Iterable[Revenue]) -> tuple[str, ...]:
    return tuple(view.formats.money(each.amount, each.currency) for each in revenue)


def _fact(view: View, card: Card, name: str) -> Fact:
    lines = TOLD[name](view, card) if name in TOLD else ()
    at = getattr(card, MOMENTS[name]) if name in MOMENTS else None
    if name in COUNTS:
        lines = (view.formats.number(getattr(card, COUNTS[name])),)
    known = {"name": card.name_known, "phones": card.number_known, "location": card.location != NO_LOCATION}
    return Fact(
        name, view.translated(NAMES[name]), lines or (DASH,), at, known.get(name, bool(lines) or at is not None)
    )


def _of_kind(kind: str, shown: Callable[[View, str], str] = lambda _view, text: text) -> Callable[..., tuple[str, ...]]:
    def lines(view: View, card: Card) -> tuple[str, ...]:
        values = [shown(view, each.value) for each in card.identities if each.kind == kind]
        rest = len(values) - MOST_LISTED
        more = (view.translated(N_("and %(num)d more")) % {"num": rest},) if rest > 0 else ()
        return (*values[:MOST_LISTED], *more)

    return lines


def _phones(view: View, card: Card) -> tuple[str, ...]:
    """That of his first appeal first."""
    lines = _of_kind("phone", lambda view, number: view.formats.phone(number))(view, card)
    first = shown_number(view, card)
    return (first, *(line for line in lines if line != first))


def _first_source(view: View, card: Card) -> tuple[str, ...]:
    if card.first_channel is None:
        return ()
    channel = view.translated(CHANNELS.get(card.first_channel, card.first_channel))
    return (" · ".join(part for part in (channel, card.first_source) if part),)


TOLD: dict[str, Callable[[View, Card], tuple[str, ...]]] = {
    "id": lambda _view, card: (str(card.id),),
    "phones": _phones,
    "name": lambda view, card: (shown_name(view, card),),
    "emails": _of_kind("email"),
    "location": lambda _view, card: (card.location,),
    "first_source": _first_source,
    "revenue": lambda view, card: money(view, card.revenue),
    "talk": lambda view, card: (view.formats.lasted(card.talk_s),),
    "site_time": lambda view, card: (view.formats.lasted(card.time_on_site_s),),
    "crm": _of_kind("crm"),
    "browsers": _of_kind("visitor"),
}
MOMENTS = {
    "first_touch": "first_touch_at", "first_visit": "first_visit_at", "last_visit": "last_visit_at",
    "first_appeal": "first_appeal_at", "last_appeal": "last_appeal_at", "created": "created_at",
}  # fmt: skip
COUNTS = {name: name for name in ("deals", "appeals", "calls", "lost", "unique", "quality", "multichannel", "visits")}
