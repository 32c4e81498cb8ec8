"""Numbers in any spelling, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callrouter.numbers import INTERNATIONAL, NotANumber, Number, display_number, parse_number, party


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("8 (495) 223-27-25", "RU"), ("+7 495 223 27 25", "RU"), ("74952232725", "RU"), ("4952232725", "RU"),
        ("0074952232725", "RU"), ("tel:+74952232725", "RU"), ("74952232725", INTERNATIONAL), ("+7-495-223-27-25", "DE"),
    ],
)  # fmt: skip
def test_every_spelling_gives_the_same_number(text: str, country: str) -> None:
    assert parse_number(text, country) == "74952232725"


@pytest.mark.parametrize(
    "text", ["", "101", "s", "anonymous", "+", "8" * 40, "٣٤٥٦٧٨٩٠١٢", "1234567890123456789", "12345678"]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(NotANumber):
        parse_number(text, "RU")


def test_a_party_keeps_extensions_and_drops_the_withheld() -> None:
    assert party("89165550001", "RU") == "79165550001"
    assert party("101", "RU") == "101"
    assert party("anonymous", "RU") is None
    assert party("", "RU") is None
    assert party("0000000", "RU") is None


def test_a_number_is_shown_by_the_pattern_of_its_site() -> None:
    number = Number("74952232725")
    assert display_number(number, "8 (###) ###-##-##") == "8 (495) 223-27-25"
    assert display_number(number) == "+7 495 223-27-25"


@given(st.text(max_size=60))
def test_no_text_does_harm(text: str) -> None:
    party(text, "RU")
    try:
        number = parse_number(text, "RU")
    except NotANumber:
        return
    assert number.isascii()
    assert number.isdigit()
    assert parse_number(number, INTERNATIONAL) == number, "a number stays itself"
    display_number(number)
