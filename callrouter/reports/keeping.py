"""Keeps sums for ever: days that are over and were marked, and what is over of the present day. Several workers may."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import structlog

from callrouter.db.connect import TROUBLE, Pool
from callrouter.reports.stretches import over
from callrouter.reports.sums import add_up_stale
from callrouter.reports.today import add_up_again, add_up_further

log = structlog.get_logger()

EVERY_SECONDS = 2.0


async def keep_sums(postgres: Pool) -> None:
    further = None
    while True:
        now = datetime.now(UTC)
        try:
            async with postgres.acquire() as connection:
                done = await add_up_stale(connection, now=now) + await add_up_again(connection, now)
                if further != over(now):
                    done += await add_up_further(connection, now)
                    further = over(now)
        except TROUBLE as error:
            log.warning("REPORT-SUMS-FAILED", reason=str(error) or type(error).__name__)
            done = 0
        if not done:
            await asyncio.sleep(EVERY_SECONDS)
