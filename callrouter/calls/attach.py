"""Attaching to a PBX that is already busy: what a login, a restart and the lists asked for after a login tell.

Subscribe first, then list: a listed channel may be one that we know, one whose Hangup we saw while the list was on its
way, or one that was there before us. Only the last is adopted, and its call is marked as not complete.
"""

from __future__ import annotations

from collections.abc import Mapping

from callrouter.calls.channels import UP
from callrouter.calls.graph import Channel
from callrouter.calls.parties import told
from callrouter.calls.state import State
from callrouter.calls.times import birth_of, clock_text, stamp_of

Event = Mapping[str, str]

ALMOST_A_SECOND = 0.999999
"""An id tells only in which second its channel was made. The end of it is taken: who calls a number has seen it before,
so that its lease is older than the call, maybe by less than a second."""


def fully_booted(state: State, event: Event, received_at: float) -> None:
    """We are logged in (again), and may have missed something of every call in hand; or the PBX is newly started."""
    uptime = event.get("Uptime", "")
    if received_at and uptime.isdecimal():
        state.booted_at = received_at - int(uptime)
    if received_at and uptime.isdecimal() and received_at - int(uptime) > state.last:
        state.reset(state.last)
        return
    state.listing = True
    state.logged_in = True
    state.last_before_login = state.last
    state.parking.clear()
    for channel in state.graph.channels.values():
        channel.confirmed = False
    for story in state.stories.values():
        story.complete = False


def shutdown(state: State, event: Event, received_at: float) -> None:
    state.reset(state.time(event, received_at))


def listed_channel(state: State, event: Event, received_at: float) -> None:
    """CoreShowChannel or Status: one channel of the list."""
    uniqueid = event["Uniqueid"]
    known = state.graph.channels.get(uniqueid)
    if known is not None:
        known.confirmed = True
        _learn(known, event)
    elif not state.graph.is_gone(uniqueid):
        _adopt(state, uniqueid, event, received_at)


def _adopt(state: State, uniqueid: str, event: Event, received_at: float) -> None:
    duration = event.get("Duration", "")
    age = clock_text(duration) if duration else float(event.get("Seconds") or 0)
    born = birth_of(uniqueid)
    at = stamp_of(event) or received_at or max(state.last, (born or 0.0) + age)
    state.last = max(state.last, at)
    made = at - age if born is None else max(born, min(at, born + ALMOST_A_SECOND))
    channel = Channel(uniqueid, event["Channel"], event["Linkedid"], made, seen=False)
    state.counters.adopted += 1
    state.graph.add(channel)
    _learn(channel, event)
    state.place(channel, event)
    _find_its_company(state, channel, event, at)


def _learn(channel: Channel, event: Event) -> None:
    """The number dialled, as far as a list has it: an extension that is a name (`sales`, `s`) is a later one."""
    number = told(event.get("DNID") or event.get("Exten", ""))
    if channel.seen or channel.exten or not number.strip("+").isdigit():
        return
    channel.exten = number
    if channel.story is not None and channel.story.first is channel:
        channel.story.called_raw = number


def _find_its_company(state: State, channel: Channel, event: Event, at: float) -> None:
    """Those of its call who were listed before it, its group, and the bridge it is in."""
    story = channel.story
    if story is not None and story.subject is channel:
        story.was_up = event.get("ChannelState") == UP
        for other in state.graph.channels.values():
            if other.story is None and other.linkedid == channel.linkedid:
                story.join(other)
        application, data = event.get("Application"), event.get("ApplicationData") or event.get("Data") or ""
        if application == "Queue":
            story.enter_group(at, data.partition(",")[0])
    bridge_id = state.moved.pop(channel.uniqueid, event.get("BridgeId") or event.get("BridgeID"))
    if bridge_id:
        state.enter(channel, bridge_id, at, holding=bridge_id in state.parking)


def end_of_channels(state: State, _event: Event, _received_at: float) -> None:
    """The list is complete: what we knew and it did not name has gone while we were away."""
    state.moved.clear()
    if state.listing:
        state.listing = False
        for channel in tuple(state.graph.channels.values()):
            if not channel.confirmed:
                state.give_up(channel)


def listed_bridge(state: State, event: Event, _received_at: float) -> None:
    """BridgeListItem: asked for before the channels, it tells where people wait rather than talk."""
    if event.get("BridgeTechnology") == "holding_bridge":
        state.parking.add(event["BridgeUniqueid"])


def listed_member(state: State, event: Event, received_at: float) -> None:
    """BridgeInfoChannel: who is in the bridge that was asked about."""
    channel = state.find(event, "Uniqueid")
    bridge_id = event.get("BridgeUniqueid")
    if channel is not None and channel.bridge is None and bridge_id:
        state.enter(channel, bridge_id, state.time(event, received_at), holding=False)


def listed_caller(state: State, event: Event, received_at: float) -> None:
    """QueueEntry: a caller waits in this queue, maybe since before we came."""
    channel = state.graph.channels.get(event["Uniqueid"])
    if channel is not None and channel.story is not None and channel.story.queue != event["Queue"]:
        channel.story.complete = False
        channel.story.wait_in(event["Queue"], state.time(event, received_at))
