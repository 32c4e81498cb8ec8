"""The command line: `callrouter …`. Knows only which module of `callrouter.commands` holds which command."""

from __future__ import annotations

import click

from callrouter import __version__
from callrouter.commands.lazy import LazyGroup

COMMANDS = {
    "demo": ("demo", "The whole product on this machine, with visitors and calls."),
    "chaos": ("chaos", "Harm all of it while people call, and prove that no call is lost."),
    "soak": ("soak", "A great many real calls, with callrouter and without it: rates, memory, no appeal missing."),
    "config": ("config", "Check and show the configuration."),
    "db": ("db", "Bring the database to this version's tables."),
    "account": ("inventory", "Customers, who own sites."),
    "pool": ("pool", "Sets of numbers that are leased to visitors: add, plan, simulate."),
    "site": ("inventory", "Tracked web sites."),
    "numbers": ("numbers", "Substitute numbers: import, list, move, disable."),
    "static": ("numbers", "Numbers that belong to a channel."),
    "client": ("client", "Clients who were made one: list, merge, take apart."),
    "router": ("processes", "Run beside a PBX: answer its dialplan, follow its calls."),
    "web": ("web", "Run anywhere: lease the numbers that pages show."),
    "worker": ("processes", "Run anywhere: what no call and no page waits for."),
    "lease": ("lease", "Who held a number when, and why."),
    "user": ("user", "Who may sign in to the pages."),
    "token": ("token", "Bearer tokens of the API."),
    "deals": ("deals", "Sales of a CRM: import."),
    "costs": ("deals", "What advertising cost: import."),
    "report": ("report", "What visits, appeals, deals and costs add up to."),
    "source": ("source", "How the traffic source of a first hit is classified."),
    "calls": ("calls", "The calls in progress and their steps, in the terminal."),
    "record": ("captures", "Write what a live PBX sends to a capture."),
    "reconcile": ("reconcile", "Prove the appeals by the PBX's own record, and repair them."),
    "export": ("export", "Appeals as JSON lines, CSV or XLSX."),
    "replay": ("captures", "Tell the calls of captures, one JSON line each."),
}
"""Command → its module and what it does, in the order of `--help`."""


@click.group(cls=LazyGroup, modules=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="callrouter")
def main() -> None:
    """Call tracking beside an Asterisk PBX: who calls, which advert made the phone ring, where the call ended.

    \b
    To look at it:      callrouter demo
    To set it up:       callrouter config check, callrouter db migrate,
                        callrouter account/pool/site add, callrouter numbers import
    To run it:          callrouter router (beside each PBX), web and worker (anywhere, many)

    JSON goes to stdout, logs to stderr; the exit status is 0 only on success.
    """
