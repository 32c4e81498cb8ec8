"""`callrouter deals import` and `callrouter costs import`: files of sales and of what advertising cost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import asyncpg
import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from callrouter.commands.options import config_option, inventory_work, print_json
from callrouter.db.connect import set_codecs
from callrouter.pool.inventory import account_named
from callrouter.reports import costs as cost_rows
from callrouter.reports import deals as deal_rows
from callrouter.reports.deal_import import Line, chunks, put, settle, settle_few
from callrouter.reports.money import LONGEST_FILE
from callrouter.reports.table_file import ENCODINGS, SEPARATORS, Encoding, Fault, Layout, Separator

account_option = click.option("--account", required=True, help="The account's name.")
dry_option = click.option("--dry-run", is_flag=True, help="Say what would be wrong, and write nothing.")
encoding_option = click.option("--encoding", type=click.Choice(ENCODINGS), help="Of the file; else found out.")
separator_option = click.option("--separator", type=click.Choice(SEPARATORS), help="Of cells; else found out.")
file_argument = click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))


@click.group()
def deals() -> None:
    """Sales of a CRM, for revenue and ROI in reports."""


@deals.command("import")
@file_argument
@account_option
@dry_option
@encoding_option
@separator_option
@config_option
def import_deals(
    *, file: Path, account: str, dry_run: bool, encoding: Encoding | None, separator: Separator | None,
    config_file: Path | None,
) -> None:  # fmt: skip
    """Take the deals of a CSV file: all of them, or, with any wrong line, none.

    \b
    Columns:  opened_at, revenue (wanted); currency, closed_at, won, crm, crm_id, title, stage, funnel, url, employee
    Whose:    phone, email, crm_client, client, ga_client_id, ym_client_id

    A deal whose crm and crm_id are known is changed.
    """

    layout = Layout(encoding=encoding, separator=separator)

    async def work(conn: asyncpg.Connection) -> dict[str, object]:
        await set_codecs(conn)
        whose = await account_named(conn, account)
        zone = ZoneInfo(await conn.fetchval("SELECT time_zone FROM accounts WHERE id = $1", whose))
        table = deal_rows.read_file(_content(file), zone, await deal_rows.country_of(conn, whose), layout)
        _refuse(table.faults)
        await (_tried if dry_run else _imported)(conn, whose, table.rows, f"import {file.name}")
        return {"deals": len(table.rows), **_told(table.layout), "dry_run": dry_run}

    print_json(inventory_work(config_file, work))


async def _imported(conn: asyncpg.Connection, account: int, rows: Sequence[Line], by: str) -> None:
    @asynccontextmanager
    async def begin() -> AsyncIterator[asyncpg.Connection]:
        async with conn.transaction():
            yield conn

    with _bar() as bar:
        finding = bar.add_task("finding the clients", total=len(rows))
        settled = await settle(begin, account, rows, done=lambda count: bar.update(finding, completed=count))
        writing = bar.add_task("writing the deals", total=len(rows))
        async with conn.transaction():
            await put(conn, account, settled, by=by, done=lambda count: bar.update(writing, completed=count))


async def _tried(conn: asyncpg.Connection, account: int, rows: Sequence[Line], by: str) -> None:
    """All that the import does, and takes back: what Postgres would refuse is told, too."""
    with _bar() as bar:
        trying = bar.add_task("trying", total=len(rows))
        for chunk in chunks(rows):
            transaction = conn.transaction()
            await transaction.start()
            try:
                await put(conn, account, await settle_few(conn, account, chunk), by=by)
            finally:
                await transaction.rollback()
            bar.advance(trying, len(chunk))


def _bar() -> Progress:
    """For whoever watches."""
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}")
    console = Console(stderr=True)
    return Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal)


@click.group()
def costs() -> None:
    """What advertising cost, for cost a call and ROI in reports."""


@costs.command("import")
@file_argument
@account_option
@click.option("--origin", help="Whose costs these are, as yandex-direct; else the file's name.")
@dry_option
@encoding_option
@separator_option
@config_option
def import_costs(
    *, file: Path, account: str, origin: str | None, dry_run: bool, encoding: Encoding | None,
    separator: Separator | None, config_file: Path | None,
) -> None:  # fmt: skip
    """Take the costs of a CSV file: all of them, or, with any wrong line, none.

    \b
    Columns:  day, amount (wanted); currency, site, channel, source, medium, campaign, keyword, content, clicks,
              impressions

    What this origin told before of the file's days is replaced: the same file twice is the same as once.
    """

    layout = Layout(encoding=encoding, separator=separator)

    async def work(conn: asyncpg.Connection, whose: int) -> dict[str, object]:
        table = cost_rows.read_file(_content(file), layout)
        _refuse(table.faults)
        done = await cost_rows.import_costs(conn, whose, origin or file.name, table)
        return {"costs": done, **_told(table.layout)}

    print_json({**_in_one(config_file, account, work, dry_run=dry_run), "dry_run": dry_run})


def _told(layout: Layout) -> dict[str, object]:
    """How the file was read, whether that was said or found out."""
    return {"encoding": layout.encoding, "separator": layout.separator}


def _in_one(
    config_file: Path | None, account: str, work: Callable[[asyncpg.Connection, int], Awaitable[dict[str, object]]], *,
    dry_run: bool,
) -> dict[str, object]:  # fmt: skip
    """`work` in one transaction, which a dry run takes back: what Postgres would refuse is told, too."""

    async def run(conn: asyncpg.Connection) -> dict[str, object]:
        await set_codecs(conn)
        transaction = conn.transaction()
        await transaction.start()
        try:
            done = await work(conn, await account_named(conn, account))
        except BaseException:
            await transaction.rollback()
            raise
        await (transaction.rollback() if dry_run else transaction.commit())
        return done

    return inventory_work(config_file, run)


def _content(file: Path) -> bytes:
    if file.stat().st_size > LONGEST_FILE:
        raise click.ClickException(f"{file} is larger than {LONGEST_FILE // 2**20} MB: split it")
    return file.read_bytes()


def _refuse(faults: tuple[Fault, ...]) -> None:
    if faults:
        told = "\n".join(str(fault) for fault in faults)
        raise click.ClickException(f"nothing was imported\n{told}")
