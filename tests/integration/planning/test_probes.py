"""Calls tried on what a run leaves behind, against the run's own calls and the store's own memory."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

import pytest
import uvloop
from msgspec.structs import replace

from callrouter.lab.servers import EmbeddedValkey
from callrouter.pool.model import Lease
from callrouter.pool.planning.measure import Trial, counted_probes
from callrouter.pool.planning.recording import Record, RecordingStore
from callrouter.pool.simulation.judges import ENGINE, engine
from callrouter.pool.simulation.premises import premises
from callrouter.pool.simulation.runner import MONDAY, Outcome, Runner, Setting
from callrouter.pool.simulation.world import DAY
from callrouter.pool.simulation.worlds import default
from callrouter.pool.store import Ask, LeaseStore, Lifetimes

HOLD = timedelta(minutes=30)
SMALL = replace(default(), visits_per_hour=60.0, days=2.0, warm_up=0.3)
SMALL = replace(SMALL, calling=replace(SMALL.calling, share=0.25))
"""Many callers among few visitors."""
NUMBERS = 150
LIVES = Lifetimes(window=timedelta(hours=12))


@pytest.fixture(scope="module")
def recorded(server: EmbeddedValkey) -> tuple[Record, Outcome, list[str]]:
    """A run, what it left behind, and where store and record differ on what a number's leases are at the end."""
    return uvloop.run(_recorded(server.url))


async def _recorded(url: str) -> tuple[Record, Outcome, list[str]]:
    async with premises(url, lifetimes=LIVES) as place:
        recording = RecordingStore(place.store)
        place.store = cast(LeaseStore, recording)
        setting = Setting(numbers=NUMBERS, hold=HOLD)
        outcome = await Runner(place, SMALL, setting, {ENGINE: engine()}).run(3)
        record = Record(recording.answers, HOLD)
        end = MONDAY + timedelta(seconds=SMALL.length)
        odd = []
        for number in record.numbers:
            known = await recording.resolve(Ask(place.slot, 1, number, None), now=end)
            told, kept = _spans(known.leases), _spans(record.leases(number, end))
            if told[: len(kept)] != kept or len(told) > len(kept) + 1:
                odd.append(f"{number}: {[pair for pair in zip(told, kept, strict=False) if pair[0] != pair[1]]}")
        return record, outcome, odd


def _spans(leases: tuple[Lease, ...]) -> list[tuple[str, datetime, datetime]]:
    """A lease that has run out ends in the store when somebody comes by."""
    return [(lease.session, lease.started_at, lease.ended_at or lease.expires_at) for lease in leases]


def test_the_record_knows_of_a_number_what_the_store_knows(recorded: tuple[Record, Outcome, list[str]]) -> None:
    _record, _outcome, odd = recorded
    assert odd == []


def test_calls_tried_are_as_often_right_as_calls_that_came(recorded: tuple[Record, Outcome, list[str]]) -> None:
    record, outcome, _odd = recorded
    calls = [heard for heard in outcome.calls if heard.call.attributable and not heard.overflow]
    came = sum(heard.judged[ENGINE].verdict == "right" for heard in calls) / len(calls)
    trial = Trial(world=SMALL, hold=HOLD, lifetimes=LIVES, tail=0.6 * DAY, each=2)
    tried = counted_probes(trial, record, engine(), seed=3)
    assert len(calls) > 400
    assert tried.calls > 1000
    assert tried.share == pytest.approx(came, abs=0.04)
    assert 0.002 < tried.deviation < 0.02
