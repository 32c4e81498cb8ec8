"""The world's people: repeatable, in order, and as many as its parameters say."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from msgspec.structs import replace

from callrouter.pool.simulation.browsing import Reader
from callrouter.pool.simulation.calling import REMEMBERED_DAYS, robots_before, strangers, waiting_for_morning
from callrouter.pool.simulation.spread import Spread
from callrouter.pool.simulation.visitors import PlannedVisit, might_call, visits, weight
from callrouter.pool.simulation.world import DAY, HOUR, Browsing, Calling, World, accounts
from callrouter.pool.simulation.worlds import WORLDS, default

HOLD = 1800.0
SMALL = replace(default(), visits_per_hour=60.0, days=2.0, warm_up=1.0)


def everybody(world: World = SMALL, seed: int = 1) -> list[PlannedVisit]:
    return list(visits(world, seed, hold=HOLD))


def test_the_same_seed_brings_the_same_people_and_another_seed_others() -> None:
    assert everybody() == everybody()
    assert everybody(seed=2) != everybody()


def test_visits_come_in_order_and_their_signs_and_calls_too() -> None:
    found = everybody()
    assert all(earlier.at <= later.at for earlier, later in pairwise(found))
    for visit in found:
        moments = [visit.at, *(sign.at for sign in visit.signs)]
        assert moments == sorted(moments)
        assert [call.at for call in visit.calls] == sorted(call.at for call in visit.calls)
        assert all(call.at >= visit.at for call in visit.calls)


def test_as_many_visits_come_as_the_world_says() -> None:
    world = replace(SMALL, days=20.0, warm_up=8.0)
    found = [visit for visit in everybody(world) if visit.at >= world.counted_from]
    expected = world.visits_per_hour * 24 * world.days
    assert len(found) == pytest.approx(expected, rel=0.06)
    assert sum(visit.bot for visit in found) / len(found) == pytest.approx(world.browsing.bots, abs=0.02)


def test_more_callers_leave_all_visits_as_they_were() -> None:
    """Callers stay on the page for the call; those who do not call in either world do exactly the same."""
    more = replace(SMALL, calling=replace(SMALL.calling, share=0.2))
    few, many = everybody(), everybody(more)
    assert [visit.id for visit in few] != []
    first = {visit.id: visit for visit in few}
    same = [visit for visit in many if not visit.calls and visit.id in first]
    assert sum(visit == first[visit.id] for visit in same) > 0.97 * len(same)
    assert {visit.id for visit in few if visit.calls} <= {visit.id for visit in many if visit.calls}


def test_the_traffic_of_a_day_follows_the_sites_hours() -> None:
    world = replace(SMALL, days=7.0, warm_up=0.0, visits_per_hour=200.0)
    by_hour = Counter(int(visit.at % DAY // HOUR) for visit in everybody(world))
    assert by_hour[3] < by_hour[8] < by_hour[11]


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_every_named_world_is_sound(name: str) -> None:
    world = WORLDS[name]()
    assert world.name == name
    assert sum(site.share for site in world.sites) == pytest.approx(1.0)
    assert sum(delay.share for delay in world.calling.delays) == pytest.approx(1.0)
    week = [weight(site.rhythm, day, hour) for site in world.sites[:3] for day in range(7) for hour in range(24)]
    assert sum(week) / len(week) == pytest.approx(1.0)
    assert everybody(replace(world, days=0.5, warm_up=0.0))


def test_callers_are_as_many_as_the_world_says_and_in_its_shares() -> None:
    world = replace(SMALL, visits_per_hour=300.0, days=5.0, calling=replace(SMALL.calling, share=0.2))
    found = [visit for visit in everybody(world) if visit.wants_number]
    callers = [visit for visit in found if visit.calls]
    assert len(callers) / len(found) == pytest.approx(0.2, abs=0.015)
    kinds = Counter(visit.calls[0].delay for visit in callers)
    assert kinds["in_visit"] / len(callers) == pytest.approx(0.70, abs=0.03)


def test_who_calls_in_the_visit_has_the_page_before_him() -> None:
    only = replace(SMALL, calling=Calling(share=1.0, delays=SMALL.calling.delays[:1]))
    callers = [visit for visit in everybody(only) if visit.calls and visit.calls[0].kind == "first"]
    for visit in callers:
        assert visit.calls[0].at <= visit.left + 0.01
        last = max([visit.at, *(sign.at for sign in visit.signs if sign.at <= visit.calls[0].at)])
        assert visit.calls[0].at - last <= HOLD / 4 + 1.0


def test_a_visible_page_says_so_each_quarter_of_the_hold() -> None:
    habits = Browsing(
        sign_after=Spread("lognormal", 1.0, 0.001), another_page=0.0, left_open=1.0, hidden=0.0,
        left_open_for=Spread("lognormal", 7200.0, 0.001), close_lost=0.0,
    )  # fmt: skip
    browsed = Reader(Random(1), habits, HOLD / 4).browse(0.0)
    beats = [sign.at for sign in browsed.signs if sign.kind == "alive"]
    assert len(beats) == 16
    assert all(later - earlier == pytest.approx(HOLD / 4) for earlier, later in pairwise(beats))
    assert browsed.signs[-1].kind == "closed"


def test_who_can_wait_does_not_call_at_night() -> None:
    noon, night = 12 * HOUR, 23 * HOUR
    assert waiting_for_morning(SMALL, noon, 0.5) == noon
    assert waiting_for_morning(SMALL, night, 0.5) == pytest.approx(DAY + 8.5 * HOUR + 1.5 * HOUR * 0.6931, rel=0.01)


def test_strangers_are_as_many_as_there_are_numbers() -> None:
    world = replace(SMALL, days=30.0)
    few, many = (strangers(world, 1, numbers=count) for count in (100, 1000))
    for kind, rate in (("wrong", world.strangers.wrong), ("robocall", world.strangers.robocalls)):
        expected = rate * world.length / DAY
        assert sum(call.kind == kind for call in many) == pytest.approx(1000 * expected, rel=0.25)
        assert sum(call.kind == kind for call in few) == pytest.approx(100 * expected, rel=0.7)
    assert not any(call.attributable for call in many if call.kind != "first")
    assert all(call.delay != "in_visit" for call in many)


def test_robots_that_call_often_are_known_before_the_world_begins_and_others_may_be_forgotten() -> None:
    often = list(robots_before(SMALL, 1, numbers=10_000))
    assert len(often) == SMALL.strangers.robots
    assert all(-REMEMBERED_DAYS * DAY <= robot.at <= 0 for robot in often)
    seldom = list(robots_before(SMALL, 1, numbers=200))
    assert 0 < len(seldom) < len(often) / 2
    assert {robot.phone for robot in seldom} <= {robot.phone for robot in often}
    assert not list(robots_before(replace(SMALL, strangers=replace(SMALL.strangers, robocalls=0.0)), 1, numbers=10))


def test_a_visit_might_have_led_to_other_calls_by_the_same_chances() -> None:
    world = replace(SMALL, days=4.0)
    wanted = [visit for visit in everybody(world) if visit.wants_number and not visit.bot]
    sets = [[might_call(world, seed, visit) for visit in wanted] for seed in (501, 502)]
    assert sets[0] != sets[1]
    callers = [calls for found in sets for calls in found if calls]
    assert len(callers) / len(wanted) / 2 == pytest.approx(SMALL.calling.share, rel=0.25)
    for visit, calls in zip(wanted, sets[0], strict=True):
        first = next((call for call in calls if call.kind == "first"), None)
        if first is not None and first.delay == "in_visit":
            assert visit.at <= first.at <= visit.left


def test_accounts_are_of_unlike_size() -> None:
    sites = accounts(6)
    sizes = Counter[int]()
    for site in sites:
        sizes[site.account] += round(site.share * 1e6)
    assert len(sizes) == 6
    assert sizes[1] > 2.9 * sizes[3]
    assert len({site.site for site in sites}) == len(sites)


@pytest.mark.parametrize("spread", [Spread("lognormal", 100.0, 1.1), Spread("weibull", 100.0, 0.7)])
def test_a_spread_has_the_median_mean_and_density_that_it_says(spread: Spread) -> None:
    stream = Random(7)
    drawn = sorted(spread.draw(stream) for _ in range(40_000))
    assert drawn[20_000] == pytest.approx(100.0, rel=0.04)
    assert sum(drawn) / len(drawn) == pytest.approx(spread.mean, rel=0.06)
    assert spread.beyond(100.0) == pytest.approx(0.5)
    steps = [20.0 + 0.5 * step for step in range(400)]
    assert sum(spread.density(step) for step in steps) * 0.5 == pytest.approx(
        spread.beyond(20.0) - spread.beyond(220.0), rel=0.01
    )
