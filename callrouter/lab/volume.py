"""Fills a migrated database with a history of realistic size and skew: `crowd` says what happens.

    python -m callrouter.lab.volume postgresql://… --appeals 1000000

For benchmarks and for looking at pages with much in them. The database must be empty of appeals. Numbers are drawn
here, by columns; Postgres makes rows of them, in the order of time, and makes the indexes when all is there.
Triggers are off meanwhile: what they would lead to is drawn, but for the days' sums, which are added up at the end as
the product does it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np

from callrouter.db.connect import Connection, connect
from callrouter.lab import volume_rows as rows
from callrouter.lab.crowd import SITES_PER_ACCOUNT, Crowd, account_id, adverts, places
from callrouter.lab.volume_draw import DAY_MS, Columns, Drawn, chains, draw, joined, taken
from callrouter.reports.figures import PARTS
from callrouter.reports.sums import add_up

TABLES = ("appeals", "visits", "visit_pages", "clients", "client_identities", "client_visitors", "deals", "costs",
          "appeal_notes")  # fmt: skip
NUMBERED = ("sites", "clients")
"""Tables whose rows come with their ids: what is added later is numbered from there on."""
CHUNK = 150_000
"""Appeals that are written at a time."""
PAGES_KEPT = timedelta(days=60)
"""Pages of visits are written for so long: they are read one visit at a time."""
GENEROUS = """
SET synchronous_commit = off; SET maintenance_work_mem = '1GB'; SET work_mem = '512MB'; SET temp_buffers = '256MB'"""
Report = Callable[[str], None]

ACCOUNT = f"""
INSERT INTO accounts (id, name, multichannel)
SELECT n + 1, 'Company ' || n, {rows.KEEPS_CHAINS.format("(n + 1)")} FROM generate_series(1, $1) n"""  # noqa: S608 - constants
SITE = """
INSERT INTO sites (account_id, id, name, domains)
SELECT (n - 1) / $2::int + 2, n, 'Site ' || n, ARRAY['shop' || n || '.example']
FROM generate_series(1, $1::int * $2::int) n"""
# Indexes that constraints do not have; then the constraints. What stands here last is made first when all is there.
INDEXES = """
SELECT format('DROP INDEX %s', indexrelid::regclass) AS drop, pg_get_indexdef(indexrelid) AS make
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE c.relname = ANY ($1) AND c.relnamespace = current_schema()::regnamespace
    AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)
