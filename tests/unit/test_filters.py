"""The journal's filter language: what is written is read back, what does not fit is refused with the mend."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callrouter.journal.conditions import (
    APART,
    APPEAL_COLUMNS,
    VISIT_COLUMNS,
    Values,
    appeal_conditions,
    concerns_visits,
    visit_conditions,
    within,
)
from callrouter.journal.filters import CHOICES, Filters, Match, Phones, Range
from callrouter.journal.period import PERIODS
from callrouter.journal.query import MOST_VALUES, NAMES, BadFilter, parse, to_query

MOSCOW = ZoneInfo("Europe/Moscow")
NOW = datetime(2026, 3, 18, 21, 30, tzinfo=UTC)  # half past midnight of the 19th, a Thursday, in Moscow


def read(*items: tuple[str, str], zone: ZoneInfo = MOSCOW, country: str = "RU") -> Filters:
    return parse(items, zone=zone, now=NOW, country=country)


def local(filters: Filters) -> tuple[str, str]:
    assert filters.since
    assert filters.until
    return tuple(at.astimezone(MOSCOW).strftime("%m-%d %H:%M") for at in (filters.since, filters.until))  # type: ignore[return-value]


SOME = {
    "kind": "call", "direction": "inbound", "status": "lost", "lost_reason": "busy", "hangup_by": "pbx",
    "method": "holder", "hour": "9", "weekday": "7", "since": "2026-03-01", "until": "2026-03-02T10:00+05:00",
    "period": "month", "customer": "8 916 123-45-67", "called": "2725",
}  # fmt: skip


def some_value(name: str, text: str) -> str:
    field, _, ending = name.partition(".")
    if ending == "empty" or field in {"complete", "late", "pending", "overflow", "unique", "quality", "multichannel",
                                      "first", "spam"}:  # fmt: skip
        return "true"
    if ending in {"min", "max"} or field in {"site", "client", "hangup_cause"}:
        return "17"
    return SOME.get(field, text)


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine draws the first ones slowly
@given(st.lists(st.tuples(st.sampled_from([n for n in NAMES if n != "period"]), texts), unique_by=lambda item: item[0]))
def test_filters_are_read_back_from_the_query_that_they_write(asked: list[tuple[str, str]]) -> None:
    try:
        filters = read(*((name, some_value(name, text)) for name, text in asked))
    except BadFilter as refusal:
        assert refusal.name == "q"  # noqa: PT017
        return
    assert read(*to_query(filters)) == filters


@given(st.lists(st.tuples(st.one_of(st.sampled_from(NAMES), st.text(max_size=30)), st.text(max_size=30)), max_size=6))
def test_anything_is_read_or_refused(asked: list[tuple[str, str]]) -> None:
    try:
        filters = read(*asked)
    except BadFilter as refusal:
        assert str(refusal.reason)  # noqa: PT017
    else:
        values = Values()
        appeal_conditions(filters, 2, MOSCOW, values)
        visit_conditions(filters, 2, MOSCOW, values)


def test_no_value_becomes_part_of_the_sql() -> None:
    hostile = "'; DROP TABLE appeals; --"
    for name in NAMES:
        values = Values()
        try:
            filters = read((name, hostile))
        except BadFilter:
            continue
        sql = appeal_conditions(filters, 2, MOSCOW, values)
        assert hostile not in sql
        assert any(hostile in str(value) or "DROP" in str(value) for value in values.all), name


def test_every_column_of_a_field_is_a_filter_of_its_own() -> None:
    for name in Filters.__struct_fields__:
        assert (name in APPEAL_COLUMNS) != (name in APART)
        assert any(parameter.partition(".")[0] == name for parameter in NAMES), name
    assert set(VISIT_COLUMNS) < set(APPEAL_COLUMNS)


@pytest.mark.parametrize(
    ("period", "span"),
    [
        ("today", ("03-19 00:00", "03-20 00:00")), ("yesterday", ("03-18 00:00", "03-19 00:00")),
        ("7d", ("03-13 00:00", "03-20 00:00")), ("week", ("03-16 00:00", "03-20 00:00")),
        ("last_week", ("03-09 00:00", "03-16 00:00")), ("month", ("03-01 00:00", "03-20 00:00")),
        ("last_month", ("02-01 00:00", "03-01 00:00")), ("quarter", ("01-01 00:00", "03-20 00:00")),
        ("year", ("01-01 00:00", "03-20 00:00")),
    ],
)  # fmt: skip
def test_periods_are_days_of_the_accounts_clock(period: str, span: tuple[str, str]) -> None:
    assert local(read(("period", period))) == span
    assert period in PERIODS


def test_days_are_whole_and_times_without_an_offset_are_the_accounts() -> None:
    days = read(("since", "2026-03-01"), ("until", "2026-03-31"))
    assert local(days) == ("03-01 00:00", "04-01 00:00")
    times = read(("since", "2026-03-01T10:00"), ("until", "2026-03-01T10:00Z"))
    assert local(times) == ("03-01 10:00", "03-01 13:00")
    short = read(("since", "2026-03-29"), ("until", "2026-03-29"), zone=ZoneInfo("Europe/Berlin"))
    assert short.since
    assert short.until
    assert (short.until - short.since).total_seconds() == 23 * 3600


def test_a_number_is_found_in_any_spelling_or_by_a_part() -> None:
    for spelled in ("8 (495) 223-27-25", "+7 495 2232725", "74952232725", "495 223 27 25"):
        assert read(("customer", spelled)).customer == Phones(whole=("74952232725",)), spelled
    assert read(("customer", "27-25")).customer.parts == ("%2725%",)
    assert read(("customer", "8 916 123")).customer.parts == ("%8916123%", "7916123%")
    assert read(("customer", "+7 916")).customer.parts == ("7916%",)
    assert read(("customer", "030 123 45 67"), country="DE").customer.whole == ("49301234567",)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("kind", "fax", "is one of call, form"), ("chanel", "x", "is channel meant"),
        ("quality", "yes", "true or false"),
        ("talk_s.min", "long", "is a number"), ("talk_s.min", "nan", "is a number"), ("site", "-1", "whole number"),
        ("site", "9" * 30, "whole number"), ("hour", "24", "from 0 to 23"), ("since", "yesterday", "is written"),
        ("since", "0001-01-01", "years 1970"), ("until", "9999-12-31T23:59:59-12:00", "years 1970"),
        ("customer", "12", "at least 3"), ("campaign", "a\0b", "character"), ("campaign", "\ud800", "character"),
        ("campaign", "x" * 3000, "no longer"), ("q", "a " * 20, "words"), ("period", "era", "is one of today"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_mend(name: str, value: str, reason: str) -> None:
    with pytest.raises(BadFilter, match=reason):
        read((name, value))


def test_what_contradicts_itself_is_refused() -> None:
    for items in (
        [("since", "2026-03-02"), ("until", "2026-03-01")], [("since", "2026-03-01"), ("period", "month")],
        [("talk_s.min", "5"), ("talk_s.max", "4")], [("q", "x"), ("since", "2026-01-01"), ("since", "2026-01-02")],
        [("site", "1")] * (MOST_VALUES + 1),
    ):  # fmt: skip
        with pytest.raises(BadFilter):
            read(*items)


def test_a_parameter_left_blank_asks_for_nothing() -> None:
    assert read(*((name, "") for name in NAMES)) == Filters()


def test_visits_are_asked_only_what_they_have() -> None:
    assert concerns_visits(read(("channel", "direct"), ("period", "month")))
    assert not concerns_visits(read(("channel", "direct"), ("group", "sales")))
    assert Filters(source=Match(any_of=("yandex",)), wait_s=Range(least=1)).asked == {"source", "wait_s"}


def test_a_part_is_a_part_whatever_signs_it_has() -> None:
    assert within("50%_\\") == "%50\\%\\_\\\\%"
    assert CHOICES["method"][0] == "static"
