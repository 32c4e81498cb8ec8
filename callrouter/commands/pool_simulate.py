"""`callrouter pool simulate`: the terminal's side of a simulation: options, progress, tables. The rest is
`pool.simulation`'s."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import msgspec
from redis.exceptions import RedisError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from callrouter.commands.model_file import given_model, write_model
from callrouter.commands.options import Real, drawing, given_picture, given_target, print_json, stop_as_by_hand
from callrouter.lab.servers import ServerUnavailable, embedded_valkey
from callrouter.pool.delay import DEFAULT_MODEL, DelayModel
from callrouter.pool.model import DEFAULT_HOLD, MINIMUM_HOLD
from callrouter.pool.planning.demand import Target
from callrouter.pool.planning.reuse import formula_of
from callrouter.pool.simulation import cases, worlds
from callrouter.pool.simulation.cases import Case, Result
from callrouter.pool.simulation.comparison import Difference, Needed, difference
from callrouter.pool.simulation.document import difference_document, document, needed_document
from callrouter.pool.simulation.equal import Equals
from callrouter.pool.simulation.oracle import Oracle
from callrouter.pool.simulation.plot import plot
from callrouter.pool.simulation.policies import OURS, POLICIES
from callrouter.pool.simulation.runner import MONDAY
from callrouter.pool.simulation.show import show, show_comparison
from callrouter.pool.simulation.visitors import BEATS
from callrouter.pool.simulation.world import World, accounts
from callrouter.pool.store import StoreUnavailable

ALL = "all"
TOO_BRIGHT = 1.5
"""By so much the formula's share of wrong calls is too low for the sizes that `pool plan` names, about."""
LARGEST_POOL = 500_000


