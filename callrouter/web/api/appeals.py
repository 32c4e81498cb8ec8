"""POST /api/v1/appeals: chats and e-mails, told by the programs in which they were written."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec
from litestar import post
from litestar.handlers import HTTPRouteHandler
from litestar.params import HeaderParameter, JSONBody

from callrouter.appeals.journal import JournalError
from callrouter.appeals.model import PageAppeal
from callrouter.clock import Clock
from callrouter.numbers import NotANumber, Number, parse_number
from callrouter.pool.directory import OPERATOR, Directory, Site
from callrouter.pool.late import visit_named
from callrouter.sessions.model import Visit
from callrouter.web.api import examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.asked import time_in
from callrouter.web.api.reading import Reading
from callrouter.web.metrics import API_SECONDS
from callrouter.web.problem import Refusal
from callrouter.web.visitor.desk import VISITOR_ID
from callrouter.web.visitor.forms import LONGEST_EMAIL, Journal
from callrouter.web.visitor.visits import Visits

TOLD = uuid.uuid5(uuid.NAMESPACE_URL, "callrouter:api-appeals")
FAST_CLOCK = timedelta(minutes=5)
OLDEST = timedelta(days=31)
BODY_LIMIT = 64 * 1024
Text = Annotated[str, msgspec.Meta(max_length=10_000)]
Line = Annotated[str, msgspec.Meta(max_length=2048)]
Key = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key", description="The same again, for this site, is one appeal.", max_length=200
    ),
]


class NewAppeal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who it is must be told by at least one of phone, email, token, session and visitor."""

    site: int
    kind: Literal["chat", "email"]
    at: Line = ""
    """ISO 8601 with an offset; now if not given, a month ago at most."""
    phone: Line = ""
    email: Line = ""
    name: Line = ""
    token: Line = ""
    """The visit token that the page has, or: """
    session: Line = ""
    visitor: Line = ""
    page: Line = ""
    title: Line = ""
    subject: Line = ""
    text: Text = ""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """`visit`: it is tied to a visit that is known."""

    appeal: uuid.UUID
    visit: bool


class _Who(msgspec.Struct, frozen=True):
    visit: Visit | None
    session: str | None
    visitor: str | None


def appeal_handlers(
    access: Access, reading: Reading, visits: Visits, directory: Callable[[], Directory],
    journal: Callable[[], Journal | None], *, clock: Clock,
) -> list[HTTPRouteHandler]:  # fmt: skip
    async def who(told: NewAppeal, site: Site) -> _Who:
        token, visit = await visits.of(site, told.token, consent=True)
        named = told.session if VISITOR_ID.fullmatch(told.session) else ""
        session = token.session if token else named
        if visit is None and session:
            visit = await visits.named(site, session)
        if visit is None and session:
            async with reading.as_account(site.account) as conn:
                visit = await visit_named(conn, site.account, session)
            visit = visit if visit and visit.site == site.id else None
        if visit is not None:
            return _Who(visit, visit.session, visit.visitor)
        known = told.visitor if VISITOR_ID.fullmatch(told.visitor) else None
        return _Who(None, token.session if token else None, token.visitor if token else known)

    @post(
        "/appeals", responses=examples.of(Taken, examples.TAKEN, status=201), request_max_body_size=BODY_LIMIT,
        summary="Tell of a chat or an e-mail",
    )  # fmt: skip
    async def tell(request: ApiRequest, data: JSONBody[NewAppeal], key: Key = None) -> Taken:
        """One appeal of the client and, if a visit is named, of the visit. On disk before it is answered."""
        with API_SECONDS.labels(call="appeals").time():
            caller = await access.caller(request, "appeals:write")
            site = directory().site(data.site)
            if site is None or caller.account not in {site.account, OPERATOR}:
                raise Refusal(404, "unknown-site", "No such site")
            keeps = journal()
            if keeps is None:
                raise Refusal(503, "no-journal", "Appeals cannot be kept safely just now")
            appeal = _appeal(data, site, await who(data, site), key, clock.now())
            try:
                await keeps.append(appeal)
            except JournalError:
                raise Refusal(503, "no-journal", "Appeals cannot be kept safely just now", retry_s=30) from None
            return Taken(appeal=appeal.id, visit=appeal.visit is not None)

    return [tell]


def _appeal(told: NewAppeal, site: Site, who: _Who, key: str | None, now: datetime) -> PageAppeal:
    phone, email = _phone(told.phone, site), told.email.strip().lower()[:LONGEST_EMAIL]
    if not (phone or email or who.session or who.visitor):
        detail = "Give phone, email, token, session or visitor; a session or token must be one of this site's."
        raise Refusal(422, "nobody", "It is nobody's appeal", detail)
    details: dict[str, object] = {name: text for name in ("subject", "text") if (text := getattr(told, name))}
    return PageAppeal(
        id=uuid.uuid5(TOLD, f"{site.account}\n{site.id}\n{told.kind}\n{key}") if key else uuid.uuid4(), kind=told.kind,
        account=site.account, site=site.id, at=_time(told.at, now), session=who.session, visitor=who.visitor,
        visit=who.visit, phone=phone, email=email or None, person=told.name.strip() or None,
        page=told.page or (who.visit.page if who.visit else ""),
        title=told.title or (who.visit.title if who.visit else ""), details=details,
    )  # fmt: skip


def _phone(text: str, site: Site) -> Number | None:
    try:
        return parse_number(text, site.country) if text.strip() else None
    except NotANumber:
        raise Refusal(422, "bad-phone", "That is no telephone number", "Leave it out, or put it into text.") from None


def _time(text: str, now: datetime) -> datetime:
    at = time_in("at", text) if text else now
    if not now - OLDEST <= at <= now + FAST_CLOCK:
        raise Refusal(400, "bad-time", "That time is no time for it", f"Not ahead, and {OLDEST.days} days ago at most.")
    return min(at, now)
