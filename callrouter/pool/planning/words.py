"""A plan for a reader at a terminal, and its verdict in words. Knows tables, computes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from callrouter.pool.planning.kept import Kept
from callrouter.pool.planning.plan import Plan, Point, Rule
from callrouter.pool.planning.search import NOTICEABLE

NAMES = {
    "erlang_b": "Erlang-B alone",
    "visitors_per_hour_div_4": "visitors per hour ÷ 4",
    "one_per_20_daily_visitors": "one per 20 daily visitors",
}
MINUTE = 60.0
HOUR = 3600.0
LOST = 0.02
"""A rule that costs more of the right calls than this costs noticeably."""


def show(console: Console, plan: Plan) -> None:
    console.print(_traffic(plan), highlight=False)
    console.print()
    console.print(_sizes(plan))
    if plan.curve:
        console.print()
        console.print(_curve(plan))
    console.print()
    for line in verdict(plan):
        console.print(line, highlight=False)


def verdict(plan: Plan) -> Iterator[str]:
    """What to do, and why arithmetic alone would not have known."""
    target = (
        f"{percent(plan.target.right)} of attributable calls right and overflow at most {percent(plan.target.overflow)}"
    )
    if plan.numbers is None:
        yield from _out_of_reach(plan, target)
        return
    yield f"{plan.numbers:,} numbers reach {target}."
    if plan.planned is not None:
        yield (
            f"There {percent(plan.planned.right)} are expected; what is above the target is for chance: among "
            f"{NOTICEABLE:,} calls the target is met in 99 of 100 times."
        )
    if plan.rest is not None:
        yield (
            f"In the busiest hours a number then rests {span(plan.rest)} before it is leased again: callers who take "
            "that long still reach their own visit."
        )
    for rule in plan.rules_of_thumb:
        if remark := _remark(plan, rule):
            yield remark
    for check in plan.checks:
        yield _check(check)


def _out_of_reach(plan: Plan, target: str) -> Iterator[str]:
    if plan.limit < plan.target.right:
        yield (
            f"No size reaches {target}: with numbers without end {percent(plan.limit)} would be right. The others come "
            f"later than the attribution window of {span(plan.window)}, or from another telephone than before."
        )
    else:
        yield (
            f"No size is sure to reach {target}: with numbers without end {percent(plan.limit)} would be right, which "
            "leaves nothing for chance."
        )
    for each in plan.helps:
        yield (
            f"A window of {span(each.window_hours * HOUR)} would do, with about {each.numbers:,} numbers "
            "([attribution] window in the configuration)."
        )
    if not plan.helps:
        yield "A longer attribution window would not do either: ask for less, with --right."


def _check(check: Kept) -> str:
    return (
        f"Checked with other people (seed {check.seed}, {check.days:.0f} days, {check.visits:,} visits): "
        f"{percent(check.right)} ({check.right_low * 100:.1f}…{percent(check.right_high)}) of {check.calls:,} "
        f"attributable calls right, {percent(check.tried_right)} of {check.tried:,} calls tried on those visits, "
        f"overflow {percent(check.overflow)}: {'the plan holds.' if check.holds else 'the plan does NOT hold.'}"
    )


def _remark(plan: Plan, rule: Rule) -> str:
    name, size = NAMES[rule.rule], f"{rule.numbers:,} numbers"
    if rule.overflow > plan.target.overflow:
        return (
            f"{name} ({size}) would leave {percent(rule.overflow)} of the visitors without a number, and credit "
            f"{percent(rule.right)} of the calls rightly."
        )
    if rule.right < plan.target.right - LOST:
        return (
            f"{name} ({size}) has a number for everybody, but only {percent(rule.right)} of the calls would be "
            "credited rightly: the number is another visitor's again before the call comes."
        )
    if plan.numbers is not None and rule.numbers > plan.numbers:
        return f"{name} ({size}) would buy {rule.numbers - plan.numbers:,} numbers more than needed."
    return ""


def _traffic(plan: Plan) -> str:
    return (
        f"[bold]{plan.visits_per_hour:,.0f} visits per hour[/]; {plan.leases_per_hour:,.0f} an hour want a number, "
        f"{plan.leases_in_peak_hour:,.0f} in the busiest hour, when {plan.leased_at_peak:,.0f} are leased at once; "
        f"hold {span(plan.hold)}, attribution window {span(plan.window)}"
    )


def _sizes(plan: Plan) -> Table:
    table = Table(title="Numbers", title_justify="left")
    for name in ("", "numbers", "right", "95 % interval", "overflow"):
        table.add_column(name, justify="right" if name else "left")
    point = plan.planned
    needed = "none" if plan.numbers is None else f"{plan.numbers:,}"
    table.add_row(f"[bold]needed for {percent(plan.target.right)}[/]", f"[bold]{needed}[/]", *_shares(point))
    first = "none" if plan.formula is None else f"{plan.formula:,}"
    table.add_row("by the formula alone", first, "", "", "")
    for rule in plan.rules_of_thumb:
        table.add_row(NAMES[rule.rule], f"{rule.numbers:,}", *_shares(rule))
    return table


def _curve(plan: Plan) -> Table:
    table = Table(title="Accuracy by numbers", title_justify="left")
    for name in ("hold", "numbers", "right", "95 % interval", "overflow"):
        table.add_column(name, justify="right")
    for point in sorted(plan.curve, key=lambda point: (point.hold, point.numbers)):
        table.add_row(span(point.hold), f"{point.numbers:,}", *_shares(point))
    return table


def _shares(of: Point | Rule | None) -> tuple[str, str, str]:
    if of is None:
        return "", "", ""
    return percent(of.right), f"{of.right_low * 100:.1f}…{percent(of.right_high)}", percent(of.overflow)


def percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def span(seconds: float) -> str:
    if seconds < 2 * HOUR:
        return f"{seconds / MINUTE:.0f} min"
    return f"{seconds / HOUR:.1f} h" if seconds % HOUR else f"{seconds / HOUR:.0f} h"
