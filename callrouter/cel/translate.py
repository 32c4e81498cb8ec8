"""The rows of one call → the events that AMI would have sent, as far as the call tracker reads them.

Some rows are events under another name (BRIDGE_ENTER is BridgeEnter). The rest of AMI's events has no row: dials,
queues and hangup requests are told where the `outlook` saw that they must have been. Knows no record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from callrouter.calls.channels import IVR_APPLICATIONS
from callrouter.calls.parties import is_trunk
from callrouter.calls.profile import PbxProfile
from callrouter.cel.outlook import AT_ONCE, Outlook, Past, Span
from callrouter.cel.rows import Row

Event = dict[str, str]
DOWN, RING, UP = "0", "4", "6"
"""ChannelState: made by Asterisk, arriving, answered."""
BUSY = "17"


def events_of(rows: Sequence[Row], profile: PbxProfile) -> Iterator[Event]:
    """The call told again. `rows` are all of it, or all there are."""
    return Translation(rows, profile).events()


class Translation:
    def __init__(self, rows: Sequence[Row], profile: PbxProfile) -> None:
        self._rows = rows
        self._profile = profile
        self._outlook = Outlook(rows)
        self._quits = self._outlook.quits()
        self._waiting: dict[str, Span] = {}
        """Channel → the queue that it waits in."""
        self._dialling: dict[str, Past] = {}
        """Channels that ring."""
        self._bridges: dict[str, dict[str, None]] = {}
        self._bridge_of: dict[str, str] = {}
        self._held_by: dict[str, str] = {}
        """Channel that hears music → the employee's channel that holds it."""
        self._tell: dict[str, Callable[[int, Row, Past], Iterator[Event]]] = {
            "CHAN_START": self._started,
            "ANSWER": self._answered,
            "APP_START": self._app_started,
            "APP_END": self._app_ended,
            "BRIDGE_ENTER": self._entered,
            "BRIDGE_EXIT": self._left,
            "STREAM_BEGIN": self._music_began,
            "STREAM_END": self._music_ended,
            "HANGUP": self._hung_up,
            "BLINDTRANSFER": self._transferred,
            "ATTENDEDTRANSFER": self._transferred_attended,
            "PICKUP": self._picked_up,
            "CALLROUTER_GROUP": self._named_group,
        }

    def events(self) -> Iterator[Event]:
        for index, row in enumerate(self._rows):
            for past in self._quits.get(index, ()):
                yield _event(row, "HangupRequest", past, Cause=past.cause)
            yield from self._told(index, row)

    def _told(self, index: int, row: Row) -> Iterator[Event]:
        past = self._outlook.channels.get(row.uniqueid)
        if past is None:
            return
        if row.app in IVR_APPLICATIONS and row.type != "HANGUP":
            yield self._step(row)
        for span in past.spans:
            if span.successor is not None and span.successor.start == index:
                yield from self._span_ended(row, past, span)
                yield from self._app_started(index, row, past)
        tell = self._tell.get(row.type)
        if tell is not None:
            yield from tell(index, row, past)

    # -- single channels

    def _started(self, _index: int, row: Row, past: Past) -> Iterator[Event]:
        yield _event(
            row, "Newchannel", past, Linkedid=row.linkedid, Exten=row.exten, Context=row.context,
            CallerIDNum=row.number, ChannelState=DOWN if past.made_by_asterisk else RING,
        )  # fmt: skip
        if past.dialler is None and not (past.real and past.made_by_asterisk):
            return
        if past.instead_of is not None:
            yield from self._end_dial(row, past.instead_of, "CANCEL", forward=past.target or past.name)
        self._dialling[past.uniqueid] = past
        begin = {"DestUniqueid": past.uniqueid, "DestChannel": past.name, "DialString": past.target or past.number}
        span = past.dialler
        if span is not None:
            caller = span.channel
            begin |= {"Uniqueid": caller.uniqueid, "Channel": caller.name}
            begin |= {"Exten": span.row.exten, "Context": span.row.context}
        yield {"Event": "DialBegin", "Timestamp": row.stamp, **begin}

    def _answered(self, _index: int, row: Row, past: Past) -> Iterator[Event]:
        yield from self._end_dial(row, past, "ANSWER")
        yield _event(row, "Newstate", past, ChannelState=UP)
        if past.real and row.number and not past.row.number:
            yield _event(row, "NewCallerid", past, CallerIDNum=row.number)

    def _hung_up(self, index: int, row: Row, past: Past) -> Iterator[Event]:
        yield from self._app_ended(index, row, past)
        if past.uniqueid in self._dialling:
            yield from self._end_dial(row, past, _dial_status(past))
        yield _event(row, "Hangup", past, Cause=past.cause)

    # -- applications

    @staticmethod
    def _step(row: Row) -> Event:
        return {
            "Event": "Newexten", "Timestamp": row.stamp, "Uniqueid": row.uniqueid, "Channel": row.channel,
            "Application": row.app, "AppData": row.data, "Context": row.context, "Extension": row.exten,
        }  # fmt: skip

    def _app_started(self, index: int, row: Row, past: Past) -> Iterator[Event]:
        if row.app not in IVR_APPLICATIONS:
            yield self._step(row)
        span = next((span for span in past.spans if span.start == index), None)
        if span is not None and row.app == "Queue" and span.let_in:
            self._waiting[past.uniqueid] = span
            yield _event(row, "QueueCallerJoin", past, Queue=span.arguments[0])

    def _app_ended(self, index: int, row: Row, past: Past) -> Iterator[Event]:
        for span in past.spans:
            if span.end == index:
                yield from self._span_ended(row, past, span)

    def _span_ended(self, row: Row, past: Past, span: Span) -> Iterator[Event]:
        """Nothing rings any more that it made ring; who waited in the queue, waits no more."""
        if past.uniqueid in self._outlook.given_away:
            self._waiting.pop(past.uniqueid, None)
            return
        for leg in span.legs:
            if leg.uniqueid in self._dialling and leg.answered is None:  # else it rings for somebody else by now
                yield from self._end_dial(row, leg, _dial_status(leg))
        if self._waiting.get(past.uniqueid) is span:
            gone = past.hung_up_in(span, self._rows) and (past.own_end or bool(past.cancelled_legs(self._rows)))
            yield from self._leave_queue(row, past, span, gone=gone)

    def _leave_queue(self, row: Row, past: Past, span: Span, *, gone: bool = False) -> Iterator[Event]:
        del self._waiting[past.uniqueid]
        queue = span.arguments[0]
        if gone:
            yield _event(row, "QueueCallerAbandon", past, Queue=queue)
        yield _event(row, "QueueCallerLeave", past, Queue=queue)
        if not gone and span.timed_out:
            yield _event(row, "VarSet", past, Variable="QUEUESTATUS", Value="TIMEOUT")

    def _end_dial(self, row: Row, leg: Past, status: str, *, forward: str = "") -> Iterator[Event]:
        if self._dialling.pop(leg.uniqueid, None) is None:
            return
        end = {"DestUniqueid": leg.uniqueid, "DestChannel": leg.name, "DialStatus": status}
        if forward:
            end["Forward"] = forward
        if status != "ANSWER" and row.uniqueid != leg.uniqueid and not is_trunk(leg.name, self._profile):
            yield _event(row, "HangupRequest", leg, Cause=leg.cause)  # its own HANGUP may come after the caller's
        yield {"Event": "DialEnd", "Timestamp": row.stamp, **end}

    # -- bridges

    def _entered(self, _index: int, row: Row, past: Past) -> Iterator[Event]:
        span = self._waiting.get(past.uniqueid)
        technology = row.extra.get("bridge_technology", "")
        bridge = row.extra.get("bridge_id", "")
        if span is not None and technology != "holding_bridge":
            yield from self._leave_queue(row, past, span)
        yield from self._end_dial(row, past, "ANSWER")
        self._forget_bridge(past)
        self._bridges.setdefault(bridge, {})[past.uniqueid] = None
        self._bridge_of[past.uniqueid] = bridge
        yield _event(
            row, "BridgeEnter", past, BridgeUniqueid=bridge, BridgeTechnology=technology, Linkedid=row.linkedid,
        )  # fmt: skip

    def _left(self, _index: int, row: Row, past: Past) -> Iterator[Event]:
        self._forget_bridge(past)
        yield _event(row, "BridgeLeave", past, BridgeUniqueid=row.extra.get("bridge_id", ""))

    def _forget_bridge(self, past: Past) -> None:
        members = self._bridges.get(self._bridge_of.pop(past.uniqueid, ""), {})
        members.pop(past.uniqueid, None)

    def _music_began(self, _index: int, row: Row, past: Past) -> Iterator[Event]:
        """Music to a channel that is in a bridge: the other one there holds it."""
        if "class" in row.extra and past.uniqueid not in self._held_by:
            holder = self._heard_by(past)
            if holder is not None:
                self._held_by[past.uniqueid] = holder.uniqueid
                yield _event(row, "Hold", holder)

    def _music_ended(self, _index: int, row: Row, past: Past) -> Iterator[Event]:
        holder = self._outlook.channels.get(self._held_by.pop(past.uniqueid, ""))
        if holder is not None and not past.ends_by(row.at + AT_ONCE, self._rows):
            yield _event(row, "Unhold", holder)

    def _heard_by(self, past: Past) -> Past | None:
        """The one real channel at the other end of its bridge, through Local pairs."""
        found: list[Past] = []
        places = [self._bridge_of.get(past.uniqueid, "")]
        for place in places:  # grows while we walk
            for uniqueid in self._bridges.get(place, {}):
                other = self._outlook.channels[uniqueid]
                if other.real:
                    found += [other] if other is not past else []
                    continue
                half = self._outlook.other_half(other)
                beyond = self._bridge_of.get(half.uniqueid, "") if half else ""
                if beyond and beyond not in places:
                    places.append(beyond)
        return found[0] if len(found) == 1 else None

    # -- transfers

    @staticmethod
    def _transferred(_index: int, row: Row, past: Past) -> Iterator[Event]:
        yield _event(
            row, "BlindTransfer", None, TransfererUniqueid=past.uniqueid, Extension=row.extra.get("extension", ""),
            TransfereeUniqueid=row.extra.get("transferee_channel_uniqueid", ""),
        )  # fmt: skip

    @staticmethod
    def _transferred_attended(_index: int, row: Row, past: Past) -> Iterator[Event]:
        yield _event(
            row, "AttendedTransfer", None, OrigTransfererUniqueid=past.uniqueid,
            SecondTransfererUniqueid=row.extra.get("channel2_uniqueid", ""),
            TransferTargetChannel=row.extra.get("transfer_target_channel_name", ""),
        )  # fmt: skip

    def _picked_up(self, _index: int, row: Row, past: Past) -> Iterator[Event]:
        yield from self._end_dial(row, past, "ANSWER")
        picker = row.extra.get("pickup_channel_uniqueid", "")
        yield _event(row, "Pickup", None, Uniqueid=picker, TargetUniqueid=past.uniqueid)

    @staticmethod
    def _named_group(_index: int, row: Row, past: Past) -> Iterator[Event]:
        """`CELGenUserEvent(CALLROUTER_GROUP,name)`: variables leave no row."""
        yield _event(row, "VarSet", past, Variable="CALLROUTER_GROUP", Value=row.extra.get("extra", ""))


def _dial_status(leg: Past) -> str:
    """How a dial ended that nobody answered."""
    if leg.abandoned:
        return "CANCEL"
    if leg.own_end:
        return "BUSY" if leg.cause == BUSY else "CONGESTION"
    return "NOANSWER"


def _event(row: Row, name: str, past: Past | None, **headers: str) -> Event:
    channel = {} if past is None else {"Uniqueid": past.uniqueid, "Channel": past.name}
    return {"Event": name, "Timestamp": row.stamp, **channel, **headers}
