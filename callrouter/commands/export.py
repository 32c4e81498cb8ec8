"""`callrouter export appeals`: the journal as a file, all of it or what passes filters. Rows come from `journal`."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast
from zoneinfo import ZoneInfo

import asyncpg
import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from callrouter.commands.options import config_option, given_target, with_postgres
from callrouter.db.connect import set_codecs
from callrouter.journal import exporting, formats, listing, query
from callrouter.journal.formats import FORMATS, SIGNS, Csv, FileFormat, Separator, Xlsx
from callrouter.journal.period import PERIODS
from callrouter.journal.row import FIELDS, AppealTold, fields_in

ACCOUNTS = "SELECT id, name FROM accounts ORDER BY id"
Took = Callable[[Iterable[AppealTold]], None]


@click.group()
def export() -> None:
    """What is stored, as files."""


@export.command()
@click.argument("filters", nargs=-1, metavar="[NAME=VALUE]…")
@click.option("--format", "file_format", type=click.Choice(FORMATS), default="jsonl", show_default=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), callback=given_target, help="Else stdout.")
@click.option("--account", help="Name or id of one account; all without it, one after the other.")
@click.option("--field", "fields", multiple=True, help="Only these fields, several or with commas; all without it.")
@click.option("--period", help=f"One of {', '.join(PERIODS)}.")
@click.option("--since", help="A day or a time, on the account's clock.")
@click.option("--until", help="A day, which is still in it, or a time.")
@click.option("--bom", is_flag=True, help="CSV: begin with a byte order mark, for Excel.")
@click.option("--separator", type=click.Choice(list(SIGNS)), default="comma", show_default=True, help="Of CSV.")
@config_option
def appeals(
    filters: tuple[str, ...], *, file_format: FileFormat, out: Path | None, account: str | None,
    fields: tuple[str, ...], period: str | None, since: str | None, until: str | None,
    config_file: Path | None, bom: bool, separator: Separator,
) -> None:  # fmt: skip
    """The journal of appeals: all fields, without a limit, in constant memory; the earliest first.

    \b
    Filters are those of the API:
        callrouter export appeals --format csv --period last_month channel=paid_search talk_s.min=60
        callrouter export appeals --format xlsx --out lost.xlsx status=lost "customer=8 916 123-45-67"
    """
    try:
        names = fields_in([name for text in fields for name in text.split(",") if name]) if fields else FIELDS
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    if file_format == "xlsx" and out is None:
        raise click.ClickException("a workbook is a file: say --out FILE.xlsx")
    asked = _filters(filters, period=period, since=since, until=until)
    with _target(out) as target:
        work = _Work(asked, names, account)
        take, finish = _writer(file_format, target, names, bom=bom, separator=separator)

        async def run(conn: asyncpg.Connection) -> None:
            await set_codecs(conn)
            with _progress() as advance:
                async for batch in work.rows(conn):
                    take(batch)
                    advance(len(batch))

        try:
            with_postgres(config_file, run)
            finish()
        except query.BadFilter as error:
            raise click.ClickException(str(error)) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(1) from None


class _Work:
    """The rows of one account or of all."""

    def __init__(self, asked: list[tuple[str, str]], fields: tuple[str, ...], account: str | None) -> None:
        self._asked = asked
        self._fields = fields
        self._account = account

    async def rows(self, conn: asyncpg.Connection) -> AsyncIterator[tuple[AppealTold, ...]]:
        known = await conn.fetch(ACCOUNTS)
        wanted = [row["id"] for row in known if self._account is None or self._account in {row["name"], str(row["id"])}]
        if not wanted:
            raise click.ClickException(f"there is no account {self._account!r}")
        for account in wanted:
            clock = await listing.clock_of(conn, account)
            if clock is None:
                continue
            filters = query.parse(self._asked, zone=clock.zone, now=datetime.now(UTC), country=clock.country)
            asked = listing.Asked(
                account=account, zone=clock.zone, filters=filters, fields=self._fields, sort="started_at"
            )
            async for batch in exporting.batches(exporting.reader(conn), asked):
                yield batch


def _filters(words: tuple[str, ...], **spans: str | None) -> list[tuple[str, str]]:
    asked = [(name, value) for name, value in spans.items() if value]
    for word in words:
        name, sign, value = word.partition("=")
        if not sign:
            raise click.ClickException(f"{word!r} is no filter; write name=value")
        asked.append((name, value))
    try:
        query.parse(asked, zone=ZoneInfo("UTC"), now=datetime.now(UTC))
    except query.BadFilter as error:
        raise click.ClickException(str(error)) from None
    return asked


@contextmanager
def _target(out: Path | None) -> Iterator[BinaryIO]:
    """Where it is written. A file is there only when it is whole."""
    if out is None:
        yield sys.stdout.buffer
        return
    with tempfile.NamedTemporaryFile(dir=out.absolute().parent, prefix=f".{out.name}.", delete=False) as unfinished:
        try:
            yield cast("BinaryIO", unfinished)
            unfinished.flush()
            Path(unfinished.name).chmod(0o640)
            Path(unfinished.name).replace(out)
        finally:
            Path(unfinished.name).unlink(missing_ok=True)


def _writer(
    file_format: FileFormat, target: BinaryIO, names: tuple[str, ...], *, bom: bool, separator: Separator
) -> tuple[Took, Callable[[], None]]:
    """What takes rows, and what ends the file. Accounts have clocks of their own: a file of several is in UTC."""
    zone = ZoneInfo("UTC")
    if file_format == "xlsx":
        book = Xlsx(Path(target.name), names, zone)
        return book.rows, book.close
    if file_format == "csv":
        table = Csv(names, zone, separator=separator, bom=bom)
        target.write(table.header())
        return lambda rows: _write(target, table.rows(rows)), target.flush
    return lambda rows: _write(target, formats.jsonl(rows)), target.flush


def _write(target: BinaryIO, data: bytes) -> None:
    target.write(data)


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """How many rows there are by now, for whoever looks at a terminal."""
    console = Console(stderr=True)
    with Progress(
        SpinnerColumn(), TextColumn("{task.completed:,.0f} appeals"), TimeElapsedColumn(), console=console,
        disable=not console.is_terminal, transient=True,
    ) as progress:  # fmt: skip
        task = progress.add_task("", total=None)
        yield lambda count: progress.advance(task, count)
