"""What Asterisk says is going on right now: asked for after every login. Knows how to ask, not what it means.

Events keep coming while the lists are read; a consumer has seen them, in order, before it is given the snapshot, so
whatever the snapshot names and the events have ended since must not be brought back to life: compare with `began_at`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime

import msgspec

from callrouter.ami.pbx_clock import PbxClock
from callrouter.ami.wire import Event

LIST_EVENTS = frozenset(
    b"CoreShowChannel CoreShowChannelsComplete Status StatusComplete BridgeListItem BridgeListComplete "
    b"BridgeInfoChannel BridgeInfoComplete QueueParams QueueMember QueueEntry QueueStatusComplete".split()
)
"""What the answers consist of: never events of the PBX's own."""

ASKED_AT_ONCE = 24

Ask = Callable[[dict[str, str]], Awaitable[list[Event]]]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The answers as they came, event by event."""

    began_at: datetime
    """By the PBX's clock, as all times of calls are."""
    taken_at: datetime
    core: Event
    """CoreStatus: CoreStartupDate and CoreStartupTime tell a restart."""
    settings: Event
    """CoreSettings: AsteriskVersion, SystemName."""
    channels: tuple[Event, ...] = ()
    """CoreShowChannel, one a channel."""
    status: tuple[Event, ...] = ()
    """Status, one a channel: has DNID, the number that was dialled."""
    bridges: tuple[Event, ...] = ()
    """BridgeListItem."""
    bridged: dict[str, tuple[Event, ...]] = {}
    """BridgeInfoChannel, by BridgeUniqueid, which is added to each."""
    queues: tuple[Event, ...] = ()
    """QueueParams, QueueMember and QueueEntry, in Asterisk's order."""

    def events(self) -> Iterator[Event]:
        """All of it in the order in which each part explains the next; the last event says that the list is complete.

        Of a channel, the richer Status comes before CoreShowChannel.
        """
        yield from self.bridges
        yield from self.status
        yield from self.channels
        for members in self.bridged.values():
            yield from members
        yield from self.queues
        yield {"Event": "CoreShowChannelsComplete"}


async def take_snapshot(ask: Ask, clock: PbxClock) -> Snapshot:
    """Ask for everything. A list that this user may not read, or that a missing module does not know, is empty."""
    began_at = clock.now()
    core = await ask({"Action": "CoreStatus"})
    settings = await ask({"Action": "CoreSettings"})
    channels = await ask({"Action": "CoreShowChannels"})
    status = await ask({"Action": "Status"})
    bridges = _items(await ask({"Action": "BridgeList"}), "BridgeListItem")
    bridged = await _members(ask, [one for bridge in bridges if (one := bridge.get("BridgeUniqueid"))])
    queues = await ask({"Action": "QueueStatus"})
    return Snapshot(
        began_at=began_at,
        taken_at=clock.now(),
        core=core[0],
        settings=settings[0],
        channels=_items(channels, "CoreShowChannel"),
        status=_items(status, "Status"),
        bridges=bridges,
        bridged=bridged,
        queues=_items(queues, "QueueParams", "QueueMember", "QueueEntry"),
    )


async def _members(ask: Ask, bridges: list[str]) -> dict[str, tuple[Event, ...]]:
    """Who is in each of these bridges. Asked for by the dozen, for a busy PBX has hundreds."""
    found: dict[str, tuple[Event, ...]] = {}
    for start in range(0, len(bridges), ASKED_AT_ONCE):
        some = bridges[start : start + ASKED_AT_ONCE]
        answers = await asyncio.gather(*(ask({"Action": "BridgeInfo", "BridgeUniqueid": one}) for one in some))
        for one, answer in zip(some, answers, strict=True):
            members = _items(answer, "BridgeInfoChannel")
            found[one] = tuple({**member, "BridgeUniqueid": one} for member in members)
    return found


def _items(answer: list[Event], *names: str) -> tuple[Event, ...]:
    return tuple(event for event in answer if event.get("Event") in names)
