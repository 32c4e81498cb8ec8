"""What the tracker holds between two events: the graph, the stories in hand, and the counters. No event is read here.

Policy of a call's life: when a story begins, gets its customer, merges with another, and is over.
"""

from __future__ import annotations

from collections.abc import Mapping

from callrouter.calls.events import CallEnded, CallEvent, CallStarted
from callrouter.calls.graph import Bridge, Channel, Graph, conversation
from callrouter.calls.interpret import parties, record_of
from callrouter.calls.parties import employee_name, is_peer, is_trunk, peer_of
from callrouter.calls.profile import PbxProfile
from callrouter.calls.record import Direction
from callrouter.calls.story import Story
from callrouter.calls.times import birth_of, moment, serial_of, stamp_of, system_of

MAX_MOVED = 10_000
DISORDER = 1000
"""Channels made at the same time may be told in another order than they were numbered; never so many."""
DOWN = "0"
"""ChannelState of a channel that Asterisk itself makes towards somebody; arriving ones begin ringing."""


class Counters:
    """Plain numbers that only grow, for metrics."""

    __slots__ = ("adopted", "ended", "evicted", "malformed", "merged", "orphans", "repeated", "started", "unknown")

    def __init__(self) -> None:
        self.started = 0
        self.ended = 0
        self.merged = 0
        self.adopted = 0
        """Channels taken over from a list after a login."""
        self.orphans = 0
        """Channels of calls whose beginning was not seen."""
        self.evicted = 0
        """Channels given up because their Hangup never came."""
        self.repeated = 0
        self.malformed = 0
        self.unknown: dict[str, int] = {}
        """Events that named a channel we do not know, by event name."""


