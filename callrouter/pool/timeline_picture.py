"""A number's timeline as a picture: leases as bars by account, calls as marks, rests between. Imports matplotlib.

Knows how a timeline is drawn, not where it comes from. Imported by the command that draws, never by a daemon.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from callrouter.numbers import display_number
from callrouter.pool.timeline import CallItem, DisabledItem, LeaseItem, OthersItem, StaticItem, Timeline

LEASES, CALLS, STATIC = 1.0, 2.0, 0.0
THICK = 0.5
ENDS = {"expired": "", "released": "given back", "taken": "taken", "disabled": "set aside", "moved": "moved"}
CALL_COLOURS = {"answered": "#1a7f37", "lost": "#cf222e", None: "#57606a"}
MARKS = {"holder": "v", "last_holder": "s", "caller_memory": "D", "static": "P", "unattributed": "X"}
GREY, PALE, DARK = "#8c959f", "#d8dee4", "#24292f"
ACCOUNTS = ("#0969da", "#e16f24", "#8250df", "#1b7c83", "#bf3989", "#7d4e00", "#57606a")
"""Neither green nor red, which are the calls'."""
LABELLED = 40
"""With more leases than that, ends and visits are not written beside the bars."""


def draw(timeline: Timeline, file: Path, *, now: datetime) -> None:
    """Write the picture to `file`: SVG or PNG by its suffix. Raises ValueError for another suffix."""
    kind = file.suffix.lower().lstrip(".")
    if kind not in ("svg", "png"):
        raise ValueError(f"{file.name}: a picture's name ends with .svg or .png")
    figure = Figure(figsize=(12, 4.2), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    _frame(axes, timeline)
    colours = _account_colours(timeline)
    _leases(axes, timeline, colours, now)
    _others(axes, timeline)
    _bindings(axes, timeline)
    _calls(axes, timeline)
    _legend(axes, timeline, colours)
    with mpl.rc_context({"svg.hashsalt": str(timeline.number), "svg.fonttype": "none"}):
        figure.savefig(file, format=kind, metadata={"Date": None} if kind == "svg" else {})


def _frame(axes: Axes, timeline: Timeline) -> None:
    span = f"{timeline.since:%Y-%m-%d %H:%M} – {timeline.until:%Y-%m-%d %H:%M} UTC"
    axes.set_title(f"{display_number(timeline.number)}    {span}", loc="left", fontsize=11, color=DARK)
    axes.set_xlim(date2num(timeline.since), date2num(timeline.until))
    axes.set_ylim(STATIC - 0.6, CALLS + 0.7)
    axes.set_yticks([STATIC, LEASES, CALLS], ["bound to", "leased to", "calls"])
    locator = AutoDateLocator(tz=timeline.since.tzinfo)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=timeline.since.tzinfo))
    axes.grid(axis="x", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _account_colours(timeline: Timeline) -> dict[int, str]:
    accounts = sorted({item.account for item in timeline.items if isinstance(item, LeaseItem)})
    return {account: ACCOUNTS[place % len(ACCOUNTS)] for place, account in enumerate(accounts)}


def _bar(axes: Axes, row: float, start: datetime, end: datetime, **look: Any) -> None:
    axes.broken_barh([(date2num(start), date2num(end) - date2num(start))], (row - THICK / 2, THICK), **look)


def _leases(axes: Axes, timeline: Timeline, colours: dict[int, str], now: datetime) -> None:
    leases = [item for item in timeline.items if isinstance(item, LeaseItem)]
    for lease in leases:
        end = lease.ended_at or min(max(now, lease.seen_at), timeline.until)
        colour = colours[lease.account]
        _bar(axes, LEASES, lease.started_at, end, facecolor=colour, alpha=0.35, edgecolor=colour, linewidth=0.8)
        _bar(axes, LEASES, lease.started_at, max(lease.seen_at, lease.started_at), facecolor=colour, linewidth=0)
        signs = [date2num(lease.started_at + timedelta(milliseconds=sign)) for sign in lease.signs]
        axes.plot(signs, [LEASES - THICK / 2] * len(signs), "|", color=DARK, markersize=5, alpha=0.6)
        if lease.closed:
            axes.plot(date2num(lease.seen_at), LEASES, ">", color="white", markeredgecolor=DARK, markersize=6, zorder=4)
        if lease.ended_at is None:
            _bar(axes, LEASES, end, max(end, lease.expires_at), facecolor="none", edgecolor=colour, linestyle=":")
        if len(leases) <= LABELLED:
            _label_lease(axes, lease)
    for earlier, later in pairwise(leases):
        if earlier.ended_at and later.started_at > earlier.ended_at:
            _bar(
                axes,
                LEASES,
                earlier.ended_at,
                later.started_at,
                facecolor="none",
                edgecolor=PALE,
                hatch="///",
                linewidth=0,
            )


def _label_lease(axes: Axes, lease: LeaseItem) -> None:
    what = " · ".join(filter(None, (lease.source, lease.campaign))) or lease.session
    axes.annotate(
        what[:28], (date2num(lease.started_at), LEASES + THICK / 2), xytext=(1, 4), textcoords="offset points",
        fontsize=6.5, color=DARK, rotation=30, annotation_clip=True,
    )  # fmt: skip
    if lease.ended_at and (end := ENDS.get(lease.end_reason or "", lease.end_reason)):
        axes.annotate(
            end, (date2num(lease.ended_at), LEASES - THICK / 2), xytext=(0, -9), textcoords="offset points",
            fontsize=6.5, color=DARK, ha="right", annotation_clip=True,
        )  # fmt: skip


def _others(axes: Axes, timeline: Timeline) -> None:
    for item in timeline.items:
        if isinstance(item, OthersItem):
            _bar(axes, LEASES, item.started_at, item.ended_at, facecolor=PALE, edgecolor="none", zorder=0)


def _bindings(axes: Axes, timeline: Timeline) -> None:
    for item in timeline.items:
        if isinstance(item, StaticItem):
            start, end = max(item.started_at, timeline.since), min(item.ended_at or timeline.until, timeline.until)
            _bar(axes, STATIC, start, end, facecolor="#bf8700", alpha=0.5, edgecolor="#bf8700")
            axes.text(date2num(start), STATIC, f" {item.channel}", va="center", fontsize=7.5, color=DARK, clip_on=True)
        elif isinstance(item, DisabledItem):
            axes.axvspan(date2num(item.started_at), date2num(timeline.until), color="#ffebe9", zorder=-1)
            axes.text(date2num(item.started_at), STATIC - 0.5, " set aside", fontsize=7.5, color="#cf222e")


def _calls(axes: Axes, timeline: Timeline) -> None:
    for item in timeline.items:
        if not isinstance(item, CallItem):
            continue
        colour = CALL_COLOURS.get(item.status, GREY)
        start = date2num(item.started_at)
        if item.ended_at and item.pinned_until:
            axes.plot([date2num(item.ended_at), date2num(item.pinned_until)], [CALLS, CALLS], color=GREY, linewidth=1.2)
        axes.plot([start, start], [LEASES + THICK / 2, CALLS], color=colour, linewidth=0.6, alpha=0.5)
        filled = colour if item.confidence >= 0.5 or item.method == "unattributed" else "white"  # noqa: PLR2004 - a half
        axes.plot(
            start, CALLS, MARKS.get(item.method, "o"), color=filled, markeredgecolor=colour, markersize=8, zorder=5
        )


def _legend(axes: Axes, timeline: Timeline, colours: dict[int, str]) -> None:
    calls = [item for item in timeline.items if isinstance(item, CallItem)]
    entries: list[Any] = [Patch(color=colour, label=f"account {account}") for account, colour in colours.items()]
    if any(isinstance(item, OthersItem) for item in timeline.items):
        entries.append(Patch(color=PALE, label="another account"))
    entries.append(Patch(facecolor=GREY, alpha=0.35, label="pale: hold after the last sign of life"))
    entries.append(Patch(facecolor="none", edgecolor=GREY, hatch="///", label="rests"))
    entries += _call_marks(calls)
    if any(isinstance(item, LeaseItem) and item.closed for item in timeline.items):
        entries.append(_mark(">", "white", DARK, "page closed"))
    if any(call.pinned_until for call in calls):
        entries.append(Line2D([], [], color=GREY, linewidth=1.2, label="pinned by a call"))
    axes.legend(
        handles=entries,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.12),
        ncols=min(7, len(entries)),
        frameon=False,
        fontsize=7.5,
    )


def _call_marks(calls: Sequence[CallItem]) -> Iterable[Line2D]:
    for method in dict.fromkeys(call.method for call in calls):
        yield _mark(MARKS.get(method, "o"), GREY, GREY, f"call: {method.replace('_', ' ')}")
    for status in dict.fromkeys(call.status for call in calls):
        yield _mark("o", CALL_COLOURS.get(status, GREY), "none", status or "status unknown")
    if any(call.confidence < 0.5 and call.method != "unattributed" for call in calls):  # noqa: PLR2004 - a half
        yield _mark("o", "white", GREY, "confidence under a half")


def _mark(shape: str, colour: str, edge: str, label: str) -> Line2D:
    return Line2D([], [], linestyle="none", marker=shape, color=colour, markeredgecolor=edge, markersize=7, label=label)
