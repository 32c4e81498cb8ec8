"""The journal's files: how records are framed in a segment, and how the whole ones are found again after any damage.

Knows bytes and files; knows neither appeals nor who reads them.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

MAGIC = b"CRJ1"
HEADER = struct.Struct("<4sII")  # magic, length of the payload, CRC-32 of the payload
LARGEST_RECORD = 16 << 20
SUFFIX = ".seg"


class Position(NamedTuple):
    """A place in the journal: of its segments by their numbers, so many bytes into one."""

    segment: int
    offset: int


def frame(payload: bytes) -> bytes:
    """`payload` as it stands in a segment."""
    if len(payload) > LARGEST_RECORD:
        raise ValueError(f"a record of {len(payload)} bytes is over the journal's limit of {LARGEST_RECORD}")
    return HEADER.pack(MAGIC, len(payload), zlib.crc32(payload)) + payload


class Scan(NamedTuple):
    """What a stretch of a segment holds: payloads with the offsets at which they end, and how much was unreadable."""

    records: list[tuple[bytes, int]]
    end: int
    damaged: int


def scan(data: bytes, *, limit: int, is_tail: bool) -> Scan:
    """Find up to `limit` records. `is_tail`: nothing will follow `data`, so a cut record is damage."""
    records: list[tuple[bytes, int]] = []
    at = damaged = 0
    while at < len(data) and len(records) < limit:
        length = _payload_length(data, at)
        end = at + HEADER.size + (length or 0)
        if length is not None and end > len(data) and not is_tail:
            break
        payload = data[at + HEADER.size : end]
        if length is not None and end <= len(data) and zlib.crc32(payload) == HEADER.unpack_from(data, at)[2]:
            records.append((payload, end))
            at = end
            continue
        resume = _next_magic(data, at + 1, is_tail=is_tail)
        damaged += resume - at
        at = resume
    return Scan(records, at, damaged)


def _payload_length(data: bytes, at: int) -> int | None:
    """The length that the header at `at` gives; 0 while the header is cut off; None if it is no header."""
    if len(data) - at < HEADER.size:
        return 0 if MAGIC.startswith(data[at : at + len(MAGIC)]) or data.startswith(MAGIC, at) else None
    magic, length, _crc = HEADER.unpack_from(data, at)
    return length if magic == MAGIC and length <= LARGEST_RECORD else None


def _next_magic(data: bytes, start: int, *, is_tail: bool) -> int:
    found = data.find(MAGIC, start)
    if found >= 0:
        return found
    return len(data) if is_tail else max(start, len(data) - len(MAGIC) + 1)


class SegmentWriter:
    """One segment being written. After a failed append the segment is given up: the caller goes on in a new one."""

    def __init__(self, folder: Path, number: int) -> None:
        self.number = number
        self.size = 0
        self._descriptor = os.open(segment_path(folder, number), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        sync_folder(folder)

    def append(self, data: bytes) -> None:
        """Write `data` and return when it is on disk. Raises OSError with the segment cut back to what was durable."""
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]
            os.fdatasync(self._descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(data)

    def close(self) -> None:
        os.close(self._descriptor)


def segment_path(folder: Path, number: int) -> Path:
    return folder / f"{number:012}{SUFFIX}"


def segment_sizes(folder: Path) -> dict[int, int]:
    """The segments in `folder`, oldest first, with their sizes."""
    paths = (path for path in folder.glob(f"*{SUFFIX}") if path.stem.isdigit())
    return dict(sorted((int(path.stem), path.stat().st_size) for path in paths))


def read_stretch(folder: Path, number: int, start: int, length: int) -> bytes:
    with segment_path(folder, number).open("rb") as file:
        file.seek(start)
        return file.read(length)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries themselves durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append_line(path: Path, line: bytes) -> None:
    """Durably."""
    with path.open("ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
