"""The desk: one appeal per call, with whatever is known, and never a call held up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY

from callrouter import desk as desk_module
from callrouter import handover
from callrouter.appeals.journal import JournalFull
from callrouter.appeals.model import CallAppeal
from callrouter.calls.events import CallEnded, CallStarted
from callrouter.clock import SystemClock
from callrouter.desk import Desk, Question, dialplan_variables
from callrouter.numbers import Number
from callrouter.pool.model import Attribution, Resolution, StaticBinding
from callrouter.pool.store import StoreUnavailable
from callrouter.sessions.model import TrafficSource, Visit
from tests.call_samples import a_call
from tests.waiting import until

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
NUMBER, CALLER = Number("74952220101"), Number("79165550001")
DEADLINE = 0.05


class Store:
    """Answers as told: after a time, or not at all."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.away = False
        self.route = "sales"
        self.asked: list[tuple[datetime, bool]] = []
        self.ended: list[str] = []
        self.remembered: list[Resolution] = []

    async def resolve(
        self, number: Number, caller: Number | None, at: datetime, *, live: bool = True, call: str = ""
    ) -> Resolution:
        self.asked.append((at, live))
        await asyncio.sleep(self.seconds)
        if self.away:
            raise StoreUnavailable("away")
        return resolution(number, caller, at, self.route)

    async def call_ended(self, number: Number, call: str) -> None:
        self.ended.append(call)

    async def remember(self, resolution: Resolution, *, client: str = "") -> None:
        self.remembered.append(resolution)


class Journal(list[CallAppeal]):
    full = False

    async def append(self, appeal: CallAppeal) -> None:  # type: ignore[override]
        if self.full:
            raise JournalFull("full")
        super().append(appeal)


def resolution(number: Number, caller: Number | None, at: datetime, route: str = "sales") -> Resolution:
    credited = Attribution(method="holder", confidence=0.9, account=2, site=1, session="s1")
    return Resolution(number=number, caller=caller, at=at, attribution=credited, route=route)


def counted(metric: str) -> float:
    return REGISTRY.get_sample_value(metric) or 0.0


def question(uniqueid: str = "pbx1-1.1") -> Question:
    return Question(pbx="pbx1", uniqueid=uniqueid, called_raw=NUMBER, caller_raw=CALLER, country="RU")


def started(uniqueid: str = "pbx1-1.1") -> CallStarted:
    return CallStarted(
        pbx="pbx1", linkedid=uniqueid, uniqueid=uniqueid, channel="PJSIP/carrier-1", direction="inbound",
        caller_raw=CALLER, called_raw=NUMBER, caller=CALLER, called=NUMBER, at=AT,
    )  # fmt: skip


def ended(uniqueid: str = "pbx1-1.1", **fields: object) -> CallEnded:
    told: dict[str, Any] = {
        "pbx": "pbx1",
        "linkedid": uniqueid,
        "caller": CALLER,
        "called": NUMBER,
        "started_at": AT,
        "agi_ms": None,
    } | fields
    return CallEnded(a_call(**told))


def at_the_desk(scenario: Callable[[Desk, Store, Journal], Awaitable[None]]) -> None:
    async def run() -> None:
        store, journal = Store(), Journal()
        desk = Desk(store, journal, SystemClock(), deadline=DEADLINE)
        await scenario(desk, store, journal)
        await desk.stop()

    asyncio.run(run())


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


@pytest.mark.parametrize("dialled", ["s", "", "101", "not a number"])
def test_what_is_no_number_is_answered_unattributed(dialled: str) -> None:
    async def scenario(desk: Desk, store: Store, journal: Journal) -> None:
        odd = Question(pbx="pbx1", uniqueid="pbx1-1.1", called_raw=dialled, caller_raw="anonymous", country="RU")
        assert await desk.ask(odd) == {"CALLROUTER_ROUTE": "", "CALLROUTER_STATUS": "unattributed"}
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


def test_what_is_no_number_still_counts_the_time_that_the_dialplan_waited() -> None:
    async def scenario(desk: Desk, store: Store, journal: Journal) -> None:
        desk.take([started()], dialplan_asks=True, country="RU")
        await desk.ask(msgspec.structs.replace(question(), called_raw="s"))
        desk.take([ended(called=None)], dialplan_asks=True, country="RU")
        assert await desk.finish(1)
        assert journal[0].call.agi_ms is not None

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

    at_the_desk(scenario)


def test_calls_that_nothing_routes_take_the_default_route() -> None:
    async def run() -> None:
        store = Store()
        store.route = ""
        desk = Desk(store, Journal(), SystemClock(), deadline=DEADLINE, default_route="reception")
        assert (await desk.ask(question()))["CALLROUTER_ROUTE"] == "reception"
        odd = msgspec.structs.replace(question(), called_raw="s")
        assert (await desk.ask(odd))["CALLROUTER_ROUTE"] == "reception"
        await desk.stop()

    asyncio.run(run())


def test_the_dialplan_gets_the_visit_or_the_channel_of_a_static_number() -> None:
    traffic = TrafficSource(channel="paid_search", source="yandex", medium="cpc", campaign="spring", keyword="окна")
    visit = Visit(
        session="s1", visitor="v1", account=2, site=1, traffic=traffic, landing_page="", referrer="", started_at=AT,
        seen_at=AT,
    )  # fmt: skip
    credited = Attribution(method="holder", confidence=0.914, account=2, site=1, session="s1")
    known = Resolution(
        number=NUMBER, caller=CALLER, at=AT, attribution=credited, visit=visit, route="sales", client="17", unique=True
    )
    assert dialplan_variables(known) == {
        "CALLROUTER_ROUTE": "sales", "CALLROUTER_SOURCE": "yandex", "CALLROUTER_MEDIUM": "cpc",
        "CALLROUTER_CAMPAIGN": "spring", "CALLROUTER_KEYWORD": "окна", "CALLROUTER_SITE": "1",
        "CALLROUTER_SESSION": "s1", "CALLROUTER_CLIENT": "17", "CALLROUTER_MANAGER": "",
        "CALLROUTER_UNIQUE": "1",
        "CALLROUTER_CONFIDENCE": "0.91", "CALLROUTER_STATUS": "ok",
    }  # fmt: skip
    binding = StaticBinding(
        number=NUMBER, account=2, site=1, channel="newspaper", source="izvestia", medium="print", campaign="may",
        valid_from=AT,
    )  # fmt: skip
    static = Attribution(method="static", confidence=1.0, account=2, site=1, session=None)
    told = dialplan_variables(Resolution(number=NUMBER, caller=None, at=AT, attribution=static, binding=binding))
    assert (told["CALLROUTER_SOURCE"], told["CALLROUTER_MEDIUM"], told["CALLROUTER_CAMPAIGN"]) == (
        "izvestia", "print", "may",
    )  # fmt: skip
    nobody = Attribution(method="unattributed", confidence=0.0, account=None, site=None, session=None)
    told = dialplan_variables(Resolution(number=NUMBER, caller=None, at=AT, attribution=nobody))
    assert told["CALLROUTER_STATUS"] == "unattributed"
    assert told["CALLROUTER_SITE"] == ""
