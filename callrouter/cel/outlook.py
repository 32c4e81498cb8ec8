"""What became of each channel, dial and queue of a call: read from all its rows, before the call is told in order.

AMI says at the moment itself who hung up and how a dial ended; CEL says it later, in the HANGUP row (`hangupsource`,
`dialstatus`), or leaves it to be seen from what followed. Knows rows; knows neither events nor records.
"""

from __future__ import annotations

from collections.abc import Sequence

from callrouter.calls.graph import PSEUDO
from callrouter.cel.rows import Row

AT_ONCE = 0.05
"""Seconds between two rows of one and the same moment."""
LEAVING = 1.0
"""Seconds from a bridge to the end of a channel whose phone was put down."""
JOINED_AFTER = 0.2
"""Seconds in Queue() after which the caller was let in, whatever else is seen; a queue that refuses does so at once."""
MADE_FOR = {"AppDial": "Dial", "AppQueue": "Queue"}
"""The application that Asterisk shows on a channel that was dialled → the one that dialled it."""
QUEUE_TIMEOUT = 4
"""Of Queue()'s arguments."""


class Span:
    """One run of an application on a channel, between its APP_START and APP_END (or the channel's end)."""

    __slots__ = ("channel", "end", "legs", "row", "start", "streamed", "successor", "until")

    def __init__(self, channel: Past, start: int, row: Row) -> None:
        self.channel = channel
        self.start = start
        self.row = row
        self.end: int | None = None
        """Index of the row that ends it."""
        self.until = row.at
        self.legs: list[Past] = []
        self.streamed = False
        """Music was played to the channel meanwhile."""
        self.successor: Span | None = None
        """The same application with other arguments, run next: Asterisk writes no row between the two."""

    @property
    def arguments(self) -> list[str]:
        return self.row.data.split(",")

    @property
    def let_in(self) -> bool:
        """Of a Queue(): did the caller wait in it?"""
        return bool(self.legs) or self.streamed or self.until - self.row.at > JOINED_AFTER

    @property
    def timed_out(self) -> bool:
        """Of a Queue(): its time was over."""
        told = self.arguments[QUEUE_TIMEOUT : QUEUE_TIMEOUT + 1]
        seconds = told[0].strip() if told else ""
        return seconds.isdecimal() and 0 < int(seconds) <= self.until - self.row.at + AT_ONCE


class Past:
    """One channel from its first row to its last."""

    __slots__ = (
        "abandoned",
        "answered",
        "cause",
        "dialler",
        "dialstatus",
        "dnid",
        "first",
        "hangup",
        "hangup_exten",
        "instead_of",
        "left_first",
        "name",
        "number",
        "of",
        "own_end",
        "row",
        "running",
        "spans",
        "target",
        "uniqueid",
    )  # fmt: skip

    def __init__(self, first: int, row: Row, running: tuple[Span, ...]) -> None:
        self.first = first
        self.running = running
        """The Dial() and Queue() that went on when it was made."""
        self.row = row
        self.uniqueid = row.uniqueid
        self.name = row.channel
        self.answered: int | None = None
        self.hangup: int | None = None
        self.hangup_exten = ""
        self.cause = ""
        self.dialstatus = ""
        self.left_first: int | None = None
        """Index of the row by which it left its last bridge, if it was the first there to leave."""
        self.own_end = False
        """Whoever is at its far end hung up."""
        self.abandoned = False
        """It was given up because the caller was gone."""
        self.dnid = ""
        self.number = ""
        """The latest caller number: of a dialled channel the number that was dialled."""
        self.of = ""
        """Dialled by this application; empty if that is not seen."""
        self.spans: list[Span] = []
        self.dialler: Span | None = None
        self.instead_of: Past | None = None
        """The leg that sent the call on to this one."""
        self.target = ""
        """What Dial() was asked to reach by it."""

    @property
    def real(self) -> bool:
        return self.name.partition("/")[0] not in PSEUDO

    @property
    def made_by_asterisk(self) -> bool:
        """Towards somebody; an arriving channel has the number that was dialled."""
        return self.row.exten in ("s", "") and not self.dnid

    def cancelled_legs(self, rows: Sequence[Row]) -> list[Past]:
        """What still rang when this caller gave up waiting. (`dialstatus` is of his first dial, not of the last.)"""
        if self.hangup is None or not self.spans or not self.hung_up_in(self.spans[-1], rows):
            return []
        if self.real and not self.own_end and self.dialstatus != "CANCEL":
            return []
        legs = self.spans[-1].legs
        latest = max((leg.first for leg in legs), default=0)
        gone_at = min(self.spans[-1].until, rows[self.hangup].at) - LEAVING
        return [
            leg for leg in legs
            if leg.answered is None and not leg.own_end
            and (leg.hangup is None or (leg.hangup > latest and rows[leg.hangup].at > gone_at))
        ]  # fmt: skip

    def hung_up_in(self, span: Span, rows: Sequence[Row]) -> bool:
        """Did the channel end while this application ran on it? An `h` extension may have run in between."""
        if self.hangup is None or span is not self.spans[-1]:
            return False
        return self.hangup_exten == "h" or rows[self.hangup].at - span.until < AT_ONCE

    def left_to_end(self, rows: Sequence[Row]) -> bool:
        """Did it leave its bridge because it hung up, rather than to go on elsewhere?"""
        if self.left_first is None or self.hangup is None:
            return False
        return self.hangup_exten == "h" or rows[self.hangup].at - rows[self.left_first].at < LEAVING

    def ends_by(self, at: float, rows: Sequence[Row]) -> bool:
        """Is it hung up by that time?"""
        return self.hangup is not None and rows[self.hangup].at <= at

    @property
    def is_far_half(self) -> bool:
        return not self.real and self.name.endswith(";2")


