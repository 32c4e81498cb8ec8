"""Who is unique is a function of the set of calls (rules §5), checked against the rule written out plainly."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from callrouter.appeals.row import AppealRow
from callrouter.appeals.settings import Settings, SiteSettings
from callrouter.appeals.uniqueness import is_unique, judge
from tests.call_samples import NOON
from tests.uniqueness_model import SETTINGS, plainly_unique

rows = st.builds(
    AppealRow,
    account_id=st.sampled_from([1, 7]),
    site_id=st.sampled_from([None, 70, 71, 72]),
    started_at=st.integers(0, 30).map(lambda hours: NOON + timedelta(hours=hours * 6)),
    id=st.uuids(),
    customer=st.sampled_from([None, "79160000001", "79160000002"]),
    direction=st.sampled_from(["inbound", "inbound", "inbound", "outbound"]),
    attribution_pending=st.sampled_from([False, False, False, True]),
)


@given(st.lists(rows, max_size=12, unique_by=lambda row: row.id), st.randoms())
def test_judgement_is_the_rule_in_whatever_order_calls_are_told(calls: list[AppealRow], random: object) -> None:
    expected = plainly_unique(calls)
    random.shuffle(calls)  # type: ignore[attr-defined]
    judge(calls, {}, SETTINGS)
    assert {row.id: row.is_unique for row in calls} == expected


def test_call_exactly_one_window_later_is_unique_again() -> None:
    assert not is_unique(NOON, NOON - timedelta(days=7) + timedelta(microseconds=1), 7)
    assert is_unique(NOON, NOON - timedelta(days=7), 7)
    assert not is_unique(NOON, NOON - timedelta(days=7000), None)


def test_nearest_earlier_call_in_postgres_counts_as_one_of_the_batch() -> None:
    row = AppealRow(account_id=7, started_at=NOON, id=UUID(int=1), customer="79160000001", direction="inbound")
    settings = Settings(sites={70: SiteSettings(id=70, account=7)})
    judge([row], {row.id: NOON - timedelta(days=1)}, settings)
    assert not row.is_unique
    judge([row], {}, settings)
    assert row.is_unique
