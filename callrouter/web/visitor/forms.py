"""Takes what a visitor sends from a page and makes an appeal of it: durable on this machine before it is confirmed.

Knows no HTTP. Without consent the appeal is tied to no visit: what the visitor wrote is his word, the rest is not.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Protocol

from callrouter.appeals.model import Appeal, PageAppeal
from callrouter.clock import Clock, SystemClock
from callrouter.numbers import NotANumber, Number, parse_number
from callrouter.pool.directory import Site
from callrouter.sessions.model import Visit
from callrouter.web.visitor.guard import Guard
from callrouter.web.visitor.messages import ID_LIMIT, TITLE_LIMIT, URL_LIMIT, FormAnswer, FormRequest
from callrouter.web.visitor.sifting import Sifted, sift
from callrouter.web.visitor.tokens import VisitToken
from callrouter.web.visitor.visits import Visits

FORMS = uuid.uuid5(uuid.NAMESPACE_URL, "callrouter:forms")
LONGEST_EMAIL = 254


class EmptyForm(ValueError):
    """Nothing of the form may be kept, or it had nothing."""


class NoJournal(RuntimeError):
    """This process has no journal, so nothing could be promised."""


class Journal(Protocol):
    async def append(self, appeal: Appeal) -> None: ...


class Forms:
    """`journal` gives the journal of this process, once it is open."""

    def __init__(
        self, visits: Visits, guard: Guard, journal: Callable[[], Journal | None], *, clock: Clock | None = None
    ) -> None:  # fmt: skip
        self._visits = visits
        self._guard = guard
        self._journal = journal
        self._clock = clock or SystemClock()

    async def form(self, site: Site, said: FormRequest, address: str) -> FormAnswer:
        """Raises EmptyForm, NoJournal, JournalError, or the guard's Refusal: then nothing was taken."""
        journal = self._journal()
        if journal is None:
            raise NoJournal
        sifted = sift(said)
        if not sifted:
            raise EmptyForm
        await self._guard.form(site, address)
        token, visit = await self._visits.of(site, said.token, said.consent)
        appeal = self._appeal(site, said, sifted, token, visit)
        await journal.append(appeal)
        return FormAnswer(appeal=str(appeal.id))

    def _appeal(
        self, site: Site, said: FormRequest, sifted: Sifted, token: VisitToken | None, visit: Visit | None
    ) -> PageAppeal:
        at = self._clock.now()
        who = f"{site.id}\n{token.visitor if token else ''}\n{said.request[:ID_LIMIT]}"
        details: dict[str, object] = {"form": said.form[:ID_LIMIT], "fields": sifted.fields}
        phone = _number(sifted.phone, site)
        if sifted.phone and phone is None:
            details["phone"] = sifted.phone  # as he wrote it, for a person to make sense of
        return PageAppeal(
            id=uuid.uuid5(FORMS, who) if said.request else uuid.uuid4(), kind="form", account=site.account,
            site=site.id, at=at, session=token.session if token else None, visitor=token.visitor if token else None,
            visit=visit and visit.known_as(said.analytics), phone=phone,
            email=sifted.email.lower()[:LONGEST_EMAIL] or None, person=sifted.person or None,
            page=said.url[:URL_LIMIT], title=said.title[:TITLE_LIMIT], details=details,
        )  # fmt: skip


def _number(text: str, site: Site) -> Number | None:
    try:
        return parse_number(text, site.country) if text else None
    except NotANumber:
        return None
