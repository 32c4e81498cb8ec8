"""`callrouter pool plan` on real servers: what it answers, by given and by measured traffic, and what it refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
import uvloop
from click.testing import CliRunner, Result

from callrouter.cli import main
from callrouter.lab.servers import EmbeddedValkey
from callrouter.pool.planning.demand import Demand, Target
from callrouter.pool.planning.kept import kept
from callrouter.pool.simulation.worlds import default

CHEAP = ("--right", "0.8", "--window", "3", "--call-share", "0.05")
Cli = Callable[..., Result]


@pytest.fixture
def cli(database: str) -> Cli:
    def run(*words: str) -> Result:
        return CliRunner().invoke(main, words, env={"CALLROUTER_POSTGRES_URL": database})

    return run


@pytest.fixture
def shop(cli: Cli, tmp_path: Path) -> Cli:
    numbers = tmp_path / "numbers.csv"
    numbers.write_text("".join(f"8495222{n:04d}\n" for n in range(1, 11)), encoding="utf-8")
    for words in (
        ("account", "add", "Acme"),
        ("pool", "add", "moscow"),
        ("site", "add", "shop.example", "--account", "Acme", "--pool", "moscow"),
        ("site", "add", "static.example", "--account", "Acme"),
        ("numbers", "import", str(numbers), "--pool", "moscow"),
    ):
        assert cli(*words).exit_code == 0
    return cli


def visits(database: str, *, per_hour: int, days: int) -> None:
    """Visits of one site, at all hours, each ninth without a number."""

    async def run() -> None:
        conn = await asyncpg.connect(database)
        try:
            await conn.execute(
                """INSERT INTO visits (account_id, started_at, session, visitor, site_id, seen_at, channel, source,
                                       medium, overflow, number)
                   SELECT 2, at, 's' || n, 'v' || (n % (7 * $1 * $2)), 1, at + interval '3 minutes', 'direct',
                          '(direct)', '(none)', n % 9 = 0,
                          CASE WHEN n % 9 > 0 THEN '7495222' || lpad((1 + n % 10)::text, 4, '0') END
                   FROM (SELECT n, now() - n * interval '1 hour' / $1 AS at
                         FROM generate_series(1, 24 * $1 * $2) AS n) AS x""",
                per_hour, days,
            )  # fmt: skip
        finally:
            await conn.close()

    asyncio.run(run())


def answer(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def test_a_plan_for_given_traffic_names_a_size_that_reaches_the_target(cli: Cli, server: EmbeddedValkey) -> None:
    told = answer(cli("pool", "plan", *CHEAP, "--visits-per-hour", "15", "--quick", "--json", "--redis", server.url))
    planned = next(point for point in told["curve"] if point["numbers"] == told["numbers"])
    assert planned["right_low"] >= 0.78
    assert planned["right"] >= 0.8
    assert planned["overflow"] <= 0.01
    assert told["erlang_b"] <= told["numbers"]
    world = msgspec.structs.replace(default(), visits_per_hour=15.0)
    world = msgspec.structs.replace(world, calling=msgspec.structs.replace(world.calling, share=0.5))
    demand = Demand(world=world, window=timedelta(hours=3), target=Target(right=0.8))
    seen = uvloop.run(kept(server.url, demand, told["numbers"], seed=77, calls=500))
    assert seen.holds, f"the plan does not keep its word with other visitors: {seen}"
    assert {"numbers", "hold", "right", "right_low", "right_high", "overflow"} <= set(planned)


def test_a_target_that_no_size_reaches_is_said_with_what_would_help(cli: Cli, server: EmbeddedValkey) -> None:
    words = ("--window", "1", "--delays", "hours=0.5", "--right", "0.9", "--visits-per-hour", "10", "--quick")
    told = answer(cli("pool", "plan", *words, "--json", "--redis", server.url))
    assert told["numbers"] is None
    assert told["limit"] < 0.9
    assert told["helps"][0]["window_hours"] >= 48


def test_a_plan_by_measured_traffic_is_kept_for_the_pool(shop: Cli, database: str, server: EmbeddedValkey) -> None:
    visits(database, per_hour=12, days=8)
    words = ("pool", "plan", "--site", "shop.example", *CHEAP, "--quick", "--redis", server.url)
    told = answer(shop(*words, "--json", "--save"))
    assert told["pool"] == {"name": "moscow", "numbers": 10, "sites": ["shop.example"]}
    assert told["leases_per_hour"] == pytest.approx(12, rel=0.05)

    async def kept() -> asyncpg.Record | None:
        conn = await asyncpg.connect(database)
        try:
            return await conn.fetchrow("SELECT account_id, pool_id, numbers, overflow_share FROM pool_plans")
        finally:
            await conn.close()

    row = asyncio.run(kept())
    assert row is not None
    assert tuple(row) == (1, 1, told["numbers"], 0.01)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--site", "shop.exmaple"), "did you mean shop.example"),
        (("--site", "static.example"), "leases no numbers: it has no pool"),
        (("--site", "shop.example", "--pool", "moskow"), "did you mean moscow?"),
        (("--site", "shop.example"), "0 visits that wanted a number"),
        (("--save",), "give --site"),
        (("--hold", "4"), "a hold of 4 minutes is too short"),
        (("--right", "1"), "1.0 is not in the range"),
        (("--right", "nan"), "'nan' is no number"),
        (("--right", "97"), "write 0.97 for 97 %"),
        (("--overflow", "1%"), "write 0.01 for 1 %"),
        (("--window", "nan"), "'nan' is no number"),
        (("--visits-per-hour", "many"), "'many' is not a valid number"),
        (("--account", "Acme"), "--account says which traffic to plan by: give --site"),
        (("--last-days", "7"), "--last-days says which traffic to plan by"),
        (("--delays", "hours=nan"), "shares of delays are 0 or more"),
        (("--delays", "hours=0.1,hours=0.2"), "hours is given twice"),
        (("--delays", "in_visit=0.5,hours=0.2"), "come to 0.7, not to 1"),
        (("--visits-per-hour", "0"), "not in the range"),
        (("--delays", "years=0.5"), "'years' is no kind of delay"),
        (("--delays", "hours"), "write 'hours' as hours=0.15"),
        (("--plot", "plan.jpg"), ".svg or .png"),
        (("--redis", "http://localhost"), "redis://host:port/db"),
        (("--redis", "redis://127.0.0.1:1"), "no server to simulate on"),
    ],
)
def test_what_cannot_be_planned_is_refused_clearly(shop: Cli, words: tuple[str, ...], complaint: str) -> None:
    result = shop("pool", "plan", *words)
    assert result.exit_code != 0
    assert complaint in result.output
    assert "Traceback" not in result.output
