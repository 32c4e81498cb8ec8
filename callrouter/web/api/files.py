"""Rows as files that are downloaded, in constant memory: page by page, a few at a time in a process."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from litestar.response import Stream

from callrouter.journal import formats
from callrouter.journal.formats import FileFormat, Separator
from callrouter.web.api import examples
from callrouter.web.problem import Refusal

AT_ONCE = 2
"""Exports of one process: each keeps a connection busy."""
CHUNK = 64 * 1024
OF_ITS_FORMAT = "application/octet-stream"
"""Stands in descriptions for the types of the formats that a handler takes (`routes` puts them there)."""
FormatAsked = Annotated[FileFormat, QueryParameter(name="format", description="jsonl, csv or xlsx.")]
Bom = Annotated[bool, QueryParameter(description="CSV: begin with a byte order mark, for Excel.")]
SeparatorAsked = Annotated[Separator, QueryParameter(description="CSV: comma, semicolon or tab.")]
Batches = AsyncIterator[Sequence[msgspec.Struct]]


class Shape(NamedTuple):
    """How the file shall be."""

    file_format: FileFormat
    fields: tuple[str, ...]
    zone: ZoneInfo
    name: str
    """Without its ending."""
    bom: bool = False
    separator: Separator = "comma"
    cell: Callable[[msgspec.Struct, str], object] = getattr
    """What stands in a column of a row, in CSV and XLSX."""


class Files:
    """One per web process."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(AT_ONCE)

    async def answer(self, rows: Batches, shape: Shape) -> Stream:
        """What is refused is refused before an answer begins. Raises Refusal 503 if too many are under way."""
        content = _workbook(rows, shape) if shape.file_format == "xlsx" else _text(rows, shape)
        return Stream(
            await begun(self._in_turn(content)), media_type=formats.MEDIA_TYPES[shape.file_format],
            headers=as_file(f"{shape.name}.{shape.file_format}"),
        )  # fmt: skip

    async def _in_turn(self, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        if self._room.locked():
            raise Refusal(503, "busy", "Other exports are running", "Try again in a while.", retry_s=30)
        async with self._room:
            async for part in content:
                yield part


async def begun(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same, its first part made already: what is refused is refused before an answer begins."""
    first = await anext(content, b"")

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for part in content:
            yield part

    return whole()


def as_file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}


def described(description: str, media_type: str = OF_ITS_FORMAT) -> dict[int, ResponseSpec]:
    found = ResponseSpec(bytes, generate_examples=False, description=description, media_type=media_type)
    return examples.of(bytes, {}) | {200: found}


async def _text(rows: Batches, shape: Shape) -> AsyncIterator[bytes]:
    if shape.file_format == "jsonl":
        async for batch in rows:
            yield await asyncio.to_thread(formats.jsonl, batch)
        return
    table = formats.Csv(shape.fields, shape.zone, separator=shape.separator, bom=shape.bom)
    yield table.header()
    async for batch in rows:
        yield await asyncio.to_thread(lambda rows: table.values(_cells(rows, shape)), batch)


async def _workbook(rows: Batches, shape: Shape) -> AsyncIterator[bytes]:
    """Written to a file first: a workbook's directory stands at its end."""
    with tempfile.TemporaryDirectory(prefix="callrouter-export-") as folder:
        path = Path(folder) / "rows.xlsx"
        book = formats.Xlsx(path, shape.fields, shape.zone)
        async for batch in rows:
            await asyncio.to_thread(lambda rows: book.values(_cells(rows, shape)), batch)
        await asyncio.to_thread(book.close)
        with path.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK):
                yield chunk


def _cells(batch: Sequence[msgspec.Struct], shape: Shape) -> list[list[object]]:
    return [[shape.cell(row, name) for name in shape.fields] for row in batch]
