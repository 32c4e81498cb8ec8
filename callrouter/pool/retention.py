"""Forgets leases that ended long ago, a bounded step at a time, so that nobody waits for it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from callrouter.db.connect import TROUBLE, Pool
from callrouter.pool import metrics

log = structlog.get_logger()

STEP = 5000
PAUSE_SECONDS = 0.2
EVERY_SECONDS = 3600.0
RETRY_SECONDS = 60.0


async def keep_forgetting(postgres: Pool, kept: timedelta) -> None:
    """For ever. Several workers may: each takes other rows."""
    while True:
        pause = EVERY_SECONDS
        try:
            await forget_leases(postgres, kept)
        except TROUBLE as error:
            log.warning("LEASES-NOT-FORGOTTEN", reason=str(error) or type(error).__name__)
            pause = RETRY_SECONDS
        await asyncio.sleep(pause)


async def forget_leases(postgres: Pool, kept: timedelta, *, step: int = STEP) -> int:
    """Delete all leases that ended before `kept` ago; returns how many."""
    gone = 0
    while True:
        deleted = int((await postgres.execute(FORGET, kept, step)).split()[-1])
        metrics.LEASES_FORGOTTEN.inc(deleted)
        gone += deleted
        if deleted < step:
            return gone
        await asyncio.sleep(PAUSE_SECONDS)


FORGET = """
DELETE FROM leases WHERE (account_id, number, id) IN (
    SELECT account_id, number, id FROM leases
    WHERE started_at < now() - $1::interval AND ended_at < now() - $1::interval
    LIMIT $2 FOR UPDATE SKIP LOCKED)"""
