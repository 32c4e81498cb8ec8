"""What a plan says in words."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from callrouter.pool.planning.demand import Target
from callrouter.pool.planning.kept import Kept
from callrouter.pool.planning.picture import picture
from callrouter.pool.planning.plan import Help, Plan, Point, Rule
from callrouter.pool.planning.words import show, verdict


def point(numbers: int, right: float, overflow: float = 0.0, hold: float = 1800.0) -> Point:
    return Point(
        numbers=numbers, hold=hold, right=right, right_low=right - 0.01, right_high=right + 0.01, overflow=overflow
    )


def rule(name: str, numbers: int, right: float, overflow: float) -> Rule:
    return Rule(
        rule=name, numbers=numbers, right=right, right_low=right - 0.01, right_high=right + 0.01, overflow=overflow
    )


PLAN = Plan(
    numbers=800, target=Target(), erlang_b=40, formula=700, limit=0.985,
    rules_of_thumb=[
        rule("erlang_b", 40, 0.8, 0.009), rule("visitors_per_hour_div_4", 12, 0.3, 0.6),
        rule("one_per_20_daily_visitors", 24, 0.5, 0.4),
    ],
    curve=[
        point(40, 0.8), point(200, 0.92), point(800, 0.975), point(40, 0.77, hold=600.0), point(800, 0.97, hold=600.0),
    ],
    helps=[], visits_per_hour=30, leases_per_hour=20, leases_in_peak_hour=43, leased_at_peak=28, hold=1800.0,
    window=72 * 3600.0, rest=36_000.0,
)  # fmt: skip


def test_it_says_what_each_rule_of_thumb_would_have_come_to() -> None:
    said = " ".join(verdict(PLAN))
    assert "800 numbers reach 97.0 % of attributable calls right and overflow at most 1.0 %" in said
    assert "Erlang-B alone (40 numbers) has a number for everybody, but only 80.0 % of the calls" in said
    assert "visitors per hour ÷ 4 (12 numbers) would leave 60.0 % of the visitors without a number" in said


def test_a_target_out_of_reach_is_said_with_the_limit_and_what_would_help() -> None:
    plan = msgspec.structs.replace(
        PLAN, numbers=None, rest=None, limit=0.961, window=86400.0, helps=[Help(window_hours=72.0, numbers=800)]
    )
    said = " ".join(verdict(plan))
    assert "No size reaches 97.0 %" in said
    assert "with numbers without end 96.1 % would be right" in said
    assert "A window of 72 h would do, with about 800 numbers" in said
    assert plan.promise is None
    hopeless = " ".join(verdict(msgspec.structs.replace(plan, helps=[])))
    assert "A longer attribution window would not do either" in hopeless


def test_a_target_so_near_to_the_limit_that_chance_decides_is_not_called_out_of_reach() -> None:
    plan = msgspec.structs.replace(PLAN, numbers=None, rest=None, limit=0.973)
    said = " ".join(verdict(plan))
    assert "No size is sure to reach 97.0 %" in said
    assert "97.3 % would be right, which leaves nothing for chance" in said


@pytest.mark.parametrize(("holds", "said"), [(True, "the plan holds."), (False, "the plan does NOT hold.")])
def test_what_became_of_a_plan_in_whole_worlds_is_said(holds: bool, said: str) -> None:
    check = Kept(
        seed=7920, numbers=800, days=17.02, visits=9000, calls=4100, right=0.972, right_low=0.967, right_high=0.977,
        misrouted=0.002, overflow=0.0, tried=40_000, tried_right=0.974, tried_low=0.972, tried_high=0.976, holds=holds,
    )  # fmt: skip
    last = list(verdict(msgspec.structs.replace(PLAN, checks=[check])))[-1]
    assert "seed 7920, 17 days, 9,000 visits): 97.2 % (96.7…97.7 %) of 4,100 attributable calls right" in last
    assert "97.4 % of 40,000 calls tried" in last
    assert last.endswith(said)


def test_the_whole_plan_can_be_shown() -> None:
    told = io.StringIO()
    show(Console(file=told, width=120), PLAN)
    assert "needed for 97.0 %" in told.getvalue()
    assert "one per 20 daily visitors" in told.getvalue()


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_picture_is_drawn_and_the_same_plan_gives_the_same_picture(tmp_path: Path, suffix: str) -> None:
    files = [tmp_path / f"{name}{suffix}" for name in ("one", "two")]
    for file in files:
        picture(PLAN, file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].stat().st_size > 5000
