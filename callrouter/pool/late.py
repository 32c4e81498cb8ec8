"""Attribution after the fact: the same evidence from the history in Postgres, the same `credit`, marked late.

For calls during an outage of the lease store (rules §2). Knows the tables of history and appeals; asks the lease store
how far the history has come, and what it alone knows: the signs of life of leases that still run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import asyncpg
import msgspec

from callrouter.clock import Clock
from callrouter.db.connect import Connection
from callrouter.numbers import Number
from callrouter.pool.attribution import WEIGHED_LEASES, Evidence, credit
from callrouter.pool.coalesce import RedisClient
from callrouter.pool.delay import DEFAULT_MODEL, DelayModel
from callrouter.pool.directory import Directory
from callrouter.pool.history import oldest_entry, written_up_to
from callrouter.pool.keys import Slot
from callrouter.pool.lost import presumed_ends
from callrouter.pool.model import CallerMemory, Lease, Resolution, other_visits
from callrouter.pool.recall import PastCall, recall
from callrouter.pool.resolver import complete, credit_without_lease
from callrouter.pool.store import FAILURES, Ask, LeaseStore, StoreUnavailable
from callrouter.sessions.model import TrafficSource, Visit

CLOCK_SLACK = timedelta(seconds=2)
"""By so much the clocks of PBX and lease store may differ."""
ASK_AGAIN_SECONDS = 1.0
"""A log that has not come as far as a call is not asked sooner, however many calls wait for it."""
STORE_SECONDS = 1.0
"""As long the store is waited for: appeals that need nothing of it are published after those that do."""
SILENT_SECONDS = 5.0
"""A store that did not answer is not asked sooner: all calls that it could tell of wait for it once."""
MOST_CALLS = 500
"""Of one caller that are looked through, the latest: a robot has more."""

Answer = TypeVar("Answer")


class LateAttribution:
    """Who called, from history: None while that has not come as far as the call, or the store cannot say so."""

    def __init__(
        self, client: RedisClient, store: LeaseStore, directory: Callable[[], Directory], clock: Clock, *,
        model: DelayModel = DEFAULT_MODEL,
    ) -> None:  # fmt: skip
        self._client = client
        self._store = store
        self._directory = directory
        self._clock = clock
        self._model = model
        self._reached: dict[Slot, datetime] = {}
        self._asked: dict[Slot, float] = {}
        self._silent_until: dict[Slot, float] = {}

    async def attribute(
        self, connection: Connection, number: Number, caller: Number | None, at: datetime
    ) -> Resolution | None:
        directory = self._directory()
        if not directory.known:
            return None
        binding = directory.binding(number, at)
        entry = directory.number(number)
        if binding is not None or entry is None or entry.pool is None:
            attribution = credit_without_lease(directory, number, caller, at, binding)
            return complete(directory, number, caller, at, attribution, binding=binding, late=True)
        slot = directory.slot_of_pool(entry.pool)
        try:
            if not await self._is_written(slot, at):
                return None
            leases = await self._leases(connection, Ask(slot, entry.pool, number, None), at)
        except (*FAILURES, StoreUnavailable):
            return None
        if leases is None:
            return None
        evidence = Evidence(number=number, caller=caller, at=at, leases=leases)
        if caller:
            evidence = await self._with_memory(connection, evidence, entry.pool)
        attribution = credit(evidence, directory.models(self._model))
        visit = None
        if attribution.session is not None:
            visit = _visit(await connection.fetchrow(VISIT, attribution.account, attribution.session))
        return complete(directory, number, caller, at, attribution, visit=visit, late=True)

    async def _is_written(self, slot: Slot, at: datetime) -> bool:
        """Whether all that happened in this pool up to `at` stands in Postgres. A log only ever gets further."""
        at += CLOCK_SLACK
        if at < self._reached.get(slot, at):
            return True
        began = self._clock.monotonic()
        if began - self._asked.get(slot, -ASK_AGAIN_SECONDS) < ASK_AGAIN_SECONDS:
            return False
        self._asked[slot] = began
        self._reached[slot] = await self._told(slot, lambda: written_up_to(self._client, slot))
        return at < self._reached[slot]

    async def _told(self, slot: Slot, question: Callable[[], Awaitable[Answer]]) -> Answer:
        """The store's answer. Raises StoreUnavailable, or what the client does, when none comes or the last did not."""
        if self._clock.monotonic() < self._silent_until.get(slot, 0.0):
            raise StoreUnavailable("the lease store did not answer a moment ago")
        try:
            async with asyncio.timeout(STORE_SECONDS):
                return await question()
        except (*FAILURES, StoreUnavailable):
            self._silent_until[slot] = self._clock.monotonic() + SILENT_SECONDS
            raise

    async def _leases(self, connection: Connection, ask: Ask, at: datetime) -> tuple[Lease, ...] | None:
        """As the store had them at `at`. None: something is on its way to the history, or to the store."""
        rows = await connection.fetch(LEASES, ask.number, at, WEIGHED_LEASES)
        live = await self._told(ask.slot, lambda: self._store.resolve(ask))
        known = {lease.id: lease for lease in live.leases}
        if not live.known or _unwritten(live.leases, rows, at):
            return None  # it moves here from another pool, whose log may hold its leases; or it is loaded again soon
        lost: dict[str, tuple[datetime, datetime]] = {}
        if any(not row["ended_at"] and row["id"] not in known for row in rows):
            if await self._told(ask.slot, lambda: oldest_entry(self._client, ask.slot)):
                return None
            # Either its end has arrived just now, or the store has lost its data and the lease with it.
            rows = await connection.fetch(LEASES, ask.number, at, WEIGHED_LEASES)
            open_ones = (row["id"] for row in rows if not row["ended_at"] and row["id"] not in known)
            lost = await presumed_ends(connection, open_ones)
        return tuple(
            _lease(row) if row["ended_at"] else known.get(row["id"]) or _lease(row, lost.get(row["id"])) for row in rows
        )

    async def _with_memory(self, connection: Connection, evidence: Evidence, pool: int) -> Evidence:
        """What the store had remembered of the caller then."""
        accounts = self._directory().accounts_of_pool(pool)
        rows = await connection.fetch(PAST_CALLS, evidence.caller, evidence.at, accounts, pool, MOST_CALLS)
        same, newest = recall(_past_calls(rows), evidence.number, evidence.at, self._store.lifetimes.caller)
        latest = None
        if newest:
            visit = newest.visit
            row = await connection.fetchrow(LATEST_VISIT, visit.account, visit.visitor, evidence.at, visit.site)
            latest = _visit(row)
        return msgspec.structs.replace(evidence, same_number=same, newest=newest, newest_visit=latest)


