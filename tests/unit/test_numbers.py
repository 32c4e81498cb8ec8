"""Numbers in any spelling, and what is none."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callrouter import numbers
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


COUNTRIES = "RU US DE GB IT FR ES BR AR MX CN KZ UA IN AU FI HU ZZ XX".split()  # noqa: SIM905


@settings(max_examples=3000, deadline=None)
@given(
    country=st.sampled_from(COUNTRIES),
    before=st.sampled_from(["", "", "", "", "0", "8", "00", "810", "1", "06"]),
    rest=st.text("0123456789", min_size=4, max_size=12),
)
def test_the_short_way_for_e164_finds_what_the_library_finds(country: str, before: str, rest: str) -> None:
    text = f"{phonenumbers.country_code_for_region(country) or 7}{before}{rest}"

    def parsed() -> str:
        parse_number.cache_clear()
        try:
            return parse_number(text, country)
        except NotANumber:
            return "none"

    short = parsed()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers, "_is_e164", lambda *_: False)
        assert short == parsed()


def test_a_russian_number_as_a_trunk_sends_it_takes_the_short_way() -> None:
    assert numbers._is_e164("79161234567", "RU")
    assert not numbers._is_e164("7916123456", "RU")
