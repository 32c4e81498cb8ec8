"""Files that begin or end in mid-call, rows in another order: no crash, no invented call, and `complete` says so."""

from __future__ import annotations

import pytest

from callrouter.cel.gather import Gatherer
from callrouter.cel.records import records
from callrouter.cel.rows import Row
from tests.cel_agreement import PROFILE
from tests.unit.cel.test_both import VERSIONS, by_cel, rows


def calls(version: int) -> list[list[Row]]:
    gatherer = Gatherer(PROFILE)
    told = [call for row in rows(version) for call in gatherer.feed(row)]
    assert list(gatherer.finish()) == []
    assert all(call.whole for call in told)
    return [call.rows for call in told]


@pytest.mark.parametrize("version", VERSIONS)
def test_without_its_first_rows_a_call_is_told_incomplete_or_not_at_all(version: int) -> None:
    for call in calls(version):
        whole = by_cel(tuple(call))
        for k in range(1, len(call)):
            for linkedid, record in by_cel(tuple(call[k:])).items():
                assert linkedid in {row.linkedid for row in call}
                assert linkedid not in whole or record.started_at >= whole[linkedid].started_at


@pytest.mark.parametrize("version", VERSIONS)
def test_a_call_without_its_last_rows_is_told_as_far_as_it_went(version: int) -> None:
    for call in calls(version):
        last = max(float(row.stamp) for row in call)
        for k in range(1, len(call)):
            somebody_hung_up = any(row.type == "HANGUP" for row in call[:k])
            for record in by_cel(tuple(call[:k])).values():
                assert record.ended_at.timestamp() <= last
                assert somebody_hung_up or not record.complete


@pytest.mark.parametrize("version", VERSIONS)
def test_an_asterisk_that_was_killed_leaves_calls_that_end_when_it_is_back(version: int) -> None:
    """No end record of them stands in the file; the ids of the next start do."""
    call = next(each for each in calls(version) if any(row.type == "BRIDGE_ENTER" for row in each))
    cut = call[: next(n for n, row in enumerate(call) if row.type == "BRIDGE_EXIT")]
    later = f"{float(call[-1].stamp) + 60:.6f}"
    after = [again(row, later) for row in calls(version)[0]]
    killed, next_one = list(records([*cut, *after], PROFILE))
    assert not killed.complete
    assert killed.ended_at.timestamp() == pytest.approx(float(cut[-1].stamp))
    assert killed.talk_s > 0 or killed.status == "answered"
    assert next_one.complete


def again(row: Row, later: str) -> Row:
    second = later.partition(".")[0]
    uniqueid, linkedid = (f"pbx1-{second}.{name.rpartition('.')[2]}" for name in (row.uniqueid, row.linkedid))
    return row._replace(stamp=later, uniqueid=uniqueid, linkedid=linkedid)


def test_too_many_open_calls_are_given_out_rather_than_kept() -> None:
    gatherer = Gatherer(PROFILE, most_rows=20)
    begins = [row for call in calls(22) for row in call if row.type == "CHAN_START"]
    given_out = [call for row in begins for call in gatherer.feed(row)]
    assert gatherer.given_up == len(given_out) > 0
    assert not any(call.whole for call in given_out)
    assert sum(len(call.rows) for call in gatherer.finish()) <= 20
