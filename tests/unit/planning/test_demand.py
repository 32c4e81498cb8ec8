"""What may be planned for, and what makes no sense."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from callrouter.pool.delay import DEFAULT_MODEL
from callrouter.pool.planning.demand import (
    Demand,
    Impossible,
    Target,
    checked,
    delays_of,
    with_callers,
    with_callers_of,
    with_delays,
)
from callrouter.pool.simulation.worlds import WORLDS, default


def test_delays_not_named_leave_the_rest_to_callers_during_the_visit() -> None:
    shares = {delay.name: delay.share for delay in with_delays(default(), {"hours": 0.2, "days": 0.1}).calling.delays}
    assert shares == pytest.approx({"in_visit": 0.7, "hours": 0.2, "days": 0.1})


@pytest.mark.parametrize("shares", [{"years": 0.1}, {"hours": -0.1}, {"hours": 0.7, "days": 0.4}])
def test_shares_that_are_none_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(Impossible):
        with_delays(default(), shares)


def test_a_fitted_model_becomes_callers_of_the_same_delays() -> None:
    delays = delays_of(DEFAULT_MODEL)
    assert sum(delay.share for delay in delays) == pytest.approx(1.0)
    for delay, (_share, mean) in zip(delays, DEFAULT_MODEL.delays, strict=True):
        assert delay.after.mean == pytest.approx(mean)
    assert with_callers(default(), DEFAULT_MODEL).calling.share == DEFAULT_MODEL.call_share


def test_people_may_call_as_in_another_world_and_as_many_as_were_measured() -> None:
    measured = with_callers(default(), msgspec.structs.replace(DEFAULT_MODEL, call_share=0.09))
    slow = WORLDS["slow-deciders"]()
    world = with_callers_of(measured, slow)
    assert world.calling.delays == slow.calling.delays
    assert world.calling.share == 0.09
    assert world.sites == measured.sites


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"hold": timedelta(minutes=4)}, "hold of 4 minutes"),
        ({"hold": timedelta(days=365)}, "at most a day"),
        ({"window": timedelta(0)}, "at most 60 days"),
        ({"target": Target(right=1.0)}, "targets are shares"),
        ({"target": Target(overflow=0.0)}, "targets are shares"),
        ({"world": msgspec.structs.replace(default(), visits_per_hour=0.0)}, "no traffic"),
        ({"world": msgspec.structs.replace(default(), visits_per_hour=float("nan"))}, "no traffic"),
    ],
)
def test_demand_that_makes_no_sense_is_refused(changes: dict[str, object], told: str) -> None:
    demand = msgspec.structs.replace(Demand(world=default()), **changes)
    with pytest.raises(Impossible, match=told):
        checked(demand)
