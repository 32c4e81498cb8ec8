"""`callrouter pool plan`: the terminal's side: options, progress, the answer. The rest is `pool.planning`'s."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import click
import msgspec
import uvloop
from click.core import ParameterSource
from redis.exceptions import RedisError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from callrouter.commands.options import (
    Minutes,
    Real,
    Share,
    config_option,
    drawing,
    given_domain,
    given_picture,
    inventory_work,
    loaded,
    print_json,
    stop_as_by_hand,
)
from callrouter.lab.servers import ServerUnavailable, embedded_valkey
from callrouter.pool.delay import DEFAULT_MODEL, DelayModel
from callrouter.pool.planning import demand as demands
from callrouter.pool.planning.demand import PROFILES, Demand, Impossible, Target
from callrouter.pool.planning.measured import PoolOfSite, fitted_model, pool_of_site, traffic_of_pool, world_of
from callrouter.pool.planning.picture import picture
from callrouter.pool.planning.plan import Plan, Planner, Tell
from callrouter.pool.planning.plans import save_plan
from callrouter.pool.planning.words import show
from callrouter.pool.simulation import worlds
from callrouter.pool.simulation.world import World, accounts
from callrouter.pool.store import StoreUnavailable

OTHER_HOLDS = (timedelta(minutes=10), timedelta(minutes=60))
"""Drawn beside the plan's own."""


def _shares(_context: click.Context, _parameter: click.Parameter, value: str | None) -> dict[str, float]:
    told: dict[str, float] = {}
    for part in filter(None, (value or "").split(",")):
        name, _, share = part.partition("=")
        if name.strip() in told:
            raise click.BadParameter(f"{name.strip()} is given twice")
        try:
            told[name.strip()] = float(share)
        except ValueError:
            raise click.BadParameter(f"write {part!r} as hours=0.15") from None
    return told


@click.command("plan")
@click.option("--site", callback=given_domain, help="Plan for the pool of this site, by the traffic of its sites.")
@click.option("--account", help="Whose site, if several accounts have one of that name.")
@click.option("--pool", help="Which of the site's pools; else the one it tries first.")
@click.option("--last-days", type=Real(1, 366), default=28.0, show_default=True, help="Traffic to measure.")
@click.option("--visits-per-hour", type=Real(1, 1e6), help="Mean over the week, bots included, all sites "
              "of the pool.")  # fmt: skip
@click.option("--world", "world_name", type=click.Choice(list(worlds.WORLDS)), default=worlds.DEFAULT,
              show_default=True, help="What visitors are like, as in `callrouter pool simulate`; "
              "with --site: when they call.")  # fmt: skip
@click.option("--profile", type=click.Choice(list(PROFILES)), help="At which hours they come.")
@click.option("--accounts", "account_count", type=click.IntRange(1, 1000), help="Companies that share the pool.")
@click.option("--lease-share", type=Share(), help="Of people's visits: those that want a "
              "number.")  # fmt: skip
@click.option("--call-share", type=Share(), help="Of those: the ones that lead to a call.")
@click.option("--delays", callback=_shares, help="When people call, as hours=0.15,days=0.05 (also minutes, weeks); the "
              "rest call during the visit.")  # fmt: skip
@click.option("--hold", type=Minutes(), help="Minutes a lease outlives the visitor.  [30, or the site's]")
@click.option("--window", type=Real(1, 24 * 60), help="Attribution window in hours.  "
              f"[{worlds.WINDOW_HOURS:g}, or the configured one]")  # fmt: skip
@click.option("--right", type=Share(max_open=True), default=0.97, show_default=True,
              help="Of attributable calls, credited to the right visit: at least.")  # fmt: skip
@click.option("--overflow", type=Share(max_open=True), default=0.01,
              show_default=True, help="Of visitors, find no number: at most.")  # fmt: skip
@click.option("--seed", default=1, show_default=True, help="Other people, other calls.")
@click.option("--quick", is_flag=True, help="The number alone: no curve, no rules of thumb.")
@click.option("--check", is_flag=True, help="Afterwards simulate whole worlds of other people with as many numbers: "
              "does the plan keep its word? Exit code 1 if not. Takes longer than the plan.")  # fmt: skip
