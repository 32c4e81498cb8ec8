"""The delays of a fit, as seen and as fitted, drawn. Knows matplotlib and nothing of where the fit comes from."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

from callrouter.pool.delay import DAY, HOUR, MINUTE
from callrouter.pool.fit import Fit


def draw(fitted: Fit, file: Path) -> None:
    """Bars of seen calls and points of expected ones by the delay since the last sign of life; format by suffix."""
    names = [f"{_span(each.least)}–{_span(each.most)}" for each in fitted.delays]
    places = range(len(names))
    figure, axes = plt.subplots(figsize=(9, 4.2), layout="constrained")
    axes.bar(places, [each.seen for each in fitted.delays], color="#9ec5e8", label="seen, each call in parts")
    axes.plot(places, [each.expected for each in fitted.delays], "o-", color="#b03a2e", label="fitted model")
    axes.set_xticks(list(places), names, rotation=30, ha="right")
    axes.set_ylabel("first calls")
    axes.set_xlabel("since the visit's last sign of life")
    axes.set_title(f"{fitted.calls} first calls after {fitted.leases} leases")
    axes.legend()
    mpl.rcParams["svg.hashsalt"] = "callrouter"
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
    plt.close(figure)


def _span(seconds: float) -> str:
    for unit, size in (("d", DAY), ("h", HOUR), ("min", MINUTE)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
