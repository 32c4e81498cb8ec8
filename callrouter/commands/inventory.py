"""`callrouter account`, `pool`, `site`, `numbers`, `static`: the inventory. Rules in `pool.inventory`."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import asyncpg
import click

from callrouter.commands.options import (
    config_option,
    country_option,
    given_number,
    given_time,
    print_json,
    with_postgres,
)
from callrouter.pool import inventory

T = TypeVar("T")
DOMAIN = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*")
SHORTEST_NUMBER = 5


def _named(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("a name is wanted")
    return value.strip()


def _domain(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """As browsers name it in `Origin`: пример.рф is xn--e1afmkfd.xn--p1ai there."""
    try:
        domain = value.strip().rstrip(".").lower().encode("idna").decode()
    except UnicodeError:
        domain = ""
    if not DOMAIN.fullmatch(domain):
        raise click.BadParameter(f"{value!r} is no domain; write it as shop.example, without https:// and path")
    return domain


def _pattern(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if value and value.count("#") < SHORTEST_NUMBER:
        raise click.BadParameter(f"write at least {SHORTEST_NUMBER} '#', one for each of the last digits")
    return value


def _done(config_file: Path | None, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    try:
        return with_postgres(config_file, work)
    except inventory.Refused as error:
        raise click.ClickException(str(error)) from None


@click.group()
def account() -> None:
    """Customers, who own sites and see only their own data."""


@account.command("add")
@click.argument("name", callback=_named)
@config_option
def add_account(name: str, config_file: Path | None) -> None:
    """Add an account."""
    print_json({"account": _done(config_file, lambda conn: inventory.add_account(conn, name)), "name": name})


@account.command("list")
@config_option
def list_accounts(config_file: Path | None) -> None:
    """List the accounts. Account 1 is the operator's own."""
    _list(config_file, "SELECT id AS account, name FROM accounts ORDER BY id")


@click.command("add")
@click.argument("name", callback=_named)
@config_option
def add_pool(name: str, config_file: Path | None) -> None:
    """Add an empty pool; fill it with `callrouter numbers import`."""
    print_json({"pool": _done(config_file, lambda conn: inventory.add_pool(conn, name)), "name": name})


@click.command("list")
@config_option
def list_pool(config_file: Path | None) -> None:
    """List the pools and how many numbers each has."""
    _list(
        config_file,
        """SELECT p.id AS pool, p.name, count(n.number) FILTER (WHERE n.state = 'active') AS active,
                  count(n.number) FILTER (WHERE n.state = 'disabled') AS disabled
           FROM pools p LEFT JOIN numbers n ON n.pool_id = p.id GROUP BY p.id, p.name ORDER BY p.id""",
    )


@click.group()
def site() -> None:
    """Tracked web sites."""


@site.command("add")
@click.argument("domain", callback=_domain)
@click.option("--account", required=True, help="The account's name.")
@click.option("--pool", help="Lease numbers of this pool to its visitors.")
@click.option("--fallback", help="The site's own number: shown while the pool is empty.")
@click.option("--route", default="", help="CALLROUTER_ROUTE of its calls: a name your dialplan maps.")
@click.option(
    "--display", default="", callback=_pattern, help="How numbers look, # for the last digits: '8 (###) ###-##-##'."
)
@click.option("--hold", "hold_min", default=30.0, show_default=True, help="Minutes a lease outlives the visitor.")
@click.option(
    "--quality",
    "quality_s",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Seconds of talk of a quality call.",
)
@country_option
@config_option
def add_site(
    *, domain: str, account: str, pool: str | None, fallback: str | None, route: str, display: str, hold_min: float,
    quality_s: float, country: str, config_file: Path | None,
) -> None:  # fmt: skip
    """Add a site; its visitors are leased numbers from now on."""
    added = _done(
        config_file,
        lambda conn: inventory.add_site(
            conn, domain, account=account, pool=pool, fallback=fallback, route=route, country=country,
            display=display, hold=timedelta(minutes=hold_min), quality_s=quality_s,
        ),
    )  # fmt: skip
    print_json({"site": added, "domain": domain})


