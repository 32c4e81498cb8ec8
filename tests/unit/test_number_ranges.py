"""Many numbers as people write them: ranges among lines, and everything that is wrong with them told at once."""

from __future__ import annotations

import pytest

from callrouter.pool.inventory import Refused
from callrouter.pool.number_ranges import in_range, read_numbers


@pytest.mark.parametrize(
    "text",
    [
        "8 (495) 111-00-00 - 8 (495) 111-00-02",
        "84951110000 – 84951110002",
        "+7 495 111 00 00…+7 495 111 00 02",
        "8-495-111-00-00 .. 8-495-111-00-02",
        "84951110000\n84951110001\n84951110002",
    ],
)
def test_a_range_is_all_numbers_from_the_first_to_the_last(text: str) -> None:
    listing = read_numbers(text, "RU")
    assert not listing.faults
    assert [each.number for each in listing.numbers] == ["74951110000", "74951110001", "74951110002"]


def test_ranges_stand_among_lines_and_faults_are_told_by_their_line() -> None:
    listing = read_numbers(
        "84951110000 – 84951110001\nnonsense\n8 495 111-00-01\n84951110009 - 84951110002\n84951119999;sales;x", "RU"
    )
    assert [(fault.line, fault.why[:30]) for fault in listing.faults] == [
        (2, "'nonsense' is not a telephone "), (3, "74951110001 stands on line 1 a"),
        (4, "74951110009 – 74951110002 is n"), (5, "'84951119999;sales;x' is not a"),
    ]  # fmt: skip


def test_a_csv_text_is_read_as_before() -> None:
    listing = read_numbers("number;route;note\n84951110000;sales;spare - old\n", "RU")
    assert [(each.number, each.route, each.note) for each in listing.numbers] == [
        ("74951110000", "sales", "spare - old")
    ]
    assert read_numbers("", "RU").faults


def test_more_numbers_than_anybody_means_are_refused() -> None:
    with pytest.raises(Refused, match="more than"):
        in_range("74951110000", "74959110000")
    with pytest.raises(Refused, match="no range"):
        in_range("74951110009", "74951110000")
