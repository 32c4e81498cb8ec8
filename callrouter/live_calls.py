"""The calls in progress, as the router tells them to this machine: `/calls` of its operation port.

Who can reach that port may watch metrics, but not people: only a connection from this machine itself is answered, by no
proxy and to no browser that was led here by a foreign name; and customers' numbers are masked unless asked for.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from twisted.web.http import FORBIDDEN, OK
from twisted.web.server import Request

from callrouter.calls.events import LiveCall
from callrouter.calls.record import Direction, Step
from callrouter.clock import Clock
from callrouter.desk import Desk
from callrouter.numbers import masked
from callrouter.pbx import PbxLink
from callrouter.pool.model import Resolution

MOST = 500
"""So many calls are told, the oldest; all are counted. AMI is not kept waiting for longer than that takes."""
PERSONAL = re.compile(r"\d{7,}")


class Credited(msgspec.Struct, frozen=True, kw_only=True):
    """Whose visit it is as far as is known: nothing is final before the hangup."""

    method: str
    confidence: float
    site: int | None
    source: str | None
    campaign: str | None
    keyword: str | None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A call in progress. `credited` is None where nobody has asked yet, or nobody could say."""

    pbx: str
    linkedid: str
    direction: Direction
    caller: str | None
    called: str | None
    started_at: datetime
    answered_at: datetime | None
    group: str | None
    employee: str | None
    complete: bool
    credited: Credited | None
    steps: tuple[Step, ...]


class Pbx(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    attached: bool
    """False: what is told is what was known when the connection was lost."""
    calls: int


class Live(msgspec.Struct, frozen=True, kw_only=True):
    at: datetime
    pbx: tuple[Pbx, ...]
    calls: tuple[Told, ...]
    """Oldest first."""


class LiveCalls:
    def __init__(self, links: Sequence[PbxLink], desk: Desk, clock: Clock) -> None:
        self._links = links
        self._desk = desk
        self._clock = clock

    def page(self, request: Request) -> tuple[int, object]:
        """`?numbers=1`: with customers' numbers."""
        if not _is_from_here(request):
            return FORBIDDEN, {"error": "calls are told to this machine only: run `callrouter calls` beside the router"}
        return OK, self.now(numbers=request.args.get(b"numbers", [b""])[0] == b"1")

    def now(self, *, numbers: bool) -> Live:
        most = MOST // max(1, len(self._links))
        told = [
            self._told(call, numbers=numbers)
            for link in self._links for call in link.tracker.snapshot(steps=True, most=most)
        ]  # fmt: skip
        pbx = [Pbx(name=link.pbx.name, attached=link.attached, calls=link.tracker.calls) for link in self._links]
        return Live(at=self._clock.now(), pbx=tuple(pbx), calls=tuple(sorted(told, key=lambda call: call.started_at)))

    def _told(self, call: LiveCall, *, numbers: bool) -> Told:
        shown = str if numbers else _masked
        return Told(
            pbx=call.pbx, linkedid=call.linkedid, direction=call.direction,
            caller=call.caller and shown(call.caller),
            called=call.called and (call.called if call.direction == "inbound" else shown(call.called)),
            started_at=call.started_at, answered_at=call.answered_at, group=call.group,
            employee=call.employee and shown(call.employee), complete=call.complete,
            credited=_credited(self._desk.resolution_of(call.pbx, call.uniqueid)),
            steps=tuple(
                msgspec.structs.replace(step, who=step.who and shown(step.who), to=step.to and shown(step.to))
                for step in call.steps
            ),
        )  # fmt: skip


def _credited(resolution: Resolution | None) -> Credited | None:
    if resolution is None:
        return None
    traffic = resolution.traffic
    return Credited(
        method=resolution.attribution.method, confidence=resolution.attribution.confidence,
        site=resolution.attribution.site,
        source=traffic.source if traffic else None, campaign=traffic.campaign if traffic else None,
        keyword=traffic.keyword if traffic else None,
    )  # fmt: skip


def _masked(text: str) -> str:
    """A colleague's mobile is as personal as a customer's; an extension is not."""
    return PERSONAL.sub(lambda found: masked(found[0]), text)


def _is_from_here(request: Request) -> bool:
    peer: Any = request.getClientAddress()
    own: Any = request.getHost()
    host = request.getRequestHostname().decode("ascii", "replace").strip("[]")
    by_proxy = any(request.getHeader(name) for name in (b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"))
    return _is_address(host) and not by_proxy and (_is_loopback(peer.host) or peer.host == own.host)


def _is_address(host: str) -> bool:
    """A foreign site that has its name point here cannot have a browser ask for an address."""
    return host == "localhost" or _parsed(host) is not None


def _is_loopback(host: str) -> bool:
    address = _parsed(host)
    mapped = getattr(address, "ipv4_mapped", None)
    return address is not None and (mapped or address).is_loopback


def _parsed(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
