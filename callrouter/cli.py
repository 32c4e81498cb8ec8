"""The command line: `callrouter …`. Knows only which module of `callrouter.commands` holds which command."""

from __future__ import annotations

import importlib

import click

from callrouter import __version__

COMMANDS = {
    "router": "processes",
    "web": "processes",
    "worker": "processes",
    "demo": "demo",
    "config": "config",
    "db": "db",
    "account": "inventory",
    "pool": "inventory",
    "site": "inventory",
    "numbers": "inventory",
    "static": "inventory",
    "lease": "lease",
    "source": "source",
    "replay": "captures",
    "record": "captures",
}
"""Command → its module. Loaded when used, for only the command that runs a reactor may choose one."""


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"callrouter.commands.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
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
