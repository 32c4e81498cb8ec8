"""What the CEL file and its rotated elders hold since a time: found by halves, whatever rotation did meanwhile.

No position is kept: rows stand in the order of their times, so the time up to which calls are proven says where to
begin, in whichever file that is by now. Knows files; knows no calls.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from callrouter.cel.files import CHUNK, family, opened
from callrouter.cel.rows import START, CelReader, ForeignCel, Row, parse

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
        return self._reader.complaint

    def __iter__(self) -> Iterator[Row]:
        """Raises ForeignCel and CelUnreadable."""
        try:
            yield from self._read(self._opened())
        except FileNotFoundError as error:
            raise CelUnreadable(str(error)) from None
        except PermissionError as error:
            raise CelUnreadable(f"{error.filename} may not be read by this user (group asterisk?)") from None
        except OSError as error:
            raise CelUnreadable(f"{self.path} cannot be read: {error}") from None

    def _read(self, files: list[tuple[Path, IO[bytes]]]) -> Iterator[Row]:
        try:
            for number, (path, file) in enumerate(files):
                for row in self._rows(path, file, is_last=number == len(files) - 1):
                    if self.covers_from is None:
                        self.covers_from = row.at
                    yield row
        finally:
            for _, file in files:
                file.close()

    def _opened(self) -> list[tuple[Path, IO[bytes]]]:
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

    def _wanted(self, files: list[tuple[Path, IO[bytes]]]) -> list[tuple[Path, IO[bytes]]]:
        """Without those that ended before the time, and without a copy whose original has not been truncated yet."""
        if not files:
            raise FileNotFoundError(
                f"there is no {self.path}: include cel_callrouter.conf and cel_custom_callrouter.conf, "
                "load cel_custom.so, and let callrouter read the file"
            )
        live = files[-1][1].peek(NEAR)[:NEAR] if hasattr(files[-1][1], "peek") else b""
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

    def _rows(self, path: Path, file: IO[bytes], *, is_last: bool) -> Iterator[Row]:
        first = file.readline(CHUNK)
        if first.endswith(b"\n"):
            self._check(path, first)
        file.seek(0)
        if path.suffix != ".gz":
            file.seek(_begin(file, self._since))
        for chunk in self._chunks(path, file):
            for row in self._reader.feed(chunk):
                if row.at >= self._since:
                    yield row
        if not is_last:
            yield from self._reader.finish()
        elif path.suffix != ".gz" and os.fstat(file.fileno()).st_size < file.tell():
            raise CelUnreadable(f"{self.path} was truncated while it was read; once more")

    def _chunks(self, path: Path, file: IO[bytes]) -> Iterator[bytes]:
        try:
            while chunk := file.read(CHUNK):
                yield chunk
        except (EOFError, zlib.error) as error:  # a .gz that was cut
            self._reader.refused += 1
            self._reader.complaint = f"{path}: {error}"

    @staticmethod
    def _check(path: Path, first: bytes) -> None:
        if first.count(b'"') % 2:
            return  # goes on in the next line
        try:
            parse(first.decode("utf-8", "backslashreplace").rstrip("\r\n"))
        except ForeignCel as error:
            raise ForeignCel(f"{path}, line 1: {error}") from None


def _begin(file: IO[bytes], since: float) -> int:
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


def _row_after(file: IO[bytes], offset: int, end: int) -> tuple[int, float] | None:
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
