"""What a run leaves behind for a fit: its leases, and its calls as appeals would tell of them. Knows no truth.

As an account's history would have it, so that `fit` can be tried where the truth is known.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from callrouter.numbers import Number
from callrouter.pool.attribution import Evidence
from callrouter.pool.branching import PastCall, PastLease
from callrouter.pool.fit import Fit, fit
from callrouter.pool.model import Attribution
from callrouter.pool.planning.recording import Record, RecordingStore
from callrouter.pool.simulation.judges import Judge


class _Credited(msgspec.Struct, frozen=True, gc=False):
    number: Number
    caller: Number | None
    at: datetime
    session: str | None


class Witness:
    """Stands beside the judge and writes down whom he credits."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._calls: list[_Credited] = []

    def judge(self, evidence: Evidence) -> Attribution:
        said = self._judge(evidence)
        self._calls.append(_Credited(evidence.number, evidence.caller, evidence.at, said.session))
        return said

    def past(self, store: RecordingStore, hold: timedelta, *, start: datetime, end: datetime) -> Past:
        """With the leases that the store was seen to give."""
        record = Record(store.answers, hold)
        return Past(leases=_leases(record), calls=_calls(self._calls, record), start=start, end=end)


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What happened, of which the days from `start` to `end` count."""

    leases: list[PastLease]
    calls: list[PastCall]
    start: datetime
    end: datetime

    def fitted(self) -> Fit:
        """Of all accounts together."""
        start, end = self.start.timestamp(), self.end.timestamp()
        return fit(self.leases, self.calls, account=None, start=start, end=end, replicates=0)


def _leases(record: Record) -> list[PastLease]:
    return [
        PastLease(
            number=held.number, account=held.visit.account, who=f"{held.visit.site}:{held.visit.visitor}",
            started=held.began.timestamp(), signs=tuple(sign.timestamp() for sign in held.signs),
        )
        for number in record.numbers
        for held in record.held(number)
    ]  # fmt: skip


def _calls(calls: list[_Credited], record: Record) -> list[PastCall]:
    """Each with the caller's one before on the same number. A withheld caller has none."""
    found: list[PastCall] = []
    before: dict[tuple[Number, Number], _Credited] = {}
    callers: set[Number] = set()
    for call in calls:
        last = before.get((call.caller, call.number)) if call.caller else None
        visit = record.sessions.get(last.session) if last and last.session else None
        found.append(
            PastCall(
                number=call.number, at=call.at.timestamp(), since=last.at.timestamp() if last else None,
                of=f"{visit.site}:{visit.visitor}" if visit else "", elsewhere=last is None and call.caller in callers,
            )
        )  # fmt: skip
        if call.caller:
            before[call.caller, call.number] = call
            if call.session:
                callers.add(call.caller)
    return found
