"""The options of `callrouter site` that say whether and how a site's callback orders are carried out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from callrouter.commands.options import given_country
from callrouter.numbers import Number

PREFIX = "callback_"
COUNTRIES = "callback_countries"
CLEARED = ""
"""Given in place of a country: the site's own again."""


def _countries(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...] | None:
    if not values:
        return None
    given = (given_country(context, parameter, value) for value in values if value != CLEARED)
    return tuple(dict.fromkeys(country for country in given if country))


def callback_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed((
        click.option(
            "--callback/--no-callback", "callback_enabled", default=None,
            help="Take callback orders: pages may make your PBX dial.  [no]",
        ),
        click.option("--callback-pbx", help="The PBX that dials, by its systemname.  [any that may]"),
        click.option("--callback-route", help="Whom callback orders ring first.  [the site's route]"),
        click.option("--callback-shown", help="The number that a called client sees.  [the site's own]"),
        click.option(
            "--callback-country", COUNTRIES, multiple=True, callback=_countries,
            help="Whose numbers may be called (ISO 3166); repeated; '' for the site's country again.",
        ),
        click.option("--callback-hours", help="When employees are there: 'mo-fr 09:00-18:00, sa 10:00-15:00'.  [ever]"),
        click.option("--callback-time-zone", help="Of these hours and of a time that a client names.  [the account's]"),
        click.option(
            "--callback-latest", "callback_latest_minutes", type=int,
            help="Minutes after it was due that an order may still be dialled.  [60]",
        ),
        click.option("--callback-attempts", type=int, help="How often employees are rung for an order.  [3]"),
        click.option("--callback-pause", "callback_pause_s", type=int, help="Seconds between two attempts.  [60]"),
        click.option("--callback-ring", "callback_ring_s", type=int, help="Seconds that employees are rung.  [30]"),
        click.option(
            "--callback-per-visitor", type=int, help="Orders an hour from one address, and for one number.  [3]"
        ),
        click.option("--callback-per-site", type=int, help="Orders an hour of the whole site.  [30]"),
    )):  # fmt: skip
        command = option(command)
    return command


def given_callback(told: dict[str, Any], spelled: Callable[[str], Number]) -> dict[str, object]:
    """What of `told` is about callbacks, taken out of it; numbers as `spelled` reads them."""
    given = {name.removeprefix(PREFIX): told.pop(name) for name in list(told) if name.startswith(PREFIX)}
    if given.get("shown"):
        given["shown"] = spelled(given["shown"])
    return given
