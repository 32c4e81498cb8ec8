"""Whose visit an appeal belongs to: by the token that the page has, as far as he agreed to be known. Knows no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from callrouter.clock import Clock, SystemClock
from callrouter.pool.directory import Directory, Site
from callrouter.pool.keys import Slot
from callrouter.pool.store import LeaseStore, StoreUnavailable
from callrouter.sessions.model import Visit
from callrouter.web import metrics
from callrouter.web.visitor.desk import PATIENCE_SECONDS, consented
from callrouter.web.visitor.tokens import ExpiredToken, ForgedToken, TokenSigner, VisitToken


class Visits:
    def __init__(
        self, store: LeaseStore, directory: Callable[[], Directory], signer: TokenSigner, *, clock: Clock | None = None
    ) -> None:
        self._store = store
        self._directory = directory
        self._signer = signer
        self._clock = clock or SystemClock()

    async def of(self, site: Site, token: str, consent: bool | None) -> tuple[VisitToken | None, Visit | None]:
        """What the token says, and the visit if the store knows it just now."""
        found = self._token(site, token) if consented(site, consent) else None
        if found is None:
            return None, None
        directory = self._directory()
        slot = directory.slot_of_pool(found.pool) if found.pool else directory.slot_of_site(site.id)
        return found, await self.in_slot(slot, found.session)

    async def named(self, site: Site, session: str) -> Visit | None:
        """A visit of this site by its session, whatever pool it was in."""
        directory = self._directory()
        for slot in (*(directory.slot_of_pool(choice.pool) for choice in site.pools), directory.slot_of_site(site.id)):
            visit = await self.in_slot(slot, session)
            if visit is not None and visit.site == site.id:
                return visit
        return None

    async def in_slot(self, slot: Slot, session: str) -> Visit | None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._store.visit(slot, session)
        except (StoreUnavailable, TimeoutError):
            return None

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
