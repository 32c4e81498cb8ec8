"""`callrouter demo`: the terminal's side of the demo: progress, a live table of appeals, the verdict."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import asyncpg
import click
import msgspec
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from callrouter.commands.options import print_json
from callrouter.demo import COMPANY, OPERATOR, Choices, Demo, product
from callrouter.lab.asterisk import AsteriskFailed, Attach
from callrouter.lab.calls import UnexpectedCall
from callrouter.lab.servers import ServerUnavailable
from callrouter.lab.stack import ProcessFailed
from callrouter.lab.verdict import Verdict
from callrouter.numbers import Number, display_number

ROWS = 25
"""Appeals that the live table shows at most: the latest."""


@click.command()
@click.option("--calls", default=20, show_default=True, type=click.IntRange(min=1, max=5000), help="Calls to place.")
@click.option("--at-once", default=5, show_default=True, type=click.IntRange(1, 12), help="Calls at the same time.")
@click.option("--exit", "leave", is_flag=True, help="Stop after the calls; else everything stays up until Ctrl-C.")
@click.option(
    "--attach",
    type=click.Choice(["agi", "ari", "watch"]),
    default="agi",
    show_default=True,
    help="How the dialplan asks.",
)
@click.option(
    "--asterisk", type=click.Choice([16, 22]), help="Which version to obtain; else the first that can be had."
)
@click.option("--simulated", is_flag=True, help="A simulated PBX (AMI and FastAGI over real sockets), no Asterisk.")
@click.option("--cluster", is_flag=True, help="Leases in a Valkey cluster of three masters.")
@click.option("--seed", default=1, show_default=True, help="Other visitors, other waits.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Keep data and logs here.")
def demo(
    *,
    calls: int,
    at_once: int,
    attach: Attach,
    asterisk: int | None,
    seed: int,
    folder: Path | None,
    leave: bool,
    simulated: bool,
    cluster: bool,
) -> None:
    """Run the whole product on this machine, with visitors and calls.

    Starts Postgres and Valkey (from pip), an Asterisk (yours, or downloaded without root), callrouter's router, web and
    worker; lets visitors open pages and call the numbers they see; and compares each appeal with what really happened.
    The last line on stdout is one JSON object with the result; the exit status is 0 only if everything is right.
    """
    if simulated and asterisk:
        raise click.UsageError("--simulated runs no Asterisk: leave out --asterisk")
    if simulated and attach == "ari":
        raise click.UsageError("the simulated PBX has no ARI: --attach agi or watch")
    choices = Choices(
        calls=calls, at_once=at_once, seed=seed, simulated=simulated, attach=attach, asterisk=asterisk, cluster=cluster
    )
    screen = Screen()
    try:
        with contextlib.ExitStack() as stack:
            if folder is None:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="callrouter-demo-")))
            asyncio.run(_run(folder.absolute(), choices, screen, leave=leave))
    except (ServerUnavailable, AsteriskFailed, ProcessFailed, UnexpectedCall, OSError) as error:
        raise click.ClickException(str(error)) from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        screen.say("stopped")
    sys.exit(0 if screen.verdict and screen.verdict.right else 1)


async def _run(folder: Path, choices: Choices, screen: Screen, *, leave: bool) -> None:
    main = asyncio.current_task()
    if main:
        for each in (signal.SIGTERM, signal.SIGHUP):  # hangup: the terminal was closed
            asyncio.get_running_loop().add_signal_handler(each, main.cancel)
    began = time.monotonic()
    async with product(folder, choices, screen.say) as running:
        with screen.table():
            verdict = await running.play(choices, screen.show)
        screen.conclude(verdict)
        if not leave:
            screen.invite(running, folder)
        print_json(
            {name: value for name, value in msgspec.structs.asdict(verdict).items() if name != "complaints"}
            | {"pbx": running.pbx.description, "seconds": round(time.monotonic() - began, 1)}
        )
        if not leave:
            await asyncio.Event().wait()
        screen.say("stopping")


class Screen:
    """What the person sees, on stderr: lines while things start, a table that grows, and the end."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._began = time.monotonic()
        self._live: Live | None = None
        self._shown: set[object] = set()
        self.verdict: Verdict | None = None

    def say(self, line: str) -> None:
        with contextlib.suppress(OSError):  # the terminal may be gone, and what runs must be stopped all the same
            self._console.print(f"[dim]{time.monotonic() - self._began:5.1f} s[/dim]  {escape(line)}")

    @contextlib.contextmanager
    def table(self) -> Iterator[None]:
        """On a terminal a table that grows in place; elsewhere a line per appeal."""
        if not self._console.is_terminal:
            yield
            return
        with Live(self._table([]), console=self._console, refresh_per_second=4) as self._live:
            yield
        self._live = None

    def show(self, rows: Sequence[asyncpg.Record]) -> None:
        if self._live:
            self._live.update(self._table(rows))
        elif not self._console.is_terminal:
            for row in rows:
                if row["id"] not in self._shown:
                    self._shown.add(row["id"])
                    self._console.print("  ".join(cell for cell in _cells(row) if cell), markup=False, soft_wrap=True)

    def _table(self, rows: Sequence[asyncpg.Record]) -> Table:
        """The latest appeals, as many and as wide as the terminal shows."""
        shown = COLUMNS if self._console.width >= WIDE else NARROW
        table = Table(title=f"Appeals: {len(rows)}", title_justify="left", box=None, pad_edge=False)
        for name in shown:
            table.add_column(name, no_wrap=True, justify="right" if name in {"wait", "talk"} else "left")
        for row in rows[-max(1, min(ROWS, self._console.height - 4)) :]:
            cells = dict(zip(COLUMNS, _cells(row), strict=True))
            table.add_row(*(escape(cells[name]) for name in shown))
        return table

    def conclude(self, verdict: Verdict) -> None:
        self.verdict = verdict
        for complaint in verdict.complaints:
            self._console.print(f"[red]{escape(complaint)}[/red]")
        right = "[green]everything right[/green]" if verdict.right else "[red]not everything is right[/red]"
        self._console.print(
            f"{right}: {verdict.calls} calls, {verdict.appeals} appeals, {verdict.attributed_right} attributed right, "
            f"{verdict.missing} missing, {verdict.extra} extra" + _waited(verdict),
            soft_wrap=True,
        )

    def invite(self, running: Demo, folder: Path) -> None:
        """Where to look while everything stays up."""
        stack = running.stack
        site, origin = next(iter(running.sites.items()))
        page = f'{{"url": "{origin}/?utm_source=yandex"}}'
        lines = [
            "",
            f"pages           {stack.web}/",
            f"sign in as      {COMPANY}   password {running.password}   (the company that is called)",
            f"or as           {OPERATOR}    with the same   (whose server it is: pools, accounts)",
            f"shop            {running.shop_url}/?utm_source=yandex&utm_medium=cpc   (open it in a browser)",
            f"configuration   {stack.config}",
            f"appeals         psql {running.postgres} -c 'TABLE appeals'",
            f"live calls      callrouter calls --config {stack.config}",
            f"health          {stack.ops('router')}/health   {stack.ops('worker')}/health",
            f"metrics         {stack.ops('router')}/metrics",
            f"logs            {folder / 'callrouter'}",
            f"a visit         curl -A Mozilla/5.0 -H 'Origin: {origin}' -d '{page}' {stack.web}/v/{site}/visit",
            f"its lease       callrouter lease show NUMBER --config {stack.config}",
            "",
            "Everything stays up until Ctrl-C.",
        ]
        self._console.print("\n".join(lines), markup=False, soft_wrap=True)


