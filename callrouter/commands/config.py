"""`callrouter config`: look at the configuration before anything starts by it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import click

from callrouter.clock import SystemClock
from callrouter.commands.options import config_option, loaded, print_json, with_postgres
from callrouter.configfile import Loaded, shown
from callrouter.pool.site_inventory import short_retentions
from callrouter.reach import unreachable
from callrouter.web.openid.provider import Away, Provider
from callrouter.web.openid.settings import settings_of


@click.group()
def config() -> None:
    """Check and show the configuration."""


@config.command()
@config_option
@click.option("--offline", is_flag=True, help="Check the text alone; connect to no server.")
def check(config_file: Path | None, *, offline: bool) -> None:
    """Tell each unknown key, bad value and unreachable server, with its line and the mend."""
    found = loaded(config_file)
    complaints = [] if offline else asyncio.run(_trouble(found))
    if not offline:
        _warn(config_file, found)
    if complaints:
        raise click.ClickException("the configuration is well written, but\n" + "\n".join(complaints))
    print_json({"ok": True, "file": found.source.file, "pbx": [pbx.name for pbx in found.config.pbx]})


async def _trouble(found: Loaded) -> list[str]:
    complaints = await unreachable(found)
    if settings := settings_of(found.config.oidc):
        provider = Provider(settings, SystemClock())
        try:
            await provider.try_out()
        except Away as error:
            complaints.append(f"{found.source.where('oidc.issuer')}: nobody can sign in by this provider: {error}")
        finally:
            await provider.close()
    return complaints


def _warn(config_file: Path | None, found: Loaded) -> None:
    """Tell what may not be meant in how sites are set, as far as there is a database to say."""
    window = found.config.attribution.window
    with suppress(click.ClickException):
        for warning in with_postgres(config_file, lambda conn: short_retentions(conn, window=window)):
            click.echo(warning, err=True)


@config.command()
@config_option
def show(config_file: Path | None) -> None:
    """Print what is in force, as JSON, secrets masked."""
    print_json(shown(loaded(config_file).config))
