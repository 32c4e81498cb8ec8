"""What CEL tells of a call is what AMI told of it: each kind of call, recorded by both at once on a real Asterisk.

What CEL cannot know (docs/reference/cel.md) is named here, and nothing else may differ.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from callrouter.ami.capture import read_capture
from callrouter.calls.record import CallRecord
from callrouter.calls.replay import records as ami_records
from callrouter.cel.files import rows_of
from callrouter.cel.records import records as cel_records
from callrouter.cel.rows import Row
from tests.cel_agreement import PROFILE, differences, facts
from tests.shapes import profile
from tests.unit.calls.captures import FOLDER, capture

VERSIONS = (22, 16)


@cache
def rows(version: int) -> tuple[Row, ...]:
    return tuple(rows_of(FOLDER / f"{version}-cel" / "both" / "calls.csv.gz"))


@cache
def by_ami(version: int) -> dict[str, CallRecord]:
    path = FOLDER / f"{version}-cel" / "both" / "calls.ami.gz"
    return {each.linkedid: each for each in ami_records(read_capture(path), PROFILE)}


def by_cel(told: tuple[Row, ...]) -> dict[str, CallRecord]:
    return {each.linkedid: each for each in cel_records(told, PROFILE)}


@pytest.mark.parametrize("version", VERSIONS)
def test_both_tell_the_same_calls_alike(version: int) -> None:
    ami, cel = by_ami(version), by_cel(rows(version))
    assert ami.keys() == cel.keys()
    assert len(ami) == 28
    found = {linkedid: differences(record, cel[linkedid], version) for linkedid, record in ami.items()}
    assert {linkedid: each for linkedid, each in found.items() if each} == {}


def test_every_shape_of_a_call_is_told_alike() -> None:
    """Some ninety at once, as tests/shapes plays them: conferences, overflow, pickup, forwarding, transfers."""
    folder = FOLDER / "22-cel" / "shapes"
    shapes = profile("pbx1")
    ami = {each.linkedid: each for each in ami_records(read_capture(folder / "calls.ami.gz"), shapes)}
    cel = {each.linkedid: each for each in cel_records(rows_of(folder / "calls.csv.gz"), shapes)}
    found = {key: differences(call, cel[key]) for key, call in ami.items() if call.direction != "internal"}
    assert len(found) == 96
    assert {key: each for key, each in found.items() if facts(each)} == {}
    assert sum(not each for each in found.values()) >= 90, "the others differ in a step"


def test_what_the_phones_did_is_what_cel_tells() -> None:
    """The file recorded first, whose truth is the phones' own."""
    truths = capture_of_truths()
    told = by_cel(tuple(rows_of(FOLDER / "22-cel" / "calls.csv")))
    assert len(told) == len(truths)
    for truth in truths:
        record = told[truth["linkedid"]]
        for field in ("direction", "status", "lost_reason", "group", "employee"):
            assert getattr(record, field) == truth[field], (truth["outcome"], field)
        assert abs(record.talk_s - truth["talk_s"]) < 0.3
        assert abs(record.wait_s - truth["wait_s"]) < 0.3
        assert record.complete


def capture_of_truths() -> tuple[dict[str, Any], ...]:
    return capture("22-cel/calls.csv").truths
