"""Carries erasures on into the lease store, which remembers callers, visitors and visits by itself.

What is to be forgotten there waits in Postgres, written with the erasure itself (`erasure`): while the store is away,
or no worker runs, nothing of it is lost. Done twice: the second time for what was on its way to Postgres at the first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

import asyncpg
import structlog

from callrouter.db.connect import TROUBLE, Connection, Pool
from callrouter.journal import erasure
from callrouter.pool.directory import Directory
from callrouter.pool.store import LeaseStore, StoreUnavailable

log = structlog.get_logger()

EVERY_SECONDS = 2.0
RETRY_SECONDS = 10.0
AT_ONCE = 200
"""Names that one script looks up: the store serves nobody else while it runs."""


class Erasing:
    """Any number of workers may: doing an erasure again, even at once, changes nothing."""

    def __init__(self, store: LeaseStore, postgres: Pool, directory: Callable[[], Directory]) -> None:
        self._store = store
        self._postgres = postgres
        self._directory = directory

    async def run(self) -> None:
        while True:
            pause = EVERY_SECONDS
            try:
                while await self.carry_out():
                    pass
            except (StoreUnavailable, *TROUBLE) as error:
                log.warning("ERASURE-WAITS", reason=str(error) or type(error).__name__)
                pause = RETRY_SECONDS
            await asyncio.sleep(pause)

    async def carry_out(self) -> bool:
        """One erasure that is due. False: none is, or it is not known yet where to look. Raises StoreUnavailable."""
        if not self._directory().known:
            return False
        async with self._postgres.acquire() as conn, conn.transaction():
            due = await conn.fetchrow(DUE)
            if due is None:
                return False
            await conn.execute(LATER, due["account_id"], due["id"])
        async with self._postgres.acquire() as conn:
            sites = [row["id"] for row in await conn.fetch(SITES, due["account_id"])]
        await self._forget(due, [f"{site}:{visitor}" for site in sites for visitor in due["visitors"]])
        async with self._postgres.acquire() as conn, conn.transaction():
            await _forget_rows(conn, due)
        return True

    async def _forget(self, due: asyncpg.Record, visitors: list[str]) -> None:
        """In every slot: a caller is remembered where he called, and wherever the account's calls are looked up."""
        for slot in self._directory().slots():
            for words in _told(due["phones"], visitors, due["sessions"]):
                await self._store.forget(slot, due["account_id"], words)


def _told(phones: Sequence[str], visitors: Sequence[str], sessions: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The words of scripts/forget.lua, some names at a time: how many are phones, how many visitors, and the names."""
    for kind, names in enumerate((phones, visitors, sessions)):
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            counts = (len(some) if place == kind else 0 for place in range(2))
            yield (*map(str, counts), *some)


async def _forget_rows(conn: Connection, due: asyncpg.Record) -> None:
    account, visitors, names, until = due["account_id"], due["visitors"], due["names"], due["until"]
    for statement in erasure.PAGES, TOLD_AGAIN, erasure.SESSIONS_OF_LEASES, erasure.VISITS:
        await conn.execute(statement, account, visitors, names, until)
    await conn.execute(ORDERS, account, due["phones"], until)
    if due["carried_out_at"] and not await conn.fetchval(OPEN, account, due["phones"], until):
        await conn.execute("DELETE FROM erasures WHERE account_id = $1 AND id = $2", account, due["id"])
    else:
        await conn.execute(AGAIN, account, due["id"])


# What came within a minute was on its way already.
DUE = """
SELECT account_id, id, phones, visitors, names, sessions, carried_out_at, asked_at + interval '1 minute' AS until
FROM erasures WHERE due_at <= now() ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED"""
# A visit that has its new name already needs no second one.
TOLD_AGAIN = """
DELETE FROM visits v USING unnest($2::text[], $3::text[]) AS w (visitor, name)
WHERE v.account_id = $1 AND v.visitor = w.visitor AND v.started_at <= $4 AND EXISTS (
    SELECT FROM visits t
    WHERE t.account_id = $1 AND t.started_at = v.started_at AND t.session = md5(v.session || w.name))"""
# Taken before it is tried: one that fails keeps no other waiting, and if its worker dies another comes.
LATER = "UPDATE erasures SET due_at = now() + interval '30 seconds' WHERE account_id = $1 AND id = $2"
SITES = "SELECT id FROM sites WHERE account_id = $1"
AGAIN = """
UPDATE erasures SET carried_out_at = coalesce(carried_out_at, now()), due_at = now() + interval '10 minutes'
WHERE account_id = $1 AND id = $2"""
# Who waited to be called when he was erased is called; then his phone goes.
_ORDERED = "account_id = $1 AND phone = ANY ($2) AND ordered_at <= $3 AND state"
ORDERS = f"UPDATE callback_orders SET phone = NULL WHERE {_ORDERED} NOT IN ('waiting', 'dialling')"  # noqa: S608 - made of constants; values are parameters
OPEN = f"SELECT EXISTS (SELECT FROM callback_orders WHERE {_ORDERED} IN ('waiting', 'dialling'))"  # noqa: S608 - made of constants; values are parameters