UNION ALL
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
    format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(k.oid))
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE c.relname = ANY ($1) AND c.relnamespace = current_schema()::regnamespace AND k.contype IN ('p', 'u')"""
UNLOGGED = """
SELECT format('ALTER TABLE %s SET UNLOGGED', oid::regclass) AS statement FROM pg_class c
WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
    AND (c.relname = ANY ($1) OR EXISTS (
        SELECT FROM pg_inherits WHERE inhrelid = c.oid AND inhparent::regclass::text = ANY ($1)))"""
MARK = """
INSERT INTO report_marks (account_id, part, day)
SELECT a.id, part, day::date FROM accounts a, unnest($1::text[]) part,
    generate_series($2::date, $3::date, interval '1 day') day WHERE a.id > 1"""
MARKED = """
SELECT account_id, part, min(day) AS first, max(day) AS last FROM report_marks m JOIN accounts a ON a.id = m.account_id
WHERE day < (now() AT TIME ZONE a.time_zone)::date
GROUP BY account_id, part, date_trunc('month', day) ORDER BY 4 DESC, 1, 2"""


async def fill(url: str, crowd: Crowd, report: Report = lambda _line: None, *, lasting: bool = True) -> None:
    """Everything that `crowd` says, into the database at `url`. Not `lasting`: tables that a crash of Postgres empties,
    but that cost no log."""
    connection = await connect(url)
    try:
        await connection.execute(GENEROUS)
        await _found(connection, crowd)
        if not lasting:
            for row in await connection.fetch(UNLOGGED, [*TABLES, "report_sums"]):
                await connection.execute(row["statement"])
        async with _bare(connection, report):
            await _load(connection, crowd, report)
        for table in NUMBERED:
            await connection.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")  # noqa: S608
        await connection.execute(MARK, list(PARTS), crowd.day(0) - timedelta(days=1), crowd.day(crowd.days - 1))
        for table in TABLES:
            report(f"vacuum {table}")
            await connection.execute(f"VACUUM (ANALYZE) {table}")
    finally:
        await connection.close()


async def settle(url: str, report: Report = lambda _line: None) -> None:
    """Add all days up that are over, the latest first."""
    connection = await connect(url)
    try:
        await connection.execute(GENEROUS)
        for row in await connection.fetch(MARKED):
            report(f"sums of {row['part']} of account {row['account_id']}, {row['first']} to {row['last']}")
            await add_up(connection, row["account_id"], row["part"], row["first"], row["last"])
        await connection.execute("VACUUM (ANALYZE) report_sums, report_marks")
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def _bare(connection: Connection, report: Report) -> AsyncIterator[None]:
    """Tables without triggers, indexes and keys, which they have again afterwards."""
    for table in TABLES:
        await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    indexes = await connection.fetch(INDEXES, list(TABLES))
    for index in indexes:
        await connection.execute(index["drop"])
    yield
    for index in reversed(indexes):
        report(index["make"][:80])
        await connection.execute(index["make"].replace(" ON ONLY ", " ON "))
    for table in TABLES:
        await connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


async def _found(connection: Connection, crowd: Crowd) -> None:
    await connection.execute(ACCOUNT, crowd.accounts)
    await connection.execute(SITE, crowd.accounts, SITES_PER_ACCOUNT)
    month = crowd.start(0).replace(day=1) + timedelta(days=14)
    while month < crowd.start(crowd.days - 1) + timedelta(days=45):
        await connection.execute("SELECT ensure_partitions(0, $1)", month)
        month += timedelta(days=30)


async def _load(connection: Connection, crowd: Crowd, report: Report) -> None:
    for table, kinds in rows.DRAWN.items():
        told = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
        await connection.execute(f"CREATE TEMP TABLE {table} ({told})")
    await _choices(connection, crowd)
    await connection.execute(rows.WRITE_COSTS, crowd.day(0), crowd.day(crowd.days - 1))
    started = time.monotonic()
    drawn = [draw(crowd, which) for which in range(crowd.accounts)]
    report(f"drawn, {time.monotonic() - started:.0f} s")
    days = max(1, crowd.days * CHUNK // crowd.appeals)
    for first in range(-1, crowd.days, days):
        await connection.execute("TRUNCATE drawn_appeals, drawn_visits, drawn_touches")
        for table, columns in _chunk(drawn, first * DAY_MS, (first + days) * DAY_MS):
            await _copy(connection, crowd, table, columns)
        await connection.execute("ANALYZE drawn_appeals, drawn_visits, drawn_touches")
        await _written(connection, crowd.start(crowd.days - 1) - PAGES_KEPT)
        report(f"day {min(first + days, crowd.days)} of {crowd.days}, {time.monotonic() - started:.0f} s")


async def _written(connection: Connection, pages_since: datetime) -> None:
    await connection.execute(rows.WRITE_VISITS)
    await connection.execute(rows.WRITE_APPEALS)
    for statement in rows.WRITE_REST:
        await connection.execute(statement, *([pages_since] if "$1" in statement else []))


async def _choices(connection: Connection, crowd: Crowd) -> None:
    """What adverts and places there are, with their part of a touch as it is stored."""
    for which in range(crowd.accounts):
        account = account_id(which)
        bought = [
            (account, n, *advert[1:], _fields(channel=advert.channel, source=advert.source, medium=advert.medium,
             campaign=advert.campaign, keyword=advert.keyword, landing_page=advert.landing_page))
            for n, advert in enumerate(adverts(which, crowd.seed))
        ]  # fmt: skip
        sat = [
            (account, n, *place, _fields(region=place.location, device=place.device))
            for n, place in enumerate(places(which, crowd.seed))
        ]
        await connection.copy_records_to_table("drawn_adverts", records=bought)
        await connection.copy_records_to_table("drawn_places", records=sat)
    for table in ("drawn_adverts", "drawn_places"):
        await connection.execute(f"ALTER TABLE {table} ADD PRIMARY KEY (account, n)")
        await connection.execute(f"ANALYZE {table}")


def _fields(**fields: str) -> str:
    return msgspec.json.encode({name: value for name, value in fields.items() if value})[1:-1].decode()


def _chunk(drawn: list[Drawn], since: int, until: int) -> Iterator[tuple[str, Columns]]:
    """What is drawn of a month, of all accounts, in the order of time."""
    parts = [_between(each.appeals["at"], since, until) for each in drawn]
    touches = [chains(each, part) for each, part in zip(drawn, parts, strict=True)]
    before = np.cumsum([0, *(part.stop - part.start for part in parts)])
    for told, place in zip(touches, before, strict=False):
        told["appeal"] = told["appeal"] + place
    numbers = [np.arange(part.stop - part.start) + place for part, place in zip(parts, before, strict=False)]
    appeals = [_part(each.appeals, part) | {"n": n} for each, part, n in zip(drawn, parts, numbers, strict=True)]
    yield "drawn_appeals", _in_time(appeals)
    yield "drawn_touches", joined(*touches)
    visits = [_part(each.visits, _between(each.visits["at"], since, until)) for each in drawn]
    yield "drawn_visits", _in_time(visits)


def _part(columns: Columns, part: slice) -> Columns:
    return {name: column[part] for name, column in columns.items()}


def _in_time(parts: list[Columns]) -> Columns:
    columns = joined(*parts)
    return taken(columns, np.argsort(columns["at"], kind="stable"))


def _between(at: np.ndarray[Any, Any], since: int, until: int) -> slice:
    return slice(*map(int, np.searchsorted(at, (since, until))))


BINARY = {"timestamptz": ">i8", "bigint": ">i8", "int": ">i4", "smallint": ">i2", "float8": ">f8", "boolean": "?",
          "uuid": "V16"}  # fmt: skip
HEADER, TRAILER = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""Of Postgres."""


