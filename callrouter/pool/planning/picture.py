"""A plan as a picture: accuracy by numbers, a line for each hold. Loads its library when asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from callrouter.pool.planning.plan import Plan, Point
from callrouter.pool.planning.words import NAMES, percent, span

INK = "#27313a"
FAINT = "#b8c0c6"
HOLDS = ("#2a7f62", "#d08a1e", "#4a6fa5", "#8c5aa0", "#b3413c")
TICKS = (0, 20, 40, 60, 70, 80, 85, 90, 93, 95, 96, 97, 98, 99, 99.5)
MARKS = {"erlang_b": "D", "visitors_per_hour_div_4": "v", "one_per_20_daily_visitors": "^"}


def picture(plan: Plan, file: Path) -> None:
    """Writes SVG or PNG, by the file's suffix."""
    import matplotlib as mpl  # noqa: PLC0415 - a quarter of a second, for who wants a picture

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "callrouter"
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(figsize=(9.5, 5.6), layout="constrained")
    for place, hold in enumerate(_holds(plan)):
        _line(axes, plan, hold, HOLDS[place % len(HOLDS)])
    _target(axes, plan)
    _rules(axes, plan)
    _answer(axes, plan)
    _frame(axes, plan)
    figure.savefig(file, dpi=150, metadata={"Date": None} if file.suffix == ".svg" else {})
    pyplot.close(figure)


def _holds(plan: Plan) -> list[float]:
    """The plan's own first: it has the first colour."""
    others = sorted({point.hold for point in plan.curve} - {plan.hold})
    return [plan.hold, *others]


def _line(axes: Any, plan: Plan, hold: float, colour: str) -> None:
    points: list[Point] = sorted((p for p in plan.curve if p.hold == hold), key=lambda point: point.numbers)
    sizes = [point.numbers for point in points]
    axes.fill_between(
        sizes, [p.right_low * 100 for p in points], [p.right_high * 100 for p in points],
        color=colour, alpha=0.16, linewidth=0,
    )  # fmt: skip
    own = hold == plan.hold
    axes.plot(
        sizes, [p.right * 100 for p in points], color=colour, linewidth=2.2 if own else 1.4,
        marker="o", markersize=4 if own else 3, label=f"hold {span(hold)}", zorder=4 if own else 3,
    )  # fmt: skip


def _target(axes: Any, plan: Plan) -> None:
    axes.axhline(plan.target.right * 100, color=INK, linewidth=1, linestyle="--", zorder=2)
    axes.annotate(
        f"target {percent(plan.target.right)}", (0.006, plan.target.right * 100), xycoords=("axes fraction", "data"),
        xytext=(0, 4), textcoords="offset points", color=INK, fontsize=9,
    )  # fmt: skip


def _rules(axes: Any, plan: Plan) -> None:
    for rule in plan.rules_of_thumb:
        axes.scatter(
            [rule.numbers], [rule.right * 100], marker=MARKS[rule.rule], s=85, color="white", edgecolor=INK,
            linewidth=1.5, zorder=6,
            label=f"{NAMES[rule.rule]}: {rule.numbers:,} ({percent(rule.right)})",
        )  # fmt: skip


def _answer(axes: Any, plan: Plan) -> None:
    point = plan.planned
    if point is None:
        return
    axes.scatter(
        [point.numbers], [point.right * 100], marker="*", s=330, color=HOLDS[0], edgecolor="white", zorder=7,
        label=f"planned: {point.numbers:,} ({percent(point.right)})",
    )  # fmt: skip


def _by_wrong_calls(axes: Any, plan: Plan) -> None:
    """From 90 % to 95 % is as far as from 95 % to 97.5 %: half of the wrong calls are gone."""

    def height(right: Any) -> Any:
        return -np.log(np.maximum(100.5 - np.asarray(right, dtype=float), 0.01))

    def right(at: Any) -> Any:
        return 100.5 - np.exp(-np.asarray(at, dtype=float))

    import numpy as np  # noqa: PLC0415

    axes.set_yscale("function", functions=(height, right))
    best = max((point.right_high for point in plan.curve), default=1.0)
    worst = min((point.right_low for point in plan.curve), default=0.0)
    axes.set_ylim(max(0.0, worst * 100 - 4), min(99.9, max(best, plan.target.right) * 100 + 0.6))


def _frame(axes: Any, plan: Plan) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator  # noqa: PLC0415

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    _by_wrong_calls(axes, plan)
    axes.yaxis.set_major_locator(FixedLocator(TICKS))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g} %"))
    axes.grid(visible=True, which="major", color=FAINT, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("numbers in the pool", color=INK, labelpad=6)
    axes.set_ylabel("attributable calls credited to the right visit", color=INK, labelpad=8)
    axes.set_title(
        f"{plan.visits_per_hour:,.0f} visits per hour, {plan.leases_in_peak_hour:,.0f} leases in the busiest one",
        color=INK, loc="left",
    )  # fmt: skip
    axes.legend(loc="lower right", frameon=False, fontsize=9)
