"""Channels, dials, queues and bridges of the simulated PBX, told over AMI as Asterisk tells them. Knows no outcomes."""

from __future__ import annotations

import itertools
import time
import uuid
from dataclasses import dataclass

from callrouter.lab.simulated_ami import SimulatedManager

STATES = {0: "Down", 4: "Ring", 5: "Ringing", 6: "Up"}
DOWN, RING, RINGING, UP = STATES
NORMAL, BUSY, NO_ANSWER = 16, 17, 19


@dataclass
class Channel:
    """One leg, with what each of its events repeats."""

    name: str
    uniqueid: str
    linkedid: str
    number: str
    context: str
    exten: str
    state: int
    began: float
    dialled: str = ""
    bridge: str = ""

    def headers(self, prefix: str = "") -> dict[str, str]:
        own = {
            "Channel": self.name, "ChannelState": str(self.state), "ChannelStateDesc": STATES[self.state],
            "CallerIDNum": self.number or "<unknown>", "CallerIDName": "<unknown>", "ConnectedLineNum": "<unknown>",
            "ConnectedLineName": "<unknown>", "Language": "en", "AccountCode": "", "Context": self.context,
            "Exten": self.exten, "Priority": "1", "Uniqueid": self.uniqueid, "Linkedid": self.linkedid,
        }  # fmt: skip
        return {f"{prefix}{key}": value for key, value in own.items()}


class Switch:
    """What happens to channels; each method is one thing that happens, and its events."""

    def __init__(self, manager: SimulatedManager) -> None:
        self.manager = manager
        manager.lists = self.lists
        self.channels: dict[str, Channel] = {}
        self._numbers = itertools.count()
        self._started = int(time.time())

    def new(self, peer: str, number: str, context: str, exten: str, *, of: Channel | None = None) -> Channel:
        """A channel comes to be: a call that arrives, or, `of` another, the leg that rings somebody."""
        n = next(self._numbers)
        uniqueid = f"{self.manager.name}-{self._started}.{n}"
        state = DOWN if of else RING
        linkedid = of.linkedid if of else uniqueid
        channel = Channel(
            f"PJSIP/{peer}-{n:08x}", uniqueid, linkedid, number, context, exten, state, time.time(), exten
        )
        self.channels[uniqueid] = channel
        self.manager.emit("Newchannel", channel.headers())
        return channel

    def step(self, channel: Channel, context: str, exten: str, application: str, data: str = "") -> None:
        """The dialplan runs an application."""
        channel.context, channel.exten = context, exten
        more = {"Extension": exten, "Application": application, "AppData": data}
        self.manager.emit("Newexten", channel.headers() | more)

    def variable(self, channel: Channel, name: str, value: str) -> None:
        self.manager.emit("VarSet", channel.headers() | {"Variable": name, "Value": value})

    def state(self, channel: Channel, state: int) -> None:
        channel.state = state
        self.manager.emit("Newstate", channel.headers())

    def dial(self, caller: Channel, leg: Channel) -> None:
        self.manager.emit(
            "DialBegin", caller.headers() | leg.headers("Dest") | {"DialString": leg.name.rpartition("-")[0]}
        )
        self.state(leg, RINGING)

    def dialled(self, caller: Channel, leg: Channel, status: str) -> None:
        self.manager.emit("DialEnd", caller.headers() | leg.headers("Dest") | {"DialStatus": status})

    def queue(self, event: str, caller: Channel, queue: str, **more: str) -> None:
        self.manager.emit(event, caller.headers() | {"Queue": queue, "Position": "1", "Count": "1"} | more)

    def agent(self, event: str, caller: Channel, queue: str, leg: Channel, **more: str) -> None:
        interface = leg.name.rpartition("-")[0]
        named = {"Queue": queue, "Interface": interface, "MemberName": interface}
        self.manager.emit(event, caller.headers() | leg.headers("Dest") | named | more)

    def bridge(self, *channels: Channel) -> str:
        """They hear each other."""
        bridge = str(uuid.uuid4())
        for n, channel in enumerate(channels, 1):
            channel.bridge = bridge
            self.manager.emit("BridgeEnter", _bridge(bridge, n) | channel.headers())
        return bridge

    def unbridge(self, *channels: Channel) -> None:
        bridge = channels[0].bridge
        for n, channel in enumerate(channels, 1):
            channel.bridge = ""
            self.manager.emit("BridgeLeave", _bridge(bridge, len(channels) - n) | channel.headers())
        self.manager.emit("BridgeDestroy", _bridge(bridge, 0))

    def transfer(self, transferer: Channel, customer: Channel, extension: str) -> None:
        headers = transferer.headers("Transferer") | customer.headers("Transferee")
        headers |= _bridge(customer.bridge, 2) | {"Result": "Success", "IsExternal": "Yes"}
        self.manager.emit("BlindTransfer", headers | {"Context": "from-internal", "Extension": extension})

    def wants_to_go(self, channel: Channel) -> None:
        self.manager.emit("HangupRequest", channel.headers() | {"Cause": str(NORMAL)})

    def hangup(self, channel: Channel, cause: int = NORMAL) -> None:
        self.channels.pop(channel.uniqueid, None)
        self.manager.emit("Hangup", channel.headers() | {"Cause": str(cause), "Cause-txt": "Normal Clearing"})

    def lists(self, action: str) -> list[dict[str, str]]:
        """What a client that attaches later asks for."""
        now = time.time()
        if action == "coreshowchannels":
            extra = [{"Duration": _clock(now - one.began), "BridgeId": one.bridge} for one in self.channels.values()]
            return [
                {"Event": "CoreShowChannel", **one.headers(), **more}
                for one, more in zip(self.channels.values(), extra, strict=True)
            ]
        if action == "status":
            return [
                {"Event": "Status", **one.headers(), "DNID": one.dialled, "Seconds": str(int(now - one.began))}
                for one in self.channels.values()
            ]
        return []


def _bridge(bridge: str, members: int) -> dict[str, str]:
    return {
        "BridgeUniqueid": bridge, "BridgeType": "basic", "BridgeTechnology": "simple_bridge",
        "BridgeNumChannels": str(members),
    }  # fmt: skip


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
