"""Inputs: real streams and the kept corpus as seeds, and what chance makes of them."""

from __future__ import annotations

import gzip
import hashlib
import random
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from tests.fuzz.readers import READERS
from tests.unit.calls.captures import FOLDER, SHAPES, raw

CORPUS = Path(__file__).parent / "corpus"
CUT = b"\x35"
"""The first byte of a seed: in pieces of so many bytes."""
LONGEST = 8_000
"""Of an input; of a longer seed only so much is taken, from anywhere in it."""
SHARE = 12
PATIENCE = 5.0
"""On a busy machine inputs are tried for so many times the seconds at most."""
TOKENS: dict[str, tuple[bytes, ...]] = {
    "ami": (
        b"\r\n", b"\n\n", b"\r\n\r\n", b"Event: ", b"Response: Success\r\n", b"Uniqueid: ", b"Linkedid: ", b"\0", b": ",
        b"Timestamp: nan\r\n", b"Timestamp: -1e400\r\n", b"ChannelState: 6\r\n", b"Event: Shutdown\r\n\r\n",
        b"Event: FullyBooted\r\n\r\n", b"Event: CoreShowChannelsComplete\r\n\r\n", b"99999999999999999999", b"\xff\xfe",
    ),
    "agi": (
        b"\n", b"\r\n", b"200 result=1", b"520-", b"520 End", b"HANGUP\n", b"100 Trying\n", b"agi_network_script: ",
        b"agi_callerid: ", b"?pbx=", b"%00", b"\xd9\xa1", b"\"$(,;", b"\0", b"agi_arg_1: ", b"unknown",
    ),
    "ari": (
        b"null", b"[]", b"{}", b"1e999", b'"\\ud800"', b'"id":', b'"channel":', b'"type":"StasisStart"', b'"args":',
        b'"\\u0000"', b"[" * 90, b'{"a":', b"-0", b'"\\n"',
    ),
    "cel": (
        b'"', b'","', b'""', b"\r\n", b"\n", b";", b'"CHAN_START"', b'"LINKEDID_END"', b'"BRIDGE_ENTER"', b'"HANGUP"',
        b'"ATTENDEDTRANSFER"', b'"1795297343.000000"', b'"{}"', b'"{""bridge_id"":""x""}"', b"null", b"\0", b"\xff",
    ),
}  # fmt: skip


@cache
def seeds(reader: str) -> tuple[bytes, ...]:
    return (*(CUT + seed for seed in REAL[reader]()), *kept(reader).values())


def kept(reader: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((CORPUS / reader).iterdir())}


def _ami() -> list[bytes]:
    return [raw(name) for name in SHAPES if ".filtered." in name][::SHARE]


def _cel() -> list[bytes]:
    lines = gzip.decompress((FOLDER / "22-cel" / "both" / "calls.csv.gz").read_bytes()).splitlines(keepends=True)
    return [b"".join(lines[at : at + 60]) for at in range(0, len(lines), 60)]


REAL: dict[str, Callable[[], list[bytes]]] = {"ami": _ami, "agi": list, "ari": list, "cel": _cel}


def mutated(reader: str, chance: random.Random) -> bytes:
    """Some seed after some accidents: with its lines, its bytes, and with the tokens that mean something."""
    seed = chance.choice(seeds(reader))
    start = seed.find(b"\n", chance.randrange(1, len(seed))) if len(seed) > LONGEST else 0
    data = bytearray(bytes([chance.randrange(1, 256)]) + seed[start + 1 : start + LONGEST])
    for _ in range(chance.choice((1, 1, 2, 4, 9, 20))):
        chance.choice(ACCIDENTS)(data, reader, chance)
    return bytes(data[:LONGEST])


def _span(data: bytearray, chance: random.Random, longest: int = 400) -> slice:
    start = chance.randrange(1, len(data) + 1)
    return slice(start, min(len(data), start + chance.randrange(longest)))


def _drop(data: bytearray, _reader: str, chance: random.Random) -> None:
    del data[_span(data, chance)]


def _double(data: bytearray, _reader: str, chance: random.Random) -> None:
    span = _span(data, chance)
    data[span.stop : span.stop] = data[span]


def _move(data: bytearray, _reader: str, chance: random.Random) -> None:
    span = _span(data, chance, 2000)
    part = data[span]
    del data[span]
    at = chance.randrange(1, len(data) + 1)
    data[at:at] = part


def _flip(data: bytearray, _reader: str, chance: random.Random) -> None:
    if len(data) > 1:
        data[chance.randrange(1, len(data))] = chance.randrange(256)


def _token(data: bytearray, reader: str, chance: random.Random) -> None:
    span = _span(data, chance, 12)
    data[span] = chance.choice(TOKENS[reader])


def _line(data: bytearray, reader: str, chance: random.Random) -> None:
    """A line goes elsewhere, or one of another seed comes in."""
    lines = data[1:].splitlines(keepends=True)
    others = chance.choice(seeds(reader))[1:].splitlines(keepends=True)
    if lines and others:
        taken = lines.pop(chance.randrange(len(lines))) if chance.random() < 0.5 else bytearray(chance.choice(others))
        lines.insert(chance.randrange(len(lines) + 1), taken)
        data[1:] = b"".join(lines)


ACCIDENTS = (_drop, _double, _move, _flip, _token, _token, _line, _line, _line)


def tried(reader: str, seconds: float, chance: random.Random) -> int:
    """Try new inputs for so long (of CPU); how many. One with which a fault shows is kept, and the fault raised."""
    used, deadline, count = time.process_time() + seconds, time.monotonic() + PATIENCE * seconds, 0
    while time.process_time() < used and time.monotonic() < deadline:
        data = mutated(reader, chance)
        try:
            READERS[reader](data)
        except Exception:
            keep(reader, data)
            raise
        count += 1
    return count


def keep(reader: str, data: bytes) -> Path:
    path = CORPUS / reader / f"found-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path
