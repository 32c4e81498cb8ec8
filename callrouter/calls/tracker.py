"""The door of this package: AMI events in, calls out. Knows which event goes to which room, and bounds the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice

from callrouter.calls import attach, channels, dials, talks
from callrouter.calls.events import CallEvent, LiveCall
from callrouter.calls.interpret import parties, steps_so_far
from callrouter.calls.profile import PbxProfile
from callrouter.calls.state import Counters, State
from callrouter.calls.story import Story
from callrouter.calls.times import moment

Handler = Callable[[State, Mapping[str, str], float], None]
HANDLERS: dict[str | None, Handler] = {
    "Newchannel": channels.newchannel,
    "Newstate": channels.newstate,
    "NewCallerid": channels.newcallerid,
    "Newexten": channels.newexten,
    "VarSet": channels.varset,
    "Rename": channels.rename,
    "Hangup": channels.hangup,
    "HangupRequest": channels.hangup_request,
    "DialBegin": dials.dial_begin,
    "DialEnd": dials.dial_end,
    "QueueCallerJoin": dials.queue_join,
    "QueueCallerLeave": dials.queue_leave,
    "QueueCallerAbandon": dials.queue_abandon,
    "AgentCalled": dials.agent,
    "AgentConnect": dials.agent,
    "AgentComplete": dials.agent_complete,
    "BridgeEnter": talks.bridge_enter,
    "BridgeLeave": talks.bridge_leave,
    "LocalBridge": talks.local_bridge,
    "Hold": talks.hold,
    "Unhold": talks.unhold,
    "BlindTransfer": talks.blind_transfer,
    "AttendedTransfer": talks.attended_transfer,
    "Pickup": talks.pickup,
    "FullyBooted": attach.fully_booted,
    "Shutdown": attach.shutdown,
    "CoreShowChannel": attach.listed_channel,
    "Status": attach.listed_channel,
    "CoreShowChannelsComplete": attach.end_of_channels,
    "BridgeListItem": attach.listed_bridge,
    "BridgeInfoChannel": attach.listed_member,
    "QueueEntry": attach.listed_caller,
}
RELEVANT_EVENTS = frozenset(name for name in HANDLERS if name)
"""All that the tracker reads: a reader may skip other events before parsing them, an `eventfilter` may cut them."""
RELEVANT_VARIABLES = frozenset(channels.VARIABLES)
"""The same for the Variable of a VarSet."""


def relevant_headers(profile: PbxProfile) -> dict[str, dict[str, tuple[str, ...]]]:
    """What narrows the frequent events: event → header → how a value that matters begins; one header is enough."""
    return {
        "VarSet": {"Variable": tuple(sorted(RELEVANT_VARIABLES))},
        "Newstate": {"ChannelState": (channels.UP,)},
        "Newexten": {"Application": tuple(sorted(channels.TELLING)), "Context": profile.group_contexts},
    }


MAX_AGE = 24 * 3600.0
"""Seconds after which a channel is given up."""
MAX_CHANNELS = 50_000
"""So many channels at once are followed; of more the oldest tenth is given up."""
NOTHING: Sequence[CallEvent] = ()


class CallTracker:
    """Follows the calls of one PBX. Pure: the same events in the same order give the same calls."""

    def __init__(self, profile: PbxProfile, *, max_age: float = MAX_AGE, max_channels: int = MAX_CHANNELS) -> None:
        self._state = State(profile)
        self._max_age = max_age
        self._max_channels = max_channels

    def follow(self, profile: PbxProfile) -> None:
        """Go on by this profile: that of a tracker taken over may have changed, and is not kept whole (see State)."""
        self._state.profile = profile

    def alive_at(self, at: float) -> None:
        """The calls in hand were going on at this moment, though no event said so. Unix seconds."""
        for story in self._state.stories.values():
            story.last_change = max(story.last_change, at)

    @property
    def counters(self) -> Counters:
        return self._state.counters

    @property
    def channels(self) -> int:
        """How many channels are followed."""
        return len(self._state.graph.channels)

    @property
    def bridges(self) -> int:
        return len(self._state.graph.bridges)

    @property
    def last_event_at(self) -> float:
        """PBX time of the latest event, Unix seconds; 0 before the first."""
        return self._state.last

    @property
    def booted_at(self) -> float:
        """When this Asterisk was started, Unix seconds; 0 if it has not said."""
        return self._state.booted_at

    def feed(self, event: Mapping[str, str], received_at: float = 0.0) -> Sequence[CallEvent]:
        """Take one event, in the order of arrival; `received_at` (Unix seconds) serves where it has no Timestamp."""
        handle = HANDLERS.get(event.get("Event"))
        if handle is None:
            return NOTHING
        state = self._state
        try:
            handle(state, event, received_at)
        except (KeyError, ValueError):
            # A header is missing or is no number. One bad event never stops the calls.
            state.counters.malformed += 1
        if len(state.graph.channels) > self._max_channels:
            self._shed()
        return self._taken() if state.out else NOTHING

    def adopt(
        self,
        channels: Iterable[Mapping[str, str]],
        bridges: Iterable[Mapping[str, str]] = (),
        queue_entries: Iterable[Mapping[str, str]] = (),
        received_at: float = 0.0,
    ) -> Sequence[CallEvent]:
        """Take over what the PBX lists after a login: Status (better) or CoreShowChannel, BridgeListItem, QueueEntry.

        Calls that began before us will get records with complete=false. Channels that we knew and that are not listed
        have gone unseen. The same events may as well be given to `feed` as they arrive, CoreShowChannelsComplete too.
        """
        taken: list[CallEvent] = []
        for event in chain(bridges, channels, queue_entries):
            taken += self.feed(event, received_at)
        attach.end_of_channels(self._state, {}, received_at)
        return taken + list(self._taken())

    def reset(self, at: float) -> Sequence[CallEvent]:
        """The PBX was restarted: its channels are gone, the calls in hand end at `at`, not complete."""
        self._state.reset(at)
        return self._taken()

    def expire(self, now: float) -> Sequence[CallEvent]:
        """Give up channels older than the limit, whose Hangup must have been lost. To be called every minute or so."""
        oldest = now - self._max_age
        for channel in tuple(self._state.graph.channels.values()):
            if channel.created < oldest and channel.uniqueid in self._state.graph.channels:
                self._state.give_up(channel)
        return self._taken()

    def forget(self, uniqueids: Iterable[str]) -> Sequence[CallEvent]:
        """Give up these channels: the PBX does not know them any more."""
        for uniqueid in uniqueids:
            channel = self._state.graph.channels.get(uniqueid)
            if channel is not None:
                self._state.give_up(channel)
        return self._taken()

    def finish(self) -> Sequence[CallEvent]:
        """No more events will come, as at the end of a capture: calls in hand end at the last time known."""
        return self.reset(self._state.last)

    @property
    def calls(self) -> int:
        """How many calls are in progress."""
        return len(dict.fromkeys(self._state.stories.values()))

    def snapshot(self, *, steps: bool = False, most: int | None = None) -> tuple[LiveCall, ...]:
        """The calls in progress, oldest first."""
        stories = islice(dict.fromkeys(self._state.stories.values()), most)
        return tuple(self._live(story, with_steps=steps) for story in stories)

    def _live(self, story: Story, *, with_steps: bool) -> LiveCall:
        state = self._state
        _, _, caller, called = parties(story, state.profile)
        return LiveCall(
            pbx=state.pbx_of(story), linkedid=story.key, uniqueid=story.subject_uniqueid, direction=story.direction,
            caller=caller, called=called, started_at=moment(story.started),
            answered_at=None if story.answered_at is None else moment(story.answered_at),
            group=story.group or None, employee=story.employee or None, complete=story.complete,
            steps=steps_so_far(story, state.profile) if with_steps else (),
        )  # fmt: skip

    def _shed(self) -> None:
        for channel in tuple(islice(self._state.graph.channels.values(), self._max_channels // 10 + 1)):
            self._state.give_up(channel)

    def _taken(self) -> Sequence[CallEvent]:
        taken, self._state.out = self._state.out, []
        return taken
