"""Who is at the end of a channel: trunk or employee, extension or agent name, the number dialled. Reads names only."""

from __future__ import annotations

from callrouter.calls.graph import Channel
from callrouter.calls.profile import PbxProfile
from callrouter.numbers import EXTENSION_DIGITS, NotANumber, parse_number

UNKNOWN = frozenset(("", "<unknown>", "<null>", "(null)", "unknown"))
"""How Asterisk spells "no number" in a header."""
MAX_DIALLER_CHAIN = 8


def told(text: str) -> str:
    """A header's value, empty where Asterisk means that there is none."""
    return "" if text.lower() in UNKNOWN else text


def is_trunk(name: str, profile: PbxProfile) -> bool:
    """Is this a carrier's channel? `PJSIP/carrier` covers `PJSIP/carrier-0000001a`, not `PJSIP/carrier2-0000001a`."""
    return _is_of(name, profile.trunks)


def is_peer(name: str, profile: PbxProfile) -> bool:
    """Does this channel lead to another PBX of the company?"""
    return _is_of(name, profile.peers)


def _is_of(name: str, prefixes: tuple[str, ...]) -> bool:
    return name.startswith(prefixes) and any(
        name.startswith(prefix) and not name[len(prefix) : len(prefix) + 1].isalnum() for prefix in prefixes
    )


def peer_of(name: str) -> str:
    """The endpoint in a channel name or queue interface: `PJSIP/101-0000001a` → `101`, `Local/101@agents/n` → `101`."""
    technology, slash, rest = name.partition("/")
    if not slash:
        return name
    if technology == "Local":
        return rest.partition("@")[0]
    return rest.rpartition("-")[0] or rest


def dialled_number(dial_string: str) -> str:
    """The number in a Dial() target as DialBegin shows it: `N@trunk`, `trunk/N`, `trunk/sip:N@host`, `g1/N`."""
    number = dial_string.partition("sip:")[2] or dial_string
    number = number.partition("@")[0].rpartition("/")[2]
    return number if any(map(str.isdigit, number)) else ""


def is_outside_number(number: str, country: str) -> bool:
    try:
        parse_number(number, country)
    except NotANumber:
        return False
    return True


def is_extension(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= EXTENSION_DIGITS


def agent_name(member: str, interface: str) -> str:
    """A queue member as a record names him: his own name, or his extension where the queue only has the interface."""
    if member and member != interface and "/" not in member:
        return member
    name = member or interface
    technology, slash, rest = name.partition("/")
    if not slash:
        return name
    return rest.partition("@")[0].partition("/")[0] if technology == "Local" else rest


def employee_name(channel: Channel, profile: PbxProfile) -> str:
    """Who answers here: the queue member rung through this channel, else the extension, else the number dialled."""
    leg: Channel | None = None if channel.picked else channel
    for _ in range(MAX_DIALLER_CHAIN):
        if leg is None:
            break
        if leg.agent:
            return leg.agent
        dialler = leg.dialer
        leg = None if dialler is None or dialler.real else dialler.other or dialler
        if leg is dialler and leg is not None and not leg.agent:
            break
    if is_trunk(channel.name, profile):
        return channel.number  # nothing if it is an outside party that called us
    if is_peer(channel.name, profile):
        return channel.number or (channel.story.caller_raw if channel.story is not None else "")
    return peer_of(channel.name)
