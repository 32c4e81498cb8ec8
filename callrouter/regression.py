"""A customer's odd call as a test: its capture, cut to what the tracker reads, beside what its calls are to be.

Knows both files (`NAME.ami.gz`, `NAME.json`) and how they are compared; knows no live PBX.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from callrouter.ami.anonymise import Anonymiser
from callrouter.ami.capture import read_capture
from callrouter.ami.wire import Event
from callrouter.calls.profile import PbxProfile
from callrouter.calls.record import CallRecord
from callrouter.calls.replay import records
from callrouter.calls.tracker import HANDLERS, relevant_headers

HOW = (
    "What callrouter told of the capture beside this file. Where that is not what happened, write what did; a field or "
    "a call that you delete is not compared. `count` is of all calls with a customer."
)
REPEATED = re.compile(r"#\d+$")


class Regression(msgspec.Struct, frozen=True, kw_only=True):
    """`calls`: fields as in rules §1; each is known by its `linkedid`."""

    how: str = HOW
    profile: PbxProfile
    count: int | None = None
    calls: tuple[dict[str, Any], ...]


def files_of(name: Path) -> tuple[Path, Path]:
    """The capture and what its calls are to be."""
    return name.with_name(name.name + ".ami.gz"), name.with_name(name.name + ".json")


def keep(capture: Path, profile: PbxProfile, name: Path, nameless: Anonymiser) -> Regression:
    """Write both files from a raw capture that `nameless` has gone over."""
    profile = _without_names(profile, nameless)
    events = list(_read(read_capture(capture), profile))
    told = [record for record in records(events, profile) if record.direction != "internal"]
    made = Regression(profile=profile, count=len(told), calls=tuple(map(_plain, told)))
    packed, expected = files_of(name)
    packed.write_bytes(gzip.compress(b"".join(map(_as_sent, events)), mtime=0))
    expected.write_bytes(msgspec.json.format(msgspec.json.encode(made)) + b"\n")
    return made


def differences(name: Path) -> list[str]:
    """In what the calls of the capture are told otherwise than they are to be."""
    packed, expected = files_of(name)
    wanted = msgspec.json.decode(expected.read_bytes(), type=Regression)
    told = [record for record in records(read_capture(packed), wanted.profile) if record.direction != "internal"]
    found = [] if wanted.count in (None, len(told)) else [f"{len(told)} calls instead of {wanted.count}"]
    return found + [line for call in wanted.calls for line in _of_call(call, told)]


def _of_call(wanted: dict[str, Any], told: Sequence[CallRecord]) -> Iterator[str]:
    linkedid = wanted["linkedid"]
    call = next((_plain(record) for record in told if record.linkedid == linkedid), None)
    if call is None:
        yield f"{linkedid} is not told"
        return
    for field, value in wanted.items():
        if call.get(field) != value:
            yield f"{linkedid} {field}: {call.get(field)!r} instead of {value!r}"


def _plain(record: CallRecord) -> dict[str, Any]:
    """As JSON has it."""
    return msgspec.json.decode(msgspec.json.encode(record), type=dict[str, Any])


def _read(events: Iterable[Event], profile: PbxProfile) -> Iterator[Event]:
    """The events that the tracker reads: the rest may say much about a company, and nothing about its calls."""
    narrowed = relevant_headers(profile)
    for event in events:
        name = event["Event"]
        headers = narrowed.get(name)
        if name in HANDLERS and (
            headers is None or any(event.get(header, "").startswith(values) for header, values in headers.items())
        ):
            yield event


def _as_sent(event: Event) -> bytes:
    lines = [f"{REPEATED.sub('', header)}: {value}\r\n" for header, value in event.items()]
    return "".join([*lines, "\r\n"]).encode()


def _without_names(profile: PbxProfile, nameless: Anonymiser) -> PbxProfile:
    """A trunk may be called after its number, which the capture has in another form now."""

    def changed(text: str) -> str:
        return nameless.text(f"Channel: {text}".encode()).removeprefix(b"Channel: ").decode()

    bare = {field: getattr(profile, field) for field in PbxProfile.__struct_fields__}  # a PbxConfig has secrets
    return PbxProfile(**bare | {key: tuple(map(changed, bare[key])) for key in ("trunks", "peers")})
