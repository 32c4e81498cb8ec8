"""`callrouter report`: a report in the terminal, as a table or JSON; the same figures as the API's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import asyncpg
import click
from rich.console import Console
from rich.table import Table

from callrouter.appeals.credit import MODELS, Model
from callrouter.commands.options import config_option, given_time, inventory_work, print_json
from callrouter.db.connect import set_codecs
from callrouter.journal.filters import Filters, Ids
from callrouter.pool.inventory import Refused
from callrouter.reports.asking import Answer, Question, Row, answer
from callrouter.reports.facts import Scope
from callrouter.reports.figures import Dimension

REPORTS: dict[str, tuple[Dimension, ...]] = {
    "channels": ("channel",), "sources": ("channel", "source"), "campaigns": ("source", "medium", "campaign"),
    "keywords": ("source", "campaign", "keyword"), "days": ("day",), "hours": ("weekday", "hour"),
    "groups": ("group",), "employees": ("group", "employee"),
}  # fmt: skip
SHOWN_DAYS = 30
SITE = "SELECT s.id, s.account_id, a.time_zone FROM sites s JOIN accounts a ON a.id = s.account_id WHERE s.name = $1"


@click.command()
@click.argument("name", type=click.Choice(list(REPORTS)))
@click.option("--site", required=True, help="The site's name.")
@click.option("--from", "since", help="ISO time; thirty days before --to if not given.")
@click.option("--to", "until", help="ISO time; now if not given.")
@click.option("--model", type=click.Choice(MODELS), default="last_click", show_default=True, help="Who has the credit.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@config_option
def report(
    *, name: str, site: str, since: str | None, until: str | None, model: Model, as_json: bool, config_file: Path | None
) -> None:
    """What a site's visits, appeals, deals and costs add up to."""
    end = given_time(until) or datetime.now(UTC)
    start = given_time(since) or end - timedelta(days=SHOWN_DAYS)
    if start >= end:
        raise click.ClickException("--from must lie before --to")

    async def work(conn: asyncpg.Connection) -> Answer:
        await set_codecs(conn)
        found = await conn.fetch(SITE, site)
        if len(found) != 1:
            raise Refused(f"there is no site {site!r}" if not found else f"several accounts have a site {site!r}")
        row = found[0]
        question = Question(
            filters=Filters(since=start, until=end, site=Ids(any_of=(row["id"],))), by=REPORTS[name], model=model
        )
        async with conn.transaction(isolation="repeatable_read", readonly=True):
            return await answer(conn, Scope(row["account_id"], ZoneInfo(row["time_zone"])), question)

    told = inventory_work(config_file, work)
    if as_json:
        print_json(told)
    else:
        _show(told, REPORTS[name])


def _show(told: Answer, by: tuple[Dimension, ...]) -> None:
    heads = ("visits", "calls", "unique", "quality", "lost", "appeals", "cost", "revenue")
    table = Table(*by, *heads, box=None)
    for row in (*told.rows, Row(key=dict.fromkeys(by), figures=told.total)):
        figures = row.figures
        keys = ["" if value is None else str(value) or "—" for value in row.key.values()]
        counts = (figures.visits, figures.calls, figures.unique_calls, figures.quality, figures.lost, figures.appeals)
        sums = [
            " + ".join(f"{getattr(money, part)} {money.currency}" for money in figures.money)
            for part in ("cost", "revenue")
        ]
        table.add_row(*keys, *("" if count is None else f"{count:g}" for count in counts), *sums)
    Console(highlight=False).print(table)
