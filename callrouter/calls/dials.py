"""Events of ringing: Dial() and Queue(). Who was rung and how it ended, which group the customer entered and left."""

from __future__ import annotations

from collections.abc import Mapping

from callrouter.calls.channels import enter_ring_group
from callrouter.calls.graph import Channel
from callrouter.calls.parties import agent_name, dialled_number, is_outside_number, is_peer, told
from callrouter.calls.state import State
from callrouter.calls.story import Leg, Story

Event = Mapping[str, str]
NO_NAMES = frozenset(("", "s", "h", "i", "t", "T"))
"""Extensions of Asterisk's own, which name no group."""


def dial_begin(state: State, event: Event, received_at: float) -> None:
    target = state.find(event, "DestUniqueid")
    if target is None:
        return
    at = state.time(event, received_at)
    dialer = state.graph.channels.get(event.get("Uniqueid", ""))
    target.dialer = dialer
    target.number = target.number or dialled_number(event.get("DialString", ""))
    story = target.story
    if story is None:
        return
    if not state.profile.trunks:
        _without_trunks(state, story, target, dialer)
    if dialer is not None and not story.queue:
        if dialer is story.subject:
            story.queue_status = ""
        dialer.dials += 1
        if event.get("Context") in state.profile.group_contexts:
            enter_ring_group(story, dialer, at, told(event.get("Exten", "")))
        else:
            _several(story, dialer, target, at, told(event.get("Exten", "")))
    if target.real:
        _ring(story, target, at)
    if target is story.subject and story.direction == "outbound":
        state.tell(story)


def _without_trunks(state: State, story: Story, target: Channel, dialer: Channel | None) -> None:
    """No trunk is configured: an employee who dials a full number calls a customer."""
    if dialer is not None and story.direction == "internal" and target.real and not is_peer(target.name, state.profile):
        dialled = target.number or dialer.exten
        if is_outside_number(dialled, state.profile.country):
            target.number = dialled
            state.follow(story, target)


def _ring(story: Story, target: Channel, at: float) -> None:
    if target.leg is not None:
        return  # told twice
    target.leg = Leg(target, at)
    story.reach(target.leg)
    if target is not story.subject:
        story.note(at, "rang", leg=target.leg)


def _several(story: Story, dialer: Channel, target: Channel, at: float, exten: str) -> None:
    """A Dial() that rings a second endpoint is a ring group, named by the extension it stands in."""
    if dialer.dials == 1:
        dialer.dial_endpoint = target.endpoint
    elif target.endpoint != dialer.dial_endpoint and not dialer.ring_group and story.direction != "outbound":
        enter_ring_group(story, dialer, at, dialer.exten if exten in NO_NAMES else exten)


def dial_end(state: State, event: Event, received_at: float) -> None:
    target = state.find(event, "DestUniqueid")
    if target is None:
        return
    if target.dialer is not None and target.dialer.dials:
        target.dialer.dials -= 1
    leg, story = target.leg, target.story
    if leg is None or leg.status or story is None:
        return
    leg.status = event.get("DialStatus", "")
    leg.forwarded_to = event.get("Forward", "")
    if leg.status != "ANSWER":
        leg.ended = state.time(event, received_at)
        if target is not story.subject:
            story.note(leg.ended, "missed", leg=leg)


def queue_join(state: State, event: Event, received_at: float) -> None:
    channel = state.find(event, "Uniqueid")
    if channel is None or channel.story is None:
        return
    channel.story.wait_in(event["Queue"], state.time(event, received_at))


def queue_leave(state: State, event: Event, received_at: float) -> None:
    channel = state.find(event, "Uniqueid")
    if channel is None or channel.story is None:
        return
    story = channel.story
    if story.queue == event["Queue"]:
        story.queue = ""
        abandoned = story.queue_abandoned_at is not None and story.quit_at is not None
        reason = "abandoned" if abandoned else ""
        story.leave_group(state.time(event, received_at), event["Queue"], reason)


def queue_abandon(state: State, event: Event, received_at: float) -> None:
    """Sent when the caller hangs up, and also when the queue's time is out: what follows tells."""
    channel = state.find(event, "Uniqueid")
    if channel is not None and channel.story is not None:
        channel.story.queue_abandoned_at = state.time(event, received_at)
        state.leaving_queue.add(channel.story.key)


def agent(state: State, event: Event, _received_at: float) -> None:
    """AgentCalled, AgentConnect: the name of the queue member that a channel reaches."""
    channel = state.find(event, "DestUniqueid")
    if channel is not None:
        channel.agent = agent_name(event.get("MemberName", ""), event.get("Interface", ""))


def agent_complete(state: State, event: Event, received_at: float) -> None:
    """Who ended the talk, where hangup requests are filtered out. Asterisk 16 may not say whose."""
    channel = state.find(event, "Uniqueid") if "Uniqueid" in event else None
    story = None if channel is None else channel.story
    if story is None or story.quit_at is not None or story.employee_quit_at is not None:
        return
    agent_of_it = event.get("DestUniqueid")
    if story.humans and all(human.uniqueid != agent_of_it for human in story.humans):
        return  # the customer talks to somebody else by now: a transfer, and no end
    reason = event.get("Reason")
    if reason == "caller":
        story.quit_at = state.time(event, received_at)
    elif reason == "agent":
        story.employee_quit_at = state.time(event, received_at)