@click.option(
    "--save", is_flag=True, help="Keep the plan: the worker warns when the live pool leaves it (with --site)."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of tables.")
@click.option("--plot", "file", type=click.Path(path_type=Path, dir_okay=False), callback=given_picture,
              help="Draw accuracy by numbers, for this hold and others (SVG or PNG).")  # fmt: skip
@click.option("--redis", "server", help="Simulate on this server (redis://…), in names of its own that are removed "
              "afterwards; without it one is started for the time.")  # fmt: skip
@config_option
def plan_pool(*, config_file: Path | None, **given: Any) -> None:
    """How many numbers a pool needs, so that calls reach the right visit.

    Arithmetic (Erlang-B) says how many visitors find a number. Whether callers reach their own visit depends on when a
    number is another visitor's again: that is simulated, with the real pool and the real attribution, and the fewest
    numbers are searched that reach the target with several seeds.

    \b
    For the default traffic:        callrouter pool plan
    For other traffic:              callrouter pool plan --visits-per-hour 60 --profile offices
    By what your site saw:          callrouter pool plan --site shop.example --save
    As a picture:                   callrouter pool plan --plot plan.svg
    """
    _site_is_given(given)
    try:
        pool, demand = _demand(config_file, given)
        stop_as_by_hand()
        plan = uvloop.run(_planned(demand, given))
    except Impossible as error:
        raise click.ClickException(str(error)) from None
    except (ServerUnavailable, StoreUnavailable, RedisError) as error:
        raise click.ClickException(f"no server to simulate on: {error}") from None
    if given["as_json"]:
        print_json(_document(plan, pool))
    else:
        show(Console(), plan)
        if pool is not None:
            _tell_pool(plan, pool)
    if given["file"] is not None:
        with drawing():
            picture(plan, given["file"])
    if not all(check.holds for check in plan.checks):
        raise click.ClickException("the plan did not hold in every world that it was checked in")
    if given["save"] and pool is not None:
        inventory_work(config_file, lambda conn: save_plan(conn, pool.id, pool.account, plan))
        click.echo("The plan is kept: POOL-DRIFT warns when the pool leaves it.", err=given["as_json"])


def _site_is_given(given: dict[str, Any]) -> None:
    """Where an option says something of a site's pool."""
    if given["site"]:
        return
    if given["save"]:
        raise click.UsageError("--save keeps a plan for a site's pool: give --site")
    for name in ("account", "pool", "last_days"):
        if _was_said(name):
            raise click.UsageError(f"--{name.replace('_', '-')} says which traffic to plan by: give --site, too")


def _demand(config_file: Path | None, given: dict[str, Any]) -> tuple[PoolOfSite | None, Demand]:
    pool, world, model = None, worlds.WORLDS[given["world_name"]](), DEFAULT_MODEL
    window = timedelta(hours=given["window"] or worlds.WINDOW_HOURS)
    if given["site"]:
        pool, world, model = inventory_work(config_file, lambda conn: _measured(conn, given))
        window = timedelta(hours=given["window"]) if given["window"] else loaded(config_file).config.attribution.window
    world = _changed(world, given)
    hold = given["hold"] or (pool.hold if pool else timedelta(minutes=30))
    target = Target(right=given["right"], overflow=given["overflow"])
    return pool, demands.checked(Demand(world=world, hold=hold, window=window, model=model, target=target))


async def _measured(conn: asyncpg.Connection, given: dict[str, Any]) -> tuple[PoolOfSite, World, DelayModel]:
    pool = await pool_of_site(conn, given["site"], account=given["account"], pool=given["pool"])
    if given["visits_per_hour"]:
        return pool, worlds.WORLDS[given["world_name"]](), DEFAULT_MODEL
    traffic = await traffic_of_pool(conn, pool.id, until=datetime.now(UTC), days=given["last_days"])
    model = await fitted_model(conn, traffic)
    world = world_of(traffic, model)
    if _was_said("world_name"):
        world = demands.with_callers_of(world, worlds.WORLDS[given["world_name"]]())
    return pool, world, model or DEFAULT_MODEL


def _was_said(option: str) -> bool:
    return click.get_current_context().get_parameter_source(option) is ParameterSource.COMMANDLINE


def _changed(world: World, given: dict[str, Any]) -> World:
    """What was said beats what was measured, and the world's own."""
    told = {
        "visits_per_hour": given["visits_per_hour"],
        "sites": accounts(given["account_count"]) if given["account_count"] else None,
    }
    world = msgspec.structs.replace(world, **{name: value for name, value in told.items() if value is not None})
    if given["profile"]:
        world = demands.with_profile(world, PROFILES[given["profile"]])
    if given["lease_share"]:
        browsing = msgspec.structs.replace(world.browsing, human=given["lease_share"])
        world = msgspec.structs.replace(world, browsing=browsing)
    if given["delays"]:
        world = demands.with_delays(world, given["delays"])
    if given["call_share"]:
        calling = msgspec.structs.replace(world.calling, share=given["call_share"])
        world = msgspec.structs.replace(world, calling=calling)
    return world


async def _planned(demand: Demand, given: dict[str, Any]) -> Plan:
    holds = tuple(hold for hold in OTHER_HOLDS if hold != demand.hold) if given["file"] else ()
    async with _valkey(given["server"]) as url:
        with _progress() as tell:
            planner = Planner(url, demand, seed=given["seed"], tell=tell)
            plan = await planner.plan(curve=not given["quick"], holds=holds)
            return await planner.checked(plan) if given["check"] else plan


@asynccontextmanager
async def _valkey(server: str | None) -> AsyncIterator[str]:
    if server is not None:
        if not server.startswith("redis://"):
            raise click.ClickException("--redis: write the URL of a plain server: redis://host:port/db")
        yield server
        return
    with tempfile.TemporaryDirectory(prefix="callrouter-plan-") as folder:
        async with embedded_valkey(Path(folder)) as url:
            yield url


@contextmanager
def _progress() -> Iterator[Tell]:
    """How many of the simulations are over, on stderr."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
               TimeElapsedColumn(), TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("simulating", total=1.0)

        def told(name: str, over: float, expected: int) -> None:
            progress.update(bar, description=f"simulating {name}", completed=over, total=float(expected))

        yield told


def _document(plan: Plan, pool: PoolOfSite | None) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(plan)
    if pool is not None:
        told["pool"] = {"name": pool.name, "numbers": pool.active, "sites": list(pool.sites)}
    return told


def _tell_pool(plan: Plan, pool: PoolOfSite) -> None:
    text = f"Pool {pool.name} has {pool.active:,} numbers in use and serves {', '.join(pool.sites)}."
    if plan.numbers is not None and plan.numbers > pool.active:
        text += f" {plan.numbers - pool.active:,} are missing."
    click.echo(text)
