"""The local journal: appeals are durable on this machine's disk before a call is forgotten, whatever Postgres does.

Append-only segments, written by one thread that makes many records durable with one fsync, so that the event loop never
waits for the disk. A cursor says what is published; published segments are deleted. Knows nothing of Postgres.

The cursor is not fsynced: losing it repeats publishing, which is idempotent. One process at a time may hold a folder.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import dropwhile, islice
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from callrouter.appeals import metrics
from callrouter.appeals.encoding import framed
from callrouter.appeals.kept import KEPT_SECONDS, Kept
from callrouter.appeals.model import Appeal, decode_appeal
from callrouter.appeals.segments import (
    LARGEST_RECORD,
    Position,
    SegmentWriter,
    append_line,
    read_stretch,
    scan,
    segment_path,
    segment_sizes,
)

log = structlog.get_logger()

SEGMENT_BYTES = 16 << 20
STRETCH_BYTES = 1 << 20
WAITING_LIMIT = 100_000
RECORDS_BETWEEN_BREATHS = 50
RECENT_LIMIT = 10_000
"""Records kept in memory for the publisher; those before them it reads from disk."""
FIRST_RETRY_SECONDS = 0.05
LAST_RETRY_SECONDS = 5.0
LOG_EVERY_SECONDS = 60.0
DEAD_LETTERS = "dead-letters.jsonl"


class JournalError(RuntimeError):
    """The journal cannot take a record; the message says why and what to do."""


class JournalLocked(JournalError):
    """Another process holds the folder."""


class JournalFull(JournalError):
    """The disk has refused writes for so long that the memory bound is reached."""


class Entry(NamedTuple):
    """A journalled record; `appeal` is None when its bytes are whole but are no appeal that this version knows."""

    appeal: Appeal | None
    payload: bytes
    end: Position


class _Waiting(NamedTuple):
    appeal: Appeal
    data: bytes
    durable: asyncio.Future[None]


class Journal:
    """`await append(appeal)` returns when the appeal is on disk. Made inside a running event loop."""

    def __init__(
        self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES, waiting_limit: int = WAITING_LIMIT,
        kept_seconds: float = KEPT_SECONDS,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.failure = ""
        """Why writing fails at this moment; empty: it does not."""
        self._segment_bytes = segment_bytes
        self._waiting_limit = waiting_limit
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it names callers
        self._lock_descriptor = _lock(folder)
        self._sizes = segment_sizes(folder)
        """Readable bytes of each segment: what is durable, for the one being written."""
        saved = _saved_cursor(folder)
        self._next_segment = max(saved.segment, *self._sizes, 0) + 1
        self._writer: SegmentWriter | None = None
        self._cursor = self._start_of_backlog(saved)
        self._kept = Kept(kept_seconds)
        self._damage_told = Position(0, 0)
        self._waiting: list[_Waiting] = []
        self._held = 0
        self._recent: deque[Entry] = deque()
        self._recent_from = self._cursor
        """Nothing is on disk between this position and the first of the recent records."""
        self._wake = threading.Condition()
        self._closing = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._logged_at = 0.0
        metrics.journal_bytes.set_function(self.backlog_bytes)
        self._thread = threading.Thread(target=self._write_until_closed, name="journal", daemon=True)
        self._thread.start()

    # Writing

    async def append(self, appeal: Appeal) -> None:
        """Return when `appeal` is durable. While the disk refuses, wait; beyond the memory bound raise JournalFull."""
        waiting = _Waiting(*framed(appeal), self._loop.create_future())
        with self._wake:
            if self._closing.is_set():
                raise JournalError("the journal is closed")
            if self._held >= self._waiting_limit:
                raise JournalFull(f"{self._held} appeals wait for the disk of {self.folder}: {self.failure}")
            self._held += 1
            self._waiting.append(waiting)
            self._wake.notify()
        await waiting.durable

    def close(self) -> None:
        """Make durable what waits (one attempt if the disk refuses), and let go of the folder."""
        with self._wake:
            self._closing.set()
            self._wake.notify()
        self._thread.join()
        os.close(self._lock_descriptor)

    def _write_until_closed(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._closing.is_set():
                    self._wake.wait()
                batch, self._waiting = self._waiting, []
            if not batch:
                break
            outcome = self._write_patiently(b"".join(waiting.data for waiting in batch))
            with self._wake:
                self._held -= len(batch)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._tell, batch, outcome)
        if self._writer:
            self._writer.close()

    def _write_patiently(self, data: bytes) -> Position | JournalError:
        """Where `data` now stands durably, or why it does not."""
        pause = FIRST_RETRY_SECONDS
        while True:
            try:
                start = self._write(data)
            except OSError as error:
                self._note_failure(error)
                if self._closing.wait(pause):
                    return JournalError(f"not written to {self.folder} before the end: {error}")
                pause = min(pause * 2, LAST_RETRY_SECONDS)
            else:
                if self.failure:
                    log.info("JOURNAL-WRITES-AGAIN", folder=str(self.folder))
                    self.failure = ""
                return start

    def _write(self, data: bytes) -> Position:
        writer = self._writer
        if writer is None or writer.size >= self._segment_bytes:
            writer = self._start_segment()
        start = Position(writer.number, writer.size)
        writer.append(data)
        self._sizes[writer.number] = writer.size
        return start

    def _start_segment(self) -> SegmentWriter:
        if self._writer:
            self._writer.close()
            self._writer = None
        number, self._next_segment = self._next_segment, self._next_segment + 1
        self._writer = SegmentWriter(self.folder, number)
        self._sizes[number] = 0
        return self._writer

    def _note_failure(self, error: OSError) -> None:
        """After a failed fsync the kernel may have dropped the pages: what comes next goes to a fresh segment."""
        metrics.journal_write_failures.inc()
        self.failure = error.strerror or str(error)
        self._make_room()
        if self._writer:
            with contextlib.suppress(OSError):
                self._writer.close()
                if not self._writer.size:  # or an hour without room would leave hundreds of empty files
                    self._delete(self._writer.number)
            self._writer = None
        if time.monotonic() - self._logged_at > LOG_EVERY_SECONDS:
            self._logged_at = time.monotonic()
            log.error("JOURNAL-WRITE-FAILED", folder=str(self.folder), reason=self.failure, waiting=self._held)

    def _tell(self, batch: list[_Waiting], outcome: Position | JournalError) -> None:
        if isinstance(outcome, Position):
            self._remember(batch, outcome)
            metrics.journalled.inc(len(batch))
        for waiting in batch:
            if waiting.durable.done():
                continue
            if isinstance(outcome, JournalError):
                waiting.durable.set_exception(outcome)
            else:
                waiting.durable.set_result(None)
        self._arrived.set()

    def _remember(self, batch: list[_Waiting], start: Position) -> None:
        """Keep what was just written for the reader, who then need not fetch it from disk."""
        if not self._recent:
            self._recent_from = start
        end = start.offset
        for waiting in batch:
            end += len(waiting.data)
            if len(self._recent) >= RECENT_LIMIT:
                self._recent_from = self._recent.popleft().end
            self._recent.append(Entry(waiting.appeal, b"", Position(start.segment, end)))

    # Reading

    @property
    def cursor(self) -> Position:
        """Everything before it is published."""
        return self._cursor

    def backlog_bytes(self) -> int:
        """Bytes that are durable here and not yet published."""
        sizes = dict(self._sizes)
        later = sum(size for number, size in sizes.items() if number > self._cursor.segment)
        return later + max(0, sizes.get(self._cursor.segment, 0) - self._cursor.offset)

    async def wait(self, seconds: float) -> None:
        """Return when something was appended since the last wait, or after `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        self._arrived.clear()

    def wake(self) -> None:
        """Let `wait` return at once."""
        self._arrived.set()

    async def read(self, limit: int, after: Position | None = None) -> list[Entry]:
        """Up to `limit` records after the cursor (or `after`), oldest first. Moves the cursor over damage at most."""
        start = after or self._cursor
        if self._recent and start >= self._recent_from:
            later = dropwhile(lambda entry: entry.end <= start, self._recent)
            return list(islice(later, limit))
        records = await asyncio.to_thread(self._read, limit, after)
        entries = []
        # Decoded here and not in that thread: a thread that computes makes the event loop wait for 5 ms at each turn.
        for at in range(0, len(records), RECORDS_BETWEEN_BREATHS):
            entries += [_entry(*record) for record in records[at : at + RECORDS_BETWEEN_BREATHS]]
            await asyncio.sleep(0)
        return entries

    def _read(self, limit: int, after: Position | None) -> list[tuple[bytes, Position]]:
        sizes = dict(sorted(dict(self._sizes).items()))
        records = list(self._records(sizes, after or self._cursor, limit))
        if not records and not after and sizes and (end := Position(*list(sizes.items())[-1])) > self._cursor:
            self._move_cursor(end)
        return records

    def _records(self, sizes: dict[int, int], start: Position, left: int) -> Iterator[tuple[bytes, Position]]:
        for number, size in sizes.items():
            if number < start.segment or not left:
                continue
            offset = start.offset if number == start.segment else 0
            while offset < size and left:
                found = self._scan(number, offset, size, left)
                left -= len(found)
                yield from found
                offset = found[-1][1].offset if found else size

    def _scan(self, number: int, offset: int, size: int, limit: int) -> list[tuple[bytes, Position]]:
        """The records of a segment from `offset` on; a stretch is read, or more of it if that held no whole record."""
        length = STRETCH_BYTES
        while True:
            data = read_stretch(self.folder, number, offset, min(length, size - offset))
            result = scan(data, limit=limit, is_tail=offset + len(data) >= size)
            if result.records or length >= size - offset or length > 2 * LARGEST_RECORD:
                break
            length *= 4
        if result.damaged and Position(number, offset + result.end) > self._damage_told:
            self._damage_told = Position(number, offset + result.end)
            metrics.journal_damaged_bytes.inc(result.damaged)
            log.warning("JOURNAL-DAMAGED", segment=number, offset=offset, bytes=result.damaged)
        return [(payload, Position(number, offset + end)) for payload, end in result.records]

    async def published(self, end: Position) -> None:
        """Everything before `end` is published: move the cursor, and delete segments published long before."""
        while self._recent and self._recent[0].end <= end:
            self._recent_from = self._recent.popleft().end
        self._kept.note(self._cursor)
        await asyncio.to_thread(self._move_cursor, end)

    def rewind(self) -> None:
        """Let what was published in the last quarter of an hour be published again."""
        start = self._kept.start()
        if start is not None:
            self._cursor = min(self._cursor, start)
            self._kept.clear()
            self.wake()

    def _move_cursor(self, end: Position) -> None:
        with contextlib.suppress(OSError):  # on a full disk room comes from what is deleted here
            temporary = self.folder / "cursor.new"
            temporary.write_bytes(msgspec.json.encode(end))
            temporary.replace(self.folder / "cursor")
        self._cursor = end
        if self.failure:
            self._make_room()
        start = self._kept.start()
        self._delete_published(before=end.segment + 1 if start is None else start.segment)

    def _make_room(self) -> None:
        """A disk that is full is not for keeping what is published."""
        self._kept.clear()
        self._delete_published(before=self._cursor.segment + 1)

    def _delete_published(self, *, before: int) -> None:
        cursor, writer = self._cursor, self._writer
        for number, size in dict(self._sizes).items():
            published = number < cursor.segment or (number == cursor.segment and size <= cursor.offset)
            if published and number < before and (writer is None or writer.number != number):
                self._delete(number)

    def _delete(self, number: int) -> None:
        segment_path(self.folder, number).unlink(missing_ok=True)
        self._sizes.pop(number, None)

    def _start_of_backlog(self, saved: Position) -> Position:
        if saved.segment not in self._sizes:
            return Position(min(self._sizes, default=self._next_segment), 0)
        return saved if saved.offset <= self._sizes[saved.segment] else Position(saved.segment, 0)

    async def set_aside(self, entry: Entry, reason: str) -> None:
        """Keep a record that cannot be published in a file of its own, durably, for a person to look at."""
        line = {
            "at": datetime.now(UTC),
            "reason": reason,
            "appeal": entry.appeal,
            "record": None if entry.appeal else base64.b64encode(entry.payload).decode(),
        }
        await asyncio.to_thread(append_line, self.folder / DEAD_LETTERS, msgspec.json.encode(line) + b"\n")
        metrics.dead_letters.inc()


def _entry(payload: bytes, end: Position) -> Entry:
    try:
        return Entry(decode_appeal(payload), payload, end)
    except msgspec.DecodeError:
        return Entry(None, payload, end)


def _saved_cursor(folder: Path) -> Position:
    try:
        return msgspec.json.decode((folder / "cursor").read_bytes(), type=Position)
    except (FileNotFoundError, msgspec.DecodeError):
        return Position(0, 0)


def has_backlog(folder: Path) -> bool:
    """Whether something is not published there, as far as can be told without holding it."""
    try:
        sizes = segment_sizes(folder)
    except FileNotFoundError:
        return False  # who holds it has just deleted what is published
    last = max(sizes, default=0)
    return bool(sizes) and _saved_cursor(folder) < Position(last, sizes[last])


def _lock(folder: Path) -> int:
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise JournalLocked(
            f"the journal {folder} is in use by process {owner}: stop that one, or give this router a folder of its own"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor
