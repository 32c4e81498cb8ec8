"""`callrouter lease`: who held a number when."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from callrouter.commands.options import (
    config_option,
    country_option,
    given_number,
    given_time,
    print_json,
    with_postgres,
)
from callrouter.pool.holders import holding


@click.group()
def lease() -> None:
    """Look at the lease history."""


@lease.command()
@click.argument("number")
@click.option("--at", "moment", help="ISO time, as 2026-01-31T14:03:22.5+03:00; now if not given.")
@country_option
@config_option
def show(number: str, moment: str | None, country: str, config_file: Path | None) -> None:
    """Tell who held NUMBER then, and why: a visit's lease, a static binding, or nobody."""
    spelled, at = given_number(number, country), given_time(moment) or datetime.now(UTC)
    print_json(with_postgres(config_file, lambda conn: holding(conn, spelled, at)))
