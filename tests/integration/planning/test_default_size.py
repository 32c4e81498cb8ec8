"""The size that is written down for the default world is the planner's."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
import uvloop
from msgspec.structs import replace

from callrouter.lab.servers import EmbeddedValkey
from callrouter.pool.planning.demand import Demand, Target
from callrouter.pool.planning.measure import Found, measure
from callrouter.pool.planning.plan import trial_for
from callrouter.pool.planning.search import NOTICEABLE, SURE
from callrouter.pool.planning.sizes import default_size
from callrouter.pool.simulation.judges import engine
from callrouter.pool.simulation.worlds import WINDOW_HOURS, default


@pytest.mark.slow
def test_the_default_size_reaches_the_default_target_of_which_two_thirds_are_not_sure(server: EmbeddedValkey) -> None:
    window = timedelta(hours=WINDOW_HOURS)
    world = default()
    demand = Demand(world=world, window=window)
    numbers = default_size(world.visits_per_hour)
    thin = trial_for(demand, numbers)
    scale = thin.world.visits_per_hour / world.visits_per_hour
    model = replace(demand.model, window=window)
    assert demand.formula.overflow(numbers) < Target().overflow

    async def share(size: int) -> Found:
        judge = engine(model)
        return await measure(server.url, thin, judge, numbers=round(size * scale), seed=5, progress=lambda _share: None)

    enough, fewer = uvloop.run(share(numbers)), uvloop.run(share(numbers * 2 // 3))
    assert enough.share - enough.deviation > Target().right
    doubt = SURE * math.sqrt(fewer.variance + fewer.spread / NOTICEABLE)
    assert fewer.share - doubt + 2 * fewer.deviation < Target().right
