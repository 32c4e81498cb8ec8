"""`callrouter account`, `site` and the pools' inventory. Rules in `pool.inventory` and `pool.site_inventory`."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import click

from callrouter.commands.callback_options import COUNTRIES, callback_options, given_callback
from callrouter.commands.options import (
    Limit,
    Minutes,
    config_option,
    country_option,
    given_country,
    given_domain,
    given_domains,
    given_name,
    inventory_work,
    print_json,
    print_rows,
)
from callrouter.pool import inventory, site_inventory
from callrouter.pool.inventory import Refused, spelled_number
from callrouter.pool.site_inventory import SiteSettings, WantedPool, wanted_pool

SHORTEST_NUMBER = 5


def _pattern(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value and value.count("#") < SHORTEST_NUMBER:
        raise click.BadParameter(f"write at least {SHORTEST_NUMBER} '#', one for each of the last digits")
    return value


def _seconds(_context: click.Context, _parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not 0 <= value < math.inf:
        raise click.BadParameter(f"{value} is no number of seconds")
    return value


def _pools(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[WantedPool, ...]:
    try:
        return tuple(wanted_pool(text, place) for place, text in enumerate(values))
    except Refused as error:
        raise click.BadParameter(str(error)) from None


@click.group()
def account() -> None:
    """Customers, who own sites and see only their own data."""


@account.command("add")
@click.argument("name", callback=given_name)
@config_option
def add_account(name: str, config_file: Path | None) -> None:
    """Add an account."""
    print_json({"account": inventory_work(config_file, lambda conn: inventory.add_account(conn, name)), "name": name})


@account.command("list")
@config_option
def list_accounts(config_file: Path | None) -> None:
    """List the accounts. Account 1 is the operator's own."""
    print_rows(config_file, "SELECT id AS account, name FROM accounts ORDER BY id")


@click.command("add")
@click.argument("name", callback=given_name)
@config_option
def add_pool(name: str, config_file: Path | None) -> None:
    """Add an empty pool; fill it with `callrouter numbers import`."""
    print_json({"pool": inventory_work(config_file, lambda conn: inventory.add_pool(conn, name)), "name": name})


@click.command("list")
@config_option
def list_pool(config_file: Path | None) -> None:
    """List the pools and how many numbers each has."""
    print_rows(
        config_file,
        """SELECT p.id AS pool, p.name, count(n.number) FILTER (WHERE n.state = 'active') AS active,
                  count(n.number) FILTER (WHERE n.state = 'disabled') AS disabled
           FROM pools p LEFT JOIN numbers n ON n.pool_id = p.id GROUP BY p.id, p.name ORDER BY p.id""",
    )


@click.command()
@click.argument("name", callback=given_name)
@config_option
def remove_pool(name: str, config_file: Path | None) -> None:
    """Remove a pool that has no numbers and serves no site."""
    removed = inventory_work(config_file, lambda conn: inventory.remove_pool(conn, name))
    print_json({"pool": removed, "name": name, "removed": True})


@click.group()
def site() -> None:
    """Tracked web sites."""


def _settings(command: Callable[..., None]) -> Callable[..., None]:
    """What may be set for a site, new or old."""
    for option in reversed((
        click.option(
            "--pool", "pools", multiple=True, callback=_pools, metavar="NAME[:regions=A,B][:sources=C,D][:priority=N]",
            help="Lease numbers of this pool to its visitors. Several are tried in the order given (or by priority, "
            "the lowest first); regions (RU-MOS, or a name) and sources narrow a pool to some visitors.",
        ),
        click.option("--fallback", help="The site's own number: shown while the pool is empty."),
        click.option("--route", help="CALLROUTER_ROUTE of its calls: a name your dialplan maps."),
        click.option(
            "--display", "display_pattern", callback=_pattern,
            help="How numbers look, # for the last digits: '8 (###) ###-##-##'.",
        ),
        click.option("--hold", type=Minutes(), help="Minutes a lease outlives the visitor; at least 5.  [30]"),
        click.option("--rest", type=Minutes(), help="Minutes a number rests at least after a lease.  [0]"),
        click.option("--gap", "visit_gap", type=Minutes(), help="Minutes of silence that end a visit.  [30]"),
        click.option(
            "--overflow", type=click.Choice(["fallback", "nearest_end"]),
            help="What a visitor sees when all numbers are leased: the fallback, or the lease nearest to its end.",
        ),
        click.option(
            "--own-number", "own_numbers", multiple=True,
            help="A number that stands on its pages and is replaced there; all of them, repeated.",
        ),
        click.option(
            "--consent", type=click.Choice(["full", "ask", "refused"]),
            help="What the script does before a visitor says anything: everything; show a channel's number and know "
            "nobody; nothing.  [full]",
        ),
        click.option("--select", help="CSS selector: numbers are replaced in these elements only, whatever they are."),
        click.option("--shadow", help="CSS selector of elements whose shadow roots are searched for numbers."),
        click.option(
            "--retention-days", type=Limit(1), metavar="DAYS|default", help="Remove its visits after so many days, "
            "with their pages and leases.  [visits: never]",
        ),
        click.option(
            "--leases-per-address", type=Limit(0), metavar="N|default", help="Numbers that one address may take within "
            "a hold; 0: any.  [by the size of its pools]",
        ),
        click.option(
            "--leases-per-site", type=Limit(0), metavar="N|default", help="Numbers that all its visitors together may "
            "take within a hold; 0: any.  [by the size of shared pools]",
        ),
        click.option(
            "--requests-per-second", type=Limit(1), metavar="N|default", help="Requests that each web process answers "
            "for it.  [as configured there]",
        ),
        click.option(
            "--quality", "quality_s", type=float, callback=_seconds, help="Seconds of talk of a quality call.  [60]"
        ),
    )):  # fmt: skip
        command = option(command)
    return callback_options(command)


