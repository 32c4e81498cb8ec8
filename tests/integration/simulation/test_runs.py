"""Small worlds on a real server: repeatable, complete, right where the truth is plain, and telling policies apart."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import cast

import msgspec
import pytest
import uvloop
from click.testing import CliRunner
from msgspec.structs import replace

from callrouter.cli import main
from callrouter.lab.servers import EmbeddedValkey
from callrouter.numbers import Number
from callrouter.pool.delay import DEFAULT_MODEL, DelayModel
from callrouter.pool.simulation.cases import Case, Result, simulate
from callrouter.pool.simulation.comparison import difference
from callrouter.pool.simulation.document import document
from callrouter.pool.simulation.policies import POLICIES
from callrouter.pool.simulation.premises import premises
from callrouter.pool.simulation.runner import MONDAY
from callrouter.pool.simulation.swift import SwiftStore
from callrouter.pool.simulation.visitors import visits
from callrouter.pool.simulation.world import Site, Strangers, World
from callrouter.pool.simulation.worlds import default
from callrouter.pool.store import Lifetimes

SMALL = replace(default(), visits_per_hour=40.0, days=1.0, warm_up=0.25)
SMALL = replace(SMALL, calling=replace(SMALL.calling, share=0.3))
"""Many callers among few visitors."""
TIGHT = 40


def run(url: str, world: World, numbers: int, *policies: str, seed: int = 1, hold: float = 30.0) -> dict[str, Result]:
    case = Case(world=world, numbers=numbers, seed=seed, hold=timedelta(minutes=hold), policies=policies or ("ours",))
    return uvloop.run(simulate(url, case))


@pytest.fixture(scope="module")
def compared(server: EmbeddedValkey) -> dict[str, Result]:
    """All policies with few numbers."""
    return run(server.url, SMALL, TIGHT, *POLICIES)


def test_the_same_seed_gives_the_same_report_twice(server: EmbeddedValkey) -> None:
    told = [json.dumps(document(run(server.url, SMALL, 100)["ours"].report)) for _ in range(2)]
    assert told[0] == told[1]
    assert json.dumps(document(run(server.url, SMALL, 100, seed=2)["ours"].report)) != told[0]


def test_the_server_is_left_as_it_was_found(server: EmbeddedValkey) -> None:
    with server.client() as client:
        client.flushall()
        client.set("somebody's", "own")
        run(server.url, replace(SMALL, visits_per_hour=5.0), 30)
        assert client.keys() == [b"somebody's"]


def test_operations_go_over_the_wire_in_the_order_they_are_begun(server: EmbeddedValkey) -> None:
    async def said() -> int:
        async with premises(server.url, lifetimes=Lifetimes()) as place:
            begun = [place.store.load_numbers(place.slot, {Number("74950000001"): True}, now=MONDAY) for _ in range(2)]
            await asyncio.gather(*begun)
            return cast(SwiftStore, place.store).wire.said

    assert uvloop.run(said()) >= 2


def test_every_call_and_visit_is_counted_once(compared: dict[str, Result]) -> None:
    world = SMALL.settled(TIGHT)
    expected = list(visits(world, 1, hold=1800.0))
    counted = [visit for visit in expected if visit.at >= world.counted_from]
    calls = [call for visit in expected for call in visit.calls if world.counted_from <= call.at < world.length]
    known = set(calls)
    for name, result in compared.items():
        report = result.report
        assert report.visits == len(counted), name
        assert report.wanted == sum(visit.wants_number for visit in counted)
        own = [heard for heard in result.outcome.calls if heard.call in known]
        assert len(own) == len(calls)
        engine = report.engine
        assert sum(share.value for share in engine.shares.values()) == pytest.approx(1.0)
        assert engine.everybody.calls == report.calls == len(result.outcome.calls)
        assert sum(part.calls for part in engine.by_delay.values()) == report.attributable


def test_one_company_with_numbers_for_all_of_its_visitors_is_always_right(server: EmbeddedValkey) -> None:
    """Nobody is ever given a number that another had: whatever the delay, there is one candidate."""
    world = replace(
        SMALL, sites=(Site(account=1, site=1, share=1.0),), visits_per_hour=4.0, warm_up=0.0, days=2.0,
        strangers=Strangers(wrong=0.0, robocalls=0.0), returning=replace(SMALL.returning, again=0.0, compares=0.0),
        calling=replace(SMALL.calling, share=1.0, forwarded=0.0, two_phones=0.0, delays=SMALL.calling.delays[:1]),
    )  # fmt: skip
    found = run(server.url, world, 100)["ours"].report
    assert found.attributable > 30
    assert found.engine.shares["right"].value == 1.0
    assert found.engine.everybody.calls == found.attributable


def test_with_one_number_there_is_overflow_and_what_is_shown_is_told(server: EmbeddedValkey) -> None:
    found = run(server.url, SMALL, 1)["ours"].report
    assert found.overflow.value > 0.8
    assert found.engine.shares["unattributed"].value > 0.7
    assert found.in_use[1] == 1


def test_ours_is_better_than_what_it_is_compared_with(compared: dict[str, Result]) -> None:
    ours = compared["ours"]
    for name in ("first-free", "no-memory", "credit-holder"):
        assert difference(ours.judgement, compared[name].judgement).right.value > 0, name
    for name in ("random", "first-free", "no-affinity", "steal-oldest"):
        assert difference(ours.judgement, compared[name].judgement).misrouted.value < 0, name
    assert compared["steal-oldest"].report.overflow.value == 0
    assert compared["ours"].report.engine.brier.value < compared["credit-holder"].report.engine.brier.value


def test_more_numbers_make_more_calls_right(server: EmbeddedValkey, compared: dict[str, Result]) -> None:
    many = run(server.url, SMALL, 8 * TIGHT)["ours"].report
    assert many.engine.shares["right"].value > compared["ours"].report.engine.shares["right"].value
    assert many.overflow.value == 0


def test_the_command_prints_one_object_and_draws(server: EmbeddedValkey, tmp_path: Path) -> None:
    picture = tmp_path / "picture.svg"
    small = ["--visits-per-hour", "5", "--days", "1", "--numbers", "20", "--redis", server.url]
    result = CliRunner().invoke(
        main,
        [
            "pool",
            "simulate",
            *small,
            "--policy",
            "first-free,credit-holder",
            "--equal-accuracy",
            "--json",
            "--plot",
            str(picture),
        ],
    )
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["policy"] == "ours"
    assert [each["policy"] for each in told["policies"]] == ["first-free", "credit-holder"]
    assert "ours_better_by" in told["policies"][0]
    assert 1 <= told["policies"][0]["ours_needs_numbers"] <= 20
    low, high = told["policies"][0]["ours_needs_interval"]
    assert low <= told["policies"][0]["ours_needs_numbers"] <= (high or 20)
    assert picture.read_text("utf-8").startswith("<?xml")
    shown = CliRunner().invoke(main, ["pool", "simulate", *small])
    assert "attributable calls" in shown.stdout


def test_more_calls_change_no_lease_and_nothing_of_the_calls_that_happen(
    server: EmbeddedValkey, compared: dict[str, Result]
) -> None:
    case = Case(world=SMALL, numbers=TIGHT, more_calls=3)
    asked = uvloop.run(simulate(server.url, case))["ours"]
    alone = compared["ours"]
    assert asked.report.rests_s == alone.report.rests_s
    assert asked.report.in_use == alone.report.in_use
    assert asked.report.overflow == alone.report.overflow
    happened = {(heard.call.person, heard.call.phone, heard.call.at): heard for heard in asked.outcome.calls}
    for heard in alone.outcome.calls:
        same = happened[heard.call.person, heard.call.phone, heard.call.at]
        assert same.judged["engine"] == heard.judged["engine"]
    assert asked.report.attributable == pytest.approx(4 * alone.report.attributable, rel=0.2)
    mine, theirs = asked.report.engine.shares["right"], alone.report.engine.shares["right"]
    assert mine.value == pytest.approx(theirs.value, abs=0.1)
    assert mine.high - mine.low < theirs.high - theirs.low


def test_a_model_is_fitted_to_what_happened_and_credits_another_run(server: EmbeddedValkey, tmp_path: Path) -> None:
    model = tmp_path / "model.json"
    small = ["--visits-per-hour", "20", "--days", "1", "--numbers", "60", "--json", "--redis", server.url]
    result = CliRunner().invoke(main, ["pool", "simulate", *small, "--fit", str(model)])
    assert result.exit_code == 0, result.output
    fitted = msgspec.json.decode(model.read_bytes(), type=DelayModel)
    assert fitted != DEFAULT_MODEL
    assert sum(share for share, _ in fitted.delays) == pytest.approx(1.0)
    again = CliRunner().invoke(main, ["pool", "simulate", *small, "--model", str(model)])
    assert again.exit_code == 0, again.output
    first, second = json.loads(result.stdout), json.loads(again.stdout)
    assert (first["calls"], first["visits"]) == (second["calls"], second["visits"])
    assert first["brier"] != second["brier"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--fit", "/nowhere/at/all.json"], "no folder"),
        (["--fit", "model.json", "--more-calls", "2"], "without --more-calls"),
        (["--model", __file__], "holds no delay model"),
        (["--model", "/nowhere/at/all.json"], "cannot be read"),
        (["--more-calls", "-1"], "not in the range"),
        (["--hold", "4"], "4.0 is not in the range"),
        (["--numbers", "0"], "0 is not in the range"),
        (["--days", "0.5"], "0.5 is not in the range"),
        (["--days", "nan"], "nan"),
        (["--visits-per-hour", "-1"], "not in the range"),
        (["--policy", "luck"], "'luck' is no policy"),
        (["--world", "mars"], "mars"),
        (["--plot", "picture.jpg"], ".svg or .png"),
        (["--plot", "/nowhere/at/all.svg"], "no folder"),
        (["--redis", "http://localhost"], "redis://host:port/db"),
        (["--redis", "redis://127.0.0.1:1", "--numbers", "5", "--days", "1"], "no server to simulate on"),
    ],
)
def test_what_cannot_be_simulated_is_refused_clearly(options: list[str], complaint: str) -> None:
    result = CliRunner().invoke(main, ["pool", "simulate", *options])
    assert result.exit_code != 0
    assert complaint in result.output
    assert "Traceback" not in result.output
