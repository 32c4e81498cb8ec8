"""`callrouter reconcile`: each call of the PBX's own record (CEL) has one appeal, each appeal of a call its call."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import click
import msgspec

from callrouter.appeals.proofs import keep
from callrouter.appeals.reconcile import Outcome, Reconciliation
from callrouter.cel.rows import ForeignCel
from callrouter.cel.stretch import CelUnreadable
from callrouter.commands.options import config_option, given_time, loaded, print_json
from callrouter.config import PbxConfig
from callrouter.configfile import Loaded
from callrouter.db.connect import TROUBLE, connect

USUAL = timedelta(hours=24)
SETTLING = timedelta(seconds=10)
"""A call that ended later than so long ago may not have reached Postgres."""
NICE = 15
SUMMED = ("pbx_calls", "appeals", "missing", "incomplete", "extra", "repaired")


@click.command()
@click.option("--since", help="ISO time; a day ago if not given. Calls that ended since then are compared.")
@click.option("--until", help="ISO time; by default now, less the ten seconds that an appeal may take.")
@click.option("--dry-run", is_flag=True, help="Compare and tell; write nothing.")
@click.option("--pbx", "name", help="Only this [[pbx]].")
@click.option("--calmly", is_flag=True, hidden=True, help="At low priority, as the router runs it.")
@click.option("--up-since", "up_since", multiple=True, hidden=True, help="NAME=TIME at which this Asterisk started.")
@config_option
def reconcile(
    since: str | None, until: str | None, name: str | None, up_since: tuple[str, ...], config_file: Path | None, *,
    dry_run: bool, calmly: bool,
) -> None:  # fmt: skip
    """Compare the appeals with the calls that the PBX itself recorded (CEL), and repair them.

    Needs `cel` in the [[pbx]] section, and reads rotated files (.1, .2.gz, -20260131) too. A call without appeal gets
    one; an appeal of a call that was seen in part gets the rest. A running router then attributes them from the lease
    history. Appeals of calls that CEL does not know are told and left alone.

    What was found is kept for `GET /api/v1/reconciliations`; with --dry-run nothing is.

    Prints one JSON object: pbx_calls, appeals, missing, incomplete, extra, repaired, and per PBX the calls by name.
    The exit status is 0 only if calls and appeals agree in the end.
    """
    if calmly:
        os.nice(NICE)
    found = loaded(config_file)
    end = given_time(until) or datetime.now(UTC) - SETTLING
    start = given_time(since) or end - USUAL
    if start >= end:
        raise click.ClickException("--since must lie before --until, and ten seconds in the past at least")
    profiles = _chosen(found, name)
    started = {key: at for key, _, text in (each.partition("=") for each in up_since) if (at := given_time(text))}

    async def run() -> list[Outcome]:
        place = found.source.where("postgres.url")
        try:
            connection = await connect(found.config.postgres.url)
        except TROUBLE as error:
            raise click.ClickException(f"{place}: Postgres cannot be reached: {str(error) or 'no answer'}") from None
        try:
            return [
                await _reconciled(
                    connection, pbx, since=start, until=end, dry_run=dry_run, up_since=started.get(pbx.name)
                )
                for pbx in profiles
            ]
        except asyncpg.UndefinedTableError:
            raise click.ClickException("the database has no tables yet; run: callrouter db migrate") from None
        except TROUBLE as error:
            raise click.ClickException(f"{place}: Postgres: {str(error) or 'no answer'}; run it again") from None
        finally:
            connection.terminate()

    outcomes = asyncio.run(run())
    print_json(_summed(outcomes))
    if not all(outcome.agrees for outcome in outcomes):
        sys.exit(1)


def _chosen(found: Loaded, name: str | None) -> list[PbxConfig]:
    named = [pbx for pbx in found.config.pbx if name in (None, pbx.name)]
    with_cel = [pbx for pbx in named if pbx.cel]
    if not with_cel:
        which = f"[[pbx]] {name}" if name else "any [[pbx]]"
        raise click.ClickException(
            f"`cel` is not set in {which}: the file that cel_custom_callrouter.conf has Asterisk write, as "
            "/var/log/asterisk/cel-custom/callrouter.csv (a file for each PBX)"
        )
    return with_cel


async def _reconciled(connection: Any, pbx: PbxConfig, *, dry_run: bool, **times: Any) -> Outcome:
    showing = sys.stderr.isatty()

    def tell(rows: int) -> None:
        if showing:
            click.echo(f"\r{pbx.name}: {rows} rows of CEL read …", err=True, nl=False)

    work = Reconciliation(connection, pbx, dry_run=dry_run, telling=tell, **times)
    try:
        outcome = await work.run(Path(pbx.cel))
    except (ForeignCel, CelUnreadable) as error:
        if not dry_run:
            await keep(connection, work.outcome, failure=str(error))
        raise click.ClickException(f"{pbx.name}: {error}") from None
    if not dry_run:
        await keep(connection, outcome)
    if showing:
        click.echo(f"\r{pbx.name}: {outcome.rows} rows of CEL read  ", err=True)
    if outcome.refused_lines:
        click.echo(f"{pbx.name}: lines that could not be read: {outcome.refused_lines}; {outcome.complaint}", err=True)
    return outcome


def _summed(outcomes: list[Outcome]) -> dict[str, object]:
    sums: dict[str, object] = {field: sum(getattr(each, field) for each in outcomes) for field in SUMMED}
    return sums | {"agree": all(each.agrees for each in outcomes), "pbx": msgspec.to_builtins(outcomes)}
