"""Appeals from the journal to Postgres: once each, in the right account, whatever happens on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from prometheus_client import REGISTRY

from callrouter.appeals.directory import load_settings
from callrouter.appeals.enrich import enrich
from callrouter.appeals.journal import DEAD_LETTERS, Journal
from callrouter.appeals.publish import Publisher
from callrouter.appeals.row import ATTRIBUTION_COLUMNS, COLUMNS, AppealRow, stored_call
from callrouter.appeals.segments import frame, segment_path
from callrouter.appeals.store import CHANNEL, MISJUDGED, write
from callrouter.clock import SystemClock
from callrouter.db.connect import connect, open_pool
from tests.call_samples import NOON, a_call, a_resolution, an_appeal
from tests.integration.publishing import journal_rows, nobody_knows, publish, publishing, shop
from tests.waiting import until

MINUTE = timedelta(minutes=1)


def failures() -> float:
    return REGISTRY.get_sample_value("callrouter_appeals_publish_failures_total", {"kind": "away"}) or 0.0


def test_row_has_exactly_the_columns_of_the_table(database: str) -> None:
    async def run() -> None:
        connection = await connect(database)
        columns = await connection.fetchval(
            "SELECT array_agg(column_name::text) FROM information_schema.columns WHERE table_name = 'appeals'"
        )
        await connection.close()
        filled_by_others = {"multichannel", "touches", "credits", "published_at"}
        assert set(COLUMNS) == set(columns) - filled_by_others
        assert set(ATTRIBUTION_COLUMNS) < set(COLUMNS)

    asyncio.run(run())


def test_published_appeal_says_all_that_the_call_and_the_visit_said(database: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with shop(database) as pool:
            seen: list[AppealRow] = []
            await publish(pool, tmp_path, [an_appeal(a_call(), a_resolution(7, 70))], on_published=seen.extend)
            (row,) = await journal_rows(pool)
            assert stored_call(row) == a_call()
            assert (row["account_id"], row["site_id"], row["source"], row["keyword"]) == (7, 70, "yandex", "окна пвх")
            assert (row["is_unique"], row["quality"], row["late"], row["attribution_pending"]) == (
                True,
                True,
                False,
                False,
            )
            assert row["candidates"][0]["weight"] == 0.9
            identity = await pool.fetchrow("SELECT kind, value, client_id FROM client_identities")
            assert tuple(identity or ()) == ("phone", "79161234567", row["client_id"])
            assert await pool.fetchval("SELECT first_touch_at FROM clients WHERE account_id = 7") == NOON
            assert [(one.id, one.client_id) for one in seen] == [(row["id"], row["client_id"])]

    asyncio.run(run())


def test_revision_that_moves_a_call_takes_it_away_from_the_other_account(database: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with shop(database) as pool:
            later = an_appeal(a_call("1.2", NOON + MINUTE), a_resolution(7, 70))
            await publish(pool, tmp_path, [an_appeal(a_call(), a_resolution(7, 70)), later])
            await publish(pool, tmp_path, [an_appeal(a_call(), a_resolution(8, 80), revision=1)])
            rows = await journal_rows(pool, "account_id, linkedid, is_unique")
            # The flag went to the caller's next call in the old account, and is given anew in the other.
            assert [tuple(row.values()) for row in rows] == [(8, "1.1", True), (7, "1.2", True)]

    asyncio.run(run())


def test_a_batch_that_takes_postgres_too_long_is_published_in_parts(database: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with shop(database) as pool, await open_pool(database, command_seconds=1.0) as hurried:
            await pool.execute("""
                CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END $$;
                CREATE TRIGGER slow BEFORE INSERT ON appeals FOR EACH ROW EXECUTE FUNCTION slow()""")
            appeals = [an_appeal(a_call(f"1.{n}", NOON + n * MINUTE), a_resolution(7, 70)) for n in range(16)]
            await publish(hurried, tmp_path, appeals)
            assert await pool.fetchval("SELECT count(*) FROM appeals") == len(appeals)

    asyncio.run(run())


def test_call_of_nobody_stands_in_the_operators_account(database: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with shop(database) as pool:
            withheld = a_call("1.2", NOON + MINUTE, caller=None, caller_raw="anonymous")
            internal = a_call("1.3", direction="internal")
            nobody = a_resolution(None, None)
            await publish(pool, tmp_path, [an_appeal(call, nobody) for call in (a_call(), withheld, internal)])
            rows = await journal_rows(pool, "account_id, method, is_unique, client_id IS NULL AS stranger")
            assert [tuple(row.values()) for row in rows] == [
                (1, "unattributed", True, False), (1, "unattributed", False, True),
            ]  # fmt: skip

    asyncio.run(run())


def test_poison_is_set_aside_and_the_others_are_published(database: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with shop(database) as pool:
            segment_path(tmp_path, 1).write_bytes(frame(b"\x01not an appeal"))
            appeals = [an_appeal(a_call(f"1.{n}", NOON + n * MINUTE), a_resolution(7, 70)) for n in range(20)]
            appeals[7] = an_appeal(a_call("1.7", hangup_cause=2**40), a_resolution(7, 70))
            appeals[13] = an_appeal(a_call("1.13"), a_resolution(7, 70), revision=2**40)
            await publish(pool, tmp_path, appeals)
            expected = {f"1.{n}" for n in range(20)} - {"1.7", "1.13"}
            assert {row["linkedid"] for row in await journal_rows(pool, "linkedid")} == expected
            letters = [msgspec.json.decode(line) for line in (tmp_path / DEAD_LETTERS).read_bytes().splitlines()]
            strange, *known = sorted(letters, key=lambda letter: letter["appeal"] is not None)
            assert strange["record"]
            assert {letter["appeal"]["call"]["linkedid"] for letter in known} == {"1.7", "1.13"}
            assert all(letter["reason"] for letter in letters)

    asyncio.run(run())


def test_hostile_strings_are_stored_as_data(database: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with shop(database) as pool:
            step = a_call().steps[1]
            nasty = "\0'; DROP TABLE appeals; -- \\u0000 \u202e🙂" + "x" * 100_000
            call = a_call(
                linkedid=nasty, caller=nasty, caller_raw=nasty, group=nasty, employee=nasty,
                steps=(msgspec.structs.replace(step, group="\0a", who="\\u0000"),),
            )  # fmt: skip
            await publish(pool, tmp_path, [an_appeal(call, a_resolution(7, 70))])
            (row,) = await journal_rows(pool)
            assert row["final_group"].startswith("\ufffd'; DROP")
            assert row["steps"][0]["group"] == "\ufffda"
            assert not (tmp_path / DEAD_LETTERS).exists()

    asyncio.run(run())


def test_postgres_that_drops_every_connection_costs_only_time(database: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with shop(database) as pool:
            killer = await connect(database)
            async with publishing(pool, tmp_path, batch=20) as journal:
                for round_ in range(10):
                    calls = [a_call(f"{round_}.{n}", NOON + n * MINUTE) for n in range(30)]
                    await asyncio.gather(*(journal.append(an_appeal(call, a_resolution(7, 70))) for call in calls))
                    await killer.execute(
                        """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                           WHERE datname = current_database() AND pid <> pg_backend_pid()"""
                    )
            assert await killer.fetchval("SELECT count(*) FROM appeals") == 300
            assert await killer.fetchval("SELECT count(*) FROM appeals WHERE is_unique") == 1
            await killer.close()

    asyncio.run(run())


def test_read_only_postgres_is_waited_for(database: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with shop(database) as pool:
            admin = await connect(database)
            name = await admin.fetchval("SELECT current_database()")
            await admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
            await pool.expire_connections()
            before = failures()
            async with publishing(pool, tmp_path) as journal:
                await journal.append(an_appeal(a_call(), a_resolution(7, 70)))
                await until(lambda: failures() > before)
                assert await admin.fetchval("SELECT count(*) FROM appeals") == 0
                await admin.execute("SET default_transaction_read_only = off")
                await admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
                await pool.expire_connections()
            assert await admin.fetchval("SELECT count(*) FROM appeals") == 1
            await admin.close()

    asyncio.run(run())


def test_stopping_with_postgres_away_is_quick_and_loses_nothing(database: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with shop(database) as pool:
            await pool.execute("ALTER TABLE appeals RENAME TO appeals_away")
            before = failures()
            journal = Journal(tmp_path)
            publisher = Publisher(pool, journal, nobody_knows, SystemClock())
            running = asyncio.create_task(publisher.run())
            await journal.append(an_appeal(a_call(), a_resolution(7, 70)))
            await until(lambda: failures() > before)
            await asyncio.wait_for(publisher.stop(), 5)
            await running
            assert journal.backlog_bytes() > 0
            journal.close()
            await pool.execute("ALTER TABLE appeals_away RENAME TO appeals")
            await publish(pool, tmp_path, [])
            assert len(await journal_rows(pool)) == 1

    asyncio.run(run())


def test_two_routers_that_tell_the_same_calls_to_different_accounts_leave_each_call_once(
    database: str, tmp_path: Path
) -> None:
    async def run() -> None:
        async with shop(database, size=8) as pool:
            calls = [a_call(f"1.{n}", NOON + n % 40 * MINUTE, caller=f"7916000000{n % 7}") for n in range(200)]

            async def router(name: str, account: int, site: int) -> None:
                appeals = [an_appeal(call, a_resolution(account, site)) for call in calls]
                await publish(pool, tmp_path / name, appeals, batch=17)

            await asyncio.gather(router("a", 7, 70), router("b", 8, 80))
            assert await pool.fetchval("SELECT count(*) FROM appeals") == 200
            assert await pool.fetchval("SELECT count(DISTINCT id) FROM appeals") == 200

    asyncio.run(run())


def test_two_routers_judge_the_callers_they_share_rightly(database: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with shop(database, size=8) as pool:

            async def router(pbx: str, start: datetime) -> None:
                appeals = [
                    an_appeal(
                        a_call(f"{n}", start + n * MINUTE, pbx=pbx, caller=f"7916000000{n % 5}"), a_resolution(7, 70)
                    )
                    for n in range(100)
                ]
                await publish(pool, tmp_path / pbx, appeals, batch=7)

            await asyncio.gather(*(router(f"pbx{n}", NOON + n * timedelta(seconds=11)) for n in range(3)))
            assert await pool.fetchval("SELECT count(*) FROM appeals") == 300
            unique = await pool.fetch("SELECT customer, pbx, linkedid FROM appeals WHERE is_unique ORDER BY 1")
            assert [tuple(row) for row in unique] == [(f"7916000000{n}", "pbx0", str(n)) for n in range(5)]
            assert await pool.fetchval("SELECT count(*) FROM clients WHERE account_id = 7") == 5

    asyncio.run(run())


def test_listeners_hear_which_appeal_of_which_account_stands(database: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with shop(database) as pool:
            heard: asyncio.Queue[str] = asyncio.Queue()
            listener = await connect(database)
            await listener.add_listener(CHANNEL, lambda *args: heard.put_nowait(str(args[3])))
            await publish(pool, tmp_path, [an_appeal(a_call(), a_resolution(7, 70))])
            notice = msgspec.json.decode(await asyncio.wait_for(heard.get(), 10))
            assert notice == {"account": 7, "ids": [str(await pool.fetchval("SELECT id FROM appeals"))]}
            await listener.close()

    asyncio.run(run())


def test_empty_batch_is_written_as_nothing(database: str) -> None:
    async def run() -> None:
        async with shop(database) as pool, pool.acquire() as connection:
            rows: Sequence[AppealRow] = []
            assert (await write(connection, rows, await load_settings(connection))).rows == []
            row = enrich(an_appeal(a_call(caller=None)), await load_settings(connection))
            assert row is not None
            assert len((await write(connection, [row], await load_settings(connection))).rows) == 1

    asyncio.run(run())


def test_new_site_is_known_at_its_first_appeal(database: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with shop(database) as pool, publishing(pool, tmp_path) as journal:
            await journal.append(an_appeal(a_call(), a_resolution(7, 70)))
            await until(lambda: journal.backlog_bytes() == 0)
            await pool.execute("INSERT INTO accounts (id, name) VALUES (9, 'new')")
            await pool.execute("INSERT INTO sites (account_id, id, name, quality_s) VALUES (9, 90, 'new', 1000)")
            await journal.append(an_appeal(a_call("1.2"), a_resolution(9, 90)))
            await until(lambda: journal.backlog_bytes() == 0)
            rows = await journal_rows(pool, "account_id, quality")
            assert sorted(tuple(row.values()) for row in rows) == [(7, True), (9, False)]

    asyncio.run(run())


def test_partition_analysed_while_it_seemed_empty_is_judged_again_before_a_large_batch(
    database: str, tmp_path: Path
) -> None:
    """Else each look-up reads the whole partition: catching up is quadratic."""
    appeals = [an_appeal(a_call(f"1.{n}", NOON + timedelta(seconds=n)), a_resolution(7, 70)) for n in range(120)]

    async def run() -> None:
        async with shop(database) as pool, pool.acquire() as connection:
            settings = await load_settings(connection)
            uncommitted = connection.transaction()
            await uncommitted.start()
            await write(connection, [row for one in appeals if (row := enrich(one, settings))], settings)
            await pool.execute("ANALYZE appeals")
            await uncommitted.rollback()
            assert await pool.fetch(MISJUDGED)
            await publish(pool, tmp_path, appeals, batch=60)
            assert not await pool.fetch(MISJUDGED)
            assert await pool.fetchval("SELECT count(*) FROM appeals") == len(appeals)

    asyncio.run(run())
