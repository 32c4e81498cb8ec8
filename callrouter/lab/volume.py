"""Fills a migrated database with a history of realistic size and skew, by COPY, day by day: `crowd` says what happens.

    python -m callrouter.lab.volume postgresql://… --appeals 1000000

For benchmarks and for looking at pages with much in them. The database must be empty of appeals. Indexes other than
primary keys are made when all is there; tables are vacuumed then, as they would be in time.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

from callrouter.db.connect import Connection, connect
from callrouter.lab.crowd import (
    SITES_PER_ACCOUNT,
    Crowd,
)
from callrouter.lab.volume_rows import APPEALS, VISITS, Day, Rows

TABLES = ("appeals", "visits", "visit_pages", "clients", "client_identities", "client_visitors", "deals", "costs",
          "appeal_notes")  # fmt: skip
NUMBERED = ("sites", "clients")
"""Tables whose rows come with their ids: what is added later is numbered from there on."""
CHUNK = 20_000
Report = Callable[[str], None]

ACCOUNT = (
    "INSERT INTO accounts (id, name, multichannel) SELECT n + 1, 'Company ' || n, true FROM generate_series(1, $1) n"
)
SITE = """
INSERT INTO sites (account_id, id, name, domains)
SELECT (n - 1) / $2::int + 2, n, 'Site ' || n, ARRAY['shop' || n || '.example']
FROM generate_series(1, $1::int * $2::int) n"""
# What marks each client to be judged: whose visits are whose is written here, and two million verdicts take their time.
TRIGGERS = """
SELECT tgrelid::regclass::text AS tab, tgname AS name FROM pg_trigger
WHERE NOT tgisinternal AND tgparentid = 0 AND tgname LIKE 'touch%'
    AND tgrelid IN ('appeals'::regclass, 'visits'::regclass, 'client_identities'::regclass)"""
INDEXES = """
SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS made_by
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE c.relname = ANY ($1) AND NOT i.indisprimary AND NOT i.indisunique
    AND c.relnamespace = current_schema()::regnamespace"""


async def fill(url: str, crowd: Crowd, report: Report = lambda _line: None) -> None:
    """Everything that `crowd` says, into the database at `url`."""
    connection = await connect(url)
    try:
        await connection.execute("SET synchronous_commit = off; SET maintenance_work_mem = '512MB'")
        await _found(connection, crowd)
        indexes = await connection.fetch(INDEXES, list(TABLES))
        for index in indexes:
            await connection.execute(f"DROP INDEX {index['name']}")
        triggers = await connection.fetch(TRIGGERS)
        for trigger in triggers:
            await connection.execute(f"ALTER TABLE {trigger['tab']} DISABLE TRIGGER {trigger['name']}")
        await _load(connection, crowd, report)
        for table in NUMBERED:
            await connection.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")  # noqa: S608
        for trigger in triggers:
            await connection.execute(f"ALTER TABLE {trigger['tab']} ENABLE TRIGGER {trigger['name']}")
        for index in indexes:
            report(f"index {index['name']}")
            await connection.execute(index["made_by"].replace(" ON ONLY ", " ON "))
        for table in TABLES:
            report(f"vacuum {table}")
            await connection.execute(f"VACUUM (ANALYZE) {table}")
    finally:
        await connection.close()


async def _found(connection: Connection, crowd: Crowd) -> None:
    await connection.execute(ACCOUNT, crowd.accounts)
    await connection.execute(SITE, crowd.accounts, SITES_PER_ACCOUNT)
    month = crowd.start(0).replace(day=1) + timedelta(days=14)
    while month < crowd.start(crowd.days - 1) + timedelta(days=45):
        await connection.execute("SELECT ensure_partitions(0, $1)", month)
        month += timedelta(days=30)


async def _load(connection: Connection, crowd: Crowd, report: Report) -> None:
    rows = Rows(crowd)
    started = time.monotonic()
    for n in range(crowd.days):
        day = rows.day(n)
        await _copy(connection, "appeals", APPEALS, day.appeals)
        await _copy(connection, "visits", VISITS, day.visits)
        await _copy(connection, "visit_pages", ("account_id", "at", "session", "sequence", "url", "title"), day.pages)
        await _copy(connection, "appeal_notes", ("account_id", "appeal_id", "spam", "tags", "comment"), day.notes)
        await _copy_rest(connection, day)
        if n % 30 == 29:  # noqa: PLR2004 - a month's worth
            report(f"day {n + 1} of {crowd.days}, {time.monotonic() - started:.0f} s")


async def _copy_rest(connection: Connection, day: Day) -> None:
    clients = ("account_id", "id", "name", "first_touch_at", "created_at")
    identities = ("account_id", "kind", "value", "client_id", "first_seen_at", "last_seen_at")
    deals = ("account_id", "client_id", "crm", "crm_id", "title", "stage", "funnel", "url", "employee", "revenue",
             "currency", "opened_at", "closed_at", "won")  # fmt: skip
    costs = ("account_id", "day", "channel", "source", "medium", "campaign", "amount", "currency", "clicks")
    await _copy(connection, "clients", clients, day.clients)
    await _copy(connection, "client_identities", identities, day.identities)
    await _copy(connection, "client_visitors", ("account_id", "visitor", "client_id", "judged_at"), day.visitors)
    await _copy(connection, "deals", deals, day.deals)
    await _copy(connection, "costs", costs, day.costs)


async def _copy(connection: Connection, table: str, columns: tuple[str, ...], rows: list[str]) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(rows), CHUNK):
            yield "".join(rows[start : start + CHUNK]).encode()

    if rows:
        await connection.copy_to_table(table, source=chunks(), columns=columns, format="text")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m callrouter.lab.volume", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--appeals", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, help="a fifth of the appeals")
    parser.add_argument("--visits", type=int, help="three for each appeal")
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args(arguments)
    crowd = Crowd(
        appeals=told.appeals, clients=told.clients or told.appeals // 5, visits=told.visits or told.appeals * 3,
        last=datetime.now(UTC).date() - timedelta(days=1), days=told.days, seed=told.seed,
    )  # fmt: skip
    asyncio.run(fill(told.url, crowd, lambda line: print(line, file=sys.stderr)))  # noqa: T201


if __name__ == "__main__":
    main()
