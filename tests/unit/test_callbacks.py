"""Callback orders as rules: when they are due, whom they may dial, and how their call is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callrouter.callbacks.dialable import NotDialable, dialable
from callrouter.callbacks.due import AHEAD, BadTime, due_of, zone_named
from callrouter.callbacks.line import Attempt, attempt_of, linkedid_of, memory_of, originate
from callrouter.callbacks.settings import CallbackSettings, openings_in
from callrouter.calls.times import birth_of, serial_of, system_of
from callrouter.numbers import Number

MOSCOW = ZoneInfo("Europe/Moscow")
SETTINGS = CallbackSettings(enabled=True)
OFFICE = CallbackSettings(hours="mo-fr 09:00-18:00, sa 10:00-15:00")
FRIDAY = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)  # 15:00 in Moscow


def moscow(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=MOSCOW)


@pytest.mark.parametrize(
    ("settings", "wanted", "at", "latest"),
    [
        (SETTINGS, "", "2026-03-06 15:00", "2026-03-06 16:00"),
        (SETTINGS, "16:30", "2026-03-06 16:30", "2026-03-06 17:30"),
        (SETTINGS, "14:57", "2026-03-06 15:00", "2026-03-06 16:00"),
        (SETTINGS, "09:00", "2026-03-07 09:00", "2026-03-07 10:00"),
        (SETTINGS, "2026-03-09T10:00", "2026-03-09 10:00", "2026-03-09 11:00"),
        (SETTINGS, "2026-03-09T10:00+00:00", "2026-03-09 13:00", "2026-03-09 14:00"),
        (SETTINGS, "2026-03-09T07:00:00.000Z", "2026-03-09 10:00", "2026-03-09 11:00"),
        (OFFICE, "", "2026-03-06 15:00", "2026-03-06 16:00"),
        (OFFICE, "17:30", "2026-03-06 17:30", "2026-03-06 18:00"),
        (OFFICE, "22:00", "2026-03-07 10:00", "2026-03-07 11:00"),
        (OFFICE, "2026-03-08T12:00", "2026-03-09 09:00", "2026-03-09 10:00"),
    ],
)
def test_an_order_is_due_by_the_sites_clock_and_when_somebody_is_there(
    settings: CallbackSettings, wanted: str, at: str, latest: str
) -> None:
    due = due_of(wanted, FRIDAY, settings, MOSCOW)
    assert (due.at, due.latest) == (moscow(at), moscow(latest))


@pytest.mark.parametrize(
    "wanted",
    ["25:00", "12:60", "soon", "2026-03-06T11:00", "2026-05-01T11:00", "9999-12-31T23:59", "0001-01-01", "😀", "-"],
)
def test_a_time_that_has_passed_lies_far_ahead_or_is_none_is_refused(wanted: str) -> None:
    with pytest.raises(BadTime):
        due_of(wanted, FRIDAY, SETTINGS, MOSCOW)


@given(st.text(max_size=30))
def test_whatever_a_page_sends_as_a_time_is_a_time_soon_or_refused(wanted: str) -> None:
    try:
        due = due_of(wanted, FRIDAY, OFFICE, MOSCOW)
    except BadTime:
        return
    assert FRIDAY <= due.at <= FRIDAY + AHEAD + timedelta(days=7)
    assert due.at < due.latest <= due.at + timedelta(hours=1)


def test_wall_clocks_that_change_keep_their_hours() -> None:
    berlin = zone_named("Europe/Berlin")
    before = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)
    assert due_of("09:00", before, SETTINGS, berlin).at == datetime(2026, 3, 29, 7, 0, tzinfo=UTC)
    assert due_of("2026-03-29T02:30", before, SETTINGS, berlin).at == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert zone_named("Nowhere/../etc") is UTC


@pytest.mark.parametrize(
    "text", ["mo 9-18", "xx 09:00-18:00", "fr-mo 09:00-18:00", "mo 18:00-09:00", "mo 09:00-25:00", "mo 09:70-18:00"]
)
def test_hours_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no opening"):
        openings_in(text)


@pytest.mark.parametrize(
    "wrong",
    [{"ring_s": 1}, {"attempts": 0}, {"route": "a/b"}, {"route": "a\r\nb"}, {"time_zone": "Mars"}, {"shown": "x"}],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"lie in|no extension|no time zone|no number"):
        CallbackSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("8 (916) 123-45-67", "RU", "79161234567"), ("+7 495 223 27 25", "RU", "74952232725"),
        ("9161234567", "RU", "79161234567"), ("030 12345678", "DE", "493012345678"),
    ],
)  # fmt: skip
def test_ordinary_numbers_of_the_sites_country_may_be_dialled(text: str, country: str, number: str) -> None:
    assert dialable(text, SETTINGS, country) == number


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("112", "bad-phone"), ("", "bad-phone"), ("79", "bad-phone"), ("8800", "bad-phone"),
        ("٨٩١٦١٢٣٤٥٦٧", "bad-phone"),
        ("79161234567,79161234568", "bad-phone"), ("7916123456789", "bad-phone"), ("+7 000 000 00 00", "bad-phone"),
        ("79161234567\r\nAction: Command", "bad-phone"), ("x" * 5000, "bad-phone"),
        ("+881 6 12345678", "foreign-phone"),
        ("8 800 555 35 35", "costly-phone"), ("8 809 505 12 34", "costly-phone"), ("+1 900 555 0123", "foreign-phone"),
        ("+44 20 7946 0018", "foreign-phone"), ("+7 701 123 45 67", "foreign-phone"),
        ("+992 93 123 4567", "foreign-phone"), ("+53 5 1234567", "foreign-phone"),
        ("810 44 20 7946 0018", "foreign-phone"),
    ],
)  # fmt: skip
def test_short_premium_foreign_and_invented_numbers_may_not(text: str, reason: str) -> None:
    with pytest.raises(NotDialable) as refused:
        dialable(text, SETTINGS, "RU")
    assert refused.value.reason == reason


def test_other_countries_are_dialled_where_the_site_says_so() -> None:
    settings = CallbackSettings(countries=("RU", "KZ"))
    assert dialable("+7 701 123 45 67", settings, "RU") == "77011234567"
    with pytest.raises(NotDialable, match="foreign"):
        dialable("8 916 123 45 67", CallbackSettings(countries=("KZ",)), "RU")


@given(st.text(max_size=60))
def test_whatever_is_dialled_is_digits(text: str) -> None:
    try:
        number = dialable(text, CallbackSettings(countries=("RU", "DE", "US")), "RU")
    except NotDialable:
        return
    assert number.isascii()
    assert number.isdecimal()


@given(st.integers(1, 10**12 - 1), st.integers(1, 999), st.sampled_from(["pbx1", "pbx-2", "a b"]))
def test_a_call_tells_which_order_it_carries_out(serial: int, attempt: int, pbx: str) -> None:
    linkedid = linkedid_of(pbx, Attempt(serial, attempt), FRIDAY)
    assert attempt_of(linkedid) == Attempt(serial, attempt)
    assert (system_of(linkedid), birth_of(linkedid), serial_of(linkedid)) == (pbx, FRIDAY.timestamp(), -1)


@pytest.mark.parametrize(
    "linkedid", ["pbx1-1795295599.8", "1795295599.99", "pbx1-1795295599.9900100000000001", "", ".99"]
)
def test_other_calls_carry_out_none(linkedid: str) -> None:
    assert attempt_of(linkedid) is None


def test_what_is_asked_of_asterisk_holds_nothing_that_a_stranger_wrote() -> None:
    action = originate(
        Attempt(5000, 2), "pbx1-1.1", Number("79161234567"), route="sales", context="callrouter-routes",
        shown="74952222222", site='shop"\r\nAction: Command,x=y>', settings=SETTINGS,
    )  # fmt: skip
    assert action["CallerID"] == '"callback shopAction Commandxy" <79161234567>'
    assert action["Channel"] == "Local/sales@callrouter-routes/n"
    assert action["Variable"] == (
        "CALLROUTER_ORDER=5000,CALLROUTER_ORDER_MEMORY=callrouter-callback/904,CALLROUTER_ORDER_SHOWN=74952222222"
    )
    assert memory_of(904) == memory_of(5000)
