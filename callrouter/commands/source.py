"""`callrouter source`: how a visit's first hit is classified."""

from __future__ import annotations

import click

from callrouter.commands.options import print_json
from callrouter.sessions.source import classify


@click.command()
@click.option("--url", required=True, help="The landing page, with its utm parameters and click ids.")
@click.option("--referrer", default="", help="Where the visitor came from; empty: nowhere known.")
@click.option("--own", multiple=True, help="Another domain of the site: a referrer there is no source.")
def source(url: str, referrer: str, own: tuple[str, ...]) -> None:
    """Explain the traffic source of a first hit, as JSON (docs/concepts/rules.md §4).

    Order: utm and click ids, search engine, AI assistant, social network, own domain, other referrer, direct.
    """
    print_json(classify(url, referrer, own))
