"""A stopping router's calls in progress reach its successor as they were, and nobody else."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from callrouter import handover
from callrouter.ami.capture import read_capture
from callrouter.appeals.model import CallAppeal
from callrouter.calls.events import CallEvent
from callrouter.calls.tracker import CallTracker
from callrouter.clock import SystemClock
from callrouter.config import PbxConfig
from callrouter.desk import Desk, Known
from callrouter.lab import company
from callrouter.numbers import Number
from callrouter.pool.model import Resolution

CAPTURES = Path("tests/captures/22")
PBX = PbxConfig(
    name="pbx1", ami_secret="hush-hush", inbound_contexts=("from-trunk",), trunks=("PJSIP/carrier",),
    group_contexts=("ring-groups",),
)  # fmt: skip


def passed_on(folder: Path, tracker: CallTracker) -> CallTracker:
    handover.leave(folder, {}, {"pbx1": tracker})
    successor = handover.taken(folder).trackers["pbx1"]
    successor.follow(PBX)
    return successor


@pytest.mark.parametrize("name", ["attended_transfer", "blind_transfer", "local_members", "held", "outbound"])
def test_a_call_is_told_the_same_wherever_it_was_handed_over(tmp_path: Path, name: str) -> None:
    assert company.profile("pbx1").trunks == PBX.trunks
    events = list(read_capture(CAPTURES / f"{name}.ami"))
    whole = CallTracker(PBX)
    wanted = [told for event in events for told in whole.feed(event)]
    for cut in range(0, len(events), 11):
        tracker = CallTracker(PBX)
        told: list[CallEvent] = [each for event in events[:cut] for each in tracker.feed(event)]
        tracker = passed_on(tmp_path, tracker)
        told += [each for event in events[cut:] for each in tracker.feed(event)]
        assert told == wanted


def test_no_secret_is_written_and_nobody_else_may_read(tmp_path: Path) -> None:
    handover.leave(tmp_path, {}, {"pbx1": CallTracker(PBX)})
    for file in tmp_path.iterdir():
        assert b"hush-hush" not in file.read_bytes()
        assert file.stat().st_mode & 0o077 == 0


def test_what_was_left_is_taken_once(tmp_path: Path) -> None:
    handover.leave(tmp_path, {}, {"pbx1": CallTracker(PBX)})
    assert handover.taken(tmp_path).trackers
    assert handover.taken(tmp_path) == handover.Predecessor()
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_do_not_stop_the_router(tmp_path: Path) -> None:
    (tmp_path / handover.KNOWN).write_bytes(b"\xff{")
    (tmp_path / handover.TRACKERS).write_bytes(b"\x80\x05garbage")
    assert handover.taken(tmp_path) == handover.Predecessor()


def test_another_version_does_not_take_the_trackers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handover.leave(tmp_path, {}, {"pbx1": CallTracker(PBX)})
    monkeypatch.setattr(handover, "__version__", "99.0")
    assert handover.taken(tmp_path).trackers == {}


def test_a_long_call_keeps_its_answer_over_a_restart(tmp_path: Path) -> None:
    """The successor's desk follows the call: what is known of it is not taken for a leftover."""
    events = list(read_capture(CAPTURES / "direct.ami"))
    tracker = CallTracker(PBX)
    for event in events[: len(events) // 2]:
        tracker.feed(event)
    (call,) = tracker.snapshot()
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    handover.leave(tmp_path, {(call.pbx, call.uniqueid): Known(at=hour_ago)}, {"pbx1": tracker})
    predecessor = handover.taken(tmp_path)

    async def scenario() -> None:
        desk = Desk(Nobody(), Nothing(), SystemClock(), deadline=0.15)
        desk.take_over(predecessor.known, predecessor.calls)
        desk.forget_old({"pbx1"})
        assert (call.pbx, call.uniqueid) in desk.in_hand()
        await desk.stop()

    asyncio.run(scenario())


class Nobody:
    """No call is resolved here."""

    async def resolve(self, number: Number, caller: Number | None, at: datetime, **_: object) -> Resolution:
        raise NotImplementedError

    async def call_ended(self, number: Number, call: str) -> None:
        raise NotImplementedError

    async def remember(self, resolution: Resolution, *, client: str = "") -> None:
        raise NotImplementedError


class Nothing:
    async def append(self, appeal: CallAppeal) -> None:
        raise NotImplementedError
