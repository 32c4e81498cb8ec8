"""Judges marked clients: which appeals are multichannel, who has a share in them, and to which appeal deals are owed.

Knows SQL; the rules are in `multichannel` and `credit`. Marks are left by triggers, with whatever changes the facts.
One at a time judges, behind a lock that writers of visits share: no verdict rests on older facts than the one before.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple, TypeAlias
from uuid import UUID

import asyncpg
import msgspec
import structlog

from callrouter.appeals.credit import credits_of
from callrouter.appeals.multichannel import Rule, Touch, stories
from callrouter.appeals.store import announce
from callrouter.db.connect import TROUBLE, Connection, Pool

log = structlog.get_logger()

STEP = 500
CLIENTS_BETWEEN_BREATHS = 10
"""Those who come again and again take a millisecond each, and calls are answered on the same loop."""
EVERY_SECONDS = 1.0
LOCK_TIMEOUT = "500ms"
"""Less than Postgres waits before it looks for deadlocks: who judges gives way, and never makes a publisher repeat."""

Client: TypeAlias = tuple[int, int]

BEGIN = """
SELECT set_config('lock_timeout', $1, true), set_config('enable_seqscan', 'off', true),
       set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
       set_config('plan_cache_mode', 'force_generic_plan', true)"""
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('callrouter.touches', 0))"
CLAIM = """
WITH claimed AS (
    DELETE FROM touch_marks WHERE (account_id, id) IN (SELECT account_id, id FROM touch_marks ORDER BY id LIMIT $1)
    RETURNING account_id, client_id, since
)
SELECT account_id, client_id, min(since)::text AS since FROM claimed GROUP BY 1, 2 ORDER BY 1, 2"""

SET_BACK = """
UPDATE touch_marks SET id = DEFAULT
WHERE (account_id, id) IN (SELECT account_id, id FROM touch_marks ORDER BY id LIMIT 1)"""

FORGET_VISITORS = """
DELETE FROM client_visitors c USING unnest($1::bigint[], $2::bigint[]) AS w (account_id, client_id)
WHERE (c.account_id, c.client_id) = (w.account_id, w.client_id)"""

# Whose visits are his: what he told himself, and what his calls were credited to with more than an even chance.
FIND_VISITORS = """
WITH w AS (
    SELECT account_id, client_id, since::timestamptz
    FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS w (account_id, client_id, since)
), theirs AS (
    SELECT w.account_id, w.client_id, a.visitor, a.started_at
    FROM w JOIN appeals a ON a.account_id = w.account_id AND a.client_id = w.client_id AND a.started_at >= w.since
    WHERE a.visitor IS NOT NULL AND a.confidence > 0.5
    UNION ALL
    SELECT w.account_id, w.client_id, i.value, now()
    FROM w JOIN client_identities i ON i.account_id = w.account_id AND i.client_id = w.client_id
    WHERE i.kind = 'visitor'
)
INSERT INTO client_visitors AS c (account_id, visitor, client_id, judged_at)
SELECT account_id, visitor, client_id, greatest(now(), max(started_at)) FROM theirs GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (account_id, visitor, client_id) DO UPDATE SET judged_at = greatest(c.judged_at, excluded.judged_at)
RETURNING account_id, client_id, xmax = 0 AS is_new"""

FACTS = "channel, source, medium, campaign, keyword, landing_page, location AS region, device"
VISITS = f"""
SELECT c.account_id, c.client_id, c.visitor, v.started_at AS at, v.session, {FACTS}
FROM unnest($1::bigint[], $2::bigint[]) AS w (account_id, client_id)
JOIN client_visitors c ON c.account_id = w.account_id AND c.client_id = w.client_id
LEFT JOIN visits v ON v.account_id = c.account_id AND v.visitor = c.visitor"""  # noqa: S608 - constants

# The one before `since` tells where the next chain begins.
APPEALS = f"""
WITH w AS MATERIALIZED (
    SELECT account_id, client_id, since, coalesce((
        SELECT max(b.started_at) FROM appeals b
        WHERE b.account_id = w.account_id AND b.client_id = w.client_id AND b.started_at < w.since), since) AS before
    FROM (SELECT account_id, client_id, since::timestamptz
          FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS w (account_id, client_id, since)) w
)
SELECT a.account_id, a.client_id, a.id, a.started_at, a.started_at >= w.since AS asked, a.multichannel, a.touches,
    a.credits, a.confidence, a.visitor, a.session, a.visit_started_at AS at, {FACTS}
