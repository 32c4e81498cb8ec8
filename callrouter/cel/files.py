"""The CEL file on disk, and the files that rotation made of it. Knows names and bytes; what a row says is `rows`'."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import cast

from callrouter.cel.rows import CelReader, ForeignCel, Row

CHUNK = 256 << 10
DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)
"""What reading a .gz raises that is none, or is still being written, or was cut."""
_ROTATED = re.compile(r"[.-]\d+(\.gz)?|\.old(\.gz)?|\.gz")
"""What logrotate and `module reload` append: `.1`, `.2.gz`, `-20261122`, `-20261122-1795297343.gz`."""


def rows_of(path: Path, reader: CelReader | None = None) -> Iterator[Row]:
    """The rows of a file (`.gz` too) in their order. Raises ForeignCel, which names file and line, and OSError."""
    reader = reader or CelReader()
    try:
        with opened(path) as file:
            for chunk in chunks(file):
                yield from reader.feed(chunk)
        yield from reader.finish()
    except ForeignCel as error:
        raise ForeignCel(f"{path}, {error}") from None
    except DAMAGED as error:
        raise ForeignCel(f"{path}: the packed file is damaged or was cut off ({error}); pack it anew") from None


def opened(path: Path) -> BufferedReader:
    return cast("BufferedReader", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def chunks(file: BufferedReader) -> Iterator[bytes]:
    """All of it; of a packed file that is damaged what can be had, before it is told."""
    while chunk := file.read1(CHUNK):
        yield chunk


def family(path: Path) -> list[Path]:
    """The file and what was rotated away from it, oldest first; without it, what there is."""
    found = [
        each for each in path.parent.glob(f"{glob_escaped(path.name)}*")
        if each.is_file() and _is_relative(each.name.removeprefix(path.name))
    ]  # fmt: skip
    return sorted(found, key=lambda each: (each == path, each.stat().st_mtime, each.name))


def rows_of_all(paths: Iterable[Path], reader: CelReader) -> Iterator[Row]:
    """The rows of several files as if they were one."""
    for path in paths:
        yield from rows_of(path, reader)


def glob_escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _is_relative(rest: str) -> bool:
    return not rest or all(_ROTATED.fullmatch(part) for part in _parts(rest))


def _parts(rest: str) -> list[str]:
    return re.findall(r"[.-][^.-]+", rest) if re.fullmatch(r"([.-][^.-]+)+", rest) else [rest]
