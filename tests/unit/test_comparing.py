"""A change is told as news only where chance alone would not explain it, and no more precisely than it is known."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from callrouter.reports import comparing
from callrouter.reports.figures import rows_behind, share


@pytest.mark.parametrize(("now", "before", "sure"), [(2, 1, False), (12, 8, False), (130, 80, True), (0, 0, False)])
def test_few_calls_more_are_no_news(now: float, before: float, sure: bool) -> None:
    change = comparing.of_counts(now, before)
    assert (change.by, change.sure) == (now - before, sure)


def test_no_percentage_is_told_of_next_to_nothing() -> None:
    assert comparing.of_counts(4, 2).share is None
    assert comparing.of_counts(44, 40).share == pytest.approx(0.1)


def test_a_mean_wait_longer_by_a_second_is_no_news_unless_of_very_many_calls() -> None:
    assert not comparing.of_means(15, 14, (300, 280)).sure
    assert comparing.of_means(15, 14, (30_000, 28_000)).sure
    assert comparing.of_means(30, 14, (60, 50)).sure


@dataclass
class Case:
    now: tuple[int, int]
    before: tuple[int, int]
    sure: bool


@pytest.mark.parametrize("case", [
    Case((1, 2), (1, 4), False), Case((5, 10), (3, 10), False), Case((500, 1000), (300, 1000), True),
    Case((10, 100), (40, 100), True),
])  # fmt: skip
def test_shares_differ_for_sure_only_where_their_intervals_allow_no_other_reading(case: Case) -> None:
    now, before = share(*case.now), share(*case.before)
    assert now
    assert before
    change = comparing.of_shares(now, before)
    assert change.by == pytest.approx(now.value - before.value)
    assert (change.sure, change.share) == (case.sure, None)


def test_a_share_of_three_calls_says_nothing_and_one_of_three_hundred_does() -> None:
    few, many = share(1, 3), share(100, 300)
    assert few
    assert many
    assert comparing.is_vague(few)
    assert not comparing.is_vague(many)


def test_what_a_figure_asks_stands_in_place_of_what_its_row_asks_of_the_same_field() -> None:
    assert rows_behind("status=answered&status=lost&channel=ai&spam=false", "lost") == (
        "channel=ai&spam=false&kind=call&direction=inbound&status=lost"
    )
