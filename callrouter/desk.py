"""Joins what the dialplan asked with what the PBX then did: each call's resolution, and at its end one appeal.

Knows the resolver and the journal by their interfaces; knows no socket and no event. A call is never held up here: what
waits for a server runs in the background, and an appeal goes to the journal with whatever is known at hangup.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Calls
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec
import structlog
from prometheus_client import Counter, Gauge

from callrouter.appeals.journal import JournalError
from callrouter.appeals.model import CallAppeal
from callrouter.background import Background
from callrouter.calls.events import CallEnded, CallEvent, CallStarted, LiveCall
from callrouter.calls.record import CallRecord
from callrouter.clock import Clock
from callrouter.log import OncePerKind
from callrouter.numbers import INTERNATIONAL, NotANumber, Number, parse_number
from callrouter.pool.model import Resolution
from callrouter.pool.store import StoreUnavailable

log = structlog.get_logger()

ENDED = Counter("callrouter_calls_total", "Calls that ended.", ["direction", "status"])
ASKED_LATE = Counter(
    "callrouter_late_resolutions_total",
    "Calls resolved after the dialplan had gone on: it had not asked, or the answer came too late.",
)
KNOWN = Gauge("callrouter_calls_resolved_in_hand", "Resolutions kept for calls that have not ended.")
UNFOLLOWED = Counter(
    "callrouter_calls_unfollowed_total",
    "Calls that the dialplan asked about and that were not followed as inbound calls: they have no appeal.",
)
LOST = Counter("callrouter_appeals_lost_total", "Appeals that the local journal did not take: they are gone.")

UNASKED_AFTER = 2.0
"""Seconds after which a call whose dialplan has not asked is resolved without being asked."""
LATE_SECONDS = 5.0
"""How long a resolution that nobody waits for may take."""
AFTER_SECONDS = 2.0
"""Likewise after hangup; a stopping router waits for it."""
FOLLOWED_WITHIN = timedelta(minutes=1)
"""By then events or a list of channels have told of a call that was asked about, if they ever will."""
FORGET_AFTER = timedelta(hours=24)
MOST_KNOWN = 100_000
MOST_ENDED = 10_000
"""Calls whose end is remembered, for a question may be read, or answered, after it."""

CallKey = tuple[str, str]
"""(pbx, uniqueid) of the customer's channel."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls? As the dialplan asks on a channel; numbers as the PBX spells them."""

    pbx: str
    uniqueid: str
    called_raw: str
    caller_raw: str
    country: str


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a call in progress."""

    at: datetime
    resolution: Resolution | None = None
    waited_ms: float | None = None


NOTHING_KNOWN = Known(at=datetime.min.replace(tzinfo=UTC))


class Resolves(Protocol):
    async def resolve(
        self, number: Number, caller: Number | None, at: datetime, *, live: bool = True, call: str = ""
    ) -> Resolution: ...
    async def call_ended(self, number: Number, call: str) -> None: ...
    async def remember(self, resolution: Resolution, *, client: str = "") -> None: ...


class Journals(Protocol):
    async def append(self, appeal: CallAppeal) -> None: ...


class Watched(Protocol):
    """Who shows calls as they go on; what he is told costs no time."""

    def rings(self, pbx: str, channel: str, resolution: Resolution) -> None: ...
    def ended(self, pbx: str, channel: str, linkedid: str, resolution: Resolution | None, at: datetime) -> None: ...


class Desk:
    """`default_route` is where calls go that nothing else routes."""

    def __init__(
        self, resolver: Resolves, journal: Journals, clock: Clock, *, deadline: float, default_route: str = "",
        watched: Watched | None = None,
    ) -> None:  # fmt: skip
        self._resolver = resolver
        self._journal = journal
        self._clock = clock
        self.deadline = deadline
        self._default_route = default_route
        self._watched = watched
        self._writing = Background()
        self._asking = Background()
        self._known: dict[CallKey, Known] = {}
        self._channel_of: dict[tuple[str, str], str] = {}
        """(pbx, linkedid) of a call in progress → uniqueid of the channel on which the dialplan asks."""
        self._open: set[CallKey] = set()
        self._gone: dict[CallKey, None] = {}
        """The calls that ended last."""
        self._say = OncePerKind(clock.monotonic)
        self._began, self._began_steady = clock.now(), clock.monotonic()
        KNOWN.set_function(lambda: len(self._known))

    # What the dialplan's doors use

    async def ask(self, question: Question) -> Mapping[str, str]:
        """The dialplan's variables. Raises StoreUnavailable; a late answer is kept for the appeal all the same."""
        key = (question.pbx, question.uniqueid)
        at, began = self._clock.now(), self._clock.monotonic()
        before = self._known.get(key, NOTHING_KNOWN)
        asked_at = self._steady()
        self._keep(key, Known(at=asked_at, resolution=before.resolution, waited_ms=before.waited_ms))
        resolution = None
        try:
            resolution = await self._resolved(question, at, live=True)
        finally:
            waited = self._waited(began) + (before.waited_ms or 0.0)
            self._keep(key, Known(at=asked_at, resolution=resolution or before.resolution, waited_ms=waited))
            if resolution is not None and key in self._gone:
                self._hung_up_meanwhile(resolution, question)
        if resolution is None:
            return {"CALLROUTER_ROUTE": self._default_route, "CALLROUTER_STATUS": "unattributed"}
        if self._watched and before.resolution is None:
            self._watched.rings(*key, resolution)
        return dialplan_variables(resolution)

    def came_late(self, question: Question) -> None:
        """The answer to `question` did not reach the dialplan, which had gone on; the appeal shall say so."""
        key = (question.pbx, question.uniqueid)
        known = self._known.get(key)
        if known is not None and known.resolution is not None and not known.resolution.late:
            ASKED_LATE.inc()
            late = msgspec.structs.replace(known.resolution, late=True)
            self._keep(key, msgspec.structs.replace(known, resolution=late))

    # What the call tracker's events lead to

    def take(self, events: Iterable[CallEvent], *, dialplan_asks: bool, country: str) -> None:
        """Follow the calls of a PBX. `dialplan_asks`: False for a PBX that is only watched."""
        for event in events:
            if isinstance(event, CallEnded):
                self._ended(event.record)
            elif event.direction == "inbound":
                self._started(event, dialplan_asks=dialplan_asks, country=country)

    def _started(self, call: CallStarted, *, dialplan_asks: bool, country: str) -> None:
        self._channel_of[call.pbx, call.linkedid] = call.uniqueid
        self._open.add((call.pbx, call.uniqueid))
        question = Question(
            pbx=call.pbx, uniqueid=call.uniqueid, called_raw=call.called_raw, caller_raw=call.caller_raw,
            country=country,
        )  # fmt: skip
        loop = asyncio.get_running_loop()
        loop.call_later(UNASKED_AFTER if dialplan_asks else 0, self._ask_ourselves, question, call.at, dialplan_asks)

    def _ask_ourselves(self, question: Question, at: datetime, late: bool) -> None:
        key = (question.pbx, question.uniqueid)
        if key in self._open and self._known.get(key, NOTHING_KNOWN).resolution is None:
            self._asking.start("resolve-unasked", self._resolve_unasked(question, at, late=late))

    async def _resolve_unasked(self, question: Question, at: datetime, *, late: bool) -> None:
        key = (question.pbx, question.uniqueid)
        try:
            async with asyncio.timeout(LATE_SECONDS):
                resolution = await self._resolved(question, at, live=not late)
        except (StoreUnavailable, TimeoutError) as error:
            self._say.warning("RESOLVE-UNAVAILABLE", pbx=question.pbx, reason=str(error) or "no answer in time")
            return
        known = self._known.get(key, Known(at=self._steady()))
        if resolution is None:
            return
        if key not in self._open:
            self._hung_up_meanwhile(resolution, question)
        elif known.resolution is None:
            if late:
                ASKED_LATE.inc()
                resolution = msgspec.structs.replace(resolution, late=True)
            self._keep(key, msgspec.structs.replace(known, resolution=resolution))
            if self._watched:
                self._watched.rings(*key, resolution)

    def _ended(self, record: CallRecord) -> None:
        channel = self._channel_of.pop((record.pbx, record.linkedid), record.linkedid)
        known = self._known.pop((record.pbx, channel), NOTHING_KNOWN)
        self._open.discard((record.pbx, channel))
        self._gone[record.pbx, channel] = None
        if len(self._gone) > MOST_ENDED:
            del self._gone[next(iter(self._gone))]
        ENDED.labels(record.direction, record.status).inc()
        if self._watched:
            self._watched.ended(record.pbx, channel, record.linkedid, known.resolution, record.ended_at)
        if record.direction == "internal":
            if known is not NOTHING_KNOWN:
                self._not_followed(1, record.pbx)
                self._let_go(known, channel)
            return
        if known.waited_ms is not None:
            record = msgspec.structs.replace(record, agi_ms=known.waited_ms)
        appeal = CallAppeal(call=record, resolution=known.resolution)
        self._writing.start("journal-append", self._append(appeal))
        if known.resolution is not None:
            self._writing.start("remember-call", self._after(known.resolution, channel))
        elif record.direction == "inbound":
            self._writing.start("resolve-after", self._resolve_after(record, channel))

    async def _append(self, appeal: CallAppeal) -> None:
        """Into the journal. What it does not take is lost, and named, so that the PBX's own record can be searched."""
        try:
            await self._journal.append(appeal)
        except (JournalError, ValueError) as error:
            LOST.inc()
            call = appeal.call
            self._say.error("APPEAL-LOST", pbx=call.pbx, linkedid=call.linkedid, reason=str(error))

    async def _resolve_after(self, record: CallRecord, channel: str) -> None:
        """Nobody had asked, or nobody could answer: told again, better, if the store knows now; else history will."""
        question = Question(
            pbx=record.pbx, uniqueid="", called_raw=record.called or "", caller_raw=record.caller or "",
            country=INTERNATIONAL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(AFTER_SECONDS):
                resolution = await self._resolved(question, record.started_at, live=False)
        except (StoreUnavailable, TimeoutError) as error:
            self._say.warning("RESOLVE-UNAVAILABLE", pbx=question.pbx, reason=str(error) or "no answer in time")
            return
        if resolution is not None and not resolution.provisional:
            ASKED_LATE.inc()
            late = msgspec.structs.replace(resolution, late=True)
            await self._append(CallAppeal(call=record, resolution=late, revision=1))
            await self._after(late, channel)

    def _hung_up_meanwhile(self, resolution: Resolution, question: Question) -> None:
        """The appeal has gone to the journal without this answer, and late attribution asks again; its pin goes."""
        self._writing.start("unpin", self._unpin(resolution.number, question.uniqueid))

    def _let_go(self, known: Known, channel: str) -> None:
        """No appeal will be told of this call: its number shall not stay pinned for it."""
        if known.resolution is not None:
            self._writing.start("unpin", self._unpin(known.resolution.number, channel))

    async def _unpin(self, number: Number, channel: str) -> None:
        try:
            async with asyncio.timeout(AFTER_SECONDS):
                await self._resolver.call_ended(number, channel)
        except (StoreUnavailable, TimeoutError) as error:
            self._say.warning("REMEMBER-UNAVAILABLE", reason=str(error) or "no answer in time")

    async def _after(self, resolution: Resolution, channel: str) -> None:
        """Unpin the number, and remember who called. Without the store, history still knows."""
        try:
            async with asyncio.timeout(AFTER_SECONDS):
                await self._resolver.call_ended(resolution.number, channel)
                await self._resolver.remember(resolution)
        except (StoreUnavailable, TimeoutError) as error:
            self._say.warning("REMEMBER-UNAVAILABLE", reason=str(error) or "no answer in time")

    # What the process uses

    def resolution_of(self, pbx: str, uniqueid: str) -> Resolution | None:
        """What is known of the visit behind a call in progress, by the customer's channel."""
        return self._known.get((pbx, uniqueid), NOTHING_KNOWN).resolution

    def in_hand(self) -> dict[CallKey, Known]:
        """What must survive a restart of the router: the calls go on meanwhile."""
        return dict(self._known)

    def take_over(self, known: Mapping[CallKey, Known], calls: Iterable[LiveCall] = ()) -> None:
        """What an earlier process knew of calls that may still be going on, and which of them it followed."""
        for key, each in known.items():
            self._known.setdefault(key, each)
        for call in calls:
            if call.direction == "inbound":
                self._channel_of[call.pbx, call.linkedid] = call.uniqueid
                self._open.add((call.pbx, call.uniqueid))

    def forget_old(self, attached: Collection[str] = ()) -> None:
        """Give up calls whose end was never seen, and calls of the PBXs `attached` that nobody follows."""
        oldest, settled = self._steady() - FORGET_AFTER, self._steady() - FOLLOWED_WITHIN
        given_up = [
            key for key, known in self._known.items()
            if known.at < oldest or (known.at < settled and key[0] in attached and key not in self._open)
        ]  # fmt: skip
        for key in given_up:
            self._let_go(self._known.pop(key), key[1])
        for pbx, calls in Calls(pbx for pbx, channel in given_up if (pbx, channel) not in self._open).items():
            self._not_followed(calls, pbx)
        while len(self._channel_of) > MOST_KNOWN:
            linked = next(iter(self._channel_of))
            self._open.discard((linked[0], self._channel_of.pop(linked)))

    def _not_followed(self, calls: int, pbx: str) -> None:
        UNFOLLOWED.inc(calls)
        self._say.warning("CALLS-NOT-FOLLOWED", pbx=pbx, calls=calls)

    async def finish(self, within: float) -> bool:
        """Let appeals reach the journal. Returns whether all did."""
        return await self._writing.drained(within)

    async def stop(self) -> None:
        await self._asking.stop()
        await self._writing.stop()

    def _keep(self, key: CallKey, known: Known) -> None:
        if key in self._gone:  # its appeal is told
            return
        self._known[key] = known
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]

    def _steady(self) -> datetime:
        """As if nobody had set the clock since the start: what is known of a call ages by this."""
        return self._began + timedelta(seconds=self._clock.monotonic() - self._began_steady)

    def _waited(self, began: float) -> float:
        return min(self._clock.monotonic() - began, self.deadline) * 1000

    async def _resolved(self, question: Question, at: datetime, *, live: bool) -> Resolution | None:
        """None: what was dialled is no number that could be ours."""
        called = _number(question.called_raw, question.country)
        if called is None:
            return None
        caller = _number(question.caller_raw, question.country)
        resolution = await self._resolver.resolve(called, caller, at, live=live, call=question.uniqueid)
        if not resolution.route and self._default_route:
            return msgspec.structs.replace(resolution, route=self._default_route)
        return resolution


