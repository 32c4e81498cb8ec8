"""Amounts, days and tables as people write them: read exactly, or refused with the line and the mend."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callrouter.reports import costs, deals, money
from callrouter.reports.costs import Cost, classed
from callrouter.reports.figures import plain, share
from callrouter.reports.money import NoSense

MOSCOW = ZoneInfo("Europe/Moscow")


@pytest.mark.parametrize(
    ("text", "value"),
    [("1234.56", "1234.56"), ("1 234,56", "1234.56"), ("1\u00a0234,5", "1234.5"), ("1,234.56", "1234.56"), ("-5", "-5"),
     ("0.0001", "0.0001"), ("99999999999999.9999", "99999999999999.9999"), ("1.234", "1.234"), ("12,3456", "12.3456")],
)  # fmt: skip
def test_amounts_are_read_to_the_last_decimal(text: str, value: str) -> None:
    assert money.amount(text) == Decimal(value)


@pytest.mark.parametrize(
    "text", ["", "1,234", "1e5", "NaN", "inf", "1.23456", "123456789012345", "1.2.3", "=1+1", "十"]
)
def test_what_is_no_amount_or_may_be_two_is_refused(text: str) -> None:
    with pytest.raises(NoSense):
        money.amount(text)


@given(st.decimals(min_value=-(10**14) + 1, max_value=10**14 - 1, places=4))
def test_an_amount_comes_back_as_it_was(value: Decimal) -> None:
    assert money.amount(plain(value)) == value
    assert "E" not in plain(value)


@given(st.text(max_size=40))
def test_no_text_is_read_but_to_sense_or_a_refusal(text: str) -> None:
    for read in (money.amount, money.currency, money.day, money.count, lambda t: money.moment(t, MOSCOW), deals.email,
                 deals.link, lambda t: deals.phone(t, "RU")):  # fmt: skip
        with suppress(NoSense):
            read(text)


@given(st.binary(max_size=300))
def test_no_file_breaks_the_reader(content: bytes) -> None:
    for table in (costs.read_file(content), deals.read_file(content, MOSCOW, "RU")):
        assert table.rows or table.faults


def test_every_wrong_line_is_told_with_its_number() -> None:
    text = (
        "day;amount;currency\n2026-03-01;10;RUB\n2026-13-01;x;RUB\n\n01.03.2026;1,234;roubles\n2026-03-02;5;RUB;more\n"
    )
    table = costs.read_file(text.encode())
    assert [fault.line for fault in table.faults] == [3, 3, 5, 5, 6]
    assert "day" in table.faults[0].why
    assert "amount" in table.faults[1].why
    assert "currency" in table.faults[3].why


def test_unknown_and_missing_columns_are_told_before_any_line() -> None:
    table = costs.read_file(b"day,sum\n2026-03-01,5\n")
    assert [fault.why.split(";")[0] for fault in table.faults] == [
        "the column 'amount' is missing",
        "unknown column 'sum'",
    ]


def test_spreadsheets_of_russia_are_read() -> None:
    table = costs.read_file("day;amount;campaign\n01.03.2026;1 500,5;окна\n".encode("cp1251"))
    assert table.rows[0][1] == Cost(day=date(2026, 3, 1), amount=Decimal("1500.5"), campaign="окна")


def test_cost_is_classed_as_the_visits_that_it_paid_for() -> None:
    told = classed(Cost(day=date(2026, 3, 1), amount=Decimal(1), source="yandex", medium="cpc", campaign="окна"))
    assert (told.channel, told.source, told.medium, told.campaign) == ("paid_search", "yandex", "cpc", "окна")
    kept = Cost(day=date(2026, 3, 1), amount=Decimal(1), channel="newspaper", source="Metro")
    assert classed(kept) == kept


def test_link_that_could_run_is_refused() -> None:
    assert deals.link("https://crm.example/deal/1") == "https://crm.example/deal/1"
    for text in ("javascript:alert(1)", "data:text/html,x", "//evil.example", "https:", "http://[::1"):
        with pytest.raises(NoSense):
            deals.link(text)


def test_share_says_how_little_few_can_tell() -> None:
    assert share(0, 0) is None
    few, many = share(1, 2), share(500, 1000)
    assert few
    assert many
    assert (round(few.low, 3), round(few.high, 3)) == (0.095, 0.905)
    assert (round(many.low, 3), round(many.high, 3)) == (0.469, 0.531)
    assert share(0, 10) is not None


@given(st.integers(0, 1000), st.integers(1, 1000))
def test_share_lies_within_its_interval(part: int, whole: int) -> None:
    told = share(min(part, whole), whole)
    assert told
    assert -1e-9 <= told.low <= told.value + 1e-9
    assert told.value - 1e-9 <= told.high <= 1 + 1e-9
