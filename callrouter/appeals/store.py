"""Writes a batch of appeals to Postgres in one transaction: each call once, its client, and who is unique.

Knows SQL; knows nothing of the journal. Safe from several routers at once, also on the same PBX:

- an advisory lock per PBX makes a call's appeal one, even if two routers tell it and credit different accounts;
- the identity rows of the batch's callers are locked (by upserting them, in order) before their uniqueness is judged.

New rows go straight into `appeals` by COPY: what is there already was looked up under the lock.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from operator import attrgetter
from typing import NamedTuple, TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from callrouter.appeals import orders
from callrouter.appeals.enrich import is_quality
from callrouter.appeals.identities import identify
from callrouter.appeals.row import ATTRIBUTION_COLUMNS, COLUMNS, AppealRow
from callrouter.appeals.settings import Settings
from callrouter.appeals.uniqueness import counts, judge, site_of
from callrouter.db.connect import Connection

CHANNEL = "callrouter_appeals"
IDS_PER_NOTICE = 50
SMALL_BATCH = 50
ROWS_BETWEEN_BREATHS = 100

# A partition that was empty when it was last analysed, or when a statement was planned, must not tempt the planner into
# scanning it for each row: that is quadratic when catching up. Small batches do without the cost of new plans.
BEGIN_BATCH = """
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true), set_config('enable_material', 'off', true),
       set_config('plan_cache_mode', $2, true),
       (SELECT count(pg_advisory_xact_lock(hashtextextended('callrouter.publish ' || pbx, 0)))
        FROM (SELECT unnest($1::text[]) AS pbx ORDER BY 1) pbxs)"""

# Analysed while all its rows were uncommitted, a table counts as empty however much it grows, and then any index looks
# as good as the right one: each look-up would read all of it.
MISJUDGED = """
SELECT oid::regclass::text FROM pg_class WHERE reltuples = 0 AND relpages > 0
    AND oid IN (SELECT relid FROM pg_partition_tree('appeals')
                UNION ALL VALUES ('clients'::regclass), ('client_identities'::regclass))"""

STORED = f"""
SELECT id, started_at, revision, complete, customer, {", ".join(ATTRIBUTION_COLUMNS)} FROM appeals
WHERE id = ANY($1::uuid[])"""  # noqa: S608 - made of constants; values are parameters

# The bounds let Postgres skip partitions. A call told again may start a little earlier or later, never a day.
STORED_CALLS = f"""{STORED}
  AND started_at BETWEEN $2::timestamptz - interval '1 day' AND $3::timestamptz + interval '1 day'"""

REMOVE = """
DELETE FROM appeals a USING unnest($1::bigint[], $2::timestamptz[], $3::uuid[]) AS w (account_id, started_at, id)
WHERE (a.account_id, a.started_at, a.id) = (w.account_id, w.started_at, w.id)"""

CLIENTS = """
WITH known AS (
    INSERT INTO client_identities AS i (account_id, kind, value, client_id, first_seen_at, last_seen_at)
    SELECT account_id, 'phone', phone, nextval('clients_id_seq'), first_at, last_at
    FROM json_to_recordset($1::text::json)
        AS w (account_id bigint, phone text, first_at timestamptz, last_at timestamptz)
    ON CONFLICT (account_id, kind, value) DO UPDATE
    SET first_seen_at = least(i.first_seen_at, excluded.first_seen_at),
        last_seen_at = greatest(i.last_seen_at, excluded.last_seen_at)
    RETURNING account_id, value, client_id, first_seen_at, last_seen_at, xmax = 0 AS is_new
), made AS (
    INSERT INTO clients (account_id, id, first_touch_at)
    SELECT account_id, client_id, first_seen_at FROM known WHERE is_new
)
SELECT account_id, value, client_id, is_new,
       CASE WHEN NOT is_new THEN first_seen_at END AS first_seen_at,
       CASE WHEN NOT is_new THEN last_seen_at END AS last_seen_at
FROM known"""

TOUCHED_EARLIER = """
UPDATE clients c SET first_touch_at = w.at
FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[]) AS w (account_id, id, at)
WHERE c.account_id = w.account_id AND c.id = w.id AND c.first_touch_at > w.at"""

EARLIER = """
SELECT w.id, earlier.started_at FROM json_to_recordset($1::text::json)
    AS w (id uuid, account_id bigint, customer text, at timestamptz, site bigint)
