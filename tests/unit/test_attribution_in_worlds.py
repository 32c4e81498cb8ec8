"""The engine in simulated worlds: against an oracle that knows what is true there, and its word against the truth."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import timedelta

import msgspec
import pytest

from callrouter.pool.attribution import credit
from callrouter.pool.delay import DelayModel
from callrouter.pool.fit import fit
from callrouter.pool.simulation.oracle import Oracle
from callrouter.pool.simulation.runner import MONDAY
from callrouter.pool.simulation.world import World
from callrouter.pool.simulation.worlds import WORLDS
from tests.plain_pool import BEAT, PlainPool, Verdict

pytestmark = pytest.mark.slow

MODEL = DelayModel(window=timedelta(hours=72))
NEAR = 0.99
POINTS = 0.02
POINTS_TOGETHER = 0.03
"""Of all sizes: chance explains less there, and the small pools' middle deciles are two to three points too high."""
ENOUGH_CALLS = 300
CHANCE = 2.0
"""Standard errors of a share that are put down to chance."""
SEEDS = (11, 12)
SIZES = (1200, 2400, 7900)
"""7900: what the planner names for this traffic."""


def world(name: str, *, days: float) -> World:
    return msgspec.structs.replace(WORLDS[name](), visits_per_hour=300.0, days=days)


def right(verdicts: Iterable[Verdict]) -> float:
    counted = [verdict.right for verdict in verdicts if verdict.attributable]
    return sum(counted) / len(counted)


def off(verdicts: Iterable[Verdict]) -> dict[int, float]:
    """Decile of confidence → by how many points it is off, beyond what chance explains. Where calls are enough."""
    deciles: dict[int, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.said.session:
            deciles.setdefault(min(9, int(verdict.said.confidence * 10)), []).append(verdict)
    found = {}
    for decile, some in deciles.items():
        if len(some) >= ENOUGH_CALLS:
            said = sum(verdict.said.confidence for verdict in some) / len(some)
            was = sum(verdict.right for verdict in some) / len(some)
            chance = CHANCE * math.sqrt(was * (1 - was) / len(some))
            found[decile] = max(0.0, abs(said - was) - chance)
    return found


def test_in_the_default_world_the_defaults_are_near_the_best_possible_and_mean_what_they_say() -> None:
    said: dict[int, list[Verdict]] = {size: [] for size in SIZES}
    best: dict[int, list[Verdict]] = {size: [] for size in SIZES}
    place = world("default", days=9.0)
    for seed in SEEDS:
        for size in SIZES:
            pool = PlainPool(place, seed, size)
            said[size] += pool.judged(lambda evidence: credit(evidence, MODEL))
            best[size] += pool.judged(Oracle(place, MONDAY, beat=BEAT).judge)
    for size in SIZES:
        assert right(said[size]) >= NEAR * right(best[size])
        assert max(off(said[size]).values()) <= POINTS, (size, off(said[size]))
    together = off(verdict for verdicts in said.values() for verdict in verdicts)
    assert len(together) >= 9, "nearly every decile has calls enough"
    assert max(together.values()) <= POINTS_TOGETHER, together


@pytest.mark.parametrize("name", ["impulse", "slow-deciders", "returning", "polluted"])
def test_in_other_worlds_a_fitted_model_is_near_the_best_possible(name: str) -> None:
    place = world(name, days=3.0)
    before = PlainPool(place, 21, 1500)
    start = MONDAY.timestamp()
    fitted = fit(
        before.past_leases(), before.past_calls(), account=None, start=start, end=start + place.length, begin=MODEL,
        replicates=0,
    )  # fmt: skip
    pool = PlainPool(place, 22, 1500)
    said = right(pool.judged(lambda evidence: credit(evidence, fitted.model)))
    assert said >= NEAR * right(pool.judged(Oracle(place, MONDAY, beat=BEAT).judge))