async def visit_named(connection: Connection, account: int, session: str) -> Visit | None:
    """A visit as the history has it."""
    return _visit(await connection.fetchrow(VISIT, account, session))


def _unwritten(leases: Iterable[Lease], rows: Sequence[asyncpg.Record], at: datetime) -> bool:
    """Whether the store knows a lease from before `at` that ought to be among the history's `rows` and is not."""
    written = {row["id"] for row in rows}
    oldest = rows[-1]["started_at"] if len(rows) == WEIGHED_LEASES else None
    return any(
        lease.started_at <= at and lease.id not in written and (oldest is None or lease.started_at > oldest)
        for lease in leases
    )


def _lease(row: asyncpg.Record, lost: tuple[datetime, datetime] | None = None) -> Lease:
    """`lost`: when the visitor was last seen, and when the lease ended, of one that the store lost."""
    facts = dict(row)
    if lost:
        facts |= {"seen_at": lost[0], "expires_at": lost[1], "ended_at": lost[1], "end_reason": "lost"}
    return Lease(
        id=facts["id"], pool=facts["pool_id"], number=Number(facts["number"]), account=facts["account_id"],
        site=facts["site_id"], session=facts["session"], visitor=facts["visitor"], started_at=facts["started_at"],
        seen_at=facts["seen_at"], expires_at=facts["expires_at"], ended_at=facts["ended_at"], end=facts["end_reason"],
        closed=facts["closed"], signs=tuple(facts["signs"] or ()),
    )  # fmt: skip


def _past_calls(rows: Iterable[asyncpg.Record]) -> Iterable[PastCall]:
    for row in rows:
        visit = _visit(row)
        if visit is not None:
            memory = CallerMemory(
                visit=visit, called_at=row["called_at"], number=Number(row["called"]), confidence=row["confidence"],
                rivals=other_visits(row["method"], row["confidence"], _weights(row["candidates"])),
            )  # fmt: skip
            yield PastCall(memory, row["remembered_at"], own_number=row["own_number"])


def _weights(stored: str | list[dict[str, float]] | None) -> list[float]:
    """Of candidates as a connection gives jsonb: text, unless it decodes it."""
    found: list[dict[str, float]] = msgspec.json.decode(stored) if isinstance(stored, str) else stored or []
    return [candidate["weight"] for candidate in found]


def _visit(row: asyncpg.Record | None) -> Visit | None:
    if row is None:
        return None
    facts = {name: row[column] for name, column in VISIT_COLUMNS.items()}
    traffic = TrafficSource(**{name: row[name] for name in TrafficSource.__struct_fields__})
    return msgspec.convert({**facts, "traffic": traffic}, Visit)


VISIT_COLUMNS = {
    "session": "session", "visitor": "visitor", "account": "account_id", "site": "site_id",
    "landing_page": "landing_page", "referrer": "referrer", "started_at": "started_at", "seen_at": "seen_at",
    "pages": "pages", "page": "page", "title": "title", "user_agent": "user_agent", "device": "device", "os": "os",
    "browser": "browser", "location": "location", "ga_client_id": "ga_client_id", "ym_client_id": "ym_client_id",
    "ga_session_id": "ga_session_id", "ym_counter": "ym_counter", "overflow": "overflow",
}  # fmt: skip

LEASES = """
SELECT * FROM leases WHERE number = $1 AND started_at <= $2
ORDER BY started_at DESC, ended_at DESC NULLS FIRST LIMIT $3"""

VISIT = "SELECT * FROM visits WHERE account_id = $1 AND session = $2 ORDER BY started_at DESC LIMIT 1"

LATEST_VISIT = """
SELECT * FROM visits
WHERE account_id = $1 AND visitor = $2 AND started_at <= $3 AND site_id = $4
ORDER BY started_at DESC LIMIT 1"""

# What reached this pool's memory: calls on its own numbers, and those credited to accounts that use it.
PAST_CALLS = """
SELECT v.*, a.started_at AS called_at, a.called, a.method, a.confidence, a.candidates,
       coalesce(a.ended_at, a.started_at) AS remembered_at, n.number IS NOT NULL AS own_number
FROM appeals a
JOIN visits v ON v.account_id = a.account_id AND v.session = a.session
LEFT JOIN numbers n ON n.number = a.called AND n.pool_id = $4
WHERE a.customer = $1 AND a.started_at < $2 AND coalesce(a.ended_at, a.started_at) <= $2 AND a.kind = 'call'
    AND a.direction = 'inbound' AND NOT a.attribution_pending
    AND (a.account_id = ANY ($3::bigint[]) OR n.number IS NOT NULL)
ORDER BY remembered_at DESC LIMIT $5"""
