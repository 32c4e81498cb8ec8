"""One Asterisk, attached: its events go through the call tracker to the desk, its ARI questions to the desk and back.

Knows no other PBX, and no server but this one. FastAGI is not here: one listener serves all PBXs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

import structlog
from prometheus_client import Gauge

from callrouter.ami.agi_wire import AgiRequest
from callrouter.ami.ari import AriClient, AriSettings
from callrouter.ami.connection import AmiConnection, AmiSettings, State
from callrouter.ami.snapshot import Snapshot
from callrouter.ami.wire import Event
from callrouter.calls.events import CallEnded, CallEvent
from callrouter.calls.times import moment, system_of
from callrouter.calls.tracker import RELEVANT_EVENTS, CallTracker, relevant_headers
from callrouter.clock import Clock
from callrouter.config import PbxConfig, address
from callrouter.desk import Desk, Question
from callrouter.ops import Part

log = structlog.get_logger()

CALLS = Gauge("callrouter_calls_in_progress", "Calls followed now.", ["pbx"])
CHANNELS = Gauge("callrouter_channels_followed", "Channels followed now.", ["pbx"])
ODD = Gauge(
    "callrouter_call_oddities",
    "Events and channels that the call tracker met and that are not the usual, since the start, by kind.",
    ["pbx", "kind"],
)
KINDS = ("adopted", "evicted", "malformed", "merged", "orphans", "repeated")


def question_of(request: AgiRequest, pbx: PbxConfig) -> Question:
    """What the dialplan of `pbx` asks, by whichever door; keyed as its calls are, whatever the configuration says."""
    return Question(
        pbx=system_of(request.uniqueid) or pbx.name, uniqueid=request.uniqueid, called_raw=request.called,
        caller_raw=request.caller, country=pbx.country,
    )  # fmt: skip


class PbxLink:
    """`start()` it once; calls reach the desk until `stop()`, over any number of reconnects.

    `tracker` is a predecessor's, with the calls that it followed.
    """

    def __init__(self, pbx: PbxConfig, desk: Desk, clock: Clock, *, tracker: CallTracker | None = None) -> None:
        self.on_gap: Callable[[], None] = lambda: None
        """Told when something went unseen: at each attachment, and when a call ends that was seen in part."""
        self.pbx = pbx
        self._desk = desk
        self._state: State = "lost"
        self._detail = "not yet connected"
        self.listeners: list[Callable[[Sequence[CallEvent]], None]] = []
        """Told what the desk is told, after it."""
        self.attached = False
        """What the PBX has going on is known: no call in progress is missing."""
        self.tracker = tracker or CallTracker(pbx)
        self.tracker.follow(pbx)
        host, port = address(pbx.ami)
        settings = AmiSettings(
            name=pbx.name, host=host, port=port, username=pbx.ami_user, secret=pbx.ami_secret,
            events=tuple(RELEVANT_EVENTS), variables=None, only=relevant_headers(pbx),
        )  # fmt: skip
        self._connection = AmiConnection(settings, self._on_event, self._on_state, clock, on_snapshot=self._on_snapshot)
        self._ari = self._ari_client(clock) if pbx.attach == "ari" else None
        self._ari_state = Part(ok=False, detail="not yet connected")
        CALLS.labels(pbx.name).set_function(lambda: self.tracker.calls)
        CHANNELS.labels(pbx.name).set_function(lambda: self.tracker.channels)
        for kind in KINDS:
            ODD.labels(pbx.name, kind).set_function(partial(getattr, self.tracker.counters, kind))

    async def start(self) -> None:
        await self._connection.start()
        if self._ari:
            await self._ari.start()

    async def stop(self) -> None:
        """First no new questions, then no more events."""
        if self._ari:
            await self._ari.stop()
        if self.attached:
            self.tracker.alive_at(self._connection.pbx_clock.seconds())
        await self._connection.stop()

    @property
    def up_since(self) -> datetime | None:
        """When this Asterisk was started, as far as it has said."""
        at = self.tracker.booted_at
        return moment(at) if at else None

    def expire(self) -> None:
        """Give up channels whose hangup was never told."""
        self._hand_on(self.tracker.expire(self._connection.pbx_clock.seconds()))

    def parts(self) -> dict[str, Part]:
        name = self.pbx.name
        ami = Part(ok=self._state == "up", detail=self._detail)
        return {f"ami {name}": ami} | ({f"ari {name}": self._ari_state} if self._ari else {})

    def _ari_client(self, clock: Clock) -> AriClient:
        pbx = self.pbx
        settings = AriSettings(
            name=pbx.name, url=pbx.ari_url, username=pbx.ari_user, password=pbx.ari_secret,
            deadline=self._desk.deadline,
        )  # fmt: skip

        def on_state(state: State, detail: str) -> None:
            self._ari_state = Part(ok=state == "up", detail=detail)

        return AriClient(
            settings, lambda request: self._desk.ask(question_of(request, pbx)), on_state, clock,
            on_late=lambda request, _found: self._desk.came_late(question_of(request, pbx)),
        )  # fmt: skip

    def _on_event(self, event: Event, at: float) -> None:
        events = self.tracker.feed(event, at)
        if events:
            self._hand_on(events)

    def _on_state(self, state: State, detail: str) -> None:
        self._state, self._detail = state, detail
        self.attached = self.attached and state == "up"

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        listed = snapshot.status or snapshot.channels
        members = [event for bridge in snapshot.bridged.values() for event in bridge]
        entries = [event for event in snapshot.queues if event.get("Event") == "QueueEntry"]
        self._hand_on(self.tracker.adopt([*listed, *members], snapshot.bridges, entries, snapshot.taken_at.timestamp()))
        self.attached = True
        self.on_gap()
        told = snapshot.settings.get("SystemName", "")
        if told and told != self.pbx.name:
            log.warning("PBX-NAME-DIFFERS", pbx=self.pbx.name, systemname=told)
        log.info("took over what the PBX has going on", pbx=self.pbx.name, calls=self.tracker.calls)

    def _hand_on(self, events: Sequence[CallEvent]) -> None:
        if any(isinstance(event, CallEnded) and not event.record.complete for event in events):
            self.on_gap()
        self._desk.take(events, dialplan_asks=self.pbx.attach != "watch", country=self.pbx.country)
        for listener in self.listeners:
            listener(events)
