"""What the lease store had remembered of a caller, worked out from his calls as history knows them. Pure.

Does in one go what `scripts/remember.lua` does call by call.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from callrouter.numbers import Number
from callrouter.pool.model import CallerMemory

KEPT_NUMBERS = 8


class PastCall(NamedTuple):
    """`own_number`: the number dialled is of the pool that is asked."""

    memory: CallerMemory
    remembered_at: datetime
    own_number: bool


def recall(
    calls: Iterable[PastCall], number: Number, at: datetime, kept: timedelta
) -> tuple[CallerMemory | None, CallerMemory | None]:
    """The memory of calls on `number`, and the newest on any. `kept`: a caller is forgotten so long after a call."""
    by_number: dict[Number, CallerMemory] = {}
    newest: CallerMemory | None = None
    last = at
    for call in sorted(calls, key=lambda call: call.remembered_at):
        if call.remembered_at - last > kept:
            by_number.clear()
            newest = None
        last = call.remembered_at
        if call.own_number:
            known = by_number.pop(call.memory.number, None)
            older = known is not None and known.called_at > call.memory.called_at
            by_number[call.memory.number] = known if known and older else call.memory
            if len(by_number) > KEPT_NUMBERS:
                del by_number[next(iter(by_number))]
        if newest is None or call.memory.called_at >= newest.called_at:
            newest = call.memory
    if at - last > kept:
        return None, None
    return by_number.get(number), newest
