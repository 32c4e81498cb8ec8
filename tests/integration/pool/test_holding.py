"""Who held a number when: from the lease store and the history, with either of them away, and drawn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from callrouter.cli import main
from callrouter.lab.ports import free_port
from callrouter.numbers import Number
from callrouter.pool.holders import Store, holding
from callrouter.pool.holding import Holding
from callrouter.pool.keys import pool_slot
from tests.integration.pool.history_bench import POOL, SLOT, Bench, bench
from tests.integration.pool.visitors import NOON, visit

MINUTE = timedelta(minutes=1)
CALL = """
INSERT INTO appeals
    (account_id, started_at, ended_at, id, kind, direction, called, customer, status, method, confidence)
VALUES (2, $1, $2, gen_random_uuid(), 'call', 'inbound', $3, '79161234567', $4, $5, $6)"""


async def asked(
    here: Bench, number: Number, at: datetime, *, postgres: bool = True, redis: bool = True, account: int = 1
) -> Holding:
    async with here.postgres.acquire() as connection:
        store = Store(here.leases, here.client) if redis else None
        return await holding(connection if postgres else None, store, number, at, account=account)


def scenario(valkey_url: str, database: str, play: Callable[[Bench], Awaitable[None]]) -> None:
    async def run() -> None:
        async with bench(valkey_url, database) as here:
            await play(here)

    asyncio.run(run())


def test_a_running_lease_is_told_as_the_store_has_it_and_with_the_visit_as_the_history_has_it(
    valkey_url: str, database: str
) -> None:
    async def play(here: Bench) -> None:
        number = (await here.leases.allocate(SLOT, visit("s1", "ann"))).number
        assert number
        await here.drained()
        await here.leases.renew(SLOT, "s1", closed=True)
        await here.leases.call_started(SLOT, number, "call-1")
        told = await asked(here, number, datetime.now(UTC))
        assert told.holder
        assert (told.state, told.holder.session, told.holder.campaign) == ("leased", "s1", "окна")
        assert told.holder.closed, "renewed since the history wrote it"
        assert (told.holder.known_from, told.sources, told.certain) == ("live", ("live", "history"), True)
        assert told.now
        assert (told.now.state, told.now.pool, told.now.pool_name) == ("leased", 1, "Москва")
        assert [call.call for call in told.now.calls] == ["call-1"]
        assert told.now.next_at == told.holder.expires_at

    scenario(valkey_url, database, play)


def test_each_moment_has_the_same_holder_from_live_state_as_from_history(valkey_url: str, database: str) -> None:
    async def play(here: Bench) -> None:
        start = datetime.now(UTC) - timedelta(hours=5)
        for place in range(4):
            at = start + place * 50 * MINUTE
            await here.leases.allocate(SLOT, visit(f"s{place}", f"v{place}"), now=at)
            await here.leases.renew(SLOT, f"s{place}", now=at + 7 * MINUTE)
        await here.leases.sweep(SLOT)
        moments = [start + step * 7 * MINUTE for step in range(-1, 40)]
        live = [await asked(here, POOL[0], at, postgres=False) for at in moments]
        await here.drained()
        history = [await asked(here, POOL[0], at, redis=False) for at in moments]
        both = [await asked(here, POOL[0], at) for at in moments]
        holders = [[told.holder.lease if told.holder else None for told in each] for each in (live, history, both)]
        assert holders[0] == holders[1] == holders[2]
        assert len({*holders[0]}) >= 3, "leases of several visits, and nobody"
        assert [each.why for each in history][1:] == [each.why for each in both][1:]

    scenario(valkey_url, database, play)


def test_an_open_lease_without_the_store_is_told_as_uncertain(valkey_url: str, database: str) -> None:
    async def play(here: Bench) -> None:
        number = (await here.leases.allocate(SLOT, visit("s1", "ann"))).number
        assert number
        await here.drained()
        told = await asked(here, number, datetime.now(UTC) + timedelta(hours=2), redis=False)
        assert told.holder
        assert not told.certain
        assert told.missing
        assert told.now
        assert told.now.state == "unknown"
        live = await asked(here, number, datetime.now(UTC) + timedelta(hours=2))
        assert (live.holder, live.certain) == (None, True), "the store knows when it runs out"

    scenario(valkey_url, database, play)


def test_a_number_that_was_set_aside_or_moved_says_so(valkey_url: str, database: str) -> None:
    async def play(here: Bench) -> None:
        number = (await here.leases.allocate(SLOT, visit("s1", "ann"), now=NOON)).number
        assert number
        await here.leases.sweep(SLOT, now=NOON + timedelta(hours=1))
        await here.drained()
        await here.postgres.execute("INSERT INTO pools (id, name) VALUES (2, 'Тверь')")
        await here.postgres.execute("UPDATE numbers SET pool_id = 2 WHERE number = $1", number)
        moved = await asked(here, number, NOON + MINUTE)
        assert moved.notes == ("then in pool 1; now in pool 2 (Тверь)",)
        assert moved.holder
        assert moved.now
        assert moved.now.state == "not_loaded"
        await here.leases.load_numbers(pool_slot(2), {number: True})
        aside = "UPDATE numbers SET state = 'disabled', disabled_at = now() WHERE number = $1"
        await here.postgres.execute(aside, number)
        disabled = await asked(here, number, NOON + MINUTE)
        assert disabled.now
        assert disabled.now.state == "disabled"
        assert disabled.now.disabled_at
        stranger = await asked(here, Number("74959999999"), NOON)
        assert (stranger.state, stranger.holder) == ("unknown", None)

    scenario(valkey_url, database, play)


def test_an_account_is_told_of_another_only_that_there_is_one(valkey_url: str, database: str) -> None:
    async def play(here: Bench) -> None:
        await here.postgres.execute("INSERT INTO accounts (id, name) VALUES (3, 'Двери')")
        await here.postgres.execute("INSERT INTO sites (account_id, id, name) VALUES (3, 3, 'Двери')")
        await here.postgres.execute("INSERT INTO site_pools (account_id, site_id, pool_id) VALUES (3, 3, 1)")
        number = (await here.leases.allocate(SLOT, visit("secret-session", "secret-visitor"))).number
        assert number
        await here.leases.call_started(SLOT, number, "secret-call")
        for drained in (False, True):
            if drained:
                await here.drained()
            for postgres, redis in ((True, True), (False, True), (True, False)):
                if not drained and not redis:
                    continue
                told = await asked(here, number, datetime.now(UTC), postgres=postgres, redis=redis, account=3)
                assert (told.another_account, told.holder, told.last_holder) == (True, None, None)
                spoken = msgspec.json.encode(told).decode()
                for secret in ("secret", "окна", "yandex", "shop.example"):
                    assert secret not in spoken
                assert told.why == "leased to a visitor of another account"

    scenario(valkey_url, database, play)


def command(*words: str, database: str, redis: str) -> Any:
    environ = {"CALLROUTER_POSTGRES_URL": database, "CALLROUTER_REDIS_URL": redis}
    return CliRunner().invoke(main, ["lease", *words], env=environ)


@pytest.fixture
def busy_number(valkey_url: str, database: str) -> Number:
    """A number with a day behind it."""

    async def play(here: Bench) -> None:
        start = datetime.now(UTC) - timedelta(hours=9)
        for place in range(9):
            at = start + place * 55 * MINUTE
            session = visit(f"s{place}", f"v{place}", account=2 + place % 2)
            await here.leases.allocate(SLOT, session, now=at)
            await here.leases.renew(SLOT, f"s{place}", now=at + 6 * MINUTE, closed=place % 3 == 0)
        await here.leases.allocate(SLOT, visit("running", "last"))
        await here.drained()
        rows = [
            (3, "answered", "holder", 0.93), (130, "lost", "last_holder", 0.4),
            (290, "answered", "caller_memory", 0.97), (400, "lost", "unattributed", 0.0),
        ]  # fmt: skip
        for minutes, status, method, confidence in rows:
            at = start + minutes * MINUTE
            await here.postgres.execute(CALL, at, at + 3 * MINUTE, POOL[0], status, method, confidence)

    scenario(valkey_url, database, play)
    return POOL[0]


def test_the_command_answers_with_either_server_away(valkey_url: str, database: str, busy_number: Number) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    whole = command("show", busy_number, database=database, redis=valkey_url)
    assert whole.exit_code == 0, whole.output
    assert json.loads(whole.stdout)["sources"] == ["live", "history"]
    no_redis = command("show", busy_number, database=database, redis=f"redis://{nowhere}/0")
    told = json.loads(no_redis.stdout)
    assert (told["sources"], len(told["missing"])) == (["history"], 1)
    no_postgres = command("show", busy_number, database=f"postgresql://x@{nowhere}/x", redis=valkey_url)
    told = json.loads(no_postgres.stdout)
    assert (told["sources"], told["now"]["pool"]) == (["live"], 1)
    assert "history goes" not in told["why"]
    assert "Postgres cannot be reached" in no_postgres.stderr
    neither = command("show", busy_number, database=f"postgresql://x@{nowhere}/x", redis=f"redis://{nowhere}/0")
    assert neither.exit_code == 1
    assert "neither" in neither.stderr
    assert command("timeline", busy_number, database=f"postgresql://x@{nowhere}/x", redis=valkey_url).exit_code == 1


def test_the_command_is_readable(valkey_url: str, database: str, busy_number: Number) -> None:
    shown = command("show", busy_number, "--text", database=database, redis=valkey_url)
    assert shown.exit_code == 0, shown.output
    assert "known from" in shown.stdout
    drawn = command("timeline", busy_number, database=database, redis=valkey_url)
    assert drawn.exit_code == 0, drawn.output
    assert "caller_memory 0.97" in drawn.stdout
    assert drawn.stdout.count("lease") >= 4


def test_a_timeline_is_drawn_as_a_picture(valkey_url: str, database: str, busy_number: Number, tmp_path: Path) -> None:
    for suffix, magic in (("svg", b"<?xml"), ("png", b"\x89PNG")):
        file = tmp_path / f"timeline.{suffix}"
        done = command("timeline", busy_number, "--plot", str(file), "--json", database=database, redis=valkey_url)
        assert done.exit_code == 0, done.output
        assert file.read_bytes().startswith(magic)
        kinds = [item["kind"] for item in json.loads(done.stdout)["items"]]
        assert kinds.count("call") == 4
    wrong = command("timeline", busy_number, "--plot", str(tmp_path / "a.gif"), database=database, redis=valkey_url)
    assert wrong.exit_code == 2
    assert "Traceback" not in wrong.output
