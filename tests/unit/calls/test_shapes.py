"""Every shape of a call that the scripts of tests/shapes play: told as the phones know it."""

from __future__ import annotations

import pytest

from tests.shapes import SHAPES as SCRIPTS
from tests.shapes.verdict import differences
from tests.unit.calls.captures import FOLDER, SHAPES, capture, replayed


@pytest.mark.parametrize("name", SHAPES)
def test_a_call_is_told_as_the_phones_know_it(name: str) -> None:
    recorded = capture(name)
    assert differences(replayed(recorded.events, recorded.profile), recorded.truths) == []


@pytest.mark.parametrize("name", [name for name in SHAPES if ".filtered." not in name])
def test_our_filter_leaves_out_nothing_that_a_record_tells(name: str) -> None:
    everything, ours = capture(name), capture(name.replace(".ami", ".filtered.ami"))
    assert replayed(ours.events, ours.profile) == replayed(everything.events, everything.profile)


@pytest.mark.parametrize("version", [22, 16])
def test_each_script_is_recorded_with_all_events_and_with_ours(version: int) -> None:
    wanted = {one.name for one in SCRIPTS.values() if version in one.versions}
    wanted |= {f"{one.name}_seen_there" for one in SCRIPTS.values() if one.pbxs > 1}
    found = {name.name for name in (FOLDER / "shapes" / str(version)).glob("*.ami.gz")}
    assert found == {f"{name}{suffix}.ami.gz" for name in wanted for suffix in ("", ".filtered")}


@pytest.mark.parametrize("version", [22, 16])
def test_a_callback_is_the_employees_who_answered_although_the_customer_is_dialled_sooner_than_he_is_heard(
    version: int,
) -> None:
    recorded = capture(f"shapes/{version}/callback_from_a_queue.filtered.ami.gz")
    events = list(recorded.events)
    heard = [event for event in events if event["Event"] == "BridgeEnter"][:2]
    for event in heard:
        events.remove(event)
    dialled = next(n for n, event in enumerate(events) if event.get("Channel", "").startswith("PJSIP/carrier"))
    events[dialled + 3 : dialled + 3] = heard
    assert differences(replayed(events, recorded.profile), recorded.truths) == []
