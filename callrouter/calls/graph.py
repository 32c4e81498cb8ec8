"""Channels and bridges of one PBX as they are this moment. Knows who can hear whom; knows not what a call is.

A Local channel is two halves glued together: what enters one half leaves the other, so bridges joined by Local halves
are one conversation (a *transitive* bridge). FreePBX reaches every phone through such a pair.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callrouter.calls.story import Leg, Story

PSEUDO = frozenset(
    (
        "Local",
        "Message",
        "Recorder",
        "Snoop",
        "Announcer",
        "Surrogate",
        "AsyncGoto",
        "CBAnn",
        "CBRec",
        "Bridge",
        "Parked",
        "UnicastRTP",
        "MulticastRTP",
        "AudioSocket",
        "WebSocket",
    )
)
"""Technologies with nobody behind them: Asterisk's own plumbing, recorders, announcers, media streams."""
REMEMBERED_GONE = 4096
"""So many ids of ended channels are kept, to know a late or repeated event from one of a channel never seen."""


class Channel:
    """One leg. `real` means that somebody may be at its far end; `seen`, that we saw it being made."""

    __slots__ = (
        "agent", "bridge", "confirmed", "consult", "created", "dial_endpoint", "dialer", "dials", "endpoint", "exten",
        "held", "leg", "linkedid", "name", "number", "other", "picked", "real", "ring_group", "seen", "story",
        "uniqueid",
    )  # fmt: skip

    def __init__(self, uniqueid: str, name: str, linkedid: str, created: float, *, seen: bool = True) -> None:
        self.uniqueid = uniqueid
        self.linkedid = linkedid
        self.created = created
        self.seen = seen
        self.confirmed = True
        self.exten = ""
        self.number = ""
        """What was dialled to reach it."""
        self.agent = ""
        """Queue member's name, if a queue rang it."""
        self.bridge: Bridge | None = None
        self.other: Channel | None = None
        """The other half of a Local pair."""
        self.dialer: Channel | None = None
        self.dials = 0
        self.dial_endpoint = ""
        self.ring_group = ""
        self.leg: Leg | None = None
        self.story: Story | None = None
        self.picked = False
        """Somebody else than who was rung has taken it."""
        self.held = False
        self.consult: Channel | None = None
        self.rename(name)

    def rename(self, name: str) -> None:
        self.name = name
        self.real = name.partition("/")[0] not in PSEUDO
        self.endpoint = name.rpartition("-")[0] or name


class Bridge:
    __slots__ = ("bridge_id", "holding", "members", "strangers")

    def __init__(self, bridge_id: str) -> None:
        self.bridge_id = bridge_id
        self.holding = False
        """Everybody in it waits alone, as in a parking lot."""
        self.strangers = False
        """Somebody is or was in it whose channel we never saw."""
        self.members: dict[str, Channel] = {}


class Graph:
    """What is there now. Bridges exist while they have members."""

    __slots__ = ("_gone", "_gone_order", "bridges", "channels", "halves", "held")

    def __init__(self) -> None:
        self.channels: dict[str, Channel] = {}
        """By uniqueid, oldest first."""
        self.bridges: dict[str, Bridge] = {}
        self.halves: dict[str, Channel] = {}
        """Local halves that wait for their other half, by the name they share."""
        self.held: dict[str, list[Channel]] = {}
        """Channels that put their peer on hold, by endpoint."""
        self._gone: set[str] = set()
        self._gone_order: deque[str] = deque()

    def add(self, channel: Channel) -> None:
        self.channels[channel.uniqueid] = channel
        if not channel.real and channel.name.endswith((";1", ";2")):
            self._pair(channel)

    def _pair(self, channel: Channel) -> None:
        shared = channel.name[:-2]
        half = self.halves.pop(shared, None)
        if half is None or half is channel:
            self.halves[shared] = channel
        else:
            half.other, channel.other = channel, half

    def remove(self, channel: Channel) -> None:
        self.channels.pop(channel.uniqueid, None)
        self.release(channel)
        if channel.other is not None:
            channel.other.other = None
            channel.other = None
        elif self.halves and self.halves.get(channel.name[:-2]) is channel:
            del self.halves[channel.name[:-2]]
        self.bury(channel.uniqueid)

    def bury(self, uniqueid: str) -> None:
        """Remember for a while that this channel is gone."""
        if uniqueid in self._gone:
            return
        self._gone.add(uniqueid)
        self._gone_order.append(uniqueid)
        if len(self._gone_order) > REMEMBERED_GONE:
            self._gone.discard(self._gone_order.popleft())

    def is_gone(self, uniqueid: str) -> bool:
        return uniqueid in self._gone

    def enter(self, channel: Channel, bridge_id: str, *, holding: bool) -> Bridge:
        bridge = self.bridges.get(bridge_id)
        if bridge is None:
            bridge = self.bridges[bridge_id] = Bridge(bridge_id)
        bridge.holding = holding
        bridge.members[channel.uniqueid] = channel
        channel.bridge = bridge
        return bridge

    def leave(self, channel: Channel) -> Bridge | None:
        """The bridge it was in, which may be empty and forgotten now."""
        bridge, channel.bridge = channel.bridge, None
        if bridge is not None:
            bridge.members.pop(channel.uniqueid, None)
            if not bridge.members:
                self.bridges.pop(bridge.bridge_id, None)
        return bridge

    def hold(self, channel: Channel) -> None:
        channel.held = True
        held = self.held.setdefault(channel.endpoint, [])
        if channel not in held:
            held.append(channel)

    def release(self, channel: Channel) -> None:
        """Takes the peer off hold."""
        channel.consult = None
        if channel.held:
            channel.held = False
            held = [other for other in self.held.pop(channel.endpoint, ()) if other is not channel]
            if held:
                self.held[channel.endpoint] = held


def conversation(bridge: Bridge | None) -> list[Channel]:
    """The real channels that hear each other through this bridge and those that Local pairs join to it."""
    if bridge is None or bridge.holding:
        return []
    found: list[Channel] = []
    reached = [bridge]
    for place in reached:  # grows while we walk
        for channel in place.members.values():
            if channel.real:
                found.append(channel)
            elif channel.other is not None:
                beyond = channel.other.bridge
                if beyond is not None and not beyond.holding and beyond not in reached:
                    reached.append(beyond)
    return found
