"""The report as JSON: the keys that `contract` names first, then what else is known. Pure."""

from __future__ import annotations

from typing import Any

from callrouter.pool.simulation.comparison import Difference, Needed
from callrouter.pool.simulation.report import RESTS, Accuracy, Part, Report
from callrouter.pool.simulation.statistics import Estimate

DIGITS = 5


def document(report: Report) -> dict[str, Any]:
    """Shares are of attributable calls; `overflow` is of visits that wanted a number. `calls` counts all calls."""
    engine = report.engine
    shares: dict[str, Estimate] = dict(engine.shares)  # type: ignore[arg-type] # a verdict is a str
    estimates = {**shares, "reached": engine.reached, "overflow": report.overflow, "brier": engine.brier}
    return {
        "policy": report.policy, "seed": report.seed, "world": report.world, "numbers": report.numbers,
        "hold_s": report.hold_s, "window_s": report.window_s, "days": report.days,
        "more_calls": report.more_calls,
        "visits": report.visits, "visits_wanting_a_number": report.wanted,
        "calls": report.calls, "attributable": report.attributable,
        **{verdict: round(share.value, DIGITS) for verdict, share in shares.items()},
        "overflow": round(report.overflow.value, DIGITS),
        "brier": round(engine.brier.value, DIGITS),
        "calibration": [
            {"confidence": round(each.confidence, DIGITS), "right": round(each.right.value, DIGITS),
             "calls": each.calls, "interval": each.right.interval, "off": round(each.off.value, DIGITS),
             "error": round(each.error, DIGITS), "holds": each.holds}
            for each in engine.calibration
        ],
        "intervals": {name: estimate.interval for name, estimate in estimates.items()},
        "reached_company": round(engine.reached.value, DIGITS),
        "all_calls": _part(engine.everybody),
        "by_delay": {name: _part(part) for name, part in engine.by_delay.items()},
        "by_kind": {name: _part(part) for name, part in engine.by_kind.items()},
        "by_method": {name: _part(part) for name, part in engine.by_method.items()},
        "numbers_in_use": {"mean": round(report.in_use[0], 1), "most": report.in_use[1]},
        "rest_s": {f"p{share * 100:g}": rest for share, rest in zip(RESTS, report.rests_s, strict=True)},
        "judges": {name: _judge(accuracy) for name, accuracy in report.others.items()},
    }  # fmt: skip


def difference_document(difference: Difference) -> dict[str, Any]:
    """How much better callrouter's way is, in shares of attributable calls."""
    return {name: _estimate(getattr(difference, name)) for name in ("right", "misrouted")}


def needed_document(needed: Needed) -> dict[str, Any]:
    """With how many numbers callrouter's way is as good; the interval's end is null if more than were tried may be."""
    return {"ours_needs_numbers": needed.numbers, "ours_needs_interval": [needed.low, needed.high]}


def _part(part: Part) -> dict[str, int]:
    counts: dict[str, int] = {"calls": part.calls}
    counts.update((verdict, count) for verdict, count in part.verdicts.items())
    return counts


def _judge(accuracy: Accuracy) -> dict[str, Any]:
    return {
        **{verdict: _estimate(each) for verdict, each in accuracy.shares.items()},
        "brier": _estimate(accuracy.brier),
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {"value": round(estimate.value, DIGITS), "interval": estimate.interval}