@site.command("add")
@click.argument("domain", callback=given_domain)
@click.option("--account", required=True, help="The account's name.")
@_settings
@country_option
@config_option
def add_site(*, domain: str, account: str, config_file: Path | None, **given: Any) -> None:
    """Add a site; its visitors are leased numbers from now on."""

    async def work(conn: asyncpg.Connection) -> tuple[int, list[str]]:
        added = await site_inventory.add_site(conn, domain, account=account, settings=_given(given))
        return added, await _warnings(conn, added)

    added, warnings = inventory_work(config_file, work)
    _tell(warnings)
    print_json({"site": added, "domain": domain})


@site.command("change")
@click.argument("domain", callback=given_domain)
@click.option("--account", help="Whose site, if several accounts have one of that name.")
@_settings
@click.option("--country", callback=given_country, help="Whose national spelling callers use (ISO 3166).")
@click.option("--no-pool", is_flag=True, help="Lease it no numbers: static ones only.")
@click.option("--no-fallback", "without_fallback", is_flag=True, help="Show nothing special while the pool is empty.")
@click.option(
    "--domain",
    "domains",
    multiple=True,
    callback=given_domains,
    help="Domains its pages stand on: all of them, repeated.",
)
@click.option("--enabled/--disabled", "enabled", default=None, help="Whether its visitors are tracked.")
@config_option
def change_site(
    *, domain: str, account: str | None, no_pool: bool, config_file: Path | None, **given: Any
) -> None:  # fmt: skip
    """Change what is set for a site; what is not given stays. Pools and domains given replace the earlier ones."""
    if no_pool and given["pools"]:
        raise click.UsageError("--pool and --no-pool exclude each other")
    if given["without_fallback"] and given["fallback"]:
        raise click.UsageError("--fallback and --no-fallback exclude each other")

    async def work(conn: asyncpg.Connection) -> tuple[int, list[str]]:
        found = await inventory.site_named(conn, domain, account=account)
        country = given["country"] or await conn.fetchval(
            "SELECT country FROM sites WHERE account_id = $1 AND id = $2", *found
        )
        settings = _given(given | {"spelling": country}, no_pool=no_pool)
        changed = await site_inventory.change_site(conn, domain, settings, account=account)
        return changed, await _warnings(conn, changed)

    changed, warnings = inventory_work(config_file, work)
    _tell(warnings)
    print_json({"site": changed, "domain": domain})


def _given(given: dict[str, Any], *, no_pool: bool = False) -> SiteSettings:
    told = {name: value for name, value in given.items() if value is not None and (value != () or name == COUNTRIES)}
    spelling = told.pop("spelling", None) or told["country"]
    told["callback"] = given_callback(told, lambda text: spelled_number(text, spelling)) or None
    if fallback := told.pop("fallback", None):
        told["fallback_number"] = spelled_number(fallback, spelling)
    if own := told.pop("own_numbers", None):
        told["own_numbers"] = tuple(spelled_number(each, spelling) for each in own)
    if no_pool:
        told["pools"] = ()
    return SiteSettings(**told)


async def _warnings(conn: asyncpg.Connection, site: int) -> list[str]:
    """What may not be meant in how a site is set now."""
    empty = await site_inventory.pools_without_numbers(conn, site)
    return [
        f"pool {name} has no numbers: visitors see the fallback number until you fill it (callrouter numbers import)"
        for name in empty
    ] + await site_inventory.short_retentions(conn, site)


def _tell(warnings: list[str]) -> None:
    for warning in warnings:
        click.echo(warning, err=True)


@site.command("list")
@config_option
def list_sites(config_file: Path | None) -> None:
    """List the sites, their accounts, pools and settings."""
    print_rows(
        config_file,
        """SELECT s.id AS site, s.name AS domain, a.name AS account,
                  array_remove(array_agg(p.name ORDER BY sp.priority, p.id), NULL) AS pools, s.route,
                  s.fallback_number AS fallback, extract(epoch FROM s.hold)::float8 / 60 AS hold_minutes,
                  extract(epoch FROM s.rest)::float8 / 60 AS rest_minutes, s.overflow, s.domains, s.own_numbers,
                  s.consent, s.callback, s.widget ->> 'select' AS select, s.widget ->> 'shadow' AS shadow,
                  s.retention_days, s.leases_per_address, s.leases_per_site, s.requests_per_second, s.enabled
           FROM sites s JOIN accounts a ON a.id = s.account_id LEFT JOIN site_pools sp ON sp.site_id = s.id
           LEFT JOIN pools p ON p.id = sp.pool_id GROUP BY s.account_id, s.id, a.name ORDER BY s.id""",
    )
