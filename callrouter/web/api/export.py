"""/api/v1/appeals/export and /clients/{id}/export: the journal, and all that is known of a client, as files."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from callrouter.journal import clients, exporting, formats, listing, row
from callrouter.people import audit
from callrouter.people.model import Caller
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.changes import Id
from callrouter.web.api.clients import unknown_client
from callrouter.web.api.files import Bom, Files, FormatAsked, SeparatorAsked, Shape, as_file, begun, described
from callrouter.web.api.filtered import Asking, OfAppeals, fitting
from callrouter.web.api.journal import AccountAsked, Fields, fields_in

OWN = ("account", "fields", "format", "bom", "separator")


def export_handlers(access: Access, asking: Asking, files: Files) -> list[HTTPRouteHandler]:
    @get(
        "/appeals/export", responses=described("The rows"), operation_class=OfAppeals, summary="The journal as a file",
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
        name = f"appeals-{asking.clock.now().astimezone(clock.zone):%Y-%m-%d}"
        shape = Shape(file_format, names, clock.zone, name, bom=bom, separator=separator)
        return await files.answer(exporting.batches(_reader(asking, caller), asked), shape)

    return [export, _of_client(access, asking)]


def _of_client(access: Access, asking: Asking) -> HTTPRouteHandler:
    @get(
        "/clients/{client:int}/export", summary="All that is known of a client",
        responses=described("JSON lines: the card, then his doings", formats.MEDIA_TYPES["jsonl"]),
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
            await begun(lines()), media_type=formats.MEDIA_TYPES["jsonl"], headers=as_file(f"client-{client}.jsonl")
        )

    return export_client


def _reader(asking: Asking, caller: Caller) -> exporting.ReadPage:
    async def read(asked: listing.Asked) -> listing.Page:
        async with asking.of(caller, asked.account) as (conn, _):
            return await listing.read_page(conn, asked)

    return read
