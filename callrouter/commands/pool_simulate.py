"""`callrouter pool simulate`: the options; what happens is `pool.simulation`'s."""

from __future__ import annotations

import click


@click.command("simulate")
def simulate_pool() -> None:
    """Visitors and calls whose truth is known: how often is the credited visit right?"""
    raise click.ClickException("not written yet")
