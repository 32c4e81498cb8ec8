"""Events of talking: bridges, Local pairs, hold, transfers. They move channels in the graph, `state` concludes."""

from __future__ import annotations

from collections.abc import Mapping

from callrouter.calls.graph import Channel
from callrouter.calls.parties import employee_name, is_trunk, peer_of
from callrouter.calls.state import State
from callrouter.calls.story import Story

Event = Mapping[str, str]


def bridge_enter(state: State, event: Event, received_at: float) -> None:
    channel = state.find(event, "Uniqueid")
    if channel is None:
        state.moved_unseen(event["Uniqueid"], event["BridgeUniqueid"])
        state.meet_strangers(event["BridgeUniqueid"])
        return
    at = state.time(event, received_at)
    joined = event["BridgeUniqueid"] in state.graph.bridges
    linkedid = event.get("Linkedid", channel.linkedid)
    if linkedid != channel.linkedid:
        state.relink(channel, linkedid)
    state.enter(channel, event["BridgeUniqueid"], at, holding=event.get("BridgeTechnology") == "holding_bridge")
    if not joined and _is_found_occupied(event):
        state.meet_strangers(event["BridgeUniqueid"])


def _is_found_occupied(event: Event) -> bool:
    """Was somebody there before the first of whom we know? A conference has an announcer of whom no event tells."""
    alone = 2 if event.get("BridgeCreator") == "ConfBridge" else 1
    return int(event.get("BridgeNumChannels") or 0) > alone


def bridge_leave(state: State, event: Event, received_at: float) -> None:
    channel = state.find(event, "Uniqueid")
    if channel is None:
        state.moved_unseen(event["Uniqueid"], "")
    elif channel.bridge is not None and channel.bridge.bridge_id == event["BridgeUniqueid"]:
        state.leave(channel, state.time(event, received_at))


def local_bridge(state: State, event: Event, received_at: float) -> None:
    """The halves of a Local channel, where their names did not tell (a transfer puts one in another's place)."""
    one = state.find(event, "LocalOneUniqueid")
    two = state.find(event, "LocalTwoUniqueid")
    if one is not None and two is not None:
        one.other, two.other = two, one
        state.refresh(one.bridge, state.time(event, received_at))


def hold(state: State, event: Event, received_at: float) -> None:
    channel = state.find(event, "Uniqueid")
    story = None if channel is None else _held_story(channel)
    if channel is None or story is None or channel.held or is_trunk(channel.name, state.profile):
        return
    state.graph.hold(channel)
    story.note(state.time(event, received_at), "hold", who=employee_name(channel, state.profile))


def unhold(state: State, event: Event, received_at: float) -> None:
    channel = state.find(event, "Uniqueid")
    if channel is None or not channel.held:
        return
    at = state.time(event, received_at)
    story = _held_story(channel)
    state.graph.release(channel)
    state.refresh(channel.bridge, at)
    if story is not None:
        story.note(at, "unhold", who=employee_name(channel, state.profile))


def _held_story(channel: Channel) -> Story | None:
    """The call whose customer this employee's channel talks to."""
    story = channel.story
    return story if story is not None and channel in story.humans else None


def blind_transfer(state: State, event: Event, received_at: float) -> None:
    if event.get("Result", "Success") != "Success":
        return
    transferer = state.find(event, "TransfererUniqueid")
    transferee = state.find(event, "TransfereeUniqueid")
    story = (transferee.story if transferee else None) or (transferer.story if transferer else None)
    if story is None:
        return
    at = state.time(event, received_at)
    target = event.get("Extension", "")
    who = employee_name(transferer, state.profile) if transferer else ""
    story.note_late(at, "transfer_blind", who=who, to=target)
    _into_mapped_group(state, story, target, at)


def attended_transfer(state: State, event: Event, received_at: float) -> None:
    if event.get("Result", "Success") != "Success":
        return
    first = state.find(event, "OrigTransfererUniqueid")
    second = state.find(event, "SecondTransfererUniqueid")
    stories = [channel.story for channel in (first, second) if channel is not None and channel.story is not None]
    if not stories:
        return
    at = state.time(event, received_at)
    story = state.merge(stories[0], stories[-1])
    target = _transfer_target(event, second, story)
    who = employee_name(first, state.profile) if first else ""
    story.note(at, "transfer_attended", who=who, to=target)
    _into_mapped_group(state, story, target, at)


def pickup(state: State, event: Event, _received_at: float) -> None:
    """Somebody takes the call that rings at another's phone: his own attempt was no call by itself."""
    picker = state.find(event, "Uniqueid")
    target = state.find(event, "TargetUniqueid")
    if picker is not None:
        picker.picked = True
    if picker is not None and target is not None and picker.story is not None and target.story is not None:
        state.merge(target.story, picker.story)


def _transfer_target(event: Event, second: Channel | None, story: Story) -> str:
    """What the employee dialled for his consultation, else whom he reached."""
    if second is not None and second.uniqueid == event.get("OrigTransfererUniqueid"):
        # By DTMF: Asterisk itself dialled through the latest Local channel.
        return next((one.exten for one in reversed(story.channels.values()) if one.name.endswith(";1")), "")
    if second is not None and second.exten:
        return second.exten
    name = event.get("TransferTargetChannel", "")
    return peer_of(name) if name else ""


def _into_mapped_group(state: State, story: Story, extension: str, at: float) -> None:
    group = state.profile.group_extensions.get(extension)
    if group:
        story.enter_group(at, group)
