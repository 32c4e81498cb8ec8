"""Answers a page: which visit a hit belongs to and which number it shows. Knows no HTTP.

Fails open: if the lease store does not answer soon, the page shows the site's own number and asks again later.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from typing import NamedTuple

import msgspec
import structlog

from callrouter.clock import Clock, SystemClock
from callrouter.numbers import Number, display_number
from callrouter.pool.choice import NO_POOL, Placed, lease_from, pools_in_order
from callrouter.pool.directory import Directory, Site
from callrouter.pool.keys import Slot
from callrouter.pool.live import Allocation
from callrouter.pool.store import LeaseStore, StoreUnavailable
from callrouter.sessions.device import Device, recognise
from callrouter.sessions.model import Visit
from callrouter.sessions.source import Hit, classify_hit
from callrouter.web import metrics
from callrouter.web.visitor.addresses import household
from callrouter.web.visitor.guard import Guard
from callrouter.web.visitor.messages import (
    ID_LIMIT,
    TITLE_LIMIT,
    URL_LIMIT,
    AliveAnswer,
    AliveRequest,
    VisitAnswer,
    VisitRequest,
)
from callrouter.web.visitor.places import Places
from callrouter.web.visitor.tokens import ExpiredToken, ForgedToken, TokenSigner, VisitToken
from callrouter.web.watch import Span, Watch

log = structlog.get_logger()

VISITOR_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
PATIENCE_SECONDS = 0.3
REST_SECONDS = 1.0
"""After a failure the store is left alone for so long: pages are answered at once meanwhile."""
RETRY_SECONDS = 30
FRESH_SECONDS = 3600
"""A younger token is answered as it came."""


class Browser(NamedTuple):
    """Who sends a page's calls: headers as sent, and where from."""

    user_agent: str
    brands: str = ""
    mobile: str = ""
    platform: str = ""
    address: str = ""


class _Opened(NamedTuple):
    """A page that was opened, and what we make of it."""

    site: Site
    said: VisitRequest
    hit: Hit
    pools: tuple[int, ...]
    """In the order in which they are asked for a number."""
    visit: Visit
    human: bool
    """A number may be leased."""
    known: str = ""
    """The session that his token names, of the first of these pools."""
    repeated: bool = False
    """He has no token: this request may have been answered before."""


