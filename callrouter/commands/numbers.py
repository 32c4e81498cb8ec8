"""`callrouter numbers` and `static`: substitute numbers. Rules in `pool.number_inventory`."""

from __future__ import annotations

from pathlib import Path

import click

from callrouter.commands.leaks import leaks
from callrouter.commands.options import (
    config_option,
    country_option,
    given_domain,
    given_name,
    given_number,
    given_time,
    inventory_work,
    print_json,
    print_rows,
)
from callrouter.pool import number_inventory
from callrouter.pool.number_file import Fault, Listing, read_listing
from callrouter.pool.number_inventory import Imported


@click.group()
def numbers() -> None:
    """The inventory of substitute numbers."""


numbers.add_command(leaks)


@numbers.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--pool", required=True, help="The pool's name.")
@click.option("--move", is_flag=True, help="Take numbers that are in other pools from there.")
@click.option("--dry-run", is_flag=True, help="Check the file against the inventory and change nothing.")
@country_option
@config_option
def import_numbers(file: Path, pool: str, country: str, config_file: Path | None, *, move: bool, dry_run: bool) -> None:
    """Put the numbers of a CSV FILE into a pool: all of them, or none if a line is wrong.

    FILE has a header with `number` (any spelling) and, if you like, `route` and `note`; or just one number a line.
    """
    listing = _listing(file.read_bytes(), country)
    imported: Imported = inventory_work(
        config_file,
        lambda conn: number_inventory.import_numbers(conn, pool, listing, move=move, dry_run=dry_run),
    )
    if dry_run:
        print_json({"numbers": len(listing.numbers), "imported": False})
    else:
        print_json(imported)


def _listing(content: bytes, country: str) -> Listing:
    """Where it is no UTF-8, the other lines are read nevertheless, so that all their faults are told at once."""
    listing = read_listing(content.decode("utf-8-sig", errors="replace"), country)
    odd = []
    for line, text in enumerate(content.splitlines(), start=1):
        try:
            text.decode()
        except UnicodeDecodeError:
            odd.append(line)
    told = tuple(Fault(line, "is not UTF-8 text; save the file as UTF-8") for line in odd)
    others = tuple(fault for fault in listing.faults if fault.line not in odd)
    return Listing(listing.numbers, (*told, *others))


@numbers.command("list")
@config_option
def list_numbers(config_file: Path | None) -> None:
    """List the numbers: one JSON object a line."""
    print_rows(
        config_file,
        """SELECT n.number, p.name AS pool, n.state, n.route, n.note, b.channel AS static_channel
           FROM numbers n LEFT JOIN pools p ON p.id = n.pool_id
           LEFT JOIN static_bindings b ON b.number = n.number AND tstzrange(b.valid_from, b.valid_to) @> now()
           ORDER BY n.number""",
    )


@numbers.command("disable")
@click.argument("numbers", nargs=-1, required=True, metavar="NUMBER…")
@country_option
@config_option
def disable_numbers(numbers: tuple[str, ...], country: str, config_file: Path | None) -> None:
    """Set broken numbers aside: not leased again, their history kept."""
    spelled = [given_number(number, country) for number in numbers]
    inventory_work(config_file, lambda conn: number_inventory.disable_numbers(conn, spelled))
    for number in spelled:
        print_json({"number": number, "state": "disabled"})


@numbers.command("enable")
@click.argument("numbers", nargs=-1, required=True, metavar="NUMBER…")
@country_option
@config_option
def enable_numbers(numbers: tuple[str, ...], country: str, config_file: Path | None) -> None:
    """Lease numbers again that were set aside."""
    spelled = [given_number(number, country) for number in numbers]
    inventory_work(config_file, lambda conn: number_inventory.enable_numbers(conn, spelled))
    for number in spelled:
        print_json({"number": number, "state": "active"})


@numbers.command("move")
@click.argument("numbers", nargs=-1, required=True, metavar="NUMBER…")
@click.option("--pool", required=True, help="The pool's name.")
@country_option
@config_option
def move_numbers(numbers: tuple[str, ...], pool: str, country: str, config_file: Path | None) -> None:
    """Move numbers to another pool, also while they are leased: those leases end, their history stays."""
    spelled = [given_number(number, country) for number in numbers]
    print_json(inventory_work(config_file, lambda conn: number_inventory.move_numbers(conn, spelled, pool)))


@click.group()
def static() -> None:
    """Numbers that belong to a channel: a newspaper, a banner, a partner."""


@static.command("bind")
@click.argument("number")
@click.option("--site", required=True, callback=given_domain, help="The site's domain.")
@click.option("--account", help="Whose site, if several accounts have one of that name.")
@click.option("--channel", required=True, callback=given_name, help="As newspaper; what the calls are credited to.")
@click.option("--source", default="", help="As izvestia; the channel's name if not given.")
@click.option("--medium", default="", help="As print; for reports.")
@click.option("--campaign", default="", help="As spring; for reports.")
@click.option("--from", "since", help="ISO time; now if not given.")
@click.option("--until", help="ISO time; open if not given.")
@country_option
@config_option
def bind(
    *, number: str, site: str, account: str | None, channel: str, source: str, medium: str, campaign: str,
    since: str | None, until: str | None, country: str, config_file: Path | None,
) -> None:  # fmt: skip
    """Bind NUMBER to a channel of a site; what it was bound to when is kept."""
    spelled, start, end = given_number(number, country), given_time(since), given_time(until)
    binding = inventory_work(
        config_file,
        lambda conn: number_inventory.bind_static(
            conn, spelled, site=site, account=account, channel=channel, source=source, medium=medium,
            campaign=campaign, since=start, until=end,
        ),
    )  # fmt: skip
    print_json({"binding": binding, "number": spelled, "channel": channel})


@static.command("end")
@click.argument("number")
@click.option("--at", "moment", help="ISO time; now if not given.")
@country_option
@config_option
def end(number: str, moment: str | None, country: str, config_file: Path | None) -> None:
    """End what NUMBER is bound to; it may then be bound anew, or enter a pool."""
    spelled, at = given_number(number, country), given_time(moment)
    print_json(dict(inventory_work(config_file, lambda conn: number_inventory.end_static(conn, spelled, at=at))))


@static.command("list")
@config_option
def list_bindings(config_file: Path | None) -> None:
    """List what each static number was bound to when."""
    print_rows(
        config_file,
        """SELECT b.number, s.name AS site, b.channel, b.source, b.medium, b.campaign, b.valid_from, b.valid_to
           FROM static_bindings b JOIN sites s ON s.account_id = b.account_id AND s.id = b.site_id
           ORDER BY b.number, b.valid_from""",
    )
