"""Forgets browsers that are signed in no longer, and writes that nobody will tell again. Knows no pages."""

from __future__ import annotations

import asyncio

import structlog

from callrouter.db.connect import TROUBLE, Pool
from callrouter.people import browser_sessions
from callrouter.people.browser_sessions import Lifetime

log = structlog.get_logger()

EVERY_SECONDS = 3600.0
RETRY_SECONDS = 60.0


async def keep_forgetting(postgres: Pool, life: Lifetime) -> None:
    """For ever; several workers may."""
    while True:
        pause = EVERY_SECONDS
        try:
            async with postgres.acquire() as conn:
                await browser_sessions.forget_ended(conn, life)
                await conn.execute("DELETE FROM repeated_writes WHERE at < now() - interval '1 day'")
        except TROUBLE as error:
            log.warning("SESSIONS-NOT-FORGOTTEN", reason=str(error) or type(error).__name__)
            pause = RETRY_SECONDS
        await asyncio.sleep(pause)
