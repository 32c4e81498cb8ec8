"""`callrouter db`: the database's tables."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from callrouter.commands.options import config_option, loaded, print_json
from callrouter.db.migrate import MigrationError
from callrouter.db.migrate import migrate as migrate_database


@click.group()
def db() -> None:
    """Look after the database."""


@db.command()
@config_option
def migrate(config_file: Path | None) -> None:
    """Bring the database to this version's tables. Safe to run again, and from two processes at once."""
    found = loaded(config_file)
    try:
        ran = asyncio.run(migrate_database(found.config.postgres.url, lambda line: click.echo(line, err=True)))
    except MigrationError as error:
        raise click.ClickException(f"{found.source.where('postgres.url')}: {error}") from None
    print_json({"migrations_run": ran})
