"""/api/v1/appeals/export and /clients/{id}/export: everything as a file, in constant memory."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from litestar.response import Stream

from callrouter.journal import clients, exporting, formats, listing, row
from callrouter.journal.formats import FileFormat, Separator
from callrouter.journal.row import AppealTold
from callrouter.people import audit
from callrouter.people.model import Caller
from callrouter.web.api import examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.changes import Id
from callrouter.web.api.clients import unknown_client
from callrouter.web.api.filtered import Asking, OfAppeals, fitting
from callrouter.web.api.journal import AccountAsked, Fields, fields_in
from callrouter.web.problem import Refusal

OWN = ("account", "fields", "format", "bom", "separator")
AT_ONCE = 2
"""Exports of one process: each keeps a connection busy."""
CHUNK = 64 * 1024
FormatAsked = Annotated[FileFormat, QueryParameter(name="format", description="jsonl, csv or xlsx.")]
Bom = Annotated[bool, QueryParameter(description="CSV: begin with a byte order mark, for Excel.")]
SeparatorAsked = Annotated[Separator, QueryParameter(description="CSV: comma, semicolon or tab.")]


def export_handlers(access: Access, asking: Asking) -> list[HTTPRouteHandler]:
    room = asyncio.Semaphore(AT_ONCE)

    @get(
        "/appeals/export", responses=_file("The rows"), operation_class=OfAppeals, summary="The journal as a file",
    )  # fmt: skip
    async def export(
        request: ApiRequest, *, account: AccountAsked = None, fields: Fields = None, file_format: FormatAsked = "csv",
        bom: Bom = False, separator: SeparatorAsked = "comma",
    ) -> Stream:  # fmt: skip
        """By the same filters as the journal, without a limit; all fields unless some are named. The earliest first.
        Texts that a spreadsheet would run as formulas are defused."""
        caller = await access.caller(request, "appeals:read")
        names = fitting(lambda: fields_in(fields), "bad-field", "There is no such field") if fields else row.FIELDS
        async with asking.changing(caller, account) as (conn, whose):
            filters, clock = await asking.filters(conn, whose, request, OWN)
            await audit.record(
                conn, whose, caller, "export", "appeals", format=file_format, query=request.url.query[:500]
            )
        asked = listing.Asked(account=whose, zone=clock.zone, filters=filters, fields=names, sort="started_at")
        rows = exporting.batches(_reader(asking, caller), asked)
        if file_format == "xlsx":
            content = _workbook(rows, asked)
        else:
            content = _text(rows, asked, formats.Csv(names, clock.zone, separator=separator, bom=bom)
                            if file_format == "csv" else None)  # fmt: skip
        name = f"appeals-{asking.clock.now().astimezone(clock.zone):%Y-%m-%d}.{file_format}"
        return Stream(
            await _begun(_in_turn(room, content)), media_type=formats.MEDIA_TYPES[file_format],
            headers=_as_file(name),
        )  # fmt: skip

    return [export, _of_client(access, asking)]


def _of_client(access: Access, asking: Asking) -> HTTPRouteHandler:
    @get(
        "/clients/{client:int}/export", responses=_file("JSON lines: the card, then his doings"),
        summary="All that is known of a client",
    )  # fmt: skip
    async def export_client(request: ApiRequest, client: Id, account: AccountAsked = None) -> Stream:
        """As the law on personal data has it: what he may ask for."""
        caller = await access.caller(request, "clients:read")
        async with asking.changing(caller, account) as (conn, whose):
            card = await clients.read_card(conn, whose, client)
            if card is None:
                raise unknown_client()
            await audit.record(conn, whose, caller, "client.export", client)

        async def lines() -> AsyncIterator[bytes]:
            yield msgspec.json.encode({"client": card}) + b"\n"
            async with asking.of(caller, whose) as (conn, _):
                async for each in exporting.whole_story(conn, whose, client):
                    yield msgspec.json.encode(each) + b"\n"

        return Stream(
            await _begun(lines()), media_type=formats.MEDIA_TYPES["jsonl"],
            headers=_as_file(f"client-{client}.jsonl"),
        )  # fmt: skip

    return export_client


def _as_file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}


def _file(description: str) -> dict[int, ResponseSpec]:
    found = ResponseSpec(bytes, generate_examples=False, description=description, media_type="application/octet-stream")
    return examples.of(bytes, {}) | {200: found}


def _reader(asking: Asking, caller: Caller) -> exporting.ReadPage:
    async def read(asked: listing.Asked) -> listing.Page:
        async with asking.of(caller, asked.account) as (conn, _):
            return await listing.read_page(conn, asked)

    return read


async def _text(
    rows: AsyncIterator[tuple[AppealTold, ...]], _asked: listing.Asked, table: formats.Csv | None
) -> AsyncIterator[bytes]:
    if table:
        yield table.header()
    async for batch in rows:
        yield await asyncio.to_thread(table.rows if table else formats.jsonl, batch)


async def _workbook(rows: AsyncIterator[tuple[AppealTold, ...]], asked: listing.Asked) -> AsyncIterator[bytes]:
    """Written to a file first: a workbook's directory stands at its end."""
    with tempfile.TemporaryDirectory(prefix="callrouter-export-") as folder:
        path = Path(folder) / "appeals.xlsx"
        book = formats.Xlsx(path, asked.fields, asked.zone)
        async for batch in rows:
            await asyncio.to_thread(book.rows, batch)
        await asyncio.to_thread(book.close)
        with path.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK):
                yield chunk


async def _in_turn(room: asyncio.Semaphore, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if room.locked():
        raise Refusal(503, "busy", "Other exports are running", "Try again in a while.", retry_s=30)
    async with room:
        async for part in content:
            yield part


async def _begun(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same, its first part made already: what is refused is refused before an answer begins."""
    first = await anext(content, b"")

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for part in content:
            yield part

    return whole()
