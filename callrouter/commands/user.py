"""`callrouter user`: who may sign in to the pages. A password is asked for or drawn, never an argument."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import NamedTuple

import asyncpg
import click
import msgspec

from callrouter.commands.options import config_option, inventory_work, print_json, with_postgres
from callrouter.people import users
from callrouter.people.model import Locale
from callrouter.people.passwords import Passwords, WeakPassword, generated, require_strong
from callrouter.people.roles import ROLES, Role
from callrouter.people.users import Change, User
from callrouter.pool.inventory import OPERATOR, account_named

asked = click.option("--ask", is_flag=True, help="Ask for the password (or read it from stdin) instead of drawing one.")


@click.group()
def user() -> None:
    """Who may sign in to the pages, and as what."""


@user.command("add")
@click.argument("email")
@click.option("--role", required=True, type=click.Choice(ROLES), help="What he may do.")
@click.option("--account", help="The account's name; operators belong to the operator's own.  [the operator's]")
@click.option("--name", default="", help="As others see him.")
@click.option("--locale", type=click.Choice(["ru", "en"]), default="ru", show_default=True)
@asked
@config_option
def add_user(
    *, email: str, role: Role, account: str | None, name: str, locale: Locale, ask: bool, config_file: Path | None
) -> None:
    """Add a user. Without --ask a password is drawn, shown once, and to be changed when he first signs in."""
    given = _password(email, name, ask=ask)

    async def add(conn: asyncpg.Connection) -> User:
        whose = await account_named(conn, account) if account else OPERATOR
        return await users.add_user(
            conn, whose, email, role=role, name=name, locale=locale, password_hash=given.hashed, must_change=given.drawn
        )

    _print(inventory_work(config_file, add), given)


@user.command("list")
@config_option
def list_users(config_file: Path | None) -> None:
    """List the users of all accounts: one JSON object a line."""
    for each in with_postgres(config_file, users.list_users):
        print_json(_told(each))


@user.command("disable")
@click.argument("email")
@config_option
def disable(email: str, config_file: Path | None) -> None:
    """Let EMAIL sign in no longer; he is signed out at once."""
    print_json(_told(inventory_work(config_file, lambda conn: _switch(conn, email, disabled=True))))


@user.command("enable")
@click.argument("email")
@config_option
def enable(email: str, config_file: Path | None) -> None:
    """Let EMAIL sign in again."""
    print_json(_told(inventory_work(config_file, lambda conn: _switch(conn, email, disabled=False))))


@user.command("password")
@click.argument("email")
@asked
@config_option
def password(*, email: str, ask: bool, config_file: Path | None) -> None:
    """Give EMAIL another password; his browsers are signed out."""
    given = _password(email, "", ask=ask)

    async def change(conn: asyncpg.Connection) -> User:
        found = await users.user_named(conn, email)
        await users.set_password(conn, found.account, found.id, given.hashed, must_change=given.drawn)
        return found

    _print(inventory_work(config_file, change), given)


@user.command("unbind")
@click.argument("email")
@config_option
def unbind(email: str, config_file: Path | None) -> None:
    """Forget EMAIL's OpenID identity: his next sign-in by it goes by e-mail anew. He is signed out."""

    async def end(conn: asyncpg.Connection) -> User:
        found = await users.user_named(conn, email)
        return await users.unbind(conn, found.account, found.id)

    print_json(_told(inventory_work(config_file, end)))


@user.command("email")
@click.argument("email")
@click.argument("other")
@config_option
def change_email(*, email: str, other: str, config_file: Path | None) -> None:
    """Have the user of EMAIL sign in as OTHER: he got another address, or EMAIL is somebody else's."""

    async def change(conn: asyncpg.Connection) -> User:
        found = await users.user_named(conn, email)
        return await users.change_email(conn, found.account, found.id, other)

    print_json(_told(inventory_work(config_file, change)))


class _Given(NamedTuple):
    hashed: str
    drawn: bool
    shown: str = ""


def _password(email: str, name: str, *, ask: bool) -> _Given:
    if not ask:
        drawn = generated()
        return _Given(asyncio.run(Passwords().hash(drawn)), drawn=True, shown=drawn)
    if sys.stdin.isatty():
        text = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        text = sys.stdin.readline().rstrip("\r\n")
    try:
        require_strong(text, email=email, name=name)
    except WeakPassword as error:
        raise click.ClickException(str(error)) from None
    return _Given(asyncio.run(Passwords().hash(text)), drawn=False)


async def _switch(conn: asyncpg.Connection, email: str, *, disabled: bool) -> User:
    found = await users.user_named(conn, email)
    return await users.change_user(conn, found.account, found.id, Change(disabled=disabled))


def _told(found: User) -> dict[str, object]:
    told = msgspec.structs.asdict(found)
    return {"user": told.pop("id"), **told}


def _print(found: User, given: _Given) -> None:
    print_json({**_told(found), "password": given.shown or None})
    if given.drawn:
        click.echo(
            "Hand the password over now: it is not shown again, and must be changed at the first sign-in.", err=True
        )