class Outlook:
    """All that is known of a call beforehand."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.channels: dict[str, Past] = {}
        self._sources: set[str] = set()
        self.given_away = {row.extra.get("channel2_uniqueid") for row in rows if row.type == "ATTENDEDTRANSFER"}
        """Channels of consultations whose place another took: what ran on them goes on there."""
        self._named: dict[str, Past] = {}
        self._bridged: dict[str, set[str]] = {}
        self._running: list[Span] = []
        for index, row in enumerate(rows):
            self._note(index, row)
        for past in self.channels.values():
            past.own_end = past.name in self._sources
            for span in past.spans:
                if span.end is None:
                    span.until = rows[-1].at
        self._find_diallers()
        for index, row in enumerate(rows):
            if row.type == "FORWARD":
                self._find_forwarded(index, row)
        for past in self.channels.values():
            for leg in past.cancelled_legs(rows):
                leg.abandoned = True

    def other_half(self, half: Past) -> Past | None:
        """Of a Local channel."""
        stem = half.name.removesuffix(";1").removesuffix(";2")
        other = self._named.get(stem + (";1" if half.is_far_half else ";2"))
        return None if other is half else other

    def quits(self) -> dict[int, list[Past]]:
        """Who put his phone down, by the row before which he did: everything that this led to comes after it."""
        found: dict[int, list[Past]] = {}
        for past in self.channels.values():
            if past.hangup is not None and (past.own_end or past.cancelled_legs(self.rows)):
                found.setdefault(min(self._first_effect(past)), []).append(past)
        return found

    def _note(self, index: int, row: Row) -> None:
        past = self.channels.get(row.uniqueid)
        if past is None:
            if row.type != "CHAN_START":
                return
            past = self.channels[row.uniqueid] = Past(index, row, tuple(self._running))
            self._named[row.channel] = past
        past.dnid = past.dnid or row.dnid
        past.number = row.number or past.number
        past.of = past.of or MADE_FOR.get(row.app, "")
        if past.spans and row.type != "APP_START":
            self._notice_successor(past, index, row)
        match row.type:
            case "ANSWER":
                past.answered = index if past.answered is None else past.answered
            case "APP_START":
                self._start_span(past, index, row)
            case "BRIDGE_ENTER" | "BRIDGE_EXIT":
                self._note_bridge(past, index, row)
            case "APP_END":
                self._end_span(past, index, row)
            case "STREAM_BEGIN" if past.spans and past.spans[-1].row.app == row.app:
                past.spans[-1].streamed = True
            case "HANGUP":
                self._end_span(past, index, row)
                past.hangup, past.hangup_exten = index, row.exten
                past.cause = row.extra.get("hangupcause", "")
                past.dialstatus = row.extra.get("dialstatus", "")
                self._sources.add(row.extra.get("hangupsource", ""))

    def _note_bridge(self, past: Past, index: int, row: Row) -> None:
        members = self._bridged.setdefault(row.extra.get("bridge_id", ""), set())
        if row.type == "BRIDGE_ENTER":
            members.add(row.uniqueid)
            past.left_first = None
        else:
            members.discard(row.uniqueid)
            past.left_first = index if members else None

    def _start_span(self, past: Past, index: int, row: Row) -> None:
        span = Span(past, index, row)
        past.spans.append(span)
        past.left_first = None
        if row.app in ("Dial", "Queue"):
            self._running.append(span)

    def _notice_successor(self, past: Past, index: int, row: Row) -> None:
        before = past.spans[-1]
        if before.end is None and row.app == before.row.app and row.data != before.row.data:
            self._end_span(past, index, row)
            self._start_span(past, index, row)
            before.successor = past.spans[-1]

    def _end_span(self, past: Past, index: int, row: Row) -> None:
        """By its APP_END, or by the end of the channel."""
        span = next((each for each in reversed(past.spans) if each.end is None), None)
        if span is not None and (row.type == "HANGUP" or span.row.app == row.app):
            span.end, span.until = index, row.at
            self._running = [each for each in self._running if each is not span]

    def _find_diallers(self) -> None:
        for past in self.channels.values():
            if past.is_far_half or not (past.made_by_asterisk if past.real else past.of):
                continue
            spans = [span for span in past.running if past.of in ("", span.row.app)]
            running = [each for span in spans for each in (span, span.successor) if each is not None]
            past.target, past.dialler = _best(past, running)
            if past.dialler is not None:
                past.dialler.legs.append(past)

    def _find_forwarded(self, index: int, row: Row) -> None:
        """The caller's newest leg stands for the one that ends next."""
        past = self.channels.get(row.uniqueid)
        if past is None or not past.spans:
            return
        legs = [leg for span in past.spans for leg in span.legs if leg.first < index]
        legs = [leg for leg in legs if leg.answered is None or leg.answered > index]
        if len(legs) > 1:
            newest = legs.pop()
            newest.instead_of = min(legs, key=lambda leg: len(self.rows) if leg.hangup is None else leg.hangup)

    def _first_effect(self, caller: Past) -> list[int]:
        """The rows that show him gone, the first of which he hung up before."""
        effects = []
        if caller.hangup is not None:
            effects.append(caller.hangup)
            if caller.left_first is not None and caller.left_to_end(self.rows):
                effects.append(caller.left_first)
        last = caller.spans[-1] if caller.spans else None
        if last is not None and last.end is not None and caller.hung_up_in(last, self.rows):
            effects.append(last.end)
        for leg in caller.cancelled_legs(self.rows):
            effects += [] if leg.hangup is None else [leg.hangup]
            half = None if leg.real or leg.is_far_half else self.other_half(leg)
            if half is not None:
                effects += self._first_effect(half)
        return effects


def _best(past: Past, running: list[Span]) -> tuple[str, Span | None]:
    """Of the applications that ran when the channel was made: the Dial() that names it, else the latest Queue()."""
    for span in reversed(running):
        if span.row.app == "Dial":
            for target in span.arguments[0].split("&"):
                if _reaches(target, past.name):
                    return target, span
    for app in ("Queue", "Dial") if past.real or past.of else ("Queue",):
        for span in reversed(running):
            if span.row.app == app:
                return "", span
    return "", None


def _reaches(target: str, name: str) -> bool:
    """Does a Dial() of `target` make this channel? `PJSIP/101`, `PJSIP/N@trunk`, `SIP/trunk/N`, `Local/N@c/n`."""
    technology, _, rest = target.partition("/")
    reached = (rest.rpartition("@")[2], rest.partition("/")[0])
    return name.rpartition("-")[0] in [f"{technology}/{one}" for one in reached]
