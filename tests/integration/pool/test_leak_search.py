"""Leaked numbers in a real Postgres: found with their evidence, warned of once, told to whom they concern."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from litestar.testing import AsyncTestClient
from structlog.testing import capture_logs

from callrouter.cli import main
from callrouter.db.connect import Pool, open_pool
from callrouter.pool.leak_search import check, find_leaks
from callrouter.web.api import examples, tokens
from callrouter.web.api.leaks import Leaks
from callrouter.web.app import create_app
from callrouter.web.settings import WebSettings

NOW = datetime.now(UTC).replace(microsecond=0)
MEMORY = timedelta(hours=24)
LEAKED, BUSY_LEAKED, OWN_LEAKED, MISDIALLED = "74950000000", "74950000001", "74952000000", "74950000002"
INVENTORY = f"""
INSERT INTO accounts (id, name) VALUES (2, 'Окна');
INSERT INTO sites (account_id, id, name) VALUES (2, 1, 'Окна');
INSERT INTO pools (id, name) VALUES (1, 'Общий'), (2, 'Редкий');
INSERT INTO pools (account_id, id, name) VALUES (2, 3, 'Свой');
INSERT INTO numbers (number, pool_id, created_at)
    SELECT (74950000000 + place)::text, 1, now() - interval '1 year' FROM generate_series(0, 59) AS place;
INSERT INTO numbers (number, pool_id, created_at) VALUES ('{OWN_LEAKED}', 3, now() - interval '1 year');
UPDATE numbers SET account_id = 2 WHERE number = '{OWN_LEAKED}';
-- Each number is leased nine times a day, but one of the leaked, which was leased long ago.
INSERT INTO leases
    (account_id, number, id, pool_id, site_id, session, visitor, started_at, seen_at, expires_at, ended_at, end_reason)
SELECT 2, (74950000000 + place)::text, place || '-' || lease, 1, 1, place || '-' || lease, 'v', at, at,
    at + interval '1 hour', at + interval '1 hour', 'expired'
FROM generate_series(1, 59) AS place, generate_series(0, 9 * 20) AS lease,
    LATERAL (SELECT now() - interval '1 hour' - lease * interval '160 minutes' AS at) AS a;
INSERT INTO leases
    (account_id, number, id, pool_id, site_id, session, visitor, started_at, seen_at, expires_at, ended_at, end_reason)
VALUES (2, '{LEAKED}', 'old', 1, 1, 'old', 'v', now() - interval '40 days', now() - interval '40 days',
    now() - interval '40 days', now() - interval '40 days', 'expired');
-- What the leases bring: one caller in twenty-five leases or so.
INSERT INTO appeals (account_id, started_at, id, kind, direction, called, customer, status, site_id, method, confidence)
SELECT 2, now() - place * interval '5 minutes' - call * interval '50 hours', gen_random_uuid(), 'call', 'inbound',
    (74950000000 + place)::text, (79160000000 + place * 100 + call)::text, 'answered', 1, 'holder', 0.9
