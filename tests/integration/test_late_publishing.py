"""Calls that nobody could name when they rang: from history, once it reaches them, and late is what they are."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from callrouter.appeals import late
from callrouter.appeals import publish as publish_module
from callrouter.appeals.directory import load_settings
from callrouter.appeals.late import settle_pending
from callrouter.calls.record import CallRecord
from callrouter.db.connect import Connection
from callrouter.pool.model import Resolution
from tests.call_samples import NOON, a_call, a_resolution, an_appeal
from tests.integration.publishing import journal_rows, publish, publishing, shop
from tests.waiting import until

MINUTE = timedelta(minutes=1)


def test_revision_without_visit_keeps_what_was_known_live(database: str, tmp_path: Path) -> None:
    async def history(_connection: Connection, call: CallRecord) -> Resolution | None:
        return a_resolution(8, 80, call.started_at)

    async def run() -> None:
        async with shop(database) as pool:
            await publish(pool, tmp_path, [an_appeal(a_call(), a_resolution(7, 70))])
            await publish(pool, tmp_path, [an_appeal(a_call(talk_s=90.0), None, revision=1)], attribute_late=history)
            await publish(pool, tmp_path, [an_appeal(a_call(talk_s=95.0), None, revision=2)])
            (row,) = await journal_rows(pool)
            assert (row["account_id"], row["talk_s"], row["late"], row["keyword"]) == (7, 95.0, False, "окна пвх")
            assert (row["revision"], row["attribution_pending"]) == (2, False)

    asyncio.run(run())


def test_call_without_resolution_is_attributed_from_history_and_marked_late(database: str, tmp_path: Path) -> None:
    async def history(_connection: Connection, call: CallRecord) -> Resolution | None:
        return a_resolution(7, 70, call.started_at)

    async def run() -> None:
        async with shop(database) as pool:
            await publish(pool, tmp_path, [an_appeal(a_call())], attribute_late=history)
            (row,) = await journal_rows(pool)
            assert (row["account_id"], row["late"], row["method"], row["is_unique"]) == (7, True, "holder", True)

    asyncio.run(run())


def test_appeal_waits_in_the_operators_account_until_history_reaches_it(database: str, tmp_path: Path) -> None:
    async def history(_connection: Connection, call: CallRecord) -> Resolution | None:
        return a_resolution(7, 70, call.started_at) if call.linkedid != "1.3" else None

    async def run() -> None:
        async with shop(database) as pool:
            calls = [a_call(f"1.{n}", NOON + n * MINUTE) for n in range(4)]
            await publish(pool, tmp_path, [an_appeal(call) for call in calls])
            rows = await journal_rows(pool, "account_id, attribution_pending, client_id, is_unique")
            assert [tuple(row.values()) for row in rows] == [(1, True, None, False)] * 4
            async with pool.acquire() as connection:
                settings = await load_settings(connection)
                settled = await settle_pending(connection, history, settings, now=NOON + MINUTE)
                assert (len(settled.rows), settled.waiting, settled.next) == (3, 1, None)
                assert (await settle_pending(connection, history, settings, now=NOON + MINUTE)).rows == []
                rows = await journal_rows(pool, "account_id, late, is_unique")
                assert [tuple(row.values()) for row in rows] == [
                    (7, True, True), (7, True, False), (7, True, False), (1, False, False),
                ]  # fmt: skip
                await settle_pending(connection, history, settings, now=NOON + timedelta(days=2))
            rows = await journal_rows(pool, "account_id, method, attribution_pending, is_unique")
            assert tuple(rows[3].values()) == (1, "unattributed", False, True)

    asyncio.run(run())


def test_pending_appeals_are_settled_some_at_a_time(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def history(_connection: Connection, call: CallRecord) -> Resolution | None:
        return a_resolution(7, 70, call.started_at) if call.linkedid != "1.1" else None

    async def run() -> None:
        monkeypatch.setattr(late, "PAGE", 2)
        async with shop(database) as pool:
            await publish(pool, tmp_path, [an_appeal(a_call(f"1.{n}", NOON + n * MINUTE)) for n in range(5)])
            async with pool.acquire() as connection:
                settings = await load_settings(connection)
                place: late.Place | None = late.BEFORE_ALL
                settled = []
                while place is not None:
                    some = await settle_pending(connection, history, settings, now=NOON + MINUTE, after=place)
                    settled.append((len(some.rows), some.waiting))
                    place = some.next
                assert settled == [(1, 1), (2, 0), (1, 0)]

    asyncio.run(run())


def test_publisher_settles_pending_appeals_by_itself(database: str, tmp_path: Path) -> None:
    known = False

    async def history(_connection: Connection, call: CallRecord) -> Resolution | None:
        return a_resolution(7, 70, call.started_at) if known else None

    async def run() -> None:
        nonlocal known
        async with shop(database) as pool:
            await publish(pool, tmp_path, [an_appeal(a_call())], attribute_late=history)
            known = True
            async with publishing(pool, tmp_path, history):

                async def is_settled() -> bool:
                    return bool(await pool.fetchval("SELECT account_id = 7 FROM appeals"))

                await until(is_settled)

    asyncio.run(run())


def test_what_is_pending_is_settled_under_steady_load(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish_module, "SETTLE_SECONDS", 0.05)
    known = False

    async def history(_connection: Connection, call: CallRecord) -> Resolution | None:
        return a_resolution(7, 70, call.started_at) if known and call.linkedid == "1.1" else None

    async def run() -> None:
        nonlocal known
        async with shop(database) as pool:
            today = datetime.now(UTC)  # nobody gives it up yet
            await publish(pool, tmp_path, [an_appeal(a_call("1.1", today))], attribute_late=history)
            async with publishing(pool, tmp_path, history) as journal:

                async def load() -> None:
                    number = 2
                    while True:
                        await journal.append(an_appeal(a_call(f"1.{number}", today), a_resolution(8, 80, today)))
                        number += 1
                        await asyncio.sleep(0.01)

                async def are(count: int, account: int) -> bool:
                    found = await pool.fetchval("SELECT count(*) FROM appeals WHERE account_id = $1", account)
                    return bool(found >= count)

                loading = asyncio.create_task(load())
                await until(lambda: are(1, 8))
                known = True  # from now on no batch is the last one
                await until(lambda: are(1, 7))
                assert not loading.done()
                loading.cancel()
                await asyncio.gather(loading, return_exceptions=True)

    asyncio.run(run())


def test_history_that_fails_does_not_keep_the_appeal_from_the_journal(database: str, tmp_path: Path) -> None:
    async def broken(connection: Connection, _call: CallRecord) -> Resolution | None:
        await connection.execute("SELECT no_such_function()")
        return None

    async def run() -> None:
        async with shop(database) as pool:
            await publish(pool, tmp_path, [an_appeal(a_call())], attribute_late=broken)
            assert await pool.fetchval("SELECT attribution_pending FROM appeals")

    asyncio.run(run())
