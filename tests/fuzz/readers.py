"""What each reader does with an input, and what must hold, whatever it is. An input's first byte says how it is cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from callrouter.ami.agi_wire import AgiRequest, NotAgi, ReplyReader, read_environment
from callrouter.ami.anonymise import Anonymiser
from callrouter.ami.ari_wire import NotAri, read_event, read_listed
from callrouter.ami.dialplan import STATUS, agi_commands
from callrouter.ami.wire import Event, EventReader
from callrouter.calls.events import CallEnded, CallEvent
from callrouter.calls.tracker import RELEVANT_EVENTS, CallTracker, relevant_headers
from callrouter.cel.records import records
from callrouter.cel.rows import CelReader, ForeignCel, Row
from callrouter.config import PbxConfig
from callrouter.lab import company
from callrouter.pbx import question_of

PROFILE = company.profile("pbx1")
PBX = PbxConfig(name="pbx1")
SMALL = 4096
LONGEST_COMMAND = 2048
"""Bytes that Asterisk reads of an AGI command."""


def pieces(data: bytes) -> Iterator[bytes]:
    """The input without its first byte, cut into pieces as long as that says."""
    size, rest = max(1, data[0] if data else 1), data[1:]
    return (rest[at : at + size] for at in range(0, len(rest), size))


def ami(data: bytes) -> None:
    cut, whole = EventReader(), EventReader()
    events = [event for piece in pieces(data) for event in cut.feed(piece)] + cut.finish()
    assert events == whole.feed(data[1:]) + whole.finish(), "where it is cut changes nothing"
    _is_bounded(data)
    _ours(data)
    _followed([event for event in events if "Event" in event])
    nameless = Anonymiser(b"fuzz")
    for piece in pieces(data):
        nameless.feed(piece)
    nameless.finish()


def _is_bounded(data: bytes) -> None:
    reader = EventReader(max_block=SMALL)
    for piece in pieces(data):
        reader.feed(piece)
        assert len(reader._pending) <= SMALL + 2 * len(piece) + 8


def _ours(data: bytes) -> None:
    """What the router's own filter lets through is of what there is."""
    wanted = frozenset(name.encode() for name in RELEVANT_EVENTS)
    only = {
        name.encode(): {header.encode(): tuple(map(str.encode, values)) for header, values in headers.items()}
        for name, headers in relevant_headers(PROFILE).items()
    }
    reader = EventReader(wanted, only=only)
    for event in [*reader.feed(data[1:]), *reader.finish()]:
        assert "Response" in event or event["Event"].strip() in RELEVANT_EVENTS


def _followed(events: list[Event]) -> None:
    tracker = CallTracker(PROFILE)
    told: list[CallEvent] = []
    for number, event in enumerate(events):
        told += tracker.feed(event)
        if not number % 8:
            tracker.snapshot(steps=True)
    told += tracker.finish()
    assert (tracker.calls, tracker.channels, tracker.bridges) == (0, 0, 0)
    for each in told:
        if isinstance(each, CallEnded):
            _makes_sense(each)


def _makes_sense(ended: CallEnded) -> None:
    call = ended.record
    assert b"\0" not in msgspec.json.encode(call), "Postgres takes none"
    assert call.ended_at >= call.started_at
    assert call.talk_s >= 0
    assert call.wait_s >= 0
    assert (call.status == "lost") == (call.lost_reason is not None)
    assert [step.kind for step in (call.steps[0], call.steps[-1])] == ["started", "ended"]


def agi(data: bytes) -> None:
    cut, whole = ReplyReader(), ReplyReader()
    for piece in pieces(data):
        cut.feed(piece)
    whole.feed(data[1:])
    assert cut.replies == whole.replies, "where it is cut changes nothing"
    try:
        request = read_environment(data[1:])
    except NotAgi:
        return
    _asks(request)
    _is_safe(request.caller)


def _asks(request: AgiRequest) -> None:
    question = question_of(request, PBX)
    assert "\n" not in question.uniqueid + question.called_raw + question.caller_raw
    assert isinstance(request.path, str)
    assert len(request.query) <= 20


def _is_safe(value: str) -> None:
    """Whatever a caller or an advert is called, the dialplan gets one command that sets variables, and no other."""
    commands, status = agi_commands({"CALLROUTER_SOURCE": value, "CALLROUTER_CAMPAIGN": value * 50}, "ok")
    assert status == "ok"
    for command in commands:
        assert command.startswith(b'EXEC MSet "')
        assert command.endswith(b'"\n')
        assert len(command) < LONGEST_COMMAND
        assert command.count(b'"') == 2
        assert not {*b"\r\n\\$,;{}()"} & {*command[11:-2].replace(b",CALLROUTER_", b"")}
    assert commands[-1].endswith(f'{STATUS}=ok"\n'.encode())


def ari(data: bytes) -> None:
    for read in (read_event, read_listed):
        try:
            request = read(data[1:])
        except NotAri:
            continue
        if request is not None:
            _asks(request)
            request.uniqueid.encode()
            _is_safe(request.caller)


def cel(data: bytes) -> None:
    whole = _rows(iter([data[1:]]))
    assert _rows(pieces(data)) == whole, "where it is cut changes nothing"
    rows, _ = whole
    for record in records(rows, PROFILE):
        _makes_sense(CallEnded(record))
    strictly, refusal = _rows(iter([data[1:]]), strict=True)
    assert refusal.startswith("line ") or strictly == rows, "each refusal says where"


def _rows(data: Iterator[bytes], *, strict: bool = False) -> tuple[list[Row], str]:
    """The rows, and why there are no more, if the file is refused."""
    reader, rows = CelReader(strict=strict), list[Row]()
    try:
        for piece in data:
            rows.extend(reader.feed(piece))
        rows.extend(reader.finish())
    except ForeignCel as error:
        return rows, str(error)
    return rows, ""


READERS: dict[str, Callable[[bytes], None]] = {"ami": ami, "agi": agi, "ari": ari, "cel": cel}
