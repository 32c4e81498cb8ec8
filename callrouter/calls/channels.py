"""Events of single channels: made, renamed, hung up, and what the dialplan says of them in variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from callrouter.calls.graph import Channel
from callrouter.calls.parties import told
from callrouter.calls.state import State
from callrouter.calls.story import Fact, Story

Event = Mapping[str, str]
IVR_APPLICATIONS = frozenset(("BackGround", "Background", "WaitExten", "Read", "SpeechBackground", "Directory"))
"""Applications that ask the caller for something; those that only tell (Playback) are no menu."""
TELLING = IVR_APPLICATIONS | {"Queue"}
UP = "6"


def newchannel(state: State, event: Event, received_at: float) -> None:
    uniqueid = event["Uniqueid"]
    known = state.graph.channels.get(uniqueid)
    if known is not None or state.graph.is_gone(uniqueid):
        state.counters.repeated += 1
        return
    if state.is_restarted(uniqueid):
        state.reset(state.last_before_login)
    at = state.birth(event, received_at, uniqueid)
    channel = Channel(uniqueid, event["Channel"], event["Linkedid"], at)
    channel.exten = told(event.get("Exten", ""))
    state.graph.add(channel)
    state.place(channel, event)


def newstate(state: State, event: Event, _received_at: float) -> None:
    if event.get("ChannelState") != UP:
        return
    channel = state.find(event, "Uniqueid")
    if channel is not None and channel.story is not None and channel.story.subject is channel:
        channel.story.was_up = True


def newcallerid(state: State, event: Event, _received_at: float) -> None:
    """Analogue lines learn the caller after the first ring."""
    channel = state.graph.channels.get(event["Uniqueid"])
    story = None if channel is None else channel.story
    if story is not None and story.first is channel and not story.caller_raw:
        story.caller_raw = told(event.get("CallerIDNum", ""))


def rename(state: State, event: Event, _received_at: float) -> None:
    channel = state.find(event, "Uniqueid")
    if channel is not None:
        channel.rename(event["Newname"])


def hangup(state: State, event: Event, received_at: float) -> None:
    channel = state.find(event, "Uniqueid")
    if channel is None:
        state.graph.bury(event["Uniqueid"])  # a list under way may still name it
        return
    cause = event.get("Cause", "")
    state.drop(channel, state.time(event, received_at), int(cause) if cause.isdecimal() else None)


def hangup_request(state: State, event: Event, received_at: float) -> None:
    """Somebody put the phone down. No end yet, but it tells who wanted it, and where the customer was."""
    channel = state.find(event, "Uniqueid")
    story = None if channel is None else channel.story
    if channel is None or story is None:
        return
    at = state.time(event, received_at)
    if channel.leg is not None and (cause := event.get("Cause", "")).isdecimal():
        channel.leg.cause = int(cause)  # the customer's Hangup may come before the phone's own
    if channel is story.subject:
        if story.quit_at is None:
            story.quit_at = at
            story.quit_place = story.place()
    elif channel in story.humans or (story.direction == "outbound" and channel is story.first):
        story.employee_quit_at = at


def newexten(state: State, event: Event, received_at: float) -> None:
    """A step of the dialplan: most say nothing about the call, and cost nothing."""
    application = event.get("Application", "")
    context = event.get("Context", "")
    if not (application in TELLING or context in state.profile.group_contexts or state.leaving_queue):
        return
    channel = state.graph.channels.get(event["Uniqueid"])
    story = None if channel is None else channel.story
    if channel is None or story is None or event.get("Extension", event.get("Exten")) == "h":
        return
    if story.queue_abandoned_at is not None:  # so it was a time-out: the caller is still with us
        story.queue_abandoned_at = None
        story.queue_status = story.queue_status or "TIMEOUT"
        state.leaving_queue.discard(story.key)
    at = state.time(event, received_at)
    if application == "Queue":
        story.knock(at, event.get("AppData", "").partition(",")[0])
    elif application in IVR_APPLICATIONS and channel is story.subject:
        _menu(story, at, context)
    elif context in state.profile.group_contexts:
        enter_ring_group(story, channel, at, event.get("Extension", ""))


def _menu(story: Story, at: float, context: str) -> None:
    latest = story.facts[-1] if story.facts else None
    if latest is None or latest.kind != "ivr" or latest.to != context:
        story.note(at, "ivr", to=context)


def enter_ring_group(story: Story, channel: Channel, at: float, group: str) -> None:
    """A ring group is entered once, however often the dialplan mentions it on the way."""
    if group and channel.ring_group != group and not story.queue:
        channel.ring_group = group
        if story.group != group or story.named_group != group:
            story.enter_group(at, group)


def varset(state: State, event: Event, received_at: float) -> None:
    meaning = VARIABLES.get(event["Variable"])
    if meaning is None:
        return
    channel = state.graph.channels.get(event["Uniqueid"])
    if channel is not None and channel.story is not None and event["Value"]:
        meaning(channel.story, channel, event["Value"], state.time(event, received_at))


def _group(story: Story, channel: Channel, value: str, at: float) -> None:
    channel.ring_group = value
    if story.named_group != value or story.group != value:
        story.named_group = value
        story.enter_group(at, value)


def _recording(story: Story, _channel: Channel, value: str, _at: float) -> None:
    story.recording = value


def _queue_status(story: Story, channel: Channel, value: str, _at: float) -> None:
    if channel is not story.subject:
        return
    story.queue_status = value
    for index in range(len(story.facts) - 1, -1, -1):
        fact = story.facts[index]
        if fact.kind == "group_left":
            story.facts[index] = Fact(fact.at, fact.kind, fact.group, reason=value.lower())
            return
        if fact.kind == "group_entered":
            return


VARIABLES: dict[str, Callable[[Story, Channel, str, float], None]] = {
    "CALLROUTER_GROUP": _group,
    "_CALLROUTER_GROUP": _group,
    "__CALLROUTER_GROUP": _group,
    "MIXMONITOR_FILENAME": _recording,
    "QUEUESTATUS": _queue_status,
}
"""The channel variables that say something about a call; of 110 set in a queue call the others are skipped."""
