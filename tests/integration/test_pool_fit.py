"""`callrouter pool fit` on a real Postgres."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
from click.testing import CliRunner, Result

from callrouter.cli import main
from callrouter.db.connect import connect
from callrouter.pool.delay import DEFAULT_MODEL
from callrouter.pool.directory import Directory
from callrouter.pool.directory_source import read_directory

NUMBERS = [f"7495000000{last}" for last in range(8)]
INVENTORY = f"""
INSERT INTO accounts (id, name, time_zone) VALUES (2, 'Окна', 'Asia/Yekaterinburg');
INSERT INTO sites (account_id, id, name) VALUES (2, 1, 'Окна');
INSERT INTO pools (id, name) VALUES (1, 'Москва');
INSERT INTO site_pools (account_id, site_id, pool_id) VALUES (2, 1, 1);
INSERT INTO numbers (number, pool_id) VALUES {", ".join(f"('{number}', 1)" for number in NUMBERS)};
"""


def run(database: str, *words: str) -> Result:
    return CliRunner().invoke(main, ["pool", "fit", *words], env={"CALLROUTER_POSTGRES_URL": database})


def fill(database: str, *, leases: int = 200) -> None:
    """A lease each hour, and after one of four a call some minutes later: far more than the defaults expect."""

    async def work() -> None:
        connection = await connect(database)
        await connection.execute(INVENTORY)
        chance, begin = random.Random(1), datetime.now(UTC) - timedelta(hours=leases + 2)
        for place in range(leases):
            at, number = begin + place * timedelta(hours=1), NUMBERS[place % len(NUMBERS)]
            await connection.execute(
                "INSERT INTO leases (account_id, number, id, pool_id, site_id, session, visitor, started_at, seen_at, "
                "expires_at, ended_at, end_reason, signs) VALUES (2, $1, $2, 1, 1, $2, $2, $3, $3, $4, $4, 'expired', "
                "'{0,20000}')", number, f"s{place}", at, at + timedelta(minutes=30),
            )  # fmt: skip
            if chance.random() < 0.25:
                await connection.execute(
                    "INSERT INTO appeals (account_id, started_at, id, kind, direction, called, customer, site_id) "
                    "VALUES (2, $1, gen_random_uuid(), 'call', 'inbound', $2, $3, 1)",
                    at + timedelta(seconds=chance.expovariate(1 / 400)), number, f"7916{place:07d}",
                )  # fmt: skip
        await connection.close()

    asyncio.run(work())


def directory_of(database: str) -> Directory:
    async def work() -> Directory:
        connection: asyncpg.Connection[asyncpg.Record] = await connect(database)
        try:
            return await read_directory(connection)
        finally:
            await connection.close()

    return asyncio.run(work())


def test_a_fitted_model_is_stored_and_counts_from_then_on(database: str, tmp_path: Path) -> None:
    fill(database)
    picture = tmp_path / "delays.svg"
    result = run(database, "--account", "2", "--json", "--plot", str(picture))
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["stored"]
    assert report["new"]["call_share"] > 1.5 * report["old"]["call_share"]
    assert report["fit"]["intervals"]["call_share"]["low"] > report["old"]["call_share"]
    assert report["first_calls"] == report["fit"]["calls"]
    assert picture.read_text().startswith("<?xml")
    models = directory_of(database).models(DEFAULT_MODEL)
    assert models.of(2).call_share == report["new"]["call_share"]
    assert models.of(2).offset == 5.0
    assert models.of(1).call_share == DEFAULT_MODEL.call_share
    assert models.stranger(1) == models.of(2).stranger


def test_a_dry_run_shows_the_model_and_stores_nothing(database: str) -> None:
    fill(database, leases=30)
    result = run(database, "--account", "2", "--dry-run", "--since", "2020-01-01")
    assert result.exit_code == 0, result.output
    assert "calls again per call" in result.stdout
    assert "Few calls" in result.stdout
    assert "Not stored." in result.stdout
    assert directory_of(database).models(DEFAULT_MODEL).of(2).call_share == DEFAULT_MODEL.call_share


def test_what_cannot_be_fitted_is_refused_in_one_line(database: str) -> None:
    asyncio.run(_inventory(database))
    for words, complaint in (
        (("--account", "77"), "there is no '77' among the accounts"),
        (("--account", "2"), "has leased no number"),
        (("--account", "2", "--since", "2999-01-01"), "not in the past"),
        (("--account", "2", "--since", "soon"), "no time"),
    ):
        result = run(database, *words)
        assert result.exit_code != 0
        assert complaint in result.stderr


async def _inventory(database: str) -> None:
    connection = await connect(database)
    await connection.execute(INVENTORY)
    await connection.close()
