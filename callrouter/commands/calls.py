"""`callrouter calls`: the calls in progress and their steps, in the terminal. Asks the router on this machine."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import click
import httpx
import msgspec
from rich.console import Console, Group
from rich.live import Live as Screen
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from callrouter.calls.phases import phase_after
from callrouter.calls.record import Step
from callrouter.commands.options import config_option, loaded, print_json
from callrouter.config import address
from callrouter.live_calls import Live, Told

PAUSE_SECONDS = 0.5
ASK_SECONDS = 5.0
FILE_WIDTH = 400
WIDE = 110
"""Terminal columns in which steps stand beside the call; in fewer they are left out."""
MARKS = {"inbound": "in ", "outbound": "out", "internal": "   "}
COLOURS = {"talks": "green", "waits": "yellow", "held": "magenta"}
FORBIDDEN, FOUND = 403, 200


@click.command()
@click.option("--once", is_flag=True, help="Tell them once, instead of following them until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, once, with all that is known.")
@click.option("--numbers", is_flag=True, help="With customers' numbers, which are masked otherwise.")
@click.option("--url", help="The router's operation port; by default [router] http_listen of the configuration.")
@config_option
def calls(config_file: Path | None, url: str | None, *, once: bool, as_json: bool, numbers: bool) -> None:
    """Show the calls in progress: who, since when, where, and each step that led there.

    Asks the router that runs on this machine; it answers no other. Numbers of customers (and mobile phones of
    employees) are masked without --numbers. At most 500 calls are listed, the oldest first; all are counted.
    """
    base = (url or _own_url(config_file)).rstrip("/")
    with httpx.Client(base_url=base, timeout=ASK_SECONDS, trust_env=False) as client:
        if as_json:
            print_json(msgspec.to_builtins(_asked(client, numbers=numbers)))
            return
        console = Console()
        if not console.is_terminal:
            console.width = FILE_WIDTH
        if once or not console.is_terminal:
            console.print(_shown(_asked(client, numbers=numbers), console))
            return
        _follow(client, console, numbers=numbers)


def _own_url(config_file: Path | None) -> str:
    host, port = address(loaded(config_file).config.router.http_listen)
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - told, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _asked(client: httpx.Client, *, numbers: bool) -> Live:
    try:
        answer = client.get("/calls", params={"numbers": "1"} if numbers else {})
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise click.ClickException(f"no router answers at {client.base_url} ({error}); is it running?") from None
    if answer.status_code == FORBIDDEN:
        raise click.ClickException("the router tells calls to its own machine only: run this beside it")
    try:
        return msgspec.json.decode(answer.content, type=Live)
    except msgspec.DecodeError:
        raise click.ClickException(
            f"{client.base_url} answered {answer.status_code}, not as a router of this version does; is it [router] "
            "http_listen of this configuration?"
        ) from None


def _follow(client: httpx.Client, console: Console, *, numbers: bool) -> None:
    """Until Ctrl-C; a router that is restarted meanwhile is waited for."""
    shown = _shown(_asked(client, numbers=numbers), console)
    with Screen(shown, console=console, auto_refresh=False, screen=True) as screen:
        try:
            while True:
                time.sleep(PAUSE_SECONDS)
                try:
                    shown = _shown(_asked(client, numbers=numbers), console)
                    screen.update(shown, refresh=True)
                except click.ClickException as error:
                    screen.update(Group(Text(error.message, style="red"), shown), refresh=True)
        except KeyboardInterrupt:
            pass


def _shown(live: Live, console: Console) -> Group:
    room = len(live.calls) if not console.is_terminal else max(1, console.height - 4)
    table = Table(box=None, pad_edge=False)
    wide = console.width >= WIDE
    for name in ("for", "call", "visit", "now", *(["steps"] if wide else [])):
        table.add_column(
            name, no_wrap=name in ("for", "call"), overflow="fold", justify="right" if name == "for" else "left"
        )
    for call in live.calls[-room:]:
        now = _now(call)
        cells = [_since(call.started_at, live.at), _parties(call, several=len(live.pbx) > 1), _visit(call)]
        table.add_row(*map(escape, cells), now, *([escape(_steps(call))] if wide else []))
    heads = [
        f"{pbx.name}: {pbx.calls} call{'s' * (pbx.calls != 1)} in progress{'' if pbx.attached else ', not attached'}"
        for pbx in live.pbx
    ]
    head = Text(", ".join(heads) or "no PBX is configured", style="bold")
    return Group(head, table) if live.calls else Group(head)


def _parties(call: Told, *, several: bool) -> str:
    caller, called = call.caller or "withheld", call.called or "?"
    parties = f"{MARKS[call.direction]} {caller} → {called}"
    return f"{call.pbx}  {parties}" if several else parties


def _visit(call: Told) -> str:
    if call.credited is None:
        return ""
    source = " / ".join(filter(None, (call.credited.source, call.credited.campaign)))
    return f"{source or call.credited.method} {call.credited.confidence:.2f}"


def _now(call: Told) -> Text:
    """What the customer hears now, and whose phone rings for him."""
    phases = [phase for step in call.steps if (phase := phase_after(step))]
    phase = phases[-1] if phases else None
    told = phase.told if phase else ""
    if phase is None or phase.state not in ("talks", "held"):
        ringing = _ringing(call.steps)
        told += f", {', '.join(ringing)} ringing" if ringing else ""
    partly = "" if call.complete else " (seen in part)"
    return Text(told + partly, style=COLOURS.get(phase.state, "") if phase else "")


def _ringing(steps: tuple[Step, ...]) -> list[str]:
    ringing: dict[str, None] = {}
    for step in steps:
        if step.kind == "rang" and step.who:
            ringing[step.who] = None
        elif step.kind in ("answered", "missed"):
            ringing.pop(step.who or "", None)
    return list(ringing)


def _steps(call: Told) -> str:
    return " · ".join(_step(step, call.started_at) for step in call.steps)


def _step(step: Step, began: datetime) -> str:
    what = " ".join(filter(None, (step.kind.replace("_", " "), step.group, step.who, step.to, step.reason)))
    return f"{_since(began, step.at)} {what}"


def _since(began: datetime, at: datetime) -> str:
    seconds = max(0, int((at - began).total_seconds()))
    return f"{seconds // 60}:{seconds % 60:02}"
