"""`callrouter client`: which clients were made one, and how to mend it by hand. Rules in `appeals.merging`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import asyncpg
import click

from callrouter.appeals.merging import Swallowed, undo_merge
from callrouter.commands.options import config_option, inventory_work, print_json
from callrouter.journal.joining import merge_clients
from callrouter.pool.inventory import Refused, account_named

MERGES = """
SELECT m.id AS merge, a.name AS account, m.survivor_id AS survivor, m.merged_id AS merged, m.kind, m.value,
    jsonb_array_length(m.moved -> 'appeals') AS appeals, m.merged_at, m.undone_at
FROM client_merges m JOIN accounts a ON a.id = m.account_id
WHERE ($1::bigint IS NULL OR m.account_id = $1)
    AND ($2::bigint IS NULL OR $2 IN (m.survivor_id, m.merged_id)) ORDER BY m.id"""
CLIENTS = "SELECT id FROM clients WHERE account_id = $1 AND id = ANY($2::bigint[]) FOR UPDATE"

account_option = click.option("--account", required=True, help="Whose clients: the account's name.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Tell what would move, and move nothing.")


T = TypeVar("T")


class _OnlyTried(Exception):
    """Ends the transaction of a dry run."""


@click.group()
def client() -> None:
    """Clients who were made one, by what they sent or by hand: list, merge, take apart.

    \b
    Two clients become one when a form has the phone of one and the e-mail of the other.
    The older survives; what moved is recorded, and is given back by unmerge.
    """


@client.command("merges")
@click.option("--account", help="Of this account only, by name.")
@click.option("--client", "number", type=int, help="Of this client only, by id.")
@config_option
def list_merges(*, account: str | None, number: int | None, config_file: Path | None) -> None:
    """List who was made one with whom, by which phone or e-mail, and whether it was undone."""

    async def rows(conn: asyncpg.Connection) -> list[asyncpg.Record]:
        return await conn.fetch(MERGES, await account_named(conn, account) if account else None, number)

    for row in inventory_work(config_file, rows):
        print_json(dict(row))


@client.command("merge")
@click.argument("one", type=int)
@click.argument("other", type=int)
@account_option
@dry_run_option
@config_option
def merge_by_hand(*, one: int, other: int, account: str, dry_run: bool, config_file: Path | None) -> None:
    """Make one client of ONE and OTHER, ids as the journal has them: the older (lower) id survives."""
    if one == other:
        raise click.UsageError("a client is one with himself already; name two")

    async def work(conn: asyncpg.Connection) -> asyncpg.Record:
        owner = await account_named(conn, account)
        found = {row["id"] for row in await conn.fetch(CLIENTS, owner, [one, other])}
        if missing := {one, other} - found:
            raise Refused(
                f"{account!r} has no client {min(missing)}; see callrouter client merges --client {min(missing)}"
            )
        survivor = await merge_clients(conn, owner, one, other)
        merges: list[asyncpg.Record] = await conn.fetch(MERGES, owner, survivor)
        return merges[-1]

    told = _tried(config_file, work, dry_run=dry_run)
    print_json({name: told[name] for name in ("merge", "survivor", "merged", "appeals")} | {"dry_run": dry_run})


@client.command("unmerge")
@click.argument("number", metavar="MERGE", type=int)
@account_option
@dry_run_option
@config_option
def unmerge(*, number: int, account: str, dry_run: bool, config_file: Path | None) -> None:
    """Take apart what MERGE (its id, as `client merges` shows it) made one: each gets his own back.

    What came after the merge stays with the survivor.
    """

    async def work(conn: asyncpg.Connection) -> dict[str, int]:
        owner = await account_named(conn, account)
        try:
            given = await undo_merge(conn, owner, number)
        except Swallowed as error:
            raise Refused(f"its survivor went into another client since: undo merge {error.later} first") from None
        if given is None:
            raise Refused(f"{account!r} has no merge {number}, or it was undone before; see callrouter client merges")
        return given

    print_json({"merge": number, **_tried(config_file, work, dry_run=dry_run), "dry_run": dry_run})


def _tried(config_file: Path | None, work: Callable[[asyncpg.Connection], Awaitable[T]], *, dry_run: bool) -> T:
    """What `work` did, in one transaction; of a dry run nothing stays."""

    async def run(conn: asyncpg.Connection) -> T:
        with suppress(_OnlyTried):
            async with conn.transaction():
                done = await work(conn)
                if dry_run:
                    raise _OnlyTried
        return done

    return inventory_work(config_file, run)
