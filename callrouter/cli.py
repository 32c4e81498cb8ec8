"""The command line: `callrouter …`. Parses arguments and starts the part that does the work."""

from __future__ import annotations

import click

from callrouter import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Call tracking beside an Asterisk PBX."""
