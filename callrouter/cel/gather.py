"""Rows of a CEL file → all rows of one call, however its linkedids merge. Knows when a call is over; not what it was.

What is gathered is bounded: of too many open calls the oldest is given out as it is, marked as not whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from callrouter.calls.graph import PSEUDO
from callrouter.calls.parties import is_trunk
from callrouter.calls.profile import PbxProfile
from callrouter.calls.times import birth_of, serial_of, system_of
from callrouter.cel.rows import Row

MOST_ROWS = 200_000
"""Held at once, of all calls in progress."""
MOST_JOINED = 5_000
"""Calls of employees with several lines are told together up to so many rows."""
QUIET_SECONDS = 5.0
"""PBX time after a call's last channel ended when it is over though no LINKEDID_END came."""


class Gathered(NamedTuple):
    rows: list[Row]
    whole: bool
    """False if its end, or its beginning, is not in the file."""
    linkedids: frozenset[str]


class _Call:
    __slots__ = ("begun", "bridges", "ended", "linkedids", "open", "rows", "uniqueids")

    def __init__(self) -> None:
        self.rows: list[tuple[int, Row]] = []
        self.open: set[str] = set()
        self.uniqueids: set[str] = set()
        self.linkedids: set[str] = set()
        self.bridges: set[str] = set()
        self.begun = True
        self.ended: float | None = None
        """When its last channel ended."""


