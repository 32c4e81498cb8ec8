"""A desk with a store that answers as told and a journal that takes or refuses: for the desk's tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from callrouter.appeals.journal import JournalFull
from callrouter.appeals.model import CallAppeal
from callrouter.calls.events import CallEnded, CallStarted
from callrouter.clock import SystemClock
from callrouter.desk import Desk, Question
from callrouter.numbers import Number
from callrouter.pool.model import Attribution, Resolution
from callrouter.pool.store import StoreUnavailable
from tests.call_samples import a_call

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
NUMBER, CALLER = Number("74952220101"), Number("79165550001")
DEADLINE = 0.05


class Store:
    """Answers as told: after a time, or not at all."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.away = False
        self.route = "sales"
        self.asked: list[tuple[datetime, bool]] = []
        self.ended: list[str] = []
        self.remembered: list[Resolution] = []

    async def resolve(
        self, number: Number, caller: Number | None, at: datetime, *, live: bool = True, call: str = ""
    ) -> Resolution:
        self.asked.append((at, live))
        await asyncio.sleep(self.seconds)
        if self.away:
            raise StoreUnavailable("away")
        return resolution(number, caller, at, self.route)

    async def call_ended(self, number: Number, call: str) -> None:
        self.ended.append(call)

    async def remember(self, resolution: Resolution, *, client: str = "") -> None:
        self.remembered.append(resolution)


class Journal(list[CallAppeal]):
    full = False

    async def append(self, appeal: CallAppeal) -> None:  # type: ignore[override]
        if self.full:
            raise JournalFull("full")
        super().append(appeal)


def resolution(number: Number, caller: Number | None, at: datetime, route: str = "sales") -> Resolution:
    credited = Attribution(method="holder", confidence=0.9, account=2, site=1, session="s1")
    return Resolution(number=number, caller=caller, at=at, attribution=credited, route=route)


def question(uniqueid: str = "pbx1-1.1") -> Question:
    return Question(pbx="pbx1", uniqueid=uniqueid, called_raw=NUMBER, caller_raw=CALLER, country="RU")


def started(uniqueid: str = "pbx1-1.1") -> CallStarted:
    return CallStarted(
        pbx="pbx1", linkedid=uniqueid, uniqueid=uniqueid, channel="PJSIP/carrier-1", direction="inbound",
        caller_raw=CALLER, called_raw=NUMBER, caller=CALLER, called=NUMBER, at=AT,
    )  # fmt: skip


def ended(uniqueid: str = "pbx1-1.1", **fields: object) -> CallEnded:
    told: dict[str, Any] = {
        "pbx": "pbx1",
        "linkedid": uniqueid,
        "caller": CALLER,
        "called": NUMBER,
        "started_at": AT,
        "agi_ms": None,
    } | fields
    return CallEnded(a_call(**told))


def at_the_desk(scenario: Callable[[Desk, Store, Journal], Awaitable[None]]) -> None:
    async def run() -> None:
        store, journal = Store(), Journal()
        desk = Desk(store, journal, SystemClock(), deadline=DEADLINE)
        await scenario(desk, store, journal)
        await desk.stop()

    asyncio.run(run())