CROSS JOIN LATERAL (
    SELECT a.started_at FROM appeals a
    WHERE a.customer = w.customer AND a.account_id = w.account_id AND a.started_at <= w.at
      AND (a.started_at, a.id) < (w.at, w.id) AND a.direction = 'inbound' AND NOT a.attribution_pending
      AND (w.site IS NULL OR a.site_id = w.site)
    ORDER BY a.started_at DESC LIMIT 1) earlier"""

JUDGE_AGAIN = """
WITH callers AS (
    SELECT DISTINCT account_id, customer FROM unnest($1::bigint[], $2::text[]) AS w (account_id, customer)
), calls AS (
    SELECT a.account_id, a.started_at, a.id, s.unique_days AS days, CASE WHEN s.unique_scope = 'site'
        THEN lag(a.started_at) OVER (PARTITION BY a.account_id, a.customer, a.site_id ORDER BY a.started_at, a.id)
        ELSE lag(a.started_at) OVER (PARTITION BY a.account_id, a.customer ORDER BY a.started_at, a.id) END AS previous
    FROM callers c JOIN appeals a ON a.customer = c.customer AND a.account_id = c.account_id
    LEFT JOIN sites s ON s.id = a.site_id
    WHERE a.direction = 'inbound' AND NOT a.attribution_pending
), judged AS (
    SELECT account_id, started_at, id,
           previous IS NULL OR coalesce(started_at - previous >= make_interval(days => days), false) AS verdict
    FROM calls
)
UPDATE appeals a SET is_unique = j.verdict FROM judged j
WHERE (a.account_id, a.started_at, a.id) = (j.account_id, j.started_at, j.id) AND a.is_unique <> j.verdict"""


Caller: TypeAlias = tuple[int, str]
"""An account and the number of one who called it."""


class Seen(msgspec.Struct, gc=False):
    """A caller of a batch, with his first and last call in it."""

    account_id: int
    phone: str
    first_at: datetime
    last_at: datetime


class Asked(msgspec.Struct, gc=False):
    """A call whose nearest earlier one is asked for: of the account, or of one site of it."""

    id: UUID
    account_id: int
    customer: str | None
    at: datetime
    site: int | None


class Written(NamedTuple):
    """What became of a batch: rows that now stand in Postgres, and how many of them replaced an older telling."""

    rows: list[AppealRow]
    replaced: int


async def write(connection: Connection, rows: Sequence[AppealRow], settings: Settings) -> Written:
    """Write `rows`; a call that is there already in the same or a later revision is left alone."""
    async with connection.transaction():
        await _begin(connection, {row.pbx or "" for row in rows}, is_small=len(rows) <= SMALL_BATCH)
        carried_out = await orders.bind(connection, rows, settings)
        newest: dict[UUID, AppealRow] = {}
        for row in sorted(rows, key=attrgetter("revision")):
            newest[row.id] = row
        replaced = _drop_known(newest, await _stored(connection, newest.values()), settings)
        fresh = await orders.take(connection, list(newest.values()))
        await _remove(connection, replaced)
        known_callers = await _assign_clients(connection, fresh, replaced)
        await identify(connection, fresh)
        await asyncio.sleep(0)
        judge_again = _callers(replaced) | await _judge(connection, fresh, known_callers, settings)
        await connection.copy_records_to_table("appeals", columns=COLUMNS, records=_breathing(fresh))
        if judge_again:
            await connection.execute(JUDGE_AGAIN, *_transpose(sorted(judge_again), 2))
        await orders.settle(connection, carried_out)
        await announce(connection, _by_account(fresh))
    return Written(fresh, len(replaced))


async def _begin(connection: Connection, pbxs: set[str], *, is_small: bool) -> None:
    """Take the locks of the PBXs, and see to it that a large batch is planned well."""
    await connection.execute(BEGIN_BATCH, sorted(pbxs), "auto" if is_small else "force_custom_plan")
    if not is_small:
        for row in await connection.fetch(MISJUDGED):
            await connection.execute(f"ANALYZE {row[0]}")


async def _breathing(rows: Sequence[AppealRow]) -> AsyncIterator[tuple[object, ...]]:
    """Rows for COPY; encoding them takes its time, and the event loop gets its turn in between."""
    for start in range(0, len(rows), ROWS_BETWEEN_BREATHS):
        for row in rows[start : start + ROWS_BETWEEN_BREATHS]:
            yield msgspec.structs.astuple(row)
        await asyncio.sleep(0)


async def _stored(connection: Connection, rows: Iterable[AppealRow]) -> list[asyncpg.Record]:
    """What is there of these appeals. Pages and programs may tell the same again at any time, and as of any time."""
    calls: dict[UUID, datetime] = {}
    told: list[UUID] = []
    for row in rows:
        if row.pbx is None:
            told.append(row.id)
        else:
            calls[row.id] = row.started_at
    stored = []
    if calls:
        times = calls.values()
        stored += await connection.fetch(STORED_CALLS, list(calls), min(times), max(times))
    if told:
        stored += await connection.fetch(STORED, told)
    return stored


def _tells_more(row: AppealRow, old: asyncpg.Record) -> bool:
    """Of two tellings of one revision, as by two routers on a PBX: the one that knew live, or saw the whole call."""
    settles = (old["attribution_pending"] or old["late"]) and not (row.attribution_pending or row.late)
    return bool(
        (old["attribution_pending"] and not row.attribution_pending)
        or settles
        or (row.complete and not old["complete"])
    )


def _drop_known(
    newest: dict[UUID, AppealRow], stored: list[asyncpg.Record], settings: Settings
) -> list[asyncpg.Record]:
    """Take rows that say nothing new out of `newest`; the stored rows that the others replace are returned."""
    replaced = []
    for old in stored:
        row = newest.get(old["id"])
        if row is None:
            continue
        if old["revision"] > row.revision or (old["revision"] == row.revision and not _tells_more(row, old)):
            del newest[row.id]
            continue
        replaced.append(old)
        # What was known live is better than what the history says later.
        if not old["attribution_pending"] and (row.attribution_pending or (row.late and not old["late"])):
            for column in ATTRIBUTION_COLUMNS:
                setattr(row, column, old[column])
            row.quality = is_quality(row, settings)
    return replaced


async def _remove(connection: Connection, replaced: list[asyncpg.Record]) -> None:
    if replaced:
        keys = [(old["account_id"], old["started_at"], old["id"]) for old in replaced]
        await connection.execute(REMOVE, *_transpose(keys, 3))


async def _assign_clients(
    connection: Connection, fresh: list[AppealRow], replaced: list[asyncpg.Record]
) -> dict[Caller, datetime]:
    """Set `client_id` of the rows and lock their callers, those of replaced rows too.

    Returns the callers seen before this batch, with the time of their last call, this batch included.
    """
    seen = _seen(fresh, replaced)
    found = await connection.fetch(CLIENTS, _as_json(seen)) if seen else []
    clients = {(row["account_id"], row["value"]): row for row in found}
    for row in fresh:
        if row.customer is not None and not row.attribution_pending:
            row.client_id = clients[row.account_id, row.customer]["client_id"]
    known = {caller: row for caller, row in clients.items() if not row["is_new"]}
    earlier = [
        (caller.account_id, stored["client_id"], caller.first_at)
        for caller in seen
        if (stored := known.get((caller.account_id, caller.phone))) and stored["first_seen_at"] == caller.first_at
    ]
    if earlier:
        await connection.execute(TOUCHED_EARLIER, *_transpose(earlier, 3))
    return {caller: row["last_seen_at"] for caller, row in known.items()}


def _seen(fresh: Iterable[AppealRow], replaced: Iterable[asyncpg.Record]) -> list[Seen]:
    """The callers of rows whose account is settled. Sorted: two publishers lock those they share in the same order."""
    callers: dict[Caller, Seen] = {}
    calls = ((row.account_id, row.customer, row.started_at, row.attribution_pending) for row in fresh)
    before = ((old["account_id"], old["customer"], old["started_at"], old["attribution_pending"]) for old in replaced)
    for account, customer, at, pending in chain(calls, before):
        if customer is None or pending:
            continue
        caller = callers.get((account, customer))
        if caller is None:
            callers[account, customer] = Seen(account, customer, at, at)
        elif at < caller.first_at:
            caller.first_at = at
        elif at > caller.last_at:
            caller.last_at = at
    return [callers[key] for key in sorted(callers)]


async def _judge(
    connection: Connection, fresh: list[AppealRow], last_calls: Mapping[Caller, datetime], settings: Settings
) -> set[Caller]:
    """Set `is_unique` of the rows; returns the callers with later calls, whose flags in Postgres may have to move."""
    known = [row for row in fresh if counts(row) and (row.account_id, row.customer) in last_calls]
    asked = [
        Asked(row.id, row.account_id, row.customer, row.started_at,
              row.site_id if site_of(row, settings).unique_scope == "site" else None)
        for row in known
    ]  # fmt: skip
    found = await connection.fetch(EARLIER, _as_json(asked)) if asked else []
    judge(fresh, {row["id"]: row["started_at"] for row in found}, settings)
    callers = ((row.account_id, row.customer, row.started_at) for row in known if row.customer is not None)
    return {(account, customer) for account, customer, at in callers if at < last_calls[account, customer]}


def _callers(replaced: list[asyncpg.Record]) -> set[Caller]:
    return {(old["account_id"], old["customer"]) for old in replaced if old["customer"] is not None}


async def announce(connection: Connection, by_account: Mapping[int, list[UUID]]) -> None:
    """Tell listeners which appeals of which account stand now; of many at once, only that there are many."""
    notices = [
        msgspec.json.encode({"account": account, "ids": ids if len(ids) <= IDS_PER_NOTICE else []}).decode()
        for account, ids in by_account.items()
    ]
    if notices:
        await connection.execute("SELECT pg_notify($1, notice) FROM unnest($2::text[]) AS notice", CHANNEL, notices)


def _by_account(fresh: Iterable[AppealRow]) -> dict[int, list[UUID]]:
    ids: dict[int, list[UUID]] = defaultdict(list)
    for row in fresh:
        ids[row.account_id].append(row.id)
    return ids


def _as_json(rows: object) -> str:
    """Many rows as one argument: what asyncpg does for each element of an array costs more than all else here."""
    return msgspec.json.encode(rows).decode()


def _transpose(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    """Rows → columns, as unnest takes them; `width` lists also when there is no row."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