class State:
    booted_at: float = 0.0
    """When this Asterisk was started, as it said at the login, to the second. A predecessor may not have kept it."""

    def __init__(self, profile: PbxProfile) -> None:
        self.profile = profile
        self.graph = Graph()
        self.stories: dict[str, Story] = {}
        """By linkedid; a merged story stands under each of its own."""
        self.counters = Counters()
        self.out: list[CallEvent] = []
        self.last = 0.0
        """The latest time that any event told."""
        self.leaving_queue: set[str] = set()
        """Keys of calls that a QueueCallerAbandon was told of: hung up, or timed out and going on."""
        self.parking: set[str] = set()
        """Bridges that a list told to be parking lots."""
        self.last_before_login = 0.0
        self.latest = ""
        """Uniqueid of the latest channel: Asterisk counts them from 0 at each start."""
        self.logged_in = False
        """No channel was made since the last login."""
        self.moved: dict[str, str] = {}
        """While a list is on its way: the bridge that a channel yet unknown entered, or none."""
        self.listing = False
        """Between a login and the end of its channel list."""

    def __getstate__(self) -> dict[str, object]:
        """For a handover on disk: the profile is left out but for its name, for it may carry secrets."""
        return {**self.__dict__, "profile": PbxProfile(name=self.profile.name)}

    def time(self, event: Mapping[str, str], received_at: float) -> float:
        """PBX time of an event; without a Timestamp when we got it, in a capture without either the last time known."""
        at = stamp_of(event) or received_at or self.last
        self.last = max(self.last, at)
        return at

    def birth(self, event: Mapping[str, str], received_at: float, uniqueid: str) -> float:
        """As `time`, for a channel being made: its id tells the second if nothing else does."""
        at = stamp_of(event) or received_at or max(self.last, birth_of(uniqueid) or 0.0)
        self.last = max(self.last, at)
        return at

    def find(self, event: Mapping[str, str], header: str) -> Channel | None:
        """The channel that an event names; one we never saw is a counted case, not an error."""
        uniqueid = event[header]
        channel = self.graph.channels.get(uniqueid)
        if channel is None and not self.graph.is_gone(uniqueid):
            unknown = self.counters.unknown
            unknown[event["Event"]] = unknown.get(event["Event"], 0) + 1
        return channel

    def moved_unseen(self, uniqueid: str, bridge_id: str) -> None:
        """A list that is on its way may tell of this channel, but of where it was before."""
        if self.listing and len(self.moved) < MAX_MOVED:
            self.moved[uniqueid] = bridge_id

    # -- a story's life

    def place(self, channel: Channel, event: Mapping[str, str]) -> None:
        """Put a new channel into its call; a linkedid's first channel begins one."""
        story = self.stories.get(channel.linkedid)
        if story is None:
            if channel.uniqueid != channel.linkedid:
                self.counters.orphans += 1
                return
            story = self._begin(channel, event)
        story.join(channel)
        if story.direction != "inbound" and channel is not story.subject and is_trunk(channel.name, self.profile):
            self.follow(story, channel)

    def follow(self, story: Story, channel: Channel) -> None:
        """An employee's call goes out to a trunk: there is the customer, unless one is being talked to already."""
        if story.answered_at is None or not story.has_customer:
            story.dialled_by = self._near(story) or story.dialled_by
            story.follow(channel)

    def _near(self, story: Story) -> str:
        """Who is on the line already when a client is dialled: an order to call back rings an employee first."""
        half = story.first.other
        heard = conversation(half.bridge) if half is not None else []
        return peer_of(heard[-1].name) if heard else ""

    def _begin(self, channel: Channel, event: Mapping[str, str]) -> Story:
        direction = self._direction(channel, event)
        story = Story(channel, direction)
        caller = event.get("CallerIDNum", "")
        story.caller_raw = "" if caller == "<unknown>" else caller
        story.called_raw = channel.exten
        self.stories[channel.linkedid] = story
        self.counters.started += 1
        if direction == "inbound":
            self.tell(story)
        return story

    def _direction(self, channel: Channel, event: Mapping[str, str]) -> Direction:
        if not channel.real or is_peer(channel.name, self.profile):
            return "internal"
        trunk = is_trunk(channel.name, self.profile)
        if event.get("ChannelState") == DOWN:
            return "outbound" if trunk else "internal"
        return "inbound" if trunk or event.get("Context") in self.profile.inbound_contexts else "internal"

    def tell(self, story: Story) -> None:
        """Say once that a customer is on the line."""
        if story.told:
            return
        story.told = True
        caller_raw, called_raw, caller, called = parties(story, self.profile)
        self.out.append(
            CallStarted(
                pbx=self.pbx_of(story), linkedid=story.key, uniqueid=story.subject_uniqueid, channel=story.subject.name,
                direction=story.direction, caller_raw=caller_raw, called_raw=called_raw, caller=caller, called=called,
                at=moment(story.started),
            )
        )  # fmt: skip

    def pbx_of(self, story: Story) -> str:
        return system_of(story.key) or self.profile.name

    def relink(self, channel: Channel, linkedid: str) -> None:
        """Asterisk gave the channel another linkedid: two calls have become one."""
        channel.linkedid = linkedid
        mine, theirs = channel.story, self.stories.get(linkedid)
        if mine is theirs:
            return
        if mine is None and theirs is not None:
            theirs.join(channel)
        elif theirs is None and mine is not None:
            self.stories[linkedid] = mine
            mine.linkedids.append(linkedid)
        elif mine is not None and theirs is not None:
            self.merge(mine, theirs)

    def merge(self, one: Story, two: Story) -> Story:
        """The customer's call survives; two customers who are joined keep a call each."""
        if one is two or (one.has_customer and two.has_customer):
            return one
        if two.has_customer or (not one.has_customer and two.started < one.started):
            one, two = two, one
        one.absorb(two)
        for linkedid in two.linkedids:
            self.stories[linkedid] = one
        self.counters.merged += 1
        return one

    def drop(self, channel: Channel, at: float, cause: int | None) -> None:
        """The channel is gone."""
        self.leave(channel, at)
        self.graph.remove(channel)
        if channel.leg is not None:
            channel.leg.cause = cause or 0
            channel.leg.ended = channel.leg.ended or at
        story, channel.story = channel.story, None
        if story is None:
            return
        story.channels.pop(channel.uniqueid, None)
        if channel is story.subject:
            story.ended = at
            story.hangup_cause = cause
        if self._is_over(story):
            self.finish(story, at)

    def _is_over(self, story: Story) -> bool:
        """A customer's hangup ends his call, whoever stays; unanswered, an outbound one may try another trunk."""
        if not story.channels:
            return True
        if story.ended is None or story.direction == "internal":
            return False
        return story.direction == "inbound" or story.answered_at is not None

    def finish(self, story: Story, at: float) -> None:
        story.ended = at if story.ended is None else story.ended
        for channel in story.channels.values():
            channel.story = None
        for linkedid in story.linkedids:
            if self.stories.get(linkedid) is story:
                del self.stories[linkedid]
        self.leaving_queue.discard(story.key)
        self.counters.ended += 1
        self.out.append(CallEnded(record_of(story, self.pbx_of(story), self.profile)))

    def give_up(self, channel: Channel) -> None:
        """Its Hangup was lost: end it where it was last heard of."""
        self.counters.evicted += 1
        at = channel.created
        if channel.story is not None:
            channel.story.complete = False
            at = max(at, channel.story.last_change)
        self.drop(channel, at, None)

    def is_restarted(self, uniqueid: str) -> bool:
        """Does this new channel's id show that Asterisk counts anew, since the last login or without our noticing?"""
        serial, latest = serial_of(uniqueid), self.latest
        first, self.logged_in = self.logged_in, False
        before = serial_of(latest)
        if serial > before:
            self.latest = uniqueid
        elif 0 <= serial < before:
            restarted = before - serial > DISORDER or (first and (birth_of(uniqueid) or 0) > (birth_of(latest) or 0))
            self.latest = uniqueid if restarted else latest
            return restarted
        return False

    def reset(self, at: float) -> None:
        """Nothing of what was is any more. Calls in hand end now, as far as anybody knows."""
        for story in tuple(dict.fromkeys(self.stories.values())):
            story.complete = False
            self.finish(story, max(at, story.last_change))
        for channel in tuple(self.graph.channels.values()):
            self.graph.leave(channel)
            self.graph.remove(channel)
        self.listing = False

    # -- who talks with whom

    def enter(self, channel: Channel, bridge_id: str, at: float, *, holding: bool) -> None:
        if channel.bridge is not None and channel.bridge.bridge_id != bridge_id:
            self.leave(channel, at)
        bridge = self.graph.enter(channel, bridge_id, holding=holding)
        self.refresh(bridge, at)
        if bridge.strangers:
            self.meet_strangers(bridge_id)

    def meet_strangers(self, bridge_id: str) -> None:
        """Whoever is in this bridge may talk with somebody of whom no event told: his call is not seen whole."""
        bridge = self.graph.bridges.get(bridge_id)
        if bridge is None or bridge.holding:
            return
        bridge.strangers = True
        for channel in bridge.members.values():
            if channel.story is not None:
                channel.story.complete = False

    def leave(self, channel: Channel, at: float) -> None:
        bridge = self.graph.leave(channel)
        if bridge is None:
            return
        if channel.real:
            self._alone(channel, at)
        elif channel.other is not None:
            self.refresh(channel.other.bridge, at)
        self.refresh(bridge, at)

    def _alone(self, channel: Channel, at: float) -> None:
        story = channel.story
        if story is not None and story.subject is channel:
            story.hear((), at)
            story.leave_ring_group()  # here and not at a transfer's event: Asterisk 16 tells that when he is elsewhere
        for held in tuple(self.graph.held.get(channel.endpoint, ())):
            if held.consult is channel:
                held.consult = None
                self.refresh(held.bridge, at)

    def refresh(self, bridge: Bridge | None, at: float) -> None:
        """Work out anew what the customers in this transitive bridge hear."""
        heard = conversation(bridge)
        for channel in heard:
            story = channel.story
            if story is not None and story.subject is channel:
                answering = story.hear(tuple(other for other in heard if other is not channel), at)
                if answering is not None:
                    story.answer(answering, employee_name(answering, self.profile), at)
            if self.graph.held and len(heard) > 1:
                self._consult(channel, at)

    def _consult(self, channel: Channel, at: float) -> None:
        """An employee who holds a customer talks with somebody else from the same phone."""
        for held in self.graph.held.get(channel.endpoint, ()):
            if held is not channel and held.consult is None:
                held.consult = channel
                self.refresh(held.bridge, at)
