"""Late attribution: calls whose visit nobody could name in time are credited afterwards, from the lease history.

Knows when to ask the history and what to do with its answer; how the history answers is the caller's (`AttributeLate`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias
from uuid import UUID

import msgspec
import structlog

from callrouter.appeals import metrics
from callrouter.appeals.enrich import enrich
from callrouter.appeals.model import Appeal, CallAppeal
from callrouter.appeals.row import COLUMNS, AppealRow, stored_call
from callrouter.appeals.settings import Settings
from callrouter.appeals.store import write
from callrouter.calls.record import CallRecord
from callrouter.db.connect import LOST_CONNECTION, Connection
from callrouter.numbers import Number
from callrouter.pool.model import Attribution, Resolution

log = structlog.get_logger()

AttributeLate = Callable[[Connection, CallRecord], Awaitable[Resolution | None]]
"""Who placed this call, says the lease history; None while the history does not yet reach the call."""

GIVE_UP_AFTER = timedelta(hours=24)
PAGE = 50
"""Settled at once: meanwhile new appeals wait."""

PENDING = f"""
SELECT {", ".join(COLUMNS)} FROM appeals
WHERE attribution_pending AND (started_at, id) > ($1, $2) ORDER BY started_at, id LIMIT $3"""  # noqa: S608 - made of constants; values are parameters

Place: TypeAlias = tuple[datetime, UUID]
"""Among pending appeals, in the order of time: behind this one."""
BEFORE_ALL: Place = (datetime.fromisoformat("1970-01-01T00:00:00+00:00"), UUID(int=0))


class Settled(NamedTuple):
    rows: list[AppealRow]
    waiting: int
    """Of those that were looked at, how many go on waiting."""
    next: Place | None
    """Where the rest begins; None: that was the last."""


def needs_history(appeal: Appeal) -> bool:
    """Whether nobody could say in time who placed this call."""
    if not isinstance(appeal, CallAppeal) or appeal.call.direction != "inbound":
        return False
    return appeal.resolution is None or appeal.resolution.provisional


async def attribute(connection: Connection, appeal: CallAppeal, ask: AttributeLate) -> CallAppeal:
    """`appeal`, with the history's answer marked late if it had none; without one if the history cannot tell yet."""
    if not needs_history(appeal):
        return appeal
    try:
        resolution = await ask(connection, appeal.call)
    except (*LOST_CONNECTION, TimeoutError):
        raise
    except Exception:
        # The call must reach the journal's readers whatever the history's trouble is; it is asked again later.
        log.exception("PUBLISH-LATE-FAILED", pbx=appeal.call.pbx, linkedid=appeal.call.linkedid)
        return appeal
    if resolution is None:
        return appeal
    if appeal.resolution is not None and resolution.attribution.method == "unattributed":
        # History knows nobody either: what the dialplan was told stands.
        return msgspec.structs.replace(appeal, resolution=msgspec.structs.replace(appeal.resolution, provisional=False))
    return msgspec.structs.replace(appeal, resolution=msgspec.structs.replace(resolution, late=True))


async def settle_pending(
    connection: Connection,
    ask: AttributeLate,
    settings: Settings,
    *,
    now: datetime,
    after: Place = BEFORE_ALL,
    give_up_after: timedelta = GIVE_UP_AFTER,
) -> Settled:
    """Attribute some published appeals that were pending, as far as the history now reaches.

    An appeal may move to another account by this. What is older than `give_up_after` is settled as unattributed.
    """
    page = await connection.fetch(PENDING, *after, PAGE)
    appeals = []
    for stored in page:
        appeal = CallAppeal(call=stored_call(dict(stored)), revision=stored["revision"])
        appeal = await attribute(connection, appeal, ask)
        if appeal.resolution is None and now - appeal.call.started_at > give_up_after:
            appeal = msgspec.structs.replace(appeal, resolution=nobody(appeal.call))
        appeals.append(appeal)
    answered = [appeal for appeal in appeals if appeal.resolution is not None]
    rows = [row for appeal in answered if (row := enrich(appeal, settings))]
    written = (await write(connection, rows, settings)).rows if rows else []
    metrics.settled.inc(len(written))
    rest = (page[-1]["started_at"], page[-1]["id"]) if len(page) == PAGE else None
    return Settled(written, len(appeals) - len(answered), rest)


def nobody(call: CallRecord) -> Resolution:
    """The resolution of a call that no visit explains."""
    unattributed = Attribution(method="unattributed", confidence=0.0, account=None, site=None, session=None)
    return Resolution(
        number=Number(call.called or ""),
        caller=Number(call.caller) if call.caller else None,
        at=call.started_at,
        attribution=unattributed,
        late=True,
    )
