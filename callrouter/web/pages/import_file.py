"""/deals/import and /costs/import: a CSV file is sent, shown as it was understood, and imported whole or not at all."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple
from uuid import UUID

from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from callrouter.db.connect import Connection
from callrouter.people import audit
from callrouter.pool.inventory import Refused, Unknown
from callrouter.reports import costs, deals, money, uploads
from callrouter.reports.deal_import import put, settle
from callrouter.reports.previewing import preview_costs, preview_deals
from callrouter.reports.table_file import ENCODINGS, SEPARATORS, Layout, Table
from callrouter.reports.uploads import Kind, Upload
from callrouter.web.api.deals import by_caller
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.ground import Form, Ground, View
from callrouter.web.pages.import_words import COLUMNS, ENCODING_NAMES, SAMPLES, SEPARATOR_NAMES

LARGEST = 8 * 1024 * 1024
MOST_ROWS: dict[Kind, int] = {"deals": 2_000, "costs": 20_000}
"""What the page takes at once; the command line takes more."""
SAMPLE_ROWS = 8
SHOWN_FAULTS = 100
Upload_ = FromPath[UUID]


class Read(NamedTuple):
    """A file as it was understood, and what importing it would do."""

    upload: Upload
    table: Table[Any]
    preview: Any
    origin: str


def import_pages(ground: Ground, kind: Kind) -> list[HTTPRouteHandler]:
    here = f"/{kind}/import"
    scope = f"{kind}:write"

    @get(here)
    async def start(request: AnyRequest) -> Response[bytes]:
        return _start(await ground.open(request, scope), kind)  # type: ignore[arg-type]

    @post(here, request_max_body_size=LARGEST + 64 * 1024)
    async def send(request: AnyRequest) -> Response[bytes]:
        view, _ = await ground.write(request, scope)  # type: ignore[arg-type]
        try:
            upload = await _sent(request)
        except Refused as error:
            return _start(view, kind, trouble=view.refusal(error), status=422)
        async with ground.reading.changing(view.account) as conn:
            kept = await uploads.keep(conn, view.whose, view.person.user, kind, upload)
        return view.go(f"{here}/{kept}")

    @get(f"{here}/sample.csv")
    async def sample(request: AnyRequest) -> Response[bytes]:
        await ground.open(request, scope)  # type: ignore[arg-type]
        disposition = f'attachment; filename="{kind}.csv"'
        body = ("\ufeff" + SAMPLES[kind]).encode()
        return Response(body, media_type="text/csv", headers={"Content-Disposition": disposition})

    return [start, send, sample, *_confirming(ground, kind)]


def _confirming(ground: Ground, kind: Kind) -> list[HTTPRouteHandler]:
    here = f"/{kind}/import"
    scope: Any = f"{kind}:write"

    @get(f"{here}/{{upload:uuid}}")
    async def shown(request: AnyRequest, upload: Upload_) -> Response[bytes]:
        view = await ground.open(request, scope)
        async with ground.reading.as_account(view.account, snapshot=True) as conn:
            read = await _read(conn, view, kind, await uploads.read(conn, view.whose, kind, upload))
        return _preview(view, kind, read, upload)

    @post(f"{here}/{{upload:uuid}}", request_max_body_size=64 * 1024)
    async def confirm(request: AnyRequest, upload: Upload_) -> Response[bytes]:
        view, form = await ground.write(request, scope)
        try:
            await _import(ground, view, kind, upload, form)
        except Unknown:
            return _start(view, kind, gone=True, status=404)
        except Refused as error:
            async with ground.reading.as_account(view.account, snapshot=True) as conn:
                read = await _read(conn, view, kind, await uploads.read(conn, view.whose, kind, upload), form)
            return _preview(view, kind, read, upload, trouble=view.refusal(error), status=422)
        return view.go(f"/{kind}", note="imported")

    return [shown, confirm]


async def _sent(request: AnyRequest) -> Upload:
    file = (await request.form()).get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        raise Refused("choose a file first")
    content = await file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise Refused("the file is larger than {most} MB: split it, or import it by the command line", most=8)
    if not content.strip():
        raise Refused("the file is empty")
    return Upload(file.filename, content)


async def _import(ground: Ground, view: View, kind: Kind, upload: UUID, form: Form) -> None:
    """All rows, in one transaction, in which the file is taken too: a second confirmation finds none."""
    async with ground.reading.as_account(view.account, snapshot=True) as conn:
        read = await _read(conn, view, kind, await uploads.read(conn, view.whose, kind, upload), form)
    if read.preview.faults:
        raise Refused("the file has faults: nothing was imported")
    whose, rows, by = view.whose, read.table.rows, by_caller(view.caller)
    settled = await settle(lambda: ground.reading.changing(view.account), whose, rows) if kind == "deals" else []
    async with ground.reading.changing(view.account) as conn:
        taken = await uploads.take(conn, whose, kind, upload)
        if kind == "deals":
            await put(conn, whose, settled, by=f"{by} import {taken.name}"[:200])
            await audit.record(conn, whose, view.caller, "deal.change", taken.name, imported=len(rows))
        else:
            whole = bool(form.get("whole"))
            await costs.import_costs(conn, whose, read.origin, read.table, whole_span=whole)
            told = {"imported": len(rows), "origin": read.origin}
            await audit.record(conn, whose, view.caller, "cost.change", taken.name, **told)


async def _read(conn: Connection, view: View, kind: Kind, upload: Upload, form: Form | None = None) -> Read:
    asked = view.request.query_params if form is None else form
    layout = Layout(
        encoding=next((name for name in ENCODINGS if name == asked.get("encoding")), None),
        separator=next((name for name in SEPARATORS if name == asked.get("separator")), None),
    )
    most = MOST_ROWS[kind]
    if kind == "deals":
        zone, country = view.formats.zone, await deals.country_of(conn, view.whose)
        told = await asyncio.to_thread(deals.read_file, upload.content, zone, country, layout, most=most)
        return Read(upload, told, await preview_deals(conn, view.whose, told), "")
    spent = await asyncio.to_thread(costs.read_file, upload.content, layout, most=most)
    origin = _origin(asked.get("origin", ""), upload)
    return Read(upload, spent, await preview_costs(conn, view.whose, origin, spent), origin)


def _origin(text: str, upload: Upload) -> str:
    try:
        told = money.line_of_text(text)[:200]
    except money.NoSense:
        told = ""
    return told or upload.name


def _start(view: View, kind: Kind, *, trouble: str = "", gone: bool = False, status: int = 200) -> Response[bytes]:
    needed = deals.NEEDED if kind == "deals" else costs.NEEDED
    return view.render(
        "import.html", status=status, kind=kind, trouble=trouble, gone=gone, columns=COLUMNS[kind], needed=needed,
        most_rows=MOST_ROWS[kind], most_mb=LARGEST // 2**20,
    )  # fmt: skip


def _preview(
    view: View, kind: Kind, read: Read, upload: UUID, *, trouble: str = "", status: int = 200
) -> Response[bytes]:  # fmt: skip
    columns = [name for name in COLUMNS[kind] if any(_cell(row, name) for _, row in read.table.rows[:SAMPLE_ROWS])]
    sample = [
        (line, [_cell(row, name) for name in columns]) for line, row in read.table.rows[:SAMPLE_ROWS]
    ]  # fmt: skip
    return view.render(
        "import_preview.html", status=status, kind=kind, read=read, upload=upload, trouble=trouble, columns=columns,
        sample=sample, faults=read.preview.faults[:SHOWN_FAULTS], layout=read.table.layout, encodings=ENCODING_NAMES,
        separators=SEPARATOR_NAMES, explained=COLUMNS[kind],
    )  # fmt: skip


def _cell(row: Any, name: str) -> Any:
    """What a row was understood to say; '' for what it does not."""
    value = getattr(row, name, None)
    if value is None and hasattr(row, "who"):
        value = getattr(row.who, name, None)
    return "" if value is None else value
