"""The journal's URL: what a form sends is tidied once, and what is tidy stays; each field and value has a name."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callrouter.journal import query, views
from callrouter.journal.filters import CHOICES, Filters
from callrouter.journal.period import PERIODS
from callrouter.web.pages import appeal_words
from callrouter.web.pages.columns import COLUMNS, USUAL, columns_of, fields_of
from callrouter.web.pages.journal_address import OWN, kept_apart, read

NAMES = st.one_of(st.sampled_from((*query.NAMES, *sorted(OWN))), st.text(max_size=10))
VALUES = st.one_of(st.sampled_from(("", "today", "dates", "2026-03-01", "true", "12", "all", "-talk_s", "when,who")),
                   st.text(max_size=20))  # fmt: skip


@given(st.lists(st.tuples(NAMES, VALUES), max_size=12))
def test_whatever_is_sent_is_tidied_once_and_then_stays(sent: list[tuple[str, str]]) -> None:
    address, _ = read((name, value.encode("utf-8", "replace").decode()) for name, value in sent)
    place = {"after": address.after, "before": address.before}
    again, is_tidy = read(parse_qsl(address.path("", **place).removeprefix("?"), keep_blank_values=True))
    assert is_tidy
    assert again == address


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ("period=today&since=2026-03-01&until=", "/journal?period=today"),
        ("period=dates&since=2026-03-01&until=", "/journal?since=2026-03-01"),
        ("period=&since=&until=&q=", "/journal"),
        ("kind=call&kind=form&sort=-started_at&sort=nonsense", "/journal?kind=call&kind=form"),
        ("field=keyword&how=empty&value=true&view=3", "/journal?view=3&keyword.empty=true"),
        ("field=nonsense&how=has&value=x", "/journal"),
        ("columns=who&columns=nonsense&columns=site", "/journal?columns=who%2Csite"),
    ],
)
def test_a_form_is_tidied(sent: str, path: str) -> None:
    assert read(parse_qsl(sent, keep_blank_values=True))[0].path() == path


def test_taking_the_last_filter_of_a_view_away_does_not_bring_its_filters_back() -> None:
    address, _ = read([("view", "missed"), ("status", "lost"), ("kind", "call")])
    assert address.without(("status", "lost")) == "/journal?view=missed&kind=call"
    assert address.without(*address.items) == "/journal?view=all"


def test_the_form_carries_what_it_has_no_control_for() -> None:
    address, _ = read([("campaign", "a"), ("campaign", "b"), ("kind", "call"), ("kind", "form"), ("q", "x"),
                       ("since", "2026-03-01T10:00:00Z"), ("until", "2026-03-02")])  # fmt: skip
    kept = kept_apart(address, ("campaign", "q", "since", "until"), ("kind",))
    assert kept == [("campaign", "a"), ("campaign", "b"), ("since", "2026-03-01T10:00:00Z")]


def test_every_field_value_and_view_has_a_name() -> None:
    assert set(Filters.__struct_fields__) <= set(appeal_words.FIELD_NAMES)
    assert set(PERIODS) == set(appeal_words.PERIODS)
    assert set(views.STANDARD) == set(appeal_words.VIEWS)
    for field, values in CHOICES.items():
        assert set(values) <= set(appeal_words.VALUES[field]), field


def test_columns_show_what_is_read_for_them() -> None:
    assert [column.key for column in columns_of(())] == list(USUAL)
    assert [column.key for column in columns_of(("nonsense", "hash"))] == ["when", "hash"]
    assert set(COLUMNS) <= views.KNOWN_COLUMNS
    assert {"spam", "tags", "comment", "page"} <= set(fields_of(columns_of(("page",))))


def test_standard_views_are_filters_that_there_are() -> None:
    for text in views.STANDARD.values():
        assert views.filters_in(text) == parse_qsl(text)
