"""Plans keep their word in whole worlds of people whom the planner has not seen: a small part of what
`python -m bench.kept_word` tries at length."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
import uvloop

from callrouter.lab.servers import EmbeddedValkey
from callrouter.pool.planning.demand import Demand, Target
from callrouter.pool.planning.kept import kept
from callrouter.pool.planning.sizes import default_size
from callrouter.pool.simulation.worlds import WORLDS

VISITS_PER_HOUR = 20.0


def demand_for(world: str, *, hold: int = 30, right: float = 0.97, window: float = 72.0) -> Demand:
    """Every second one who wants a number calls, so that a week has a thousand calls."""
    made = msgspec.structs.replace(WORLDS[world](), visits_per_hour=VISITS_PER_HOUR)
    made = msgspec.structs.replace(made, calling=msgspec.structs.replace(made.calling, share=0.5))
    return Demand(
        world=made, hold=timedelta(minutes=hold), window=timedelta(hours=window), target=Target(right=right)
    )  # fmt: skip


IMPULSE = 140 / 60
"""Numbers for each visit an hour that were planned for people who call at once, with a hold of ten minutes."""


@pytest.mark.parametrize(
    ("demand", "numbers"),
    [
        (demand_for("default"), default_size(VISITS_PER_HOUR)),
        (demand_for("impulse", hold=10), round(IMPULSE * VISITS_PER_HOUR)),
    ],
    ids=["default", "impulse"],
)
def test_what_was_planned_holds_in_a_world_of_other_people(
    server: EmbeddedValkey, demand: Demand, numbers: int
) -> None:
    check = uvloop.run(kept(server.url, demand, numbers, seed=21, calls=1000))
    assert check.holds, check
    assert check.calls > 1000
    assert check.tried > 1000
    assert check.tried_right == pytest.approx(check.right, abs=0.015), "calls tried are not as calls that come"


def test_too_few_numbers_are_found_out(server: EmbeddedValkey) -> None:
    check = uvloop.run(kept(server.url, demand_for("default", window=6.0), 12, seed=5, calls=500))
    assert not check.holds
    assert check.overflow > 0.05
    assert check.right_high < Target().right
