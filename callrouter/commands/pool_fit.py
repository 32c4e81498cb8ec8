"""`callrouter pool fit`: an account's own delay model from its past calls, shown beside the old one and stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import click
import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from callrouter.commands.options import config_option, drawing, given_picture, given_time, inventory_work, print_json
from callrouter.pool.delay import DEFAULT_MODEL
from callrouter.pool.directory_source import read_directory
from callrouter.pool.fit import Fit, fit, told
from callrouter.pool.fitting import Past, read_past, store_model
from callrouter.pool.inventory import account_named

LOOK_BACK = timedelta(days=90)
FEW = 0.5
"""With more of the answer than this from the model it began with, the account's own calls say little yet."""
NAMES = {
    "call_share": "calls per visit after its last sign of life",
    "after_5_min": "… later than 5 minutes",
    "after_30_min": "… later than 30 minutes",
    "after_3_h": "… later than 3 hours",
    "after_1_day": "… later than a day",
    "return_share": "calls again per call",
    "stranger_per_day": "strangers' calls per number and day",
}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    account: int
    since: datetime
    until: datetime
    stored: bool
    old: dict[str, float]
    new: dict[str, float]
    first_calls: int
    credited_differently: int
    fit: Fit


@click.command("fit")
@click.option("--account", "whose", required=True, help="Its name or id; 1, the operator's, fits all together.")
@click.option("--since", help="ISO time the calls count from; 90 days ago if not given.")
@click.option("--dry-run", is_flag=True, help="Show the model, and store nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of the table.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=given_picture,
    help="Draw seen and fitted delays (.svg, .png).",
)
@config_option
def fit_pool(
    whose: str, since: str | None, *, dry_run: bool, as_json: bool, plot: Path | None, config_file: Path | None
) -> None:
    """Fit how soon the visitors of an account call, and how often strangers do, from its past leases and calls."""
    until = datetime.now(UTC)
    start = given_time(since) or until - LOOK_BACK
    if start >= until:
        raise click.ClickException(f"--since {start.isoformat()} is not in the past")

    async def work(connection: asyncpg.Connection[asyncpg.Record]) -> Report:
        account = await _account(connection, whose)
        past = await read_past(connection, account, start, until)
        if not past.leases:
            raise click.ClickException(f"account {whose} has leased no number since {start:%Y-%m-%d}")
        return await _report(connection, account, past, store=not dry_run)

    report = inventory_work(config_file, work)
    if as_json:
        print_json(report)
    else:
        _show(report)
    if plot:
        from callrouter.pool.fit_picture import draw  # noqa: PLC0415 - seconds to load, and seldom wanted

        with drawing():
            draw(report.fit, plot)


async def _account(connection: asyncpg.Connection[asyncpg.Record], whose: str) -> int:
    found = await connection.fetchval("SELECT id FROM accounts WHERE id::text = $1", whose)
    return int(found) if found else await account_named(connection, whose)


async def _report(connection: asyncpg.Connection[asyncpg.Record], account: int, past: Past, *, store: bool) -> Report:
    models = (await read_directory(connection)).models(DEFAULT_MODEL)
    old = models.of(account)
    begin = msgspec.structs.replace(DEFAULT_MODEL, offset=old.offset, window=old.window)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("fitting", total=1.0)
        fitted = fit(
            past.leases, past.calls, account=None if account == 1 else account, start=past.since.timestamp(),
            end=past.until.timestamp(), begin=begin, others=models,
            progress=lambda share: bar.update(task, completed=share),
        )  # fmt: skip
    new = msgspec.structs.replace(models, accounts={**models.accounts, account: fitted.model})
    first, changed = past.credited_differently(models, new)
    if store:
        await store_model(connection, account, past, fitted)
    return Report(
        account=account, since=past.since, until=past.until, stored=store, old=told(old),
        new=told(fitted.model), first_calls=first, credited_differently=changed, fit=fitted,
    )  # fmt: skip


def _show(report: Report) -> None:
    table = Table(title=f"account {report.account}, {report.since:%Y-%m-%d} to {report.until:%Y-%m-%d}")
    for heading in ("", "until now", "fitted", "95 % interval"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, words in NAMES.items():
        interval = report.fit.intervals[name]
        bounds = "unknown" if interval.low is None else f"{interval.low:.4f} … {interval.high:.4f}"
        table.add_row(words, f"{report.old[name]:.4f}", f"{interval.value:.4f}", bounds)
    Console().print(table)
    fitted = report.fit
    click.echo(
        f"{fitted.calls} first calls and {fitted.calls_again} calls again, {fitted.leases} leases; log-likelihood "
        f"{fitted.before:.1f} → {fitted.log_likelihood:.1f}.\n{report.credited_differently} of {report.first_calls} "
        f"first calls would be credited to another visit."
    )
    if fitted.rests_on_prior > FEW:
        click.echo(
            f"Few calls: {fitted.rests_on_prior:.0%} of this is still the default model, and the intervals do not say "
            "how true that one is here."
        )
    click.echo("Stored: it counts from now on." if report.stored else "Not stored.")