@site.command("list")
@config_option
def list_sites(config_file: Path | None) -> None:
    """List the sites, their accounts and pools."""
    _list(
        config_file,
        """SELECT s.id AS site, s.name AS domain, a.name AS account,
                  array_remove(array_agg(p.name ORDER BY p.name), NULL) AS pools, s.route, s.fallback_number AS fallback
           FROM sites s JOIN accounts a ON a.id = s.account_id LEFT JOIN site_pools sp ON sp.site_id = s.id
           LEFT JOIN pools p ON p.id = sp.pool_id GROUP BY s.account_id, s.id, a.name ORDER BY s.id""",
    )


@click.group()
def numbers() -> None:
    """The inventory of substitute numbers."""


@numbers.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--pool", required=True, help="The pool's name.")
@click.option("--dry-run", is_flag=True, help="Check the file and change nothing.")
@country_option
@config_option
def import_numbers(file: Path, pool: str, country: str, config_file: Path | None, *, dry_run: bool) -> None:
    """Put the numbers of a CSV FILE into a pool: all of them, or none if a line is wrong.

    FILE has a header with `number` (any spelling) and, if you like, `route` and `note`; or just one number a line.
    """
    try:
        listed = inventory.listed_numbers(file.read_text(encoding="utf-8-sig"), country)
    except UnicodeDecodeError:
        raise click.ClickException(f"{file}: is not UTF-8 text") from None
    except inventory.Refused as error:
        raise click.ClickException(f"{file}: {error}") from None
    if dry_run:
        print_json({"numbers": len(listed), "imported": False})
        return
    print_json(_done(config_file, lambda conn: inventory.import_numbers(conn, pool, listed)))


@numbers.command("list")
@config_option
def list_numbers(config_file: Path | None) -> None:
    """List the numbers: one JSON object a line."""
    _list(
        config_file,
        """SELECT n.number, p.name AS pool, n.state, n.route, n.note, b.channel AS static_channel
           FROM numbers n LEFT JOIN pools p ON p.id = n.pool_id
           LEFT JOIN static_bindings b ON b.number = n.number AND tstzrange(b.valid_from, b.valid_to) @> now()
           ORDER BY n.number""",
    )


@numbers.command("disable")
@click.argument("number")
@country_option
@config_option
def disable_number(number: str, country: str, config_file: Path | None) -> None:
    """Set a broken NUMBER aside: not leased again, its history kept."""
    spelled = given_number(number, country)
    _done(config_file, lambda conn: inventory.disable_number(conn, spelled))
    print_json({"number": spelled, "state": "disabled"})


@click.group()
def static() -> None:
    """Numbers that belong to a channel: a newspaper, a banner, a partner."""


@static.command("bind")
@click.argument("number")
@click.option("--site", required=True, callback=_domain, help="The site's domain.")
@click.option("--channel", required=True, help="As newspaper; what the calls are credited to.")
@click.option("--source", default="", help="As izvestia; the channel's name if not given.")
@click.option("--medium", default="", help="As print; for reports.")
@click.option("--campaign", default="", help="As spring; for reports.")
@click.option("--from", "since", help="ISO time; now if not given.")
@click.option("--until", help="ISO time; open if not given.")
@country_option
@config_option
def bind(
    *, number: str, site: str, channel: str, source: str, medium: str, campaign: str, since: str | None,
    until: str | None, country: str, config_file: Path | None,
) -> None:  # fmt: skip
    """Bind NUMBER to a channel of a site; what it was bound to when is kept."""
    spelled, start, end = given_number(number, country), given_time(since), given_time(until)
    binding = _done(
        config_file,
        lambda conn: inventory.bind_static(
            conn, spelled, site=site, channel=channel, source=source, medium=medium, campaign=campaign, since=start,
            until=end,
        ),
    )  # fmt: skip
    print_json({"binding": binding, "number": spelled, "channel": channel})


@static.command("list")
@config_option
def list_bindings(config_file: Path | None) -> None:
    """List what each static number was bound to when."""
    _list(
        config_file,
        """SELECT b.number, s.name AS site, b.channel, b.source, b.medium, b.campaign, b.valid_from, b.valid_to
           FROM static_bindings b JOIN sites s ON s.account_id = b.account_id AND s.id = b.site_id
           ORDER BY b.number, b.valid_from""",
    )


def _list(config_file: Path | None, query: str) -> None:
    for row in with_postgres(config_file, lambda conn: conn.fetch(query)):
        print_json(dict(row))
