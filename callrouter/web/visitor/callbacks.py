"""Takes orders to be called back: each is an appeal, durable on this machine before it is confirmed. Knows no HTTP.

Each order makes somebody's PBX dial at his cost, so it is taken only where the site wants it, for ordinary numbers of
the site's countries, and so many an hour. Postgres keeps the order with its appeal and counts once more.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo

from callrouter.appeals.model import PageAppeal
from callrouter.callbacks.dialable import NotDialable, dialable
from callrouter.callbacks.due import due_of, zone_named
from callrouter.clock import Clock, SystemClock
from callrouter.numbers import Number
from callrouter.pool.directory import Directory, Site
from callrouter.web.visitor.forms import Journal, NoJournal
from callrouter.web.visitor.guard import Guard
from callrouter.web.visitor.messages import (
    ID_LIMIT,
    TITLE_LIMIT,
    URL_LIMIT,
    VALUE_LIMIT,
    CallbackAnswer,
    CallbackRequest,
)
from callrouter.web.visitor.sifting import without_cards
from callrouter.web.visitor.visits import Visits

ORDERS = uuid.uuid5(uuid.NAMESPACE_URL, "callrouter:callbacks")
HOUR = timedelta(hours=1)
REMEMBERED = 10_000


class NoCallbacks(Exception):
    """The site takes no orders."""


class TooManyOrders(Exception):
    """From this address, for this number, or of this site."""


class Callbacks:
    """`journal` gives the journal of this process, once it is open."""

    def __init__(
        self, visits: Visits, directory: Callable[[], Directory], guard: Guard, journal: Callable[[], Journal | None],
        *, clock: Clock | None = None,
    ) -> None:  # fmt: skip
        self._visits = visits
        self._directory = directory
        self._guard = guard
        self._journal = journal
        self._clock = clock or SystemClock()
        self._taken: OrderedDict[uuid.UUID, CallbackAnswer] = OrderedDict()
        """The orders taken last: the same again counts as none."""

    async def order(self, site: Site, said: CallbackRequest, address: str) -> CallbackAnswer:
        """Raises NoCallbacks, NotDialable, BadTime, TooManyOrders, NoJournal, JournalError: then nothing was taken."""
        if not site.callback.enabled:
            raise NoCallbacks
        journal = self._journal()
        if journal is None:
            raise NoJournal
        phone, now = self._phone(site, said.phone), self._clock.now()
        due = due_of(said.at, now, site.callback, self._zone(site))
        token, visit = await self._visits.of(site, said.token, said.consent)
        who = f"{site.id}\n{token.visitor if token else phone}\n{said.request[:ID_LIMIT]}"
        order = uuid.uuid5(ORDERS, who) if said.request else uuid.uuid4()
        if order in self._taken:
            return self._taken[order]
        await self._count(site, address, phone)
        details: dict[str, object] = {"due_at": due.at, "latest_at": due.latest, "pbx": site.callback.pbx}
        if comment := without_cards(said.comment.strip()[:VALUE_LIMIT]):
            details["comment"] = comment
        await journal.append(
            PageAppeal(
                id=order, kind="callback", account=site.account, site=site.id, at=now,
                session=token.session if token else None, visitor=token.visitor if token else None,
                visit=visit and visit.known_as(said.analytics),
                phone=phone, person=without_cards(said.name.strip()[:ID_LIMIT]) or None, page=said.url[:URL_LIMIT],
                title=said.title[:TITLE_LIMIT], details=_plain(details),
            )
        )  # fmt: skip
        return self._remember(order, CallbackAnswer(order=str(order), due=due.at))

    def _phone(self, site: Site, text: str) -> Number:
        phone = dialable(text, site.callback, site.country)
        directory = self._directory()
        if directory.number(phone) or directory.site_of_own_number(phone):
            raise NotDialable("own-phone")  # the PBX would call itself
        return phone

    def _zone(self, site: Site) -> tzinfo:
        account = self._directory().account(site.account)
        return zone_named(site.callback.time_zone or (account.time_zone if account else ""))

    async def _count(self, site: Site, address: str, phone: Number) -> None:
        set_for = site.callback
        for what, whom, most in (
            ("address", address, set_for.per_visitor), ("phone", phone, set_for.per_visitor),
            ("orders", "all", set_for.per_site),
        ):  # fmt: skip
            if whom and await self._guard.is_over(site, f"callback-{what}", whom, most, HOUR):
                raise TooManyOrders(what)

    def _remember(self, order: uuid.UUID, answer: CallbackAnswer) -> CallbackAnswer:
        self._taken[order] = answer
        if len(self._taken) > REMEMBERED:
            self._taken.popitem(last=False)
        return answer


def _plain(details: dict[str, object]) -> dict[str, object]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in details.items()}