def _policies(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(POLICIES) if value == ALL else tuple(dict.fromkeys(part.strip() for part in value.split(",")))
    for name in names:
        if name not in POLICIES:
            raise click.BadParameter(f"{name!r} is no policy; there are {', '.join(POLICIES)} and {ALL}")
    return names


def _server(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not value.startswith("redis://"):
        raise click.BadParameter("write the URL of a plain server: redis://host:port/db")
    return value


@click.command("simulate")
@click.option("--world", "world_name", type=click.Choice(list(worlds.WORLDS)), default=worlds.DEFAULT,
              show_default=True, help="What the visitors are like.")  # fmt: skip
@click.option("--numbers", type=click.IntRange(1, LARGEST_POOL), help="In the pool; without it, about what "
              "'pool plan' names for the world: 97 % of attributable calls right, overflow at most 1 %.")  # fmt: skip
@click.option("--visits-per-hour", type=Real(0.1, 1e6), help="Mean over the week, bots included, all sites.")
@click.option("--accounts", "account_count", type=click.IntRange(1, 1000), help="Companies that share the pool.")
@click.option("--days", type=Real(1, 366), help="Days that count, after some of warm-up.")
@click.option("--hold", type=Real(MINIMUM_HOLD / timedelta(minutes=1), 1440), default=30.0,
              show_default=True, help="Minutes that a lease outlives its visitor's last sign of life.")  # fmt: skip
@click.option("--window", type=Real(1, 24 * 60), default=worlds.WINDOW_HOURS, show_default=True,
              help="Attribution window in hours.")  # fmt: skip
@click.option("--seed", default=1, show_default=True, help="Other people, other calls.")
@click.option("--more-calls", type=click.IntRange(0, 200), default=0, show_default=True, help="Ask also about so many "
              "further sets of calls that the same visits might have brought: narrower intervals.")  # fmt: skip
@click.option("--model", "model", type=click.Path(path_type=Path, dir_okay=False), callback=given_model,
              help="Credit by this delay model, of a file that --fit or 'pool fit --json' wrote.")  # fmt: skip
@click.option("--fit", "fitted", type=click.Path(path_type=Path, dir_okay=False), callback=given_target,
              help="Fit the delay model to what happened, as 'pool fit' does to an account's past, and write it to "
              "this file.")  # fmt: skip
@click.option("--policy", "policies", default=OURS, show_default=True, callback=_policies,
              help=f"Several by commas, or '{ALL}': tried on the same people and compared. " + "; ".join(
                  f"{policy.name}: {policy.about}" for policy in POLICIES.values()) + ".")  # fmt: skip
@click.option("--equal-accuracy", is_flag=True, help="With several policies: with how many numbers ours is as good.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of tables.")
@click.option("--plot", "picture", type=click.Path(path_type=Path, dir_okay=False), callback=given_picture,
              help="Draw confidence against truth, and the shares (SVG or PNG).")  # fmt: skip
@click.option("--redis", "server", callback=_server, help="Use this server (redis://…), in names of its own that are "
              "removed afterwards; without it one is started for the time.")  # fmt: skip
def simulate_pool(
    *, world_name: str, numbers: int | None, visits_per_hour: float | None, account_count: int | None,
    days: float | None, hold: float, window: float, seed: int, more_calls: int, policies: tuple[str, ...],
    model: DelayModel | None, fitted: Path | None, equal_accuracy: bool, as_json: bool, picture: Path | None,
    server: str | None,
) -> None:  # fmt: skip
    """Visitors and calls whose truth is known: how often is the credited visit right?

    Companies share a pool; their visitors come by day and week, read, come back, call in the visit or days later, call
    again, pass numbers on; strangers and robots call. All of that is drawn by --seed. Leases and attribution are the
    real ones, on a real server, by a virtual clock: weeks take a minute.

    \b
    As good as it is planned to be:    callrouter pool simulate
    With fewer numbers:                callrouter pool simulate --numbers 300
    Against other ways of choosing:    callrouter pool simulate --policy all
    Late callers, as a picture:        callrouter pool simulate --world slow-deciders --plot late.svg

    Right is the caller's own latest visit that showed the number he dialled. Attributable: he himself saw a substitute
    number on a tracked visit, whenever he calls. What is assumed of people, and why, is in docs/concepts/simulation.md.
    """
    world = _changed(worlds.WORLDS[world_name](), visits_per_hour, account_count, days)
    if len(policies) > 1:
        policies = tuple(dict.fromkeys((OURS, *policies)))
    if fitted is not None and (more_calls or OURS not in policies):
        raise click.UsageError("--fit takes what happened under our policy: without --more-calls")
    held, within = timedelta(minutes=hold), timedelta(hours=window)
    case = Case(
        world=world, numbers=numbers or _planned_numbers(world, held, within), seed=seed, hold=held, window=within,
        policies=policies, judges={"oracle": Oracle(world, MONDAY, beat=held.total_seconds() / BEATS).judge},
        more_calls=more_calls, model=model or DEFAULT_MODEL, keeps_past=fitted is not None,
    )  # fmt: skip
    stop_as_by_hand()
    try:
        results, needed = asyncio.run(_simulated(case, server, equal_accuracy=equal_accuracy))
    except (ServerUnavailable, StoreUnavailable, RedisError) as error:
        raise click.ClickException(f"no server to simulate on: {error}") from None
    if as_json:
        print_json(_document(results, needed))
    else:
        _print(results, needed)
    if fitted is not None and (past := results[OURS].past):
        write_model(past.fitted().model, fitted)
    if picture is not None:
        with drawing():
            plot([result.report for result in results.values()], picture)


def _planned_numbers(world: World, hold: timedelta, window: timedelta) -> int:
    """About what `pool plan` names: for the default people in proportion, for others by the formula."""
    usual = worlds.default()
    like = msgspec.structs.replace(world, visits_per_hour=usual.visits_per_hour, days=usual.days)
    if like == usual and (hold, window) == (DEFAULT_HOLD, timedelta(hours=worlds.WINDOW_HOURS)):
        return worlds.planned_numbers(world)
    target = Target()
    formula = formula_of(world, hold_seconds=hold.total_seconds(), window_seconds=window.total_seconds())
    cautious = 1 - (1 - target.right) / TOO_BRIGHT
    found = formula.numbers_for(cautious, target.overflow) or formula.numbers_for(target.right, target.overflow)
    if found is None:
        click.echo(
            f"No pool makes {target.right:.0%} of these people's calls right: simulating with "
            f"{worlds.planned_numbers(world):,} numbers; name others with --numbers.", err=True,
        )  # fmt: skip
        return worlds.planned_numbers(world)
    return found


def _changed(world: World, visits_per_hour: float | None, account_count: int | None, days: float | None) -> World:
    given = {
        "visits_per_hour": visits_per_hour,
        "sites": accounts(account_count) if account_count else None,
        "days": days,
    }
    return msgspec.structs.replace(world, **{name: value for name, value in given.items() if value is not None})


async def _simulated(
    case: Case, server: str | None, *, equal_accuracy: bool
) -> tuple[dict[str, Result], dict[str, Needed]]:
    """What came of each policy, and with how many numbers ours would have been as good as the others."""
    async with _valkey(server) as url:
        with _progress() as progress:
            results = await cases.simulate(url, case, progress)
            needed: dict[str, Needed] = {}
            if equal_accuracy and OURS in results:
                equals = Equals(url, case, results[OURS], progress)
                needed = {name: await equals.of(result) for name, result in results.items() if name != OURS}
    return results, needed


@asynccontextmanager
async def _valkey(server: str | None) -> AsyncIterator[str]:
    if server is not None:
        yield server
        return
    with tempfile.TemporaryDirectory(prefix="callrouter-simulation-") as folder:
        async with embedded_valkey(Path(folder)) as url:
            yield url


@contextmanager
def _progress() -> Iterator[cases.Progress]:
    """A bar per run, on stderr."""
    bars: dict[str, TaskID] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
               TimeElapsedColumn(), TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def told(name: str, share: float) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=1.0)
            progress.update(bars[name], completed=share)

        yield told


def _differences(results: dict[str, Result]) -> dict[str, Difference]:
    ours = results.get(OURS)
    if ours is None:
        return {}
    others = {name: result for name, result in results.items() if name != OURS}
    return {name: difference(ours.judgement, other.judgement) for name, other in others.items()}


def _document(results: dict[str, Result], needed: dict[str, Needed]) -> dict[str, Any]:
    """Of several policies, ours comes first and the others are inside it."""
    first, *others = results.values()
    told = document(first.report)
    if others:
        margins = _differences(results)
        told["policies"] = [
            {
                **document(other.report),
                "ours_better_by": difference_document(margins[name]),
                **(needed_document(needed[name]) if name in needed else {}),
            }
            for name, other in list(results.items())[1:]
        ]
    return told


def _print(results: dict[str, Result], needed: dict[str, Needed]) -> None:
    console = Console()
    first, *others = results.values()
    show(console, first.report)
    if others:
        margins = _differences(results)
        rows = [(result.report, margins.get(name), needed.get(name)) for name, result in results.items()]
        show_comparison(console, rows)
