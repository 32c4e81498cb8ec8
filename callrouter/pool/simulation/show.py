"""The report for a reader at a terminal. Knows tables, computes nothing."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.table import Table

from callrouter.pool.simulation.comparison import Difference, Needed
from callrouter.pool.simulation.report import Part, Report
from callrouter.pool.simulation.statistics import Estimate
from callrouter.pool.simulation.truth import VERDICTS
from callrouter.pool.simulation.world import HOUR, MINUTE

NEARLY = 0.999
MEANINGS = {
    "right": "the caller's own latest visit with this number",
    "wrong": "another visit of the same company",
    "misrouted": "another company's visit",
    "unattributed": "nobody credited",
}


def show(console: Console, report: Report) -> None:
    console.print(Group(*_report(report)))


def show_comparison(console: Console, rows: Iterable[tuple[Report, Difference | None, Needed | None]]) -> None:
    """Each policy beside callrouter's; where it was asked for, with the numbers that callrouter needs for the same."""
    rows = list(rows)
    table = Table(
        title="Policies, on the same visitors and calls: shares in percent, what ours has more in points",
        title_justify="left", show_lines=True,
    )  # fmt: skip
    table.add_column("policy")
    for name in ("right", "misrouted", "overflow", "Brier", "ours: more right", "ours: less misrouted"):
        table.add_column(name, justify="right")
    if any(needed is not None for _, _, needed in rows):
        table.add_column("ours: as good with", justify="right")
    for report, difference, needed in rows:
        engine = report.engine
        margins = ("", "") if difference is None else (_points(difference.right), _points(difference.misrouted, -1))
        table.add_row(
            report.policy, _two_lines(engine.shares["right"]), _two_lines(engine.shares["misrouted"]),
            _two_lines(report.overflow), f"{engine.brier.value:.4f}", *margins,
            "" if needed is None else _needed(needed, report.numbers),
        )  # fmt: skip
    console.print(table)


def _report(report: Report) -> Iterable[RenderableType]:
    mean, most = report.in_use
    yield (
        f"[bold]{report.world}[/], policy [bold]{report.policy}[/], seed {report.seed}: {report.days:g} days, "
        f"{report.visits:,} visits, {report.wanted:,} of them wanted a number; {report.calls:,} calls, "
        f"{report.attributable:,} attributable"
    )
    rests = " / ".join(_span(rest) for rest in report.rests_s)
    yield (
        f"[bold]{report.numbers:,} numbers[/]: {mean:,.0f} in use on average, {most:,} at most; "
        f"overflow {_percent(report.overflow)}; rest between leases (5 % / half / 95 %): {rests}"
    )
    yield _shares(report)
    yield _parts("When they called", report.engine.by_delay)
    yield _parts("Which rule decided", report.engine.by_method)
    yield _parts("Who called, all calls", report.engine.by_kind)
    yield _calibration(report)


def _shares(report: Report) -> Table:
    engine = report.engine
    table = Table(title=f"Of {report.attributable:,} attributable calls", title_justify="left")
    table.add_column("credited")
    table.add_column("share", justify="right")
    table.add_column("meaning", style="dim")
    for verdict in VERDICTS:
        table.add_row(verdict, _percent(engine.shares[verdict]), MEANINGS[verdict])
    table.add_row("[dim]company reached[/]", _percent(engine.reached), "whatever is known of the number")
    for name, other in report.others.items():
        table.add_row(f"[dim]right by {name}[/]", _percent(other.shares["right"]), "another judge of the same calls")
    return table


def _parts(title: str, parts: dict[str, Part]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("", min_width=14)
    for name in ("calls", *VERDICTS):
        table.add_column({"unattributed": "nobody"}.get(name, name), justify="right")
    table.add_column("share right", justify="right", no_wrap=True)
    for name, part in parts.items():
        counts = (f"{part.verdicts[verdict]:,}" for verdict in VERDICTS)
        table.add_row(name.replace("_", " "), f"{part.calls:,}", *counts, _percent(part.right))
    return table


def _calibration(report: Report) -> Table:
    table = Table(
        title=f"Is the confidence true? Brier score {report.engine.brier.value:.4f} "
        f"({report.engine.brier.low:.4f} to {report.engine.brier.high:.4f})",
        title_justify="left",
    )
    for name in ("confidence claimed", "share right", "calls", "off by points", "true within 2"):
        table.add_column(name, justify="right")
    for each in report.engine.calibration:
        off = f"{each.off.value * 100:+.1f} [dim]± {each.error * 100:.1f}[/]"
        table.add_row(percent(each.confidence), _percent(each.right), f"{each.calls:,}", off, each.holds)
    return table


def _percent(estimate: Estimate) -> str:
    return f"{percent(estimate.value)} [dim]({estimate.low * 100:.1f} to {estimate.high * 100:.1f})[/]"


def percent(share: float) -> str:
    """Only what is all is said to be 100.0 %.

    >>> percent(0.9996), percent(1.0)
    ('99.9%', '100.0%')
    """
    return f"{share if share >= 1 else min(share, NEARLY):.1%}"


def _two_lines(estimate: Estimate) -> str:
    return f"{estimate.value * 100:.2f}\n[dim]{estimate.low * 100:.2f} to {estimate.high * 100:.2f}[/]"


def _points(estimate: Estimate, sign: int = 1) -> str:
    low, high = sorted((sign * estimate.low * 100 + 0.0, sign * estimate.high * 100 + 0.0))
    return f"{sign * estimate.value * 100 + 0.0:+.2f}\n[dim]{low:+.2f} to {high:+.2f}[/]"


def _needed(needed: Needed, compared: int) -> str:
    most = f"{needed.high:,}" if needed.high is not None else f"over {compared:,}"
    return f"{needed.numbers:,} of {compared:,}\n[dim]{needed.low:,} to {most}[/]"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "none"
    return f"{seconds / HOUR:.1f} h" if seconds >= HOUR else f"{seconds / MINUTE:.0f} min"