class Desk:
    """`directory` gives the newest directory at any time."""

    def __init__(
        self,
        store: LeaseStore,
        directory: Callable[[], Directory],
        signer: TokenSigner,
        guard: Guard,
        *,
        places: Places | None = None,
        clock: Clock | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._store = store
        self._directory = directory
        self._signer = signer
        self._clock = clock or SystemClock()
        self._guard = guard
        self._places = places or Places()
        self._watch = Watch(patience_seconds)
        self._away_until = 0.0
        self._away = False

    @property
    def knows_sites(self) -> bool:
        """False before the directory could be read for the first time."""
        return self._directory().known

    def site(self, site: int) -> Site | None:
        found = self._directory().site(site)
        return found if found and found.enabled else None

    async def visit(self, site: Site, said: VisitRequest, browser: Browser) -> VisitAnswer:
        """A hit. A forged or expired token is no token here: the visitor is simply new to us."""
        device = recognise(browser.user_agent, browser.brands, browser.mobile, browser.platform)
        if device.bot or said.automated:
            _outcome("bot")
            return self._without_lease(site, visitor="")
        hit = classify_hit(said.url[:URL_LIMIT], said.referrer[:URL_LIMIT], site.domains, site.excluded_referrers)
        if not consented(site, said.consent):
            _outcome("channel")
            return self._by_channel(site, hit)
        token = self._token(site, said.token)
        visitor = token.visitor if token else said.visitor
        if not VISITOR_ID.fullmatch(visitor):
            visitor = _visitor_of_request(site, said.request, browser)
        facts = self._facts(site, said, visitor, hit=hit, device=device, address=browser.address)
        pools = pools_in_order(
            site, known=token.pool if token else NO_POOL, regions=self._places.regions(browser.address),
            source=hit.traffic.source,
        )  # fmt: skip
        human, known = bool(pools) and said.human, token is not None and token.leased
        counted = known and token is not None and self._guard.window(site, token.issued) == self._guard.window(site)
        going_on = token.session if token and pools[:1] == (token.pool,) else ""
        opened = _Opened(site, said, hit, pools, facts, human, going_on, token is None)
        try:
            pool, allocation = await self._admit(opened, browser.address, known=known, counted=counted)
        except StoreUnavailable as error:
            self._note_away(error)
            _outcome("away")
            return self._without_lease(site, visitor=visitor, retry_s=RETRY_SECONDS)
        self._away = False
        if allocation.outcome == "none" and pools:
            _outcome("limited" if said.human else "spared")
        else:
            _outcome(allocation.outcome)
        return self._answer(site, pool, visitor, allocation)

    async def alive(self, site: Site, said: AliveRequest, address: str = "") -> AliveAnswer:
        """A sign of life. Raises ForgedToken or ExpiredToken."""
        now = self._clock.now()
        token = self._signer.verify(said.token, now)
        if token.site != site.id:
            raise ForgedToken("the token is of another site")
        names_page = bool(said.request) or said.url is not None
        request = _request_id(site, token.visitor, said.request) if names_page else ""
        try:
            with self._patience():
                renewal = await self._store.renew(
                    self._slot(site, token.pool), token.session,
                    request=request, hold=site.hold, gap=site.gap,
                    page=said.url[:URL_LIMIT] if said.url is not None else None, title=said.title[:TITLE_LIMIT],
                    closed=said.closed, analytics=said.analytics,
                )  # fmt: skip
                newly = self._guard.window(site, token.issued) != self._guard.window(site)
                if newly and renewal.number:
                    await self._guard.goes_on(site, address, token.session, self._directory())
        except (StoreUnavailable, TimeoutError) as error:
            self._note_away(error)
            _ALIVE["away"].inc()
            return AliveAnswer(state="away", number=None, hold_s=_seconds(site), token=said.token)
        self._away = False
        _ALIVE[renewal.outcome].inc()
        leased = token.leased or renewal.number is not None
        text, issued = said.token, int(now.timestamp())
        if issued - token.issued > FRESH_SECONDS or newly or leased != token.leased:
            text = self._signer.sign(VisitToken(site.id, token.pool, token.session, token.visitor, issued, leased))
        return AliveAnswer(state=renewal.outcome, number=renewal.number, hold_s=_seconds(site), token=text)

    async def _admit(self, opened: _Opened, address: str, *, known: bool, counted: bool) -> Placed:
        """`known`: his token shows that he was leased a number before; `counted`: and that it counts just now."""
        try:
            with self._patience():
                if not opened.human or counted:
                    return await self._allocate(opened)
                if known and await self._holds(opened):
                    await self._guard.goes_on(opened.site, address, opened.known, self._directory())
                    return await self._allocate(opened)
                if await self._guard.lease(opened.site, address, self._directory()):
                    return await self._allocate(opened._replace(human=False))
                placed = await self._allocate(opened)
                await self._count(opened.site, address, placed.allocation)
                return placed
        except TimeoutError:
            raise StoreUnavailable(f"the lease store did not answer within {self._watch.seconds} s") from None

    async def _count(self, site: Site, address: str, allocation: Allocation) -> None:
        """A lease is counted when it is begun, and in each later hold when its visit is first heard of there."""
        known = allocation.outcome == "kept" and await self._guard.is_first(site, allocation.session)
        if allocation.outcome != "leased" and not known:
            await self._guard.returned(site, address)

    async def _holds(self, opened: _Opened) -> bool:
        """Whether the visit that his token names has a number still: then he goes on with it, whatever is allowed."""
        if not opened.known:
            return False
        renewal = await self._store.renew(
            self._slot(opened.site, opened.pools[0]), opened.known, hold=opened.site.hold, gap=opened.site.gap
        )
        return renewal.outcome == "live"

    async def _allocate(self, opened: _Opened) -> Placed:
        placed = await self._lease(opened)
        if placed.allocation.outcome == "foreign":  # a request id that was somebody else's
            visit = msgspec.structs.replace(opened.visit, session=secrets.token_hex(16))
            placed = await self._lease(opened._replace(visit=visit))
        return placed

    async def _lease(self, opened: _Opened) -> Placed:
        said = opened.said
        return await lease_from(
            self._store, self._directory(), opened.site, opened.pools, opened.visit, known=opened.known,
            repeated=opened.repeated,
            campaign="" if said.again else opened.hit.campaign, wants_number=opened.human, counts=not said.again,
        )  # fmt: skip

    def _facts(self, site: Site, said: VisitRequest, visitor: str, *, hit: Hit, device: Device, address: str) -> Visit:
        now = self._clock.now()
        url = said.url[:URL_LIMIT]
        return Visit(
            session=_request_id(site, visitor, said.request), visitor=visitor, account=site.account, site=site.id,
            traffic=hit.traffic, landing_page=url, referrer=said.referrer[:URL_LIMIT], started_at=now, seen_at=now,
            page=url, title=said.title[:TITLE_LIMIT], user_agent=device.user_agent, device=device.kind, os=device.os,
            browser=device.browser, location=self._places.of(address),
        ).known_as(said.analytics)  # fmt: skip

    def _token(self, site: Site, text: str) -> VisitToken | None:
        if not text:
            return None
        try:
            token = self._signer.verify(text, self._clock.now())
        except (ForgedToken, ExpiredToken):
            token = None
        if token is None or token.site != site.id:
            metrics.REFUSED.labels(reason="ignored-token").inc()
            return None
        return token

    def _slot(self, site: Site, pool: int) -> Slot:
        directory = self._directory()
        return directory.slot_of_pool(pool) if pool else directory.slot_of_site(site.id)

    def _answer(self, site: Site, pool: int, visitor: str, allocation: Allocation) -> VisitAnswer:
        now = int(self._clock.now().timestamp())
        token = VisitToken(site.id, pool, allocation.session, visitor, now, allocation.number is not None)
        number = allocation.number or site.shown_without_lease
        return VisitAnswer(
            number=number, display=_display(site, number), token=self._signer.sign(token), hold_s=_seconds(site),
            session=allocation.session, visitor=visitor, leased=allocation.number is not None,
        )  # fmt: skip

    def _without_lease(self, site: Site, *, visitor: str, retry_s: int | None = None) -> VisitAnswer:
        number = site.shown_without_lease
        return VisitAnswer(
            number=number, display=_display(site, number), token="", hold_s=_seconds(site), session="",
            visitor=visitor, leased=False, retry_s=retry_s,
        )  # fmt: skip

    def _by_channel(self, site: Site, hit: Hit) -> VisitAnswer:
        """Without consent nothing is stored and nobody named: a channel's number, where the site asks for consent."""
        asked = site.consent == "ask"
        number = self._directory().channel_number(site.id, hit.traffic, self._clock.now()) if asked else None
        return VisitAnswer(
            number=number, display=_display(site, number), token="", hold_s=_seconds(site), session="", visitor="",
            leased=False,
        )  # fmt: skip

    def _patience(self) -> Span:
        if self._clock.monotonic() < self._away_until:
            raise StoreUnavailable("the lease store was away a moment ago")
        return self._watch.span()

    def _note_away(self, error: Exception) -> None:
        now = self._clock.monotonic()
        if now >= self._away_until:
            self._away_until = now + REST_SECONDS
        if not self._away:
            log.warning("WEB-STORE-AWAY", reason=str(error) or type(error).__name__)
        self._away = True


def consented(site: Site, said: bool | None) -> bool:
    """Whether a visit may be kept. The page's word is needed where the site asks first or refuses by itself."""
    return said is True or (said is None and site.consent == "full")


def _request_id(site: Site, visitor: str, request: str) -> str:
    """Names a request of this visitor's: nobody can name one of another's."""
    if not request:
        return secrets.token_hex(16)
    return _digest(f"{site.id}\n{visitor}\n{request[:ID_LIMIT]}")


def _visitor_of_request(site: Site, request: str, browser: Browser) -> str:
    """Who has no id yet gets one by his request, so that the same request sent again is no second visitor."""
    if not request:
        return secrets.token_hex(16)
    return _digest(f"{site.id}\n{household(browser.address)}\n{browser.user_agent}\n{request[:ID_LIMIT]}")


def _digest(text: str) -> str:
    return hashlib.blake2s(text.encode("utf-8", "replace"), digest_size=16).hexdigest()


_VISITS = {
    outcome: metrics.VISITS.labels(outcome=outcome)
    for outcome in ("leased", "kept", "overflow", "none", "spared", "limited", "bot", "channel", "away", "foreign")
}
_ALIVE = {outcome: metrics.ALIVE.labels(outcome=outcome) for outcome in ("live", "bare", "lost", "over", "away")}


def _outcome(outcome: str) -> None:
    _VISITS[outcome].inc()


def _display(site: Site, number: Number | None) -> str:
    return _spelled(number, site.display_pattern) if number else ""


_spelled = lru_cache(maxsize=65536)(display_number)


@lru_cache(maxsize=1024)
def _whole(hold: timedelta) -> int:
    return int(hold.total_seconds())


def _seconds(site: Site) -> int:
    return _whole(site.hold)
