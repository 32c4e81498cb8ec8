"""`callrouter deals import` and `callrouter costs import`: files of sales and of what advertising cost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import asyncpg
import click

from callrouter.commands.options import config_option, inventory_work, print_json
from callrouter.db.connect import set_codecs
from callrouter.pool.inventory import account_named
from callrouter.pool.number_file import Fault
from callrouter.reports import costs as cost_rows
from callrouter.reports import deals as deal_rows
from callrouter.reports.money import LONGEST_FILE

account_option = click.option("--account", required=True, help="The account's name.")
dry_option = click.option("--dry-run", is_flag=True, help="Say what would be wrong, and write nothing.")
file_argument = click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))


@click.group()
def deals() -> None:
    """Sales of a CRM, for revenue and ROI in reports."""


@deals.command("import")
@file_argument
@account_option
@dry_option
@config_option
def import_deals(*, file: Path, account: str, dry_run: bool, config_file: Path | None) -> None:
    """Take the deals of a CSV file: all of them, or, with any wrong line, none.

    \b
    Columns:  opened_at, revenue (wanted); currency, closed_at, won, crm, crm_id, title, stage, funnel, url, employee
    Whose:    phone, email, crm_client, client, ga_client_id, ym_client_id

    A deal whose crm and crm_id are known is changed.
    """

    async def work(conn: asyncpg.Connection, whose: int) -> int:
        zone = ZoneInfo(await conn.fetchval("SELECT time_zone FROM accounts WHERE id = $1", whose))
        table = deal_rows.read_file(_content(file), zone, await deal_rows.country_of(conn, whose))
        _refuse(table.faults)
        return await deal_rows.import_deals(conn, whose, table, by=f"import {file.name}")

    print_json({"deals": _in_one(config_file, account, work, dry_run=dry_run), "dry_run": dry_run})


@click.group()
def costs() -> None:
    """What advertising cost, for cost a call and ROI in reports."""


@costs.command("import")
@file_argument
@account_option
@click.option("--origin", help="Whose costs these are, as yandex-direct; else the file's name.")
@dry_option
@config_option
def import_costs(*, file: Path, account: str, origin: str | None, dry_run: bool, config_file: Path | None) -> None:
    """Take the costs of a CSV file: all of them, or, with any wrong line, none.

    \b
    Columns:  day, amount (wanted); currency, site, channel, source, medium, campaign, keyword, content, clicks,
              impressions

    What this origin told before of the file's days is replaced: the same file twice is the same as once.
    """

    async def work(conn: asyncpg.Connection, whose: int) -> int:
        table = cost_rows.read_file(_content(file))
        _refuse(table.faults)
        return await cost_rows.import_costs(conn, whose, origin or file.name, table)

    print_json({"costs": _in_one(config_file, account, work, dry_run=dry_run), "dry_run": dry_run})


def _in_one(
    config_file: Path | None, account: str, work: Callable[[asyncpg.Connection, int], Awaitable[int]], *, dry_run: bool
) -> int:
    """`work` in one transaction, which a dry run takes back: what Postgres would refuse is told, too."""

    async def run(conn: asyncpg.Connection) -> int:
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
