"""Odd calls of customers, as `callrouter record --regression` kept them: told as they really were."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from callrouter.ami.anonymise import Anonymiser
from callrouter.calls.profile import PbxProfile
from callrouter.config import PbxConfig
from callrouter.regression import differences, files_of, keep
from tests.unit.calls.captures import CUSTOMERS, FOLDER, SHAPES, capture, raw, replayed

NUMBERED = PbxProfile(name="pbx1", trunks=("PJSIP/74951234567",))


@pytest.mark.parametrize("name", CUSTOMERS)
def test_a_customers_call_is_told_as_it_was(name: str) -> None:
    assert differences(FOLDER / name.removesuffix(".ami.gz")) == []


@pytest.mark.parametrize("name", [name for name in SHAPES if ".filtered." not in name][::25])
def test_a_kept_call_is_told_as_the_whole_capture_was_and_names_nobody(name: str, tmp_path: Path) -> None:
    recorded, nameless = capture(name), Anonymiser(b"a")
    profile = msgspec.convert(
        {key: value for key, value in msgspec.to_builtins(recorded.profile).items() if value != {}}
        | {"ami_secret": "very secret", "callback_secret": "very secret"}, PbxConfig,
    )  # fmt: skip
    draft = tmp_path / "draft"
    draft.write_bytes(nameless.text(raw(name)))
    made = keep(draft, profile, tmp_path / "kept", nameless)
    whole = [record for record in replayed(recorded.events, recorded.profile) if record.direction != "internal"]
    assert made.count == len(whole)
    for told, record in zip(made.calls, whole, strict=True):
        plain = msgspec.to_builtins(record)
        same = ("linkedid", "status", "lost_reason", "group", "talk_s", "started_at", "complete", "hangup_by")
        assert {key: told[key] for key in same} == {key: plain[key] for key in same}
    assert differences(tmp_path / "kept") == []
    packed, expected = files_of(tmp_path / "kept")
    assert packed.stat().st_size < len(raw(name)) / 5
    assert "very secret" not in expected.read_text()


def test_what_is_told_otherwise_is_said_field_by_field_and_deleted_fields_are_not_compared(tmp_path: Path) -> None:
    draft, name, nameless = tmp_path / "draft", tmp_path / "kept", Anonymiser(b"a")
    draft.write_bytes(nameless.text(raw(SHAPES[0])))
    keep(draft, capture(SHAPES[0]).profile, name, nameless)
    _, expected = files_of(name)
    wanted = json.loads(expected.read_text())
    told = wanted["calls"][0]
    linkedid = told["linkedid"]
    wanted["calls"] = [{"linkedid": linkedid, "group": "depot"}, {"linkedid": "pbx1-1.1"}]
    wanted["count"] += 1
    expected.write_text(json.dumps(wanted))
    assert differences(name) == [
        f"{wanted['count'] - 1} calls instead of {wanted['count']}",
        f"{linkedid} group: {told['group']!r} instead of 'depot'",
        "pbx1-1.1 is not told",
    ]


def test_a_trunk_that_is_called_after_its_number_still_is_the_trunk(tmp_path: Path) -> None:
    draft, nameless = tmp_path / "draft", Anonymiser(b"a")
    data = raw(SHAPES[0]).replace(b"PJSIP/carrier", b"PJSIP/74951234567")
    profile = msgspec.structs.replace(capture(SHAPES[0]).profile, trunks=NUMBERED.trunks, inbound_contexts=("none",))
    draft.write_bytes(nameless.text(data))
    made = keep(draft, profile, tmp_path / "kept", nameless)
    assert made.count == len([one for one in capture(SHAPES[0]).truths if one["direction"] != "internal"])
    assert "1234567" not in (tmp_path / "kept.json").read_text()
