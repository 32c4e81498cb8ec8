"""The report as a picture: how true the confidence is, and what became of the calls. Loads its library when asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from callrouter.pool.simulation.report import Report
from callrouter.pool.simulation.show import percent
from callrouter.pool.simulation.truth import VERDICTS

COLOURS = {"right": "#2a7f62", "wrong": "#d9a441", "misrouted": "#b3413c", "unattributed": "#9aa5ae"}
INK = "#27313a"


def plot(reports: Sequence[Report], file: Path) -> None:
    """Writes SVG or PNG, by the file's suffix."""
    import matplotlib as mpl  # noqa: PLC0415 - a quarter of a second, for who wants a picture

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "callrouter"
    from matplotlib import pyplot  # noqa: PLC0415

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.6), width_ratios=(1, 1.35), layout="constrained")
    _reliability(left, reports[0])
    _shares(right, reports)
    figure.suptitle(
        f"World {reports[0].world}: {reports[0].numbers:,} numbers, {reports[0].attributable:,} attributable calls",
        color=INK,
    )
    metadata = {"Date": None} if file.suffix == ".svg" else {}
    figure.savefig(file, dpi=150, metadata=metadata)
    pyplot.close(figure)


def _reliability(axes: Any, report: Report) -> None:
    classes = report.engine.calibration
    axes.plot([0, 1], [0, 1], color="#b8c0c6", linewidth=1, linestyle="--", zorder=1)
    heights = [each.right.value for each in classes]
    errors = [
        [each.right.value - each.right.low for each in classes],
        [each.right.high - each.right.value for each in classes],
    ]
    places = [each.confidence for each in classes]
    axes.errorbar(places, heights, yerr=errors, fmt="none", ecolor=COLOURS["right"], elinewidth=1.2, capsize=3)
    largest = max((each.calls for each in classes), default=1)
    sizes = [20 + 160 * each.calls / largest for each in classes]
    axes.scatter(places, heights, s=sizes, color=COLOURS["right"], zorder=3)
    axes.set(
        xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence claimed", ylabel="share right",
        title="Confidence against truth",
    )  # fmt: skip


def _shares(axes: Any, reports: Sequence[Report]) -> None:
    """Of several policies a bar each; of one, a bar for each time that callers took."""
    rows = {report.policy: [report.engine.shares[verdict].value for verdict in VERDICTS] for report in reports}
    if len(reports) == 1:
        for name, part in reports[0].engine.by_delay.items():
            rows[f"{name} ({part.calls:,})"] = [part.verdicts[verdict] / part.calls for verdict in VERDICTS]
    start = [0.0] * len(rows)
    for place, verdict in enumerate(VERDICTS):
        widths = [shares[place] for shares in rows.values()]
        axes.barh(list(rows), widths, left=start, color=COLOURS[verdict], label=verdict, height=0.62)
        start = [before + width for before, width in zip(start, widths, strict=True)]
    for place, shares in enumerate(rows.values()):
        axes.text(0.01, place, percent(shares[0]), va="center", color="white", fontsize=9)
    axes.set(xlim=(0, 1), xlabel="share of attributable calls", title="What became of the calls")
    axes.invert_yaxis()
    axes.legend(ncols=4, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14), frameon=False)
