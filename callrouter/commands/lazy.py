"""A command group that knows its commands by name and loads the module of the one that is used. Knows no command."""

from __future__ import annotations

import importlib

import click


class LazyGroup(click.Group):
    """`modules`: command → its module in `callrouter.commands` and what it does, in the order of `--help`.

    The module's attribute is the command's name, or `<command>_<group>` (`add_pool` of `callrouter pool add`).
    """

    def __init__(self, *, modules: dict[str, tuple[str, str]], **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type] # passed on as click's decorator gives them
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in self._modules:
            return None
        module = importlib.import_module(f"callrouter.commands.{self._modules[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name}_{self.name}", None) or getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """The list of commands without loading any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_module, text) in self._modules.items()])
