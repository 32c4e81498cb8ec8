"""`callrouter numbers leaks`: pool numbers that are called although nobody was shown them, with the evidence."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from callrouter.commands.options import config_option, given_time, loaded, print_json, with_postgres
from callrouter.pool.leak_search import WINDOW, advice, find_leaks
from callrouter.pool.leaks import Leak


@click.command()
@click.option("--since", help="ISO time; two weeks ago if not given.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a number, with the calls.")
@config_option
def leaks(since: str | None, config_file: Path | None, *, as_json: bool) -> None:
    """List leaked numbers: called by more different people than chance and their leases explain."""
    now = datetime.now(UTC)
    start = given_time(since) or now - WINDOW
    if start >= now:
        raise click.ClickException("--since must lie in the past")
    memory = loaded(config_file).config.attribution.window
    found = with_postgres(config_file, lambda conn: find_leaks(conn, start, now, memory=memory))
    if as_json:
        for leak in found:
            print_json(leak)
    else:
        _show(found)


def _show(found: list[Leak]) -> None:
    console = Console(highlight=False)
    if not found:
        console.print("No pool number is called by more people than chance and its leases explain.")
        return
    table = Table("number", "pool", "callers", "expected", "days", "calls", "chance", "last lease ended", box=None)
    for leak in found:
        ended = f"{leak.last_lease_ended_at:%Y-%m-%d %H:%M}" if leak.last_lease_ended_at else "never leased"
        table.add_row(
            leak.number, str(leak.pool), str(leak.callers), f"{leak.expected:.1f}", str(leak.days), str(leak.calls),
            f"{leak.p_value:.1g}", ended,
        )  # fmt: skip
    console.print(table)
    console.print(f"To do: {advice(found[0].number)}.")
