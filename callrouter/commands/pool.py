"""`callrouter pool …`: knows only which module holds which sub-command, so that adding a pool loads no simulation."""

from __future__ import annotations

import click

from callrouter.commands.lazy import LazyGroup

MODULES = {
    "add": ("inventory", "Add an empty pool; fill it with `callrouter numbers import`."),
    "list": ("inventory", "List the pools and how many numbers each has."),
    "remove": ("inventory", "Remove a pool that has no numbers and serves no site."),
    "fit": ("pool_fit", "How soon an account's visitors call, from its own calls."),
    "plan": ("pool_plan", "How many numbers a target needs, for given or measured traffic."),
    "simulate": ("pool_simulate", "Visitors and calls whose truth is known: how often is the credited visit right?"),
}
"""Sub-command → its module and what it does. The function in it is `<sub-command>_pool`."""


@click.group(cls=LazyGroup, modules=MODULES)
def pool() -> None:
    """Sets of numbers that are leased to visitors."""
