"""The journal's framing: every whole record is found again, whatever happened to the bytes around it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callrouter.appeals.segments import LARGEST_RECORD, MAGIC, frame, scan

payloads = st.lists(st.binary(max_size=40) | st.just(MAGIC * 3), max_size=8)


def found(data: bytes) -> list[bytes]:
    return [payload for payload, _end in scan(data, limit=1000, is_tail=True).records]


@given(payloads, st.integers(min_value=0, max_value=400))
def test_segment_cut_anywhere_gives_its_whole_records_and_counts_the_rest(records: list[bytes], cut: int) -> None:
    data = b"".join(map(frame, records))
    whole, size = [], 0
    for record in records:
        size += len(frame(record))
        if size <= cut:
            whole.append(record)
    result = scan(data[:cut], limit=1000, is_tail=True)
    # A record may hold what looks like the start of another, as long as its checksum tells.
    assert [payload for payload, _end in result.records] == whole
    assert result.damaged == len(data[:cut]) - sum(len(frame(record)) for record in whole)


@given(payloads, st.binary(min_size=1, max_size=30), payloads)
def test_records_after_damage_are_found(before: list[bytes], noise: bytes, after: list[bytes]) -> None:
    data = b"".join(map(frame, before)) + noise + b"".join(map(frame, after))
    assert found(data) == before + after


@given(payloads, st.integers(min_value=1, max_value=60))
def test_stretch_read_before_its_end_is_patient_with_a_cut_record(records: list[bytes], length: int) -> None:
    data = b"".join(map(frame, records))
    seen, at = [], 0
    while at < len(data):
        size = length
        while not (result := scan(data[at : at + size], limit=3, is_tail=at + size >= len(data))).records:
            size *= 2
        assert result.damaged == 0
        seen += [payload for payload, _end in result.records]
        at += result.records[-1][1]
    assert seen == records


@given(payloads, st.integers(min_value=0), st.integers(min_value=0, max_value=7))
def test_flipped_bit_costs_one_record_at_most(records: list[bytes], place: int, bit: int) -> None:
    data = bytearray(b"".join(map(frame, records)))
    if not data:
        return
    data[place % len(data)] ^= 1 << bit
    assert len(found(bytes(data))) >= len(records) - 1


def test_absurd_record_is_refused() -> None:
    with pytest.raises(ValueError, match="limit"):
        frame(bytes(LARGEST_RECORD + 1))
