"""`callrouter soak`: the terminal's side of it: progress, rates, memory, what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.markup import escape

from callrouter.commands.chaos import NOT_HERE, progress
from callrouter.commands.options import print_json
from callrouter.lab.obtain import obtain
from callrouter.soak.run import Soaked
from callrouter.soak.run import soak as run


@click.command()
@click.option("--calls", default=10_000, show_default=True, type=click.IntRange(100, 9_000_000), help="How many.")
@click.option(
    "--rate",
    type=click.FloatRange(1, 1000),
    help="Calls a second; else the highest that is held, found by trying, without callrouter and with it.",
)
@click.option(
    "--apart/--together",
    default=lambda: len(os.sched_getaffinity(0)) > 1,
    show_default="apart, if there are two cores",
    help="Asterisk has a processor core of its own, as on a host of its own; or shares all.",
)
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Keep data and logs here.")
def soak(*, calls: int, rate: float | None, apart: bool, folder: Path | None) -> None:
    """Place a great many real calls, as fast as Asterisk holds, and prove that each has its appeal.

    SIPp plays callers and employees: extensions, eight queues, transfers. Prints which rate Asterisk holds without and
    with callrouter, memory and CPU a call of each process, and as last line one JSON object. The exit status is 0
    only if no appeal is missing, extra or wrong, memory stays, and the rate with callrouter is 0.9 of that without.

    Where Asterisk shares its cores with all the rest, phones and databases too (--together), that ratio tells mostly
    how they are shared; so one core is Asterisk's alone, without callrouter as with it.
    """
    console = Console(stderr=True, highlight=False)
    began = time.monotonic()
    try:
        with contextlib.ExitStack() as stack:
            if folder is None:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="callrouter-soak-")))
            result = asyncio.run(_run(folder.absolute(), calls, rate, apart, console))
    except NOT_HERE as error:
        raise click.ClickException(str(error)) from None
    _conclude(console, result)
    print_json({**msgspec.to_builtins(result), "seconds": round(time.monotonic() - began, 1)})
    sys.exit(0 if result.right else 1)


async def _run(folder: Path, calls: int, rate: float | None, apart: bool, console: Console) -> Soaked:
    def say(line: str) -> None:
        console.print(f"[dim]{escape(line)}[/dim]")

    software = await asyncio.to_thread(obtain, None, progress=say)
    with progress(console) as show:
        return await run(folder, software, calls, rate, apart=apart, say=say, show=show)


def _conclude(console: Console, result: Soaked) -> None:
    for name, tries in (("without", result.tries_without), ("with", result.tries_with)):
        for one in tries:
            held = "held" if one.held else f"[red]not held[/red] ({one.failed} failed)"
            console.print(
                f"{name} callrouter: {one.rate:g} calls/s {held}, 99 % heard something within {one.slowest_s:.2f} s, "
                f"{one.asterisk_ms:g} ms of Asterisk's CPU a call"
            )
    found = result.found
    for complaint in found.complaints:
        console.print(f"[red]{escape(complaint)}[/red]", soft_wrap=True)
    for name, fifths in result.memory_mb.items():
        console.print(f"{name}: {', '.join(f'{each:g}' for each in fifths)} MB in each fifth of the calls")
    each = ", ".join(f"{name} {ms:g} ms" for name, ms in result.cpu_ms_per_call.items())
    console.print(f"CPU a call: {each}", soft_wrap=True)
    ratio = f", {result.ratio:.2f} of the rate without callrouter" if result.ratio is not None else ""
    where = ", Asterisk on a core of its own" if result.apart else ""
    right = "[green]everything right[/green]" if result.right else "[red]not everything is right[/red]"
    console.print(
        f"{right}: {result.calls} calls at {result.rate_played:g} a second{where}{ratio}; "
        f"{found.pbx_calls} in the PBX's record, {found.appeals} appeals, "
        f"{found.missing} missing, {found.extra} extra, {found.wrong} wrong; "
        f"{found.failed} calls that the phones could not play",
        soft_wrap=True,
    )
