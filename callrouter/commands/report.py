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
from callrouter.commands.options import config_option, given_target, given_time, inventory_work, loaded, print_json
from callrouter.db.connect import set_codecs
from callrouter.journal.filters import Filters, Ids
from callrouter.pool.inventory import Refused, account_named
from callrouter.reports.asking import Answer, Question, Row, answer
from callrouter.reports.facts import Scope
from callrouter.reports.figures import Dimension
from callrouter.scheduled import store
from callrouter.scheduled.model import Written
from callrouter.scheduled.settings import outlet_of
from callrouter.web.pages.report_letter import write_report

REPORTS: dict[str, tuple[Dimension, ...]] = {
    "channels": ("channel",), "sources": ("channel", "source"), "campaigns": ("source", "medium", "campaign"),
    "keywords": ("source", "campaign", "keyword"), "days": ("day",), "hours": ("weekday", "hour"),
    "groups": ("group",), "employees": ("group", "employee"),
}  # fmt: skip
SHOWN_DAYS = 30
SITE = "SELECT s.id, s.account_id, a.time_zone FROM sites s JOIN accounts a ON a.id = s.account_id WHERE s.name = $1"


class Reports(click.Group):
    """`report send …`; else the first word is a report's name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return "show", self.commands["show"], args

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, f"[{'|'.join(REPORTS)}] --site S … | send NAME --account A …")


@click.group(cls=Reports)
def report() -> None:
    """What visits, appeals, deals and costs add up to, in the terminal; `send`: a scheduled report by hand."""


@report.command("show")
@click.argument("name", type=click.Choice(list(REPORTS)))
@click.option("--site", required=True, help="The site's name.")
@click.option("--from", "since", help="ISO time; thirty days before --to if not given.")
@click.option("--to", "until", help="ISO time; now if not given.")
@click.option("--model", type=click.Choice(MODELS), default="last_click", show_default=True, help="Who has the credit.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@config_option
def show(
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


@report.command("send")
@click.argument("name")
@click.option("--account", required=True, help="The account's name.")
@click.option("--at", "due", help="As of this time (ISO); now if not given.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent to whom, and send nothing.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), callback=given_target, help="The file, to here."
)
@config_option
def send_report(
    *, name: str, account: str, due: str | None, dry_run: bool, out: Path | None, config_file: Path | None
) -> None:  # fmt: skip
    """Send a scheduled report besides its time. The worker does it; twice for the same minute is once."""
    outlet = outlet_of(loaded(config_file).config)
    at = (given_time(due) or datetime.now(UTC)).replace(second=0, microsecond=0)

    async def work(conn: asyncpg.Connection) -> tuple[Written, dict[str, object]]:
        await set_codecs(conn)
        whose = await account_named(conn, account)
        schedule = await store.schedule_named(conn, whose, name)
        people = await store.people_of(conn, whose)
        async with conn.transaction(isolation="repeatable_read", readonly=True):
            written = await write_report(conn, schedule, at)
        if not dry_run:
            async with conn.transaction():
                await store.queue(conn, schedule, at)
        return written, {
            "report": schedule.name, "due_at": at, "since": written.since, "until": written.until,
            "subject": written.subject, "rows": written.rows, "file": written.file.name,
            "bytes": len(written.file.content), "folder": schedule.to_folder,
            "recipients": {email: store.may_get(email, people, outlet.allowed) for email in schedule.recipients},
            "mail_configured": outlet.mail is not None, "queued": not dry_run,
        }  # fmt: skip

    written, told = inventory_work(config_file, work)
    if out:
        out.write_bytes(written.file.content)
    print_json(told)


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