FROM w JOIN appeals a ON a.account_id = w.account_id AND a.client_id = w.client_id AND a.started_at >= w.before"""  # noqa: S608 - made of constants; values are parameters

VERDICTS = """
UPDATE appeals a SET multichannel = w.multichannel, touches = w.touches::jsonb, credits = w.credits::jsonb
FROM unnest($1::bigint[], $2::timestamptz[], $3::uuid[], $4::bool[], $5::text[], $6::text[])
    AS w (account_id, started_at, id, multichannel, touches, credits)
WHERE (a.account_id, a.started_at, a.id) = (w.account_id, w.started_at, w.id)"""

RULES = """
SELECT id, multichannel, multichannel_touches AS touches, multichannel_days AS days FROM accounts
WHERE id = ANY($1::bigint[])"""

OWED = """
UPDATE deals d SET appeal_id = o.id, appeal_at = o.started_at
FROM (
    SELECT d.account_id, d.id AS deal, a.id, a.started_at
    FROM unnest($1::bigint[], $2::bigint[]) AS w (account_id, client_id)
    JOIN deals d ON d.account_id = w.account_id AND d.client_id = w.client_id
    LEFT JOIN LATERAL (
        SELECT a.id, a.started_at FROM appeals a
        WHERE a.account_id = d.account_id AND a.client_id = d.client_id
        ORDER BY a.started_at <= d.opened_at DESC,
            CASE WHEN a.started_at <= d.opened_at THEN a.started_at END DESC, a.started_at, a.id LIMIT 1) a ON true
) o
WHERE (d.account_id, d.id) = (o.account_id, o.deal)
  AND (d.appeal_id, d.appeal_at) IS DISTINCT FROM (o.id, o.started_at)"""


class _Verdict(NamedTuple):
    account_id: int
    started_at: datetime
    id: UUID
    multichannel: bool
    touches: str | None
    credits: str | None


async def keep_judging(postgres: Pool) -> None:
    """For ever: what publishers left, and what came of visits, merges and deals. Several workers may."""
    step = STEP
    while True:
        try:
            async with postgres.acquire() as connection:
                while await judge_marked(connection, step=step):
                    step = STEP
        except asyncpg.LockNotAvailableError:
            pass
        except TROUBLE as error:
            log.warning("TOUCHES-NOT-JUDGED", reason=str(error) or type(error).__name__)
            if isinstance(error, TimeoutError):
                if step == 1:
                    await _set_back(postgres)
                step = max(1, step // 8)
        await asyncio.sleep(EVERY_SECONDS)


async def _set_back(postgres: Pool) -> None:
    """Whom it takes too long to judge keeps nobody else waiting."""
    with suppress(*TROUBLE):
        async with postgres.acquire() as connection:
            await connection.execute(SET_BACK)


async def judge_marked(connection: Connection, *, step: int = STEP) -> int:
    """Judge some marked clients in a transaction; returns how many, 0 when there are none.

    Raises LockNotAvailableError when a publisher has their rows: they stay marked.
    """
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM touch_marks)"):
        return 0
    async with connection.transaction():
        await connection.execute(BEGIN, LOCK_TIMEOUT)
        await connection.execute(LOCK)
        marked = await connection.fetch(CLAIM, step)
        clients = [(row["account_id"], row["client_id"]) for row in marked]
        since = {client: row["since"] for client, row in zip(clients, marked, strict=True)}
        verdicts = await _judge(connection, since)
        if verdicts:
            await connection.execute(VERDICTS, *(list(column) for column in zip(*verdicts, strict=True)))
            by_account: dict[int, list[UUID]] = defaultdict(list)
            for verdict in verdicts:
                by_account[verdict.account_id].append(verdict.id)
            await announce(connection, by_account)
        await connection.execute(OWED, *_columns(clients))
        return len(clients)


async def _judge(connection: Connection, since: dict[Client, str]) -> list[_Verdict]:
    """The verdicts that are not yet, or no longer, what stands."""
    since = {client: at for client, at in since.items() if at != "infinity"}
    if not since:
        return []
    await connection.execute(FORGET_VISITORS, *_columns([client for client, at in since.items() if at == "-infinity"]))
    for row in await connection.fetch(FIND_VISITORS, *_columns(list(since)), list(since.values())):
        if row["is_new"]:
            since[row["account_id"], row["client_id"]] = "-infinity"
    visits = _by_client(await connection.fetch(VISITS, *_columns(list(since))))
    appeals = _by_client(await connection.fetch(APPEALS, *_columns(list(since)), list(since.values())))
    rules = {row["id"]: row for row in await connection.fetch(RULES, [account for account, _ in since])}
    verdicts: list[_Verdict] = []
    for judged, (client, rows) in enumerate(appeals.items()):
        if judged % CLIENTS_BETWEEN_BREATHS == 0:
            await asyncio.sleep(0)
        verdicts += _of_client(rows, visits.get(client, []), rules.get(client[0]))
    return sorted(verdicts)


def _of_client(
    appeals: list[asyncpg.Record], visits: list[asyncpg.Record], set_: asyncpg.Record | None
) -> list[_Verdict]:
    rule = Rule(set_["touches"], set_["days"]) if set_ else Rule()
    keeps_chain = bool(set_ and set_["multichannel"])
    theirs = {row["visitor"] for row in visits}
    touches = {row["session"]: _touch(row) for row in visits if row["session"]}
    for touch in _known_by_appeals(appeals):
        if touch.visitor in theirs:
            touches.setdefault(touch.session, touch)
    told = stories(touches.values(), {row["id"]: row["started_at"] for row in appeals}, rule)
    before = any(row["multichannel"] for row in appeals if not row["asked"])
    verdicts = []
    for row in appeals:
        if not row["asked"]:
            continue
        story = told[row["id"]]
        multichannel = story.multichannel or before
        chain = _json(story.chain if multichannel and keeps_chain else ())
        shares = _json(credits_of(row["started_at"], story))
        stands = row["multichannel"], row["touches"], row["credits"]
        if (multichannel, _plain(chain), _plain(shares)) != stands:
            verdicts.append(_Verdict(row["account_id"], row["started_at"], row["id"], multichannel, chain, shares))
    return verdicts


def _known_by_appeals(appeals: list[asyncpg.Record]) -> Iterable[Touch]:
    """Visits that appeals were credited to, or owed to: the history may not have them yet, or no more."""
    for row in appeals:
        if row["session"] and row["at"] and row["confidence"] > 0.5:  # noqa: PLR2004 - more than an even chance
            yield _touch(row)
        for kept in row["credits"] or ():
            yield msgspec.convert(kept, Touch)


def _touch(row: asyncpg.Record) -> Touch:
    return Touch(
        at=row["at"], session=row["session"], visitor=row["visitor"] or "", channel=row["channel"] or "",
        source=row["source"] or "", medium=row["medium"] or "", campaign=row["campaign"] or "",
        keyword=row["keyword"] or "", landing_page=row["landing_page"] or "", region=row["region"] or "",
        device=row["device"] or "",
    )  # fmt: skip


def _json(told: Sequence[Touch]) -> str | None:
    """jsonb holds no NUL character, which hostile input may contain."""
    return msgspec.json.encode(told).replace(b"\\u0000", b"\\ufffd").decode() if told else None


def _plain(told: str | None) -> object:
    return None if told is None else msgspec.json.decode(told)


def _by_client(rows: Iterable[asyncpg.Record]) -> dict[Client, list[asyncpg.Record]]:
    found: dict[Client, list[asyncpg.Record]] = defaultdict(list)
    for row in rows:
        found[row["account_id"], row["client_id"]].append(row)
    return found


def _columns(clients: Sequence[Client]) -> tuple[list[int], list[int]]:
    return [account for account, _ in clients], [client for _, client in clients]
