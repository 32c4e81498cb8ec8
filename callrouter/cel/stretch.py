"""What the CEL file and its rotated elders hold since a time: found by halves, whatever rotation did meanwhile.

No position is kept: rows stand in the order of their times, so the time up to which calls are proven says where to
begin, in whichever file that is by now. Knows files; knows no calls.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from callrouter.cel.files import CHUNK, DAMAGED, chunks, family, opened
from callrouter.cel.rows import START, CelReader, ForeignCel, Row, parse, shown

NEAR = 64 << 10
"""Bytes within which the beginning is looked for line by line."""
TRIES = 5


class CelUnreadable(Exception):
    """The files are not there or cannot be read; the text says the mend."""


class Stretch:
    """Iterate it once. A damaged line is skipped and counted; a file of another dialect is refused by its first."""

    def __init__(self, path: Path, since: float) -> None:
        self.path = path
        self._since = since
        self._reader = CelReader(strict=False)
        self._complaint = ""
        self.covers_from: float | None = None
        """Time of the first row read; None if there was none."""

    @property
    def rows(self) -> int:
        return self._reader.rows

    @property
    def refused(self) -> int:
        return self._reader.refused

    @property
    def complaint(self) -> str:
        """The latest refusal."""
        return self._complaint

    def __iter__(self) -> Iterator[Row]:
        """Raises ForeignCel and CelUnreadable."""
        try:
            yield from self._read(self._opened())
        except FileNotFoundError as error:
            raise CelUnreadable(str(error)) from None
        except DAMAGED as error:
            raise CelUnreadable(f"a packed file beside {self.path} is damaged: {error}") from None
        except PermissionError as error:
            raise CelUnreadable(f"{error.filename} may not be read by this user (group asterisk?)") from None
        except OSError as error:
            raise CelUnreadable(f"{self.path} cannot be read: {error}") from None

    def _read(self, files: list[tuple[Path, BufferedReader]]) -> Iterator[Row]:
        try:
            for number, (path, file) in enumerate(files):
                for row in self._rows(path, file, is_last=number == len(files) - 1):
                    if self.covers_from is None:
                        self.covers_from = row.at
                    yield row
        finally:
            for _, file in files:
                file.close()

    def _opened(self) -> list[tuple[Path, BufferedReader]]:
        """All open at once: whatever is renamed from now on, each is read once."""
        for _ in range(TRIES):
            names = family(self.path)
            before = [_identity(path) for path in names]
            files = []
            for path in names:
                try:
                    files.append((path, opened(path)))
                except FileNotFoundError:
                    break
            if len(files) == len(names) and before == [_identity(path) for path in family(self.path)]:
                return self._wanted(files)
            for _, file in files:
                file.close()
        raise CelUnreadable(f"{self.path} is being rotated again and again; once more, later")

    def _wanted(self, files: list[tuple[Path, BufferedReader]]) -> list[tuple[Path, BufferedReader]]:
        """Without those that ended before the time, and without a copy whose original has not been truncated yet."""
        if not files:
            raise FileNotFoundError(
                f"there is no {self.path}: include cel_callrouter.conf and cel_custom_callrouter.conf, "
                "load cel_custom.so, and let callrouter read the file"
            )
        live = files[-1][1].peek(NEAR)[:NEAR]
        wanted = []
        for path, file in files:
            is_live = path == self.path
            copied = not is_live and bool(live) and file.read(len(live)) == live
            file.seek(0)
            if is_live or (path.stat().st_mtime >= self._since and not copied):
                wanted.append((path, file))
            else:
                file.close()
        return wanted

    def _rows(self, path: Path, file: BufferedReader, *, is_last: bool) -> Iterator[Row]:
        first = file.readline(CHUNK)
        if first.endswith(b"\n"):
            self._check(path, first)
        begin = 0 if path.suffix == ".gz" else _begin(file, self._since)
        file.seek(begin)
        refused = self._reader.refused
        try:
            for chunk in self._chunks(path, file):
                for row in self._reader.feed(chunk):
                    if row.at >= self._since:
                        yield row
            if not is_last:
                yield from self._reader.finish()
        except ForeignCel as error:
            raise ForeignCel(f"{path}, line {_line_of(file, begin) + error.line}: {error.complaint}") from None
        if self._reader.refused > refused and not self._complaint.startswith(f"{path}: "):
            line = _line_of(file, begin) + self._reader.complaint_line
            self._complaint = f"{path}, line {line}: {self._reader.complaint}"
        if is_last and path.suffix != ".gz" and os.fstat(file.fileno()).st_size < file.tell():
            raise CelUnreadable(f"{self.path} was truncated while it was read; once more")

    def _chunks(self, path: Path, file: BufferedReader) -> Iterator[bytes]:
        try:
            yield from chunks(file)
        except DAMAGED as error:
            self._reader.refused += 1
            self._complaint = f"{path}: {error}"

    @staticmethod
    def _check(path: Path, first: bytes) -> None:
        if first.count(b'"') % 2:
            return  # goes on in the next line
        try:
            parse(shown(first.decode("utf-8", "surrogateescape").rstrip("\r\n")))
        except ForeignCel as error:
            raise ForeignCel(f"{path}, line 1: {error}") from None


def _begin(file: BufferedReader, since: float) -> int:
    """Offset of a row not later than the first of that time, and hardly earlier."""
    low, high = 0, file.seek(0, os.SEEK_END)
    while high - low > NEAR:
        middle = (low + high) // 2
        found = _row_after(file, middle, high)
        if found is None or found[1] >= since:
            high = middle
        else:
            low = found[0]
    return low


def _line_of(file: BufferedReader, offset: int) -> int:
    """How many lines end before this offset."""
    if not offset:
        return 0
    at = file.tell()
    file.seek(0)
    lines, left = 0, offset
    while left and (chunk := file.read(min(CHUNK, left))):
        lines += chunk.count(b"\n")
        left -= len(chunk)
    file.seek(at)
    return lines


def _row_after(file: BufferedReader, offset: int, end: int) -> tuple[int, float] | None:
    """Where the next row begins, and its time."""
    file.seek(offset)
    file.readline()
    while (at := file.tell()) < end:
        line = file.readline(CHUNK).decode("utf-8", "replace")
        if START.match(line):
            return at, float(line.split('"')[3])
    return None


def _identity(path: Path) -> tuple[str, int]:
    try:
        return path.name, path.stat().st_ino
    except FileNotFoundError:
        return path.name, 0