def _waited(verdict: Verdict) -> str:
    if verdict.resolve_ms_p50 is None:
        return "; the dialplan did not ask"
    return f"; the dialplan waited {verdict.resolve_ms_p50} ms (median), {verdict.resolve_ms_p99} ms (99 %)"


COLUMNS = ("time", "caller", "dialled", "source", "campaign", "status", "group", "employee", "wait", "talk", "credit")
WIDE = 130
"""Terminal columns in which all of them fit; a narrower one shows what matters most."""
NARROW = ("dialled", "source", "status", "group", "talk", "credit")


def _cells(row: asyncpg.Record) -> list[str]:
    credit = row["method"] if row["method"] == "unattributed" else f"{row['method']} {row['confidence']:.2f}"
    return [
        row["started_at"].astimezone().strftime("%H:%M:%S"),
        display_number(Number(row["caller"])) if row["caller"] else "withheld",
        display_number(Number(row["called"])) if row["called"] else "",
        row["source"] or "",
        row["campaign"] or "",
        row["lost_reason"] or row["status"],
        row["final_group"] or "",
        row["employee"] or "",
        f"{row['wait_s']:.1f} s",
        f"{row['talk_s']:.1f} s" if row["talk_s"] else "",
        credit + (" late" if row["late"] else ""),
    ]