class Gatherer:
    """Feed it rows in the file's order; it gives calls in the order in which they end."""

    def __init__(self, profile: PbxProfile, *, most_rows: int = MOST_ROWS) -> None:
        self._profile = profile
        self._most_rows = most_rows
        self._calls: dict[_Call, None] = {}
        self._by_channel: dict[str, _Call] = {}
        self._by_linkedid: dict[str, _Call] = {}
        self._by_bridge: dict[str, _Call] = {}
        self._talking: dict[str, str] = {}
        """Endpoint of an employee → the channel on which he talks."""
        self._ending: dict[_Call, None] = {}
        self._latest: dict[str, tuple[float, int]] = {}
        """System → second and serial of its latest channel."""
        self._count = 0
        self._held = 0
        self.given_up = 0
        """Calls given out before their end, for lack of room."""

    def feed(self, row: Row) -> Iterator[Gathered]:
        """The calls that this row shows to be over."""
        self._count += 1
        if row.type == "CHAN_START" and self._is_restarted(row.uniqueid):
            yield from self.finish()
        if self._ending:
            yield from self._quiet(row.at)
        call = self._call_of(row)
        if call is None:
            return
        call.rows.append((self._count, row))
        self._held += 1
        self._follow(call, row)
        if row.type == "LINKEDID_END" and not call.open:
            yield self._give_out(call)
        while self._held > self._most_rows:
            self.given_up += 1
            yield self._give_out(next(iter(self._calls)))

    def finish(self) -> Iterator[Gathered]:
        """The calls that have no end: the file stops here, or Asterisk did."""
        for call in tuple(self._calls):
            yield self._give_out(call)

    @property
    def oldest(self) -> int | None:
        """The count of the first row of the oldest call still open; a reader may begin anew there."""
        return min((call.rows[0][0] for call in self._calls), default=None)

    @property
    def linkedids(self) -> set[str]:
        """Of the calls that are still open."""
        return set(self._by_linkedid)

    def _call_of(self, row: Row) -> _Call | None:
        mine, linked = self._by_channel.get(row.uniqueid), self._by_linkedid.get(row.linkedid)
        if mine is not None and linked is not None and mine is not linked:
            return self._join(mine, linked)
        call = mine or linked
        if call is None:
            if row.type in ("LINKEDID_END", "CHAN_END", "HANGUP", "APP_END"):
                return None  # of a call that was told
            call = _Call()
            call.begun = row.type == "CHAN_START" and row.uniqueid == row.linkedid
            self._calls[call] = None
        self._by_channel[row.uniqueid] = self._by_linkedid[row.linkedid] = call
        call.uniqueids.add(row.uniqueid)
        call.linkedids.add(row.linkedid)
        return call

    def _follow(self, call: _Call, row: Row) -> None:
        """Which of its channels live, and who talks on which phone."""
        if row.type == "CHAN_START":
            call.open.add(row.uniqueid)
            call.ended = None
            self._ending.pop(call, None)
            self._join_his_other_talk(call, row)
        elif row.type == "CHAN_END":
            call.open.discard(row.uniqueid)
            if not call.open:
                call.ended = row.at
                self._ending[call] = None
        elif row.type in ("BRIDGE_ENTER", "BRIDGE_EXIT"):
            if row.type == "BRIDGE_ENTER" and row.extra.get("bridge_technology") != "holding_bridge":
                self._meet(call, row)
            endpoint = self._phone(row)
            if endpoint and row.type == "BRIDGE_ENTER":
                self._talking[endpoint] = row.uniqueid
            elif endpoint and self._talking.get(endpoint) == row.uniqueid:
                del self._talking[endpoint]

    def _phone(self, row: Row) -> str:
        technology = row.channel.partition("/")[0]
        if technology in PSEUDO or is_trunk(row.channel, self._profile):
            return ""
        return row.channel.rpartition("-")[0]

    def _join_his_other_talk(self, call: _Call, row: Row) -> None:
        """An employee who talks already begins another call: he holds the first, so that both are told together."""
        other = self._by_channel.get(self._talking.get(self._phone(row), ""))
        if other is not None and other is not call and len(other.rows) + len(call.rows) < MOST_JOINED:
            self._join(other, call)

    def _meet(self, call: _Call, row: Row) -> None:
        """In a conference calls meet that have nothing else in common, and each is part of the other's story."""
        bridge = row.extra.get("bridge_id", "")
        there = self._by_bridge.get(bridge)
        if there is None:
            self._by_bridge[bridge] = call
            call.bridges.add(bridge)
        elif there is not call and len(there.rows) + len(call.rows) < MOST_JOINED:
            self._join(there, call)

    def _join(self, one: _Call, two: _Call) -> _Call:
        if len(one.rows) < len(two.rows):
            one, two = two, one
        one.rows = sorted((*one.rows, *two.rows), key=lambda each: each[0])
        one.open |= two.open
        one.uniqueids |= two.uniqueids
        one.linkedids |= two.linkedids
        one.bridges |= two.bridges
        for bridge in two.bridges:
            self._by_bridge[bridge] = one
        one.begun = one.begun and two.begun
        one.ended = None if one.open else one.rows[-1][1].at
        for uniqueid in two.uniqueids:
            self._by_channel[uniqueid] = one
        for linkedid in two.linkedids:
            self._by_linkedid[linkedid] = one
        del self._calls[two]
        self._ending.pop(two, None)
        self._ending.pop(one, None)
        if one.ended is not None:
            self._ending[one] = None
        return one

    def _quiet(self, now: float) -> Iterator[Gathered]:
        for call in tuple(self._ending):
            if call.ended is None or now - call.ended < QUIET_SECONDS:
                return
            yield self._give_out(call)

    def _is_restarted(self, uniqueid: str) -> bool:
        """Asterisk numbers its channels from 0 at each start, and puts the second before the number."""
        born, serial, system = birth_of(uniqueid), serial_of(uniqueid), system_of(uniqueid)
        if born is None or serial < 0:
            return False
        second, before = self._latest.get(system, (0.0, -1))
        restarted = serial < before and born > second
        if restarted or serial > before:
            self._latest[system] = (born, serial)
        return restarted

    def _give_out(self, call: _Call) -> Gathered:
        del self._calls[call]
        self._ending.pop(call, None)
        self._held -= len(call.rows)
        for uniqueid in call.uniqueids:
            del self._by_channel[uniqueid]
        for linkedid in call.linkedids:
            del self._by_linkedid[linkedid]
        for bridge in call.bridges:
            del self._by_bridge[bridge]
        for endpoint in [phone for phone, uniqueid in self._talking.items() if uniqueid in call.uniqueids]:
            del self._talking[endpoint]
        return Gathered([row for _, row in call.rows], call.begun and not call.open, frozenset(call.linkedids))
