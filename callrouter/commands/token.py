"""`callrouter token`: bearer tokens of the API. A token is shown once, when it is made."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import click
import msgspec

from callrouter.commands.options import config_option, given_time, inventory_work, print_json, with_postgres
from callrouter.people.roles import SCOPES, Scope
from callrouter.pool.inventory import account_named
from callrouter.web.api import tokens
from callrouter.web.api.tokens import Made


@click.group()
def token() -> None:
    """Bearer tokens of the API: each acts for one account, within its scopes."""


@token.command("add")
@click.option("--account", required=True, help="The account's name; the operator's own sees all accounts.")
@click.option("--name", required=True, help="What it is for, as CRM.")
@click.option("--scope", "scopes", required=True, multiple=True, type=click.Choice(SCOPES), help="May be repeated.")
@click.option("--expires", help="ISO time; never if not given.")
@config_option
def add_token(
    *, account: str, name: str, scopes: tuple[Scope, ...], expires: str | None, config_file: Path | None
) -> None:
    """Make a token and show it, this once: only its hash is kept."""
    until = given_time(expires)
    if until is not None and until <= datetime.now(UTC):
        raise click.ClickException(f"--expires {expires} has passed")
    if not name.strip():
        raise click.ClickException("--name: say what the token is for")

    async def add(conn: asyncpg.Connection) -> Made:
        whose = await account_named(conn, account)
        return await tokens.add_token(conn, whose, name.strip(), tuple(dict.fromkeys(scopes)), until)

    made = inventory_work(config_file, add)
    told = msgspec.structs.asdict(made)
    print_json({"token": told.pop("id"), **told})
    click.echo("Keep the secret now: it is not shown again. Send it as `Authorization: Bearer …`.", err=True)


@token.command("list")
@config_option
def list_tokens(config_file: Path | None) -> None:
    """List the tokens, revoked ones too: one JSON object a line."""
    for each in with_postgres(config_file, tokens.list_tokens):
        told = msgspec.structs.asdict(each)
        number, account = told.pop("id"), told.pop("account_name")
        print_json({"token": number, **told, "account": account})


@token.command("revoke")
@click.argument("number", metavar="TOKEN", type=int)
@config_option
def revoke(number: int, config_file: Path | None) -> None:
    """Refuse TOKEN (its id, as `token list` shows it) from now on."""
    if not with_postgres(config_file, lambda conn: tokens.revoke_token(conn, number)):
        raise click.ClickException(f"there is no token {number}, or it was revoked before")
    print_json({"token": number, "revoked": True})