async def _copy(connection: Connection, crowd: Crowd, table: str, columns: Columns) -> None:
    """In binary format, as the columns lie in memory."""
    wanted = rows.DRAWN[table]
    layout = [("fields", ">i2")]
    for name, kind in wanted.items():
        layout += [(f"{name} length", ">i4"), (name, BINARY[kind])]
    told = np.empty(len(columns["at"]), np.dtype(layout))
    told["fields"] = len(wanted)
    start = (crowd.start(0) - EPOCH) // timedelta(microseconds=1)
    for name, kind in wanted.items():
        told[f"{name} length"] = np.dtype(BINARY[kind]).itemsize
        told[name] = columns[name] * 1000 + start if kind == "timestamptz" else columns[name]
    content = io.BytesIO(b"".join((HEADER, told.tobytes(), TRAILER)))
    await connection.copy_to_table(table, source=content, columns=list(wanted), format="binary")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m callrouter.lab.volume", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--appeals", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, help="a fifth of the appeals")
    parser.add_argument("--visits", type=int, help="three for each appeal")
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--unlogged", action="store_true", help="faster; a crash of Postgres empties the tables")
    told = parser.parse_args(arguments)
    crowd = Crowd(
        appeals=told.appeals, clients=told.clients or told.appeals // 5, visits=told.visits or told.appeals * 3,
        last=datetime.now(UTC).date(), days=told.days, seed=told.seed,
    )  # fmt: skip

    def report(line: str) -> None:
        print(datetime.now(UTC).strftime("%H:%M:%S"), line, file=sys.stderr)  # noqa: T201

    asyncio.run(fill(told.url, crowd, report, lasting=not told.unlogged))
    asyncio.run(settle(told.url, report))


if __name__ == "__main__":
    main()
