"""`callrouter lease`: who held a number when, and what happened to it. Postgres or the lease store may be away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import asyncpg
import click
from rich.console import Console

from callrouter.commands.lease_text import show_holding, show_timeline
from callrouter.commands.options import (
    CONNECT_SECONDS,
    config_option,
    country_option,
    given_number,
    given_picture,
    given_time,
    loaded,
    print_json,
)
from callrouter.configfile import Loaded
from callrouter.db.connect import TROUBLE, Connection, connect
from callrouter.numbers import Number
from callrouter.pool.connect import close_client, open_client
from callrouter.pool.directory import OPERATOR
from callrouter.pool.holders import Store, holding, look_up
from callrouter.pool.store import LeaseStore
from callrouter.pool.timeline import Asked, Timeline, read_timeline

T = TypeVar("T")
SHOWN_DAYS = 1
MOST = 20_000
"""Items of one timeline: beyond it, ask for a shorter time."""
REDIS_SECONDS = 1.0
Ask = Callable[["Connection | None", Store], Awaitable[T]]


@click.group()
def lease() -> None:
    """Look at leases: running ones in the lease store, all others in the history."""


@lease.command()
@click.argument("number")
@click.option("--at", "moment", help="ISO time, as 2026-01-31T14:03:22.5+03:00; now if not given.")
@click.option("--json/--text", "as_json", default=True, help="One line of JSON (the default), or lines to read.")
@country_option
@config_option
def show(*, number: str, moment: str | None, as_json: bool, country: str, config_file: Path | None) -> None:
    """Tell who held NUMBER then, and why: a visit's lease, a static binding, or nobody; and how it stands now.

    Works while Postgres or Redis is away, and says what is missing.
    """
    spelled, at = given_number(number, country), given_time(moment) or datetime.now(UTC)
    answer = _asked(loaded(config_file), lambda conn, store: holding(conn, store, spelled, at))
    if not answer.sources:
        raise click.ClickException("neither Postgres nor the lease store answers: " + "; ".join(answer.missing))
    if as_json:
        print_json(answer)
    else:
        show_holding(Console(highlight=False), answer)


@lease.command()
@click.argument("number")
@click.option("--since", help="ISO time; a day before --until if not given.")
@click.option("--until", help="ISO time; now if not given.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=given_picture,
    help="Draw it to this .svg or .png file.",
)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
@country_option
@config_option
def timeline(
    *, number: str, since: str | None, until: str | None, plot: Path | None, as_json: bool, country: str,
    config_file: Path | None,
) -> None:  # fmt: skip
    """Draw what happened to NUMBER: leases, calls, rests, bindings."""
    now = datetime.now(UTC)
    end = given_time(until) or now
    start = given_time(since) or end - timedelta(days=SHOWN_DAYS)
    if start >= end:
        raise click.ClickException("--since must lie before --until")
    spelled = given_number(number, country)
    told = _asked(loaded(config_file), lambda conn, store: _timeline(conn, store, spelled, start, end))
    if plot:
        _draw(told, plot, now)
    if as_json:
        print_json(told)
    else:
        show_timeline(Console(highlight=False), told, now=now)


async def _timeline(
    conn: Connection | None, store: Store, number: Number, since: datetime, until: datetime
) -> Timeline:
    if conn is None:
        raise click.ClickException("a timeline is history, and Postgres, which keeps it, is away")
    found = await look_up(conn, store, number, until, OPERATOR)
    asked = Asked(number=number, since=since, until=until, limit=MOST)
    told = await read_timeline(conn, asked, inventory=found.inventory, sight=found.sight, missing=found.missing)
    if told.next:
        raise click.ClickException(
            f"more than {MOST} leases and calls: ask for a shorter time with --since and --until"
        )
    return told


def _draw(told: Timeline, file: Path, now: datetime) -> None:
    from callrouter.pool.timeline_picture import draw  # noqa: PLC0415 - matplotlib takes its time to import

    try:
        draw(told, file, now=now)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"the picture cannot be drawn: {error}") from None


def _asked(found: Loaded, ask: Ask[T]) -> T:
    """The answer of `ask`, which is given None for Postgres if that is away."""

    async def run() -> T:
        async with _servers(found) as (conn, store):
            return await ask(conn, store)

    try:
        return asyncio.run(run())
    except asyncpg.UndefinedTableError:
        raise click.ClickException("the database has no tables yet; run: callrouter db migrate") from None


@asynccontextmanager
async def _servers(found: Loaded) -> AsyncIterator[tuple[Connection | None, Store]]:
    config = found.config
    conn = None
    client = open_client(
        config.redis.url, cluster=config.redis.cluster, timeout=REDIS_SECONDS, connections=4, retries=0
    )
    try:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                conn = await connect(config.postgres.url, command_seconds=30.0)
        except TROUBLE as error:
            place = found.source.where("postgres.url")
            click.echo(f"{place}: Postgres cannot be reached: {str(error) or 'no answer'}", err=True)
        yield conn, Store(LeaseStore(client), client)
    finally:
        if conn is not None:
            await conn.close()
        await close_client(client)
