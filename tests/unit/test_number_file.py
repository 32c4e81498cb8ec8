"""A file of numbers is read as it stands, and told what is wrong with it."""

from __future__ import annotations

from callrouter.pool.number_file import read_listing


def test_a_header_without_the_numbers_column_is_told_as_such_and_once() -> None:
    told = read_listing("phone;comment\n+74952220101;first\n+74952220102;\n", "RU")
    assert told.numbers == ()
    assert [str(fault) for fault in told.faults] == [
        "line 1: a header without a column 'number'; known here: number, route, note"
    ]


def test_a_file_without_a_header_is_one_number_a_line() -> None:
    assert [each.number for each in read_listing("+7 495 222-01-01\n84952220102\n", "RU").numbers] == [
        "74952220101", "74952220102",
    ]  # fmt: skip