FROM generate_series(1, 59) AS place, generate_series(0, (place * 7) % 10) AS call;
"""
CALL = """
INSERT INTO appeals (account_id, started_at, id, kind, direction, called, customer, status, site_id, method, confidence)
VALUES ($1, $2, gen_random_uuid(), 'call', 'inbound', $3, $4, 'lost', $5, $6, 0)"""


@asynccontextmanager
async def inventory(database: str) -> AsyncIterator[Pool]:
    postgres = await open_pool(database)
    try:
        await postgres.execute(INVENTORY)
        yield postgres
    finally:
        await postgres.close()


async def plant(postgres: Pool) -> None:
    """A directory brings the leaked numbers a caller or three a day; one man misdials another number every day."""
    for day in range(13):
        at = NOON_BEFORE - timedelta(days=day)
        await postgres.execute(CALL, 1, at, LEAKED, str(79260000000 + day), None, "unattributed")
        await postgres.execute(CALL, 2, at, OWN_LEAKED, str(79270000000 + day), None, "unattributed")
        for caller in range(3):
            who = str(79280000000 + day * 3 + caller)
            await postgres.execute(CALL, 2, at + timedelta(minutes=caller), BUSY_LEAKED, who, 1, "holder")
        await postgres.execute(CALL, 2, at, MISDIALLED, "79290000000", 1, "holder")


NOON_BEFORE = NOW - timedelta(hours=3)


def test_planted_leaks_are_found_with_their_evidence_and_nothing_else(database: str) -> None:
    async def run() -> None:
        async with inventory(database) as postgres, postgres.acquire() as conn:
            since = NOW - timedelta(days=14)
            assert await find_leaks(conn, since, NOW, memory=MEMORY) == []
            await plant(postgres)
            found = {leak.number: leak for leak in await find_leaks(conn, since, NOW, memory=MEMORY)}
            assert set(found) == {LEAKED, BUSY_LEAKED, OWN_LEAKED}
            quiet, busy = found[LEAKED], found[BUSY_LEAKED]  # type: ignore[index] # numbers
            assert (quiet.callers, quiet.calls, quiet.days, len(quiet.evidence)) == (13, 13, 13, 13)
            assert quiet.evidence[0].method == "unattributed"
            assert quiet.evidence[0].lease_ended_before_s
            assert quiet.evidence[0].lease_ended_before_s > 39 * 86400
            assert quiet.expected < 4
            assert busy.callers > 3 * busy.expected
            assert found[OWN_LEAKED].last_lease_ended_at is None  # type: ignore[index] # a number

    asyncio.run(run())


def test_a_leak_is_warned_of_once_and_again_if_it_comes_back(database: str) -> None:
    async def run() -> None:
        async with inventory(database) as postgres:
            await plant(postgres)
            with capture_logs() as told:
                assert await check(postgres, NOW, MEMORY) == 3
                assert await check(postgres, NOW, MEMORY) == 3
            warnings = [line for line in told if line["event"] == "POOL-NUMBER-LEAKS"]
            assert len(warnings) == 3
            assert LEAKED not in str(told), "a number is personal data"
            assert await check(postgres, NOW + timedelta(days=30), MEMORY) == 0
            with capture_logs() as told:
                assert await check(postgres, NOW, MEMORY) == 3
            assert len([line for line in told if line["event"] == "POOL-NUMBER-LEAKS"]) == 3

    asyncio.run(run())


def test_the_api_tells_each_account_of_its_own_numbers(valkey_url: str, database: str) -> None:
    async def told(http: Any, secret: str, query: str = "") -> Any:
        return await http.get(f"/api/v1/numbers/leaks{query}", headers={"authorization": f"Bearer {secret}"})

    async def run() -> None:
        async with inventory(database) as postgres:
            await plant(postgres)
            settings = WebSettings(redis_url=valkey_url, postgres_url=database, token_keys=(b"0123456789abcdef",))
            async with postgres.acquire() as conn:
                mine = await tokens.add_token(conn, 2, "t", ("numbers:read",))
                operators = await tokens.add_token(conn, 1, "t", ("numbers:read", "appeals:read"))
                other = await tokens.add_token(conn, 1, "t", ("leases:read",))
            async with AsyncTestClient(create_app(settings)) as http:
                own = await told(http, mine.secret)
                assert [leak["number"] for leak in own.json()["items"]] == [OWN_LEAKED]
                assert "7927000" not in own.text, "no scope to read who called"
                everything = await told(http, operators.secret)
                assert len(everything.json()["items"]) == 3
                assert "7927000" in everything.text
                assert set(everything.json()) == set(examples.LEAKS) == set(Leaks.__struct_fields__)
                assert set(everything.json()["items"][0]) == set(examples.LEAKS["items"][0])  # type: ignore[index] # a list
                assert (await told(http, other.secret)).status_code == 403
                assert (await told(http, operators.secret, "?since=x")).status_code == 400

    asyncio.run(run())


@pytest.mark.parametrize("words", [("--json",), ()], ids=["json", "text"])
def test_the_command_lists_them(database: str, words: tuple[str, ...]) -> None:
    async def prepare() -> None:
        async with inventory(database) as postgres:
            await plant(postgres)

    asyncio.run(prepare())
    result = CliRunner().invoke(main, ["numbers", "leaks", *words], env={"CALLROUTER_POSTGRES_URL": database})
    assert result.exit_code == 0, result.output
    assert LEAKED in result.stdout
    if words:
        assert {json.loads(line)["number"] for line in result.stdout.splitlines()} == {LEAKED, BUSY_LEAKED, OWN_LEAKED}
