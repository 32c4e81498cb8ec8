"""A telephone rings: what the Resolver does with it, by a virtual clock and with more than one judge.

The evidence is put together, the visit looked up and the caller remembered as `pool.resolver` does it.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any

from callrouter.numbers import Number
from callrouter.pool.attribution import Evidence
from callrouter.pool.keys import Slot, pool_of
from callrouter.pool.live import Live
from callrouter.pool.model import Attribution
from callrouter.pool.simulation.calling import PlannedCall
from callrouter.pool.simulation.judges import ENGINE, Judge
from callrouter.pool.simulation.truth import Judged, judge
from callrouter.pool.store import Ask, LeaseStore
from callrouter.sessions.model import Visit

DOUBTFUL = 0.02
"""How sure one is, as a rule, whose visit a robot's call was."""


class Exchange:
    """`judges[ENGINE]` decides what the pool remembers of callers."""

    def __init__(self, store: LeaseStore, slot: Slot, judges: Mapping[str, Judge], hold: timedelta) -> None:
        self._store, self._slot, self._hold = store, slot, hold
        self._pool = pool_of(slot)
        self.judges = judges

    async def rings(
        self, number: Number, call: PlannedCall, name: str, true_session: str | None, at: datetime
    ) -> tuple[dict[str, Judged], Coroutine[Any, Any, None] | None]:
        """What each judge makes of it, and what is to be remembered of the caller. Without a `name` it pins nothing."""
        known = await self._store.resolve(Ask(self._slot, self._pool, number, call.phone, name), now=at)
        evidence = Evidence(
            number=number, caller=call.phone, at=known.at, leases=known.leases, same_number=known.same_number,
            newest=known.newest, newest_visit=known.newest_visit,
        )  # fmt: skip
        said = {each: decide(evidence) for each, decide in self.judges.items()}
        judged = {each: judge(call, true_session, attribution) for each, attribution in said.items()}
        return judged, self._remembering(number, call, known, said[ENGINE])

    async def knew(self, phone: Number, number: Number, visit: Visit, at: datetime) -> None:
        """A caller of before, in whose credit nobody trusted much."""
        credited = Attribution(
            method="last_holder", confidence=DOUBTFUL, account=visit.account, site=visit.site, session=visit.session
        )
        await self._store.remember(
            self._slot, phone, account=visit.account, at=at, number=number, visit=visit, credited=credited
        )

    def hangs_up(self, number: Number, name: str, at: datetime) -> Coroutine[Any, Any, bool]:
        return self._store.call_ended(self._slot, number, name, hold=self._hold, now=at)

    def _remembering(
        self, number: Number, call: PlannedCall, known: Live, said: Attribution
    ) -> Coroutine[Any, Any, None] | None:
        if said.account is None or call.phone is None:
            return None
        return self._store.remember(
            self._slot, call.phone, account=said.account, at=known.at, number=number, visit=_credited(said, known),
            credited=said,
        )  # fmt: skip


def _credited(said: Attribution, known: Live) -> Visit | None:
    """What the pool still knows of the credited visit."""
    memories = [memory.visit for memory in (known.same_number, known.newest) if memory]
    visits = (known.visit, known.newest_visit, *memories)
    return next((visit for visit in visits if visit and visit.session == said.session), None)
