"""`callrouter chaos`: the terminal's side of it: progress, a table fault by fault, what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from callrouter.chaos.faults import FAULTS
from callrouter.chaos.run import Choices
from callrouter.chaos.run import chaos as run
from callrouter.chaos.verdict import Line, Verdict
from callrouter.commands.options import print_json
from callrouter.lab.asterisk import AsteriskFailed
from callrouter.lab.load import SippFailed
from callrouter.lab.obtain import LabUnavailable, obtain
from callrouter.lab.servers import ServerUnavailable
from callrouter.lab.stack import ProcessFailed

NOT_HERE = (LabUnavailable, ServerUnavailable, AsteriskFailed, ProcessFailed, SippFailed, OSError)
FAULT_LIST = "Faults:\n\n\b\n" + "\n".join(f"{name:20} {fault.text}" for name, fault in FAULTS.items())
MUCH_S = 3.0
FILE_WIDTH = 120
SHOWN = 40
"""Complaints on the screen; all of them are in the JSON."""


def chosen_faults(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    names = tuple(FAULTS) if value is None else tuple(name.strip() for name in value.split(",") if name.strip())
    for name in names:
        if name not in FAULTS:
            raise click.BadParameter(f"{name!r} is none; there are {', '.join(FAULTS)}")
    if not names:
        raise click.BadParameter("name one at least")
    return names


@click.command(epilog=FAULT_LIST)
@click.option(
    "--minutes", default=3.0, show_default=True, type=click.FloatRange(0.2, 1440), help="So long calls go on."
)
@click.option("--rate", default=5.0, show_default=True, type=click.FloatRange(0.5, 20), help="Calls a second.")
@click.option("--seed", default=1, show_default=True, help="Another order of faults, other calls.")
@click.option("--faults", callback=chosen_faults, help="Only these, separated by commas.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Keep data and logs here.")
def chaos(*, minutes: float, rate: float, seed: int, faults: tuple[str, ...], folder: Path | None) -> None:
    """Harm a whole product on this machine while people call, and prove that no call was lost.

    Starts all that `callrouter demo` starts; SIPp calls through a real Asterisk; one fault after another comes and
    goes, as the seed says. In the end each call that the phones made and the PBX recorded must have one appeal that
    says what happened, credited to the visit that held the number. Prints a table, and as last line one JSON
    object; the exit status is 0 only if everything is right.
    """
    choices = Choices(minutes=minutes, rate=rate, seed=seed, faults=faults)
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        console.width = FILE_WIDTH
    began = time.monotonic()
    try:
        with contextlib.ExitStack() as stack:
            if folder is None:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="callrouter-chaos-")))
            verdict, pbx = asyncio.run(_run(folder.absolute(), choices, console))
    except NOT_HERE as error:
        raise click.ClickException(str(error)) from None
    _conclude(console, verdict)
    print_json(
        {"seed": seed, **msgspec.to_builtins(verdict), "pbx": pbx, "seconds": round(time.monotonic() - began, 1)}
    )
    sys.exit(1 if verdict.complaints else 0)


async def _run(folder: Path, choices: Choices, console: Console) -> tuple[Verdict, str]:
    def say(line: str) -> None:
        console.print(f"[dim]{escape(line)}[/dim]")

    software = await asyncio.to_thread(obtain, None, progress=say)
    with progress(console) as show:
        return await run(folder, software, choices, say, show), f"asterisk {software.version}"


@contextlib.contextmanager
def progress(console: Console) -> Iterator[Callable[[float, str], None]]:
    """A bar on a terminal, else nothing; to be told how far the run is (0 to 1) and what goes on."""
    bar = Progress(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=console)
    task = bar.add_task("", total=1.0)
    with bar if console.is_terminal else contextlib.nullcontext():
        yield lambda done, what: bar.update(task, completed=done, description=what)


def _conclude(console: Console, verdict: Verdict) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("fault", "at", "lasted", "calls", "slowest ring", "right", "late", "wrong", "missing", "extra"):
        table.add_column(name, justify="left" if name == "fault" else "right")
    for line in verdict.lines:
        table.add_row(*_cells(line))
    console.print(table)
    for complaint in verdict.complaints[:SHOWN]:
        console.print(f"[red]{escape(complaint)}[/red]", soft_wrap=True)
    if len(verdict.complaints) > SHOWN:
        console.print(f"[red]and {len(verdict.complaints) - SHOWN} more[/red]")
    right = "[red]not everything is right[/red]" if verdict.complaints else "[green]everything right[/green]"
    console.print(
        f"{right}: {verdict.calls} calls, {verdict.pbx_calls} from outside in the PBX's record, "
        f"{verdict.appeals} appeals, {verdict.right} right ({verdict.late} of them credited late), "
        f"{verdict.missing} missing, {verdict.extra} extra; "
        f"{verdict.with_lease} callers held their number; slowest ring {verdict.slowest_ring_s:.2f} s",
        soft_wrap=True,
    )
    for standstill in verdict.standstills:
        console.print(f"[red]Asterisk stood still: {escape(standstill)}[/red]", soft_wrap=True)
    if verdict.complaints or verdict.standstills or verdict.stalled_s > MUCH_S:
        console.print(f"[dim]this machine: {verdict.busy}; {verdict.at_once} calls at once[/dim]", soft_wrap=True)
    if verdict.stalled_s > MUCH_S:
        console.print(
            f"[yellow]the machine had no time for the phones for {verdict.stalled_s:g} s in all: times were "
            "judged less strictly, and an employee may have answered too late; leave it alone, or call more "
            "slowly (--rate)[/yellow]",
            soft_wrap=True,
        )


def _cells(line: Line) -> list[str]:
    minutes, seconds = divmod(line.at_s, 60)
    counts = [line.right, line.late, line.wrong, line.missing, line.extra]
    ring = f"{line.slowest_ring_s:.2f} s" if line.slowest_ring_s else ""
    return [
        line.fault, f"{int(minutes)}:{seconds:04.1f}", f"{line.lasted_s:.1f} s", str(line.calls), ring,
        *(str(count) if count else "" for count in counts),
    ]  # fmt: skip
