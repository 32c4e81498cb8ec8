"""When the router compares appeals with the PBX's own record: after each gap, every night, again after a failure."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from callrouter import proving
from callrouter.clock import SystemClock
from callrouter.proving import STATE, Answer, Judged, Prover, ReconcileFailed
from tests.waiting import until

MINUTE = timedelta(minutes=1)


class Shifted(SystemClock):
    """The true clock, set wrong on purpose."""

    def __init__(self) -> None:
        self.by = timedelta()

    def now(self) -> datetime:
        return super().now() + self.by


class Tried(Prover):
    """Notes what would be compared, instead of comparing."""

    def __init__(self, folder: Path, clock: Shifted, *, backlog: Callable[[], int] = lambda: 0) -> None:
        super().__init__(folder, "", clock, backlog=backlog, up_since=dict)
        self.asked: list[tuple[datetime, datetime]] = []
        self.failures = 0
        self.answer = Answer(True, [Judged("pbx1", 0, 0, 0, 0, [], [])])

    async def _asked(self, since: datetime, until: datetime) -> Answer:
        self.asked.append((since, until))
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise ReconcileFailed("Postgres is away")
        return self.answer


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "GAP_SECONDS", 0.01)
    monkeypatch.setattr(proving, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(proving, "SETTLING", timedelta(0))


def play(prover: Tried, scenario: Coroutine[Any, Any, None]) -> None:
    async def run() -> None:
        running = asyncio.create_task(prover.run())
        try:
            await scenario
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(run())


def test_after_a_gap_all_since_it_began_is_compared_once(tmp_path: Path) -> None:
    clock = Shifted()
    prover = Tried(tmp_path, clock)
    began = clock.now()

    async def scenario() -> None:
        prover.gap()
        await until(lambda: len(prover.asked) == 1 and not prover._comparing)
        clock.by = 10 * MINUTE
        prover.watched()
        clock.by = 30 * MINUTE
        prover.gap()
        await until(lambda: len(prover.asked) == 2)

    play(prover, scenario())
    (since, _), (again, end) = prover.asked
    assert abs(since - began) < MINUTE
    assert abs(again - (began + 9 * MINUTE)) < MINUTE, "it was watched until then"
    assert abs(end - (began + 30 * MINUTE)) < MINUTE


def test_a_router_that_was_killed_knows_since_when_it_was_not_there(tmp_path: Path) -> None:
    clock = Shifted()
    began = clock.now()
    Tried(tmp_path, clock)
    clock.by = 90 * MINUTE
    later = Tried(tmp_path, clock)

    async def scenario() -> None:
        later.gap()
        await until(lambda: bool(later.asked))

    play(later, scenario())
    assert abs(later.asked[0][0] - began) < MINUTE


def test_a_clock_that_was_ahead_leaves_no_time_unproven(tmp_path: Path) -> None:
    """Set right, it makes what was called proven a time to come: all since the beginning is compared anew."""
    clock = Shifted()
    prover = Tried(tmp_path, clock)
    began = clock.now()

    async def scenario() -> None:
        prover.gap()
        await until(lambda: len(prover.asked) == 1 and not prover._comparing)
        clock.by = 300 * MINUTE
        prover.watched()
        clock.by = 10 * MINUTE
        prover.watched()
        await until(lambda: len(prover.asked) == 2)

    play(prover, scenario())
    since, end = prover.asked[1]
    assert abs(since - began) < MINUTE
    assert abs(end - (began + 10 * MINUTE)) < MINUTE


def test_a_comparison_that_fails_is_repeated_and_nothing_counts_as_proven(tmp_path: Path) -> None:
    clock = Shifted()
    prover = Tried(tmp_path, clock)
    prover.failures = 2
    began = clock.now()

    async def scenario() -> None:
        clock.by = 5 * MINUTE
        prover.gap()
        await until(lambda: bool(prover.asked))
        prover.watched()  # also while it is being compared
        await until(lambda: len(prover.asked) == 3)

    play(prover, scenario())
    assert all(abs(since - began) < MINUTE for since, _ in prover.asked)


def test_a_comparison_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "hangs"
    command.write_text("#!/bin/sh\nexec sleep 60\n")
    command.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(command))
    monkeypatch.setattr(proving, "LONGEST_SECONDS", 0.2)
    prover = Prover(tmp_path, "", Shifted(), backlog=lambda: 0, up_since=dict)
    with pytest.raises(ReconcileFailed, match="not done after"):
        asyncio.run(prover._asked(Shifted().now() - MINUTE, Shifted().now()))


def test_a_gap_while_comparing_is_compared_too(tmp_path: Path) -> None:
    prover = Tried(tmp_path, Shifted())

    async def scenario() -> None:
        prover.gap()
        await until(lambda: bool(prover.asked))
        prover.gap()
        await until(lambda: len(prover.asked) == 2)

    play(prover, scenario())


def test_every_night_the_whole_day_is_compared_but_nothing_before_the_first_start(tmp_path: Path) -> None:
    clock = Shifted()
    prover = Tried(tmp_path, clock)
    began = clock.now()

    async def scenario() -> None:
        for day in (1, 2, 3):
            prover.gap()
            clock.by = timedelta(days=day)
            prover._due.set()
            compared = len(prover.asked)
            await until(lambda: len(prover.asked) > compared)  # noqa: B023 - awaited within the round

    play(prover, scenario())
    assert abs(prover.asked[0][0] - began) < MINUTE
    assert any(end - since >= timedelta(hours=26) - MINUTE for since, end in prover.asked)


def test_while_postgres_is_behind_nothing_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "BACKLOG_SECONDS", 0.01)
    behind = [2 << 20]
    prover = Tried(tmp_path, Shifted(), backlog=lambda: behind[0])

    async def scenario() -> None:
        prover.gap()
        await asyncio.sleep(0.1)  # so long nothing happens
        assert not prover.asked
        behind[0] = 0
        await until(lambda: bool(prover.asked))

    play(prover, scenario())


def test_a_damaged_note_of_what_is_proven_is_a_first_start(tmp_path: Path) -> None:
    (tmp_path / STATE).write_bytes(b'{"began":')
    prover = Tried(tmp_path, Shifted())

    async def scenario() -> None:
        prover.gap()
        await until(lambda: bool(prover.asked))

    play(prover, scenario())
    assert abs(prover.asked[0][0] - datetime.now(UTC)) < MINUTE
