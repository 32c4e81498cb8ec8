"""The row of a call: whose it is, whether it was a quality call, and that nothing hostile can break it."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid5

import msgspec
import pytest

from callrouter.appeals.enrich import LONGEST_KEY, enrich, scrub
from callrouter.appeals.row import CALLS, OPERATOR_ACCOUNT, AppealRow, appeal_id
from callrouter.appeals.settings import Owner, Settings, SiteSettings
from callrouter.calls.record import CallRecord
from callrouter.pool.model import Resolution, StaticBinding
from tests.call_samples import NOON, a_call, a_resolution, an_appeal

SETTINGS = Settings(
    accounts=frozenset({1, 7}),
    sites={70: SiteSettings(id=70, account=7, quality_s=30)},
    owners={"74950000070": Owner(7, 70)},
)


def row_of(call: CallRecord, resolution: Resolution | None = None) -> AppealRow:
    row = enrich(an_appeal(call, resolution), SETTINGS)
    assert row is not None
    return row


def test_internal_call_makes_no_appeal() -> None:
    assert enrich(an_appeal(a_call(direction="internal")), SETTINGS) is None


def test_call_belongs_to_the_credited_candidate_and_carries_his_visit() -> None:
    row = row_of(a_call(), a_resolution(7, 70))
    assert (row.account_id, row.site_id, row.method, row.confidence) == (7, 70, "holder", 0.9)
    assert (row.source, row.campaign, row.keyword) == ("yandex", "окна", "окна пвх")
    assert (row.time_on_site_s, row.pages, row.page) == (170.0, 4, "https://shop.example/price")
    assert not row.attribution_pending


def test_call_of_nobody_goes_to_the_operator() -> None:
    row = row_of(a_call(), a_resolution(None, None))
    assert (row.account_id, row.site_id, row.method) == (OPERATOR_ACCOUNT, None, "unattributed")


def test_call_without_candidate_goes_to_the_site_that_the_resolution_names() -> None:
    resolution = a_resolution(None, None)
    attribution = msgspec.structs.replace(resolution.attribution, account=7, site=70)
    row = row_of(a_call(), msgspec.structs.replace(resolution, attribution=attribution))
    assert (row.account_id, row.site_id, row.session) == (7, 70, None)


def test_call_credited_to_an_account_that_is_gone_goes_to_the_operator() -> None:
    assert row_of(a_call(), a_resolution(99, 990)).account_id == OPERATOR_ACCOUNT


def test_call_to_a_sites_own_number_is_that_sites() -> None:
    row = row_of(a_call(called="74950000070"), a_resolution(None, None))
    assert (row.account_id, row.site_id) == (7, 70)


def test_outbound_call_belongs_to_the_owner_of_the_number_it_shows() -> None:
    shown = row_of(a_call(direction="outbound", caller="74950000070", called="79161234567", customer="79161234567"))
    assert (shown.account_id, shown.attribution_pending, shown.direction) == (7, False, "outbound")
    extension = row_of(a_call(direction="outbound", caller="101", called="79161234567", customer="79161234567"))
    assert extension.account_id == OPERATOR_ACCOUNT


def test_call_that_nobody_could_resolve_in_time_waits_for_the_history() -> None:
    assert row_of(a_call()).attribution_pending


@pytest.mark.parametrize(
    ("talk", "status", "quality"), [(29.9, "answered", False), (30.0, "answered", True), (99.0, "lost", False)]
)
def test_quality_is_an_answered_call_that_talked_the_sites_threshold(talk: float, status: str, quality: bool) -> None:
    assert row_of(a_call(talk_s=talk, status=status), a_resolution(7, 70)).quality is quality


def test_threshold_without_a_site_is_a_minute() -> None:
    assert not row_of(a_call(talk_s=59.9)).quality
    assert row_of(a_call(talk_s=60.0)).quality


def test_static_channel_is_credited_without_a_visit() -> None:
    binding = StaticBinding(
        number=a_resolution(7, 70).number,
        account=7,
        site=70,
        channel="newspaper",
        source="metro",
        medium="print",
        campaign="may",
        valid_from=NOON - timedelta(days=30),
    )
    resolution = msgspec.structs.replace(a_resolution(7, 70, method="static"), visit=None, binding=binding)
    row = row_of(a_call(), resolution)
    assert (row.channel, row.source, row.medium, row.campaign, row.visitor) == (
        "newspaper",
        "metro",
        "print",
        "may",
        None,
    )


def test_hostile_strings_become_what_postgres_can_hold() -> None:
    row = row_of(a_call(caller="9" * 10_000, called_raw="a\0b"))
    scrub(row)
    assert len(row.customer or "") == LONGEST_KEY
    assert row.called_raw == "a\ufffdb"


def test_appeal_of_a_call_has_the_same_id_whoever_tells_it() -> None:
    assert appeal_id("pbx1", "1.1") == row_of(a_call(), a_resolution(7, 70)).id == row_of(a_call(talk_s=1.0)).id
    assert appeal_id("pbx1", "1.1") != appeal_id("pbx2", "1.1")
    assert appeal_id("pbx1", "1.1") == uuid5(CALLS, "pbx1\n1.1")