def dialplan_variables(resolution: Resolution) -> dict[str, str]:
    """What the dialplan gets (docs/reference/dialplan.md); the door makes the values safe."""
    attribution, traffic = resolution.attribution, resolution.traffic
    known = attribution.method != "unattributed"
    return {
        "CALLROUTER_ROUTE": resolution.route,
        "CALLROUTER_SOURCE": traffic.source if traffic else "",
        "CALLROUTER_MEDIUM": traffic.medium if traffic else "",
        "CALLROUTER_CAMPAIGN": traffic.campaign if traffic else "",
        "CALLROUTER_KEYWORD": traffic.keyword if traffic else "",
        "CALLROUTER_SITE": "" if attribution.site is None else str(attribution.site),
        "CALLROUTER_SESSION": attribution.session or "",
        "CALLROUTER_CLIENT": resolution.client or "",
        "CALLROUTER_MANAGER": resolution.manager,
        "CALLROUTER_UNIQUE": "1" if resolution.unique else "0",
        "CALLROUTER_CONFIDENCE": f"{attribution.confidence:.2f}",
        "CALLROUTER_STATUS": "ok" if known else "unattributed",
    }


def _number(raw: str, country: str) -> Number | None:
    try:
        return parse_number(raw, country)
    except NotANumber:
        return None
