"""The desk: one appeal per call, with whatever is known, and never a call held up."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from callrouter import desk as desk_module
from callrouter import handover
from callrouter.clock import SystemClock
from callrouter.desk import Desk
from callrouter.pool.store import StoreUnavailable
from tests.unit.desk_scene import AT, DEADLINE, Journal, Store, at_the_desk, ended, question, started
from tests.waiting import until


def counted(metric: str) -> float:
    return REGISTRY.get_sample_value(metric) or 0.0


def test_an_asked_call_is_journalled_with_its_answer_and_the_time_it_cost() -> None:
    async def scenario(desk: Desk, store: Store, journal: Journal) -> None:
        desk.take([started()], dialplan_asks=True, country="RU")
        assert (await desk.ask(question()))["CALLROUTER_STATUS"] == "ok"
        desk.take([ended()], dialplan_asks=True, country="RU")
        assert await desk.finish(1)
        (appeal,) = journal
        assert appeal.resolution is not None
        assert appeal.resolution.late is False
        assert appeal.call.agi_ms is not None
        assert 0 <= appeal.call.agi_ms < DEADLINE * 1000
        assert store.ended == ["pbx1-1.1"]
        assert len(store.remembered) == 1
        assert desk.in_hand() == {}

    at_the_desk(scenario)


def test_an_answer_that_did_not_reach_the_dialplan_is_kept_and_marked_late() -> None:
    async def scenario(desk: Desk, store: Store, journal: Journal) -> None:
        store.seconds = DEADLINE * 2
        desk.take([started()], dialplan_asks=True, country="RU")
        await desk.ask(question())
        desk.came_late(question())
        desk.take([ended()], dialplan_asks=True, country="RU")
        assert await desk.finish(1)
        (appeal,) = journal
        assert appeal.resolution is not None
        assert appeal.resolution.late is True
        assert appeal.call.agi_ms == DEADLINE * 1000

    at_the_desk(scenario)


def test_a_watched_call_is_resolved_at_once_and_is_not_late() -> None:
    async def scenario(desk: Desk, store: Store, journal: Journal) -> None:
        desk.take([started()], dialplan_asks=False, country="RU")
        await until(lambda: bool(desk.in_hand()))
        desk.take([ended()], dialplan_asks=False, country="RU")
        assert await desk.finish(1)
        assert journal[0].resolution is not None
        assert journal[0].resolution.late is False
        assert journal[0].call.agi_ms is None

    at_the_desk(scenario)


def test_a_call_whose_dialplan_did_not_ask_is_resolved_late_as_of_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "UNASKED_AFTER", 0.01)

    async def scenario(desk: Desk, store: Store, journal: Journal) -> None:
        desk.take([started()], dialplan_asks=True, country="RU")
        await until(lambda: bool(desk.in_hand()))
        assert store.asked == [(AT, False)]
        desk.take([ended()], dialplan_asks=True, country="RU")
        assert await desk.finish(1)
        (appeal,) = journal
        assert appeal.resolution is not None
        assert appeal.resolution.late is True

    at_the_desk(scenario)


def test_a_call_too_short_to_be_asked_about_is_told_again_with_its_visit() -> None:
    async def scenario(desk: Desk, store: Store, journal: Journal) -> None:
        desk.take([started(), ended()], dialplan_asks=True, country="RU")
        assert await desk.finish(1)
        first, second = journal
        assert (first.resolution, first.revision) == (None, 0)
        assert second.revision == 1
        assert second.resolution is not None
        assert second.resolution.late is True

    at_the_desk(scenario)


def test_without_the_store_the_appeal_is_journalled_all_the_same() -> None:
    async def scenario(desk: Desk, store: Store, journal: Journal) -> None:
        store.away = True
        desk.take([started()], dialplan_asks=True, country="RU")
        with pytest.raises(StoreUnavailable):
            await desk.ask(question())
        desk.take([ended()], dialplan_asks=True, country="RU")
        assert await desk.finish(1)
        (appeal,) = journal
        assert appeal.resolution is None
        assert appeal.call.agi_ms is not None

    at_the_desk(scenario)


def test_a_question_answered_after_the_end_of_its_call_leaves_nothing_behind() -> None:
    async def scenario(desk: Desk, store: Store, journal: Journal) -> None:
        store.seconds = 0.01
        desk.take([started()], dialplan_asks=True, country="RU")
        asking = asyncio.create_task(desk.ask(question()))
        await until(lambda: bool(store.asked))
        desk.take([ended()], dialplan_asks=True, country="RU")
        assert (await asking)["CALLROUTER_STATUS"] == "ok"
        assert await desk.finish(1)
        assert desk.in_hand() == {}
        assert store.ended[-1] == "pbx1-1.1", "the pin that the question set"
        assert [appeal.revision for appeal in journal] == [0, 1]

    at_the_desk(scenario)


def test_internal_calls_make_no_appeal_and_outbound_ones_no_question() -> None:
    async def scenario(desk: Desk, store: Store, journal: Journal) -> None:
        desk.take([ended("pbx1-1.1", direction="internal")], dialplan_asks=True, country="RU")
        desk.take([ended("pbx1-1.2", direction="outbound")], dialplan_asks=True, country="RU")
        assert await desk.finish(1)
        assert [appeal.call.direction for appeal in journal] == ["outbound"]
        assert store.asked == []

    at_the_desk(scenario)


def test_what_is_known_of_calls_in_progress_survives_a_restart(tmp_path: Path) -> None:
    async def scenario(desk: Desk, store: Store, journal: Journal) -> None:
        await desk.ask(question())
        handover.leave(tmp_path, desk.in_hand(), {})
        successor = Desk(store, journal, SystemClock(), deadline=DEADLINE)
        successor.take_over(handover.taken(tmp_path).known)
        successor.take([ended()], dialplan_asks=True, country="RU")
        assert await successor.finish(1)
        assert journal[0].resolution is not None
        assert handover.taken(tmp_path).known == {}, "taken once"

    at_the_desk(scenario)


class LaterClock(SystemClock):
    """So much `later`, on a machine whose clock was `set_by` so much."""

    def __init__(self, *, later: timedelta = timedelta(), set_by: timedelta = timedelta()) -> None:
        self._later, self._set_by = later, set_by

    def now(self) -> datetime:
        return super().now() + self._later + self._set_by

    def monotonic(self) -> float:
        return super().monotonic() + self._later.total_seconds()


def test_calls_whose_end_is_never_seen_are_forgotten() -> None:
    async def scenario(desk: Desk, store: Store, journal: Journal) -> None:
        for number in range(5):
            await desk.ask(question(f"pbx1-1.{number}"))
        desk._clock = LaterClock(set_by=timedelta(days=400))
        desk.forget_old({"pbx1"})
        assert len(desk.in_hand()) == 5, "nobody's call is older because the clock was set"
        desk._clock = LaterClock(later=timedelta(hours=25))
        desk.forget_old()
        assert desk.in_hand() == {}

    at_the_desk(scenario)


def test_a_call_that_ends_before_its_answer_is_known_leaves_neither_a_pin_nor_a_memory() -> None:
    async def scenario(desk: Desk, store: Store, journal: Journal) -> None:
        desk.take([started()], dialplan_asks=True, country="RU")
        store.seconds = 0.05
        asking = asyncio.create_task(desk.ask(question()))
        await until(lambda: bool(store.asked))
        store.seconds = 0.0
        desk.take([ended()], dialplan_asks=True, country="RU")
        assert await desk.finish(1)
        assert [appeal.revision for appeal in journal] == [0, 1]
        pins_before = len(store.ended)
        await asking
        assert await desk.finish(1)
        assert store.ended[pins_before:] == ["pbx1-1.1"]
        assert desk.in_hand() == {}

    at_the_desk(scenario)


def test_a_second_question_that_fails_does_not_lose_the_first_answer() -> None:
    async def scenario(desk: Desk, store: Store, journal: Journal) -> None:
        desk.take([started()], dialplan_asks=True, country="RU")
        await desk.ask(question())
        store.away = True
        with pytest.raises(StoreUnavailable):
            await desk.ask(question())
        desk.take([ended()], dialplan_asks=True, country="RU")
        assert await desk.finish(5)
        assert [appeal.resolution is not None for appeal in journal] == [True]

    at_the_desk(scenario)


def test_an_appeal_that_the_journal_refuses_is_counted_and_stops_nothing() -> None:
    async def scenario(desk: Desk, store: Store, journal: Journal) -> None:
        lost = counted("callrouter_appeals_lost_total")
        journal.full = True
        desk.take([ended("pbx1-1.1", direction="outbound")], dialplan_asks=True, country="RU")
        assert await desk.finish(1)
        journal.full = False
        desk.take([ended("pbx1-1.2", direction="outbound")], dialplan_asks=True, country="RU")
        assert await desk.finish(1)
        assert counted("callrouter_appeals_lost_total") == lost + 1
        assert [appeal.call.linkedid for appeal in journal] == ["pbx1-1.2"]

    at_the_desk(scenario)


def test_a_call_that_was_asked_about_and_is_taken_for_an_internal_one_is_counted() -> None:
    async def scenario(desk: Desk, store: Store, journal: Journal) -> None:
        unfollowed = counted("callrouter_calls_unfollowed_total")
        await desk.ask(question())
        desk.take([ended(direction="internal")], dialplan_asks=True, country="RU")
        assert counted("callrouter_calls_unfollowed_total") == unfollowed + 1
        assert await desk.finish(1)
        assert store.ended == ["pbx1-1.1"], "its number is let go"

    at_the_desk(scenario)


def test_a_call_that_was_asked_about_and_that_no_event_tells_of_is_counted_once_its_pbx_is_attached() -> None:
    async def scenario(desk: Desk, store: Store, journal: Journal) -> None:
        unfollowed = counted("callrouter_calls_unfollowed_total")
        await desk.ask(question("pbx1-1.1"))
        await desk.ask(question("pbx1-1.2"))
        desk.take([started("pbx1-1.2")], dialplan_asks=True, country="RU")
        desk._clock = LaterClock(later=timedelta(minutes=2))
        desk.forget_old()
        assert len(desk.in_hand()) == 2, "nobody can tell while the PBX is away"
        desk.forget_old({"pbx1"})
        assert list(desk.in_hand()) == [("pbx1", "pbx1-1.2")]
        assert counted("callrouter_calls_unfollowed_total") == unfollowed + 1
        assert await desk.finish(1)
        assert store.ended == ["pbx1-1.1"], "the number of a call that nobody follows is let go"

    at_the_desk(scenario)
