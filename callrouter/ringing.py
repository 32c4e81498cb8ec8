"""Tells the pages which calls ring, and that they ended: from the router through Postgres, never on a call's path.

What is told is put in a queue and forgotten; a task of its own carries it. While Postgres is away, or slow, news grow
old and are dropped: who looks at a page then sees the appeal later, as always.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime

import structlog
from prometheus_client import Counter

from callrouter.appeals.row import OPERATOR_ACCOUNT, appeal_id
from callrouter.background import Background
from callrouter.db.connect import TROUBLE, Pool
from callrouter.journal.news import RINGING, CallNews, encode_call
from callrouter.log import OncePerKind
from callrouter.pool.model import Resolution

log = structlog.get_logger()

TOLD = Counter("callrouter_ringing_told_total", "News of calls for the pages, by outcome: told, dropped.", ["outcome"])
NOTIFY = "SELECT pg_notify($1, notice) FROM unnest($2::text[]) AS notice"
MOST_WAITING = 2000
FRESH_SECONDS = 5.0
SEND_SECONDS = 2.0
AT_ONCE = 200
GATHER_SECONDS = 0.05
"""From one telling to the next: what happens meanwhile goes together."""


class Ringing:
    """`rings` and `ended` return at once."""

    def __init__(self, postgres: Pool, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._postgres = postgres
        self._monotonic = monotonic
        self._waiting: deque[tuple[float, CallNews]] = deque(maxlen=MOST_WAITING)
        self._some = asyncio.Event()
        self._background = Background()
        self._say = OncePerKind(monotonic)

    def start(self) -> None:
        self._background.keep("ringing", self._run)

    async def stop(self) -> None:
        await self._background.stop()
        await self._send(self._fresh())

    def rings(self, pbx: str, channel: str, resolution: Resolution) -> None:
        """The call on this channel of the customer's is being placed; it is this visitor's, as far as is known."""
        who, visit, traffic = resolution.attribution, resolution.visit, resolution.traffic
        self._tell(
            CallNews(
                state="ringing", account=who.account or OPERATOR_ACCOUNT, call=appeal_id(pbx, channel),
                at=resolution.at, site=who.site, customer=resolution.caller, called=resolution.number,
                method=who.method, confidence=who.confidence, session=who.session,
                channel=traffic.channel if traffic else "", source=traffic.source if traffic else "",
                medium=traffic.medium if traffic else "", campaign=traffic.campaign if traffic else "",
                keyword=traffic.keyword if traffic else "", landing_page=visit.landing_page if visit else "",
                location=visit.location if visit else "",
            )
        )  # fmt: skip

    def ended(self, pbx: str, channel: str, linkedid: str, resolution: Resolution | None, at: datetime) -> None:
        """The call that rang is over; its appeal follows."""
        if resolution is not None:
            account = resolution.attribution.account or OPERATOR_ACCOUNT
            call, appeal = appeal_id(pbx, channel), appeal_id(pbx, linkedid)
            self._tell(CallNews(state="ended", account=account, call=call, appeal=appeal, at=at))

    def _tell(self, news: CallNews) -> None:
        if len(self._waiting) == MOST_WAITING:
            TOLD.labels("dropped").inc()
        self._waiting.append((self._monotonic(), news))
        self._some.set()

    async def _run(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            while self._waiting:
                await self._send(self._fresh())
                await asyncio.sleep(GATHER_SECONDS)

    def _fresh(self) -> list[str]:
        """What waits and is not too old to be of use."""
        notices: list[str] = []
        while self._waiting and len(notices) < AT_ONCE:
            at, news = self._waiting.popleft()
            if self._monotonic() - at > FRESH_SECONDS:
                TOLD.labels("dropped").inc()
            else:
                notices.append(encode_call(news))
        return notices

    async def _send(self, notices: list[str]) -> None:
        if not notices:
            return
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._postgres.execute(NOTIFY, RINGING, notices)
        except TROUBLE as error:
            TOLD.labels("dropped").inc(len(notices))
            self._say.warning("RINGING-UNTOLD", reason=str(error) or "no answer in time")
        else:
            TOLD.labels("told").inc(len(notices))
