"""`callrouter source`: how a visit's first hit is classified."""

from __future__ import annotations

import click
import msgspec

from callrouter.commands.options import given_domains, print_json
from callrouter.sessions.explain import explain
from callrouter.sessions.grouping import Naming, channel_of


@click.command()
@click.option("--url", required=True, help="The landing page, with its utm parameters and click ids.")
@click.option("--referrer", default="", help="Where the visitor came from; empty: nowhere known.")
@click.option(
    "--own", multiple=True, callback=given_domains, help="Another domain of the site: a referrer there is no source."
)
@click.option(
    "--excluded", multiple=True, callback=given_domains,
    help="A domain that is no source either, such as a bank's payment page.",
)  # fmt: skip
@click.option("--naming", type=click.Choice(["ours", "google"]), default="ours", help="Whose names of channels.")
@click.option("--explain", "reasons", is_flag=True, help="Which rule and which line of which list decided.")
def source(
    url: str, referrer: str, own: tuple[str, ...], excluded: tuple[str, ...], naming: Naming, *, reasons: bool
) -> None:
    """Explain the traffic source of a first hit, as JSON (docs/concepts/rules.md §4).

    Order: utm and click ids, marks, search engine, AI assistant, social network, own domain, other referrer, direct.
    """
    found = explain(url, referrer, own, excluded)
    answer = msgspec.to_builtins(found.traffic) | {"channel": channel_of(found.traffic, naming)}
    if reasons:
        answer |= {
            "google_channel": found.google_channel,
            "lists": found.version,
            "reasons": [msgspec.to_builtins(reason) for reason in found.reasons],
        }
    print_json(answer)
