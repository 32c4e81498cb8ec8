"""Holds the appeals against what phones did and the PBX recorded, fault by fault. Pure."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import msgspec

from callrouter.lab import company
from callrouter.lab.machine import Busy
from callrouter.lab.plan import CallPlan, Outcome, Truth

Row = Mapping[str, Any]
SLACK_S = 1.0
"""Seconds that phones, PBX and appeals may differ on a busy machine."""
STANDSTILL_S, SEVERAL = 4.0, 5
"""So many callers in a row to whom the PBX says nothing for so long: longer than any fault holds a call."""
LONGEST_RING_S = 1.65
"""The dialplan's watchdog and the answer's deadline."""
LONGEST_CALL_S = 20.0
CALM = "calm"
PBX_AWAY = frozenset({"asterisk-restarted"})
"""Faults that end calls or keep them from beginning: what their phones planned says nothing about them."""
TIMES = ("started_at", "ended_at")
CALLER, CONTEXT, UNIQUEID, LINKEDID = 3, 8, 13, 14
"""Columns of CEL, as cel_custom_callrouter.conf has them."""


@dataclass
class Played:
    """A call: who called what, and what happened. Times are seconds since 1970."""

    plan: CallPlan
    session: str | None = None
    """Of the visitor who holds the number called; None: nobody does."""
    source: str | None = None
    began: float = 0.0
    heard: float = 0.0
    ended: float = 0.0
    truth: Truth | None = None
    trouble: str = ""
    """Why there is no truth: the PBX did something else than was planned."""

    @property
    def customer(self) -> str:
        return self.plan.did if self.plan.outcome is Outcome.OUTBOUND else self.plan.caller


class Happened(msgspec.Struct, frozen=True):
    """A fault, as it was: seconds since 1970."""

    fault: str
    began: float
    ended: float


class Stall(msgspec.Struct, frozen=True):
    """The phones were not let run: from when, and how long."""

    began: float
    lasted: float


class Line(msgspec.Struct, kw_only=True):
    """One fault: the calls that it met, and their appeals."""

    fault: str
    at_s: float
    lasted_s: float
    calls: int = 0
    slowest_ring_s: float = 0.0
    right: int = 0
    late: int = 0
    """Of the right ones, those attributed after the call, from the lease history."""
    wrong: int = 0
    missing: int = 0
    extra: int = 0


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong, if anything is."""

    calls: int
    appeals: int
    pbx_calls: int
    """Calls from outside, in the PBX's own record."""
    with_lease: int
    """Calls to a number that the caller held."""
    right: int
    late: int
    missing: int
    extra: int
    slowest_ring_s: float
    stalled_s: float
    """So long the machine had no time for us."""
    at_once: int
    """Calls that went on side by side, at most."""
    standstills: tuple[str, ...]
    """When nobody who called heard anything of the PBX."""
    busy: Busy | None
    lines: tuple[Line, ...]
    complaints: tuple[str, ...]


def judged(
    calls: Sequence[Played], rows: Sequence[Row], pbx_calls: Iterable[str], faults: Sequence[Happened],
    stalls: Sequence[Stall] = (), *, busy: Busy | None = None,
) -> Verdict:  # fmt: skip
    """`pbx_calls`: the linked ids of calls from outside, as the PBX recorded them."""
    zero = min((call.began for call in calls if call.began), default=0.0)
    lines = [Line(fault=one.fault, at_s=one.began - zero, lasted_s=one.ended - one.began) for one in faults]
    calm = Line(fault=CALM, at_s=0.0, lasted_s=max((call.ended for call in calls), default=zero) - zero)
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["customer"] or ""].append(row)
    complaints: list[str] = []
    for call in calls:
        line = _met(call.began, call.ended or call.began, faults, lines) or calm
        its_rows = found.pop(call.customer, [])
        if cut := _cut(call, faults):
            line = lines[faults.index(cut)]
            told = _of_cut_call(call, its_rows, line)
        else:
            told = _of_call(call, its_rows, line, slack_s(call, stalls))
        complaints += [f"{line.fault}: {text}" for text in told]
    for strange in (row for several in found.values() for row in several):
        at = strange["started_at"].timestamp()
        (_met(at, at, faults, lines) or calm).extra += 1
        complaints.append(f"an appeal of nobody's call: {strange['customer']} at {strange['started_at']}")
    pbx = set(pbx_calls)
    complaints += _differences(pbx, {row["linkedid"] for row in rows if row["direction"] == "inbound"})
    every = [*lines, calm]
    total: Counter[str] = Counter()
    for line in every:
        total.update({name: getattr(line, name) for name in ("right", "late", "missing", "extra")})
    return Verdict(
        calls=len(calls), appeals=len(rows), pbx_calls=len(pbx), with_lease=sum(bool(call.session) for call in calls),
        **total, slowest_ring_s=max(line.slowest_ring_s for line in every), lines=tuple(every),
        stalled_s=round(sum(stall.lasted for stall in stalls), 1), busy=busy, at_once=_at_once(calls),
        standstills=tuple(_standstills(finished(calls, faults), zero)), complaints=tuple(complaints),
    )  # fmt: skip


def finished(calls: Sequence[Played], faults: Sequence[Happened]) -> list[Played]:
    """The calls that the PBX did not cut off itself."""
    return [call for call in calls if not _cut(call, faults)]


def _cut(call: Played, faults: Sequence[Happened]) -> Happened | None:
    """The fault by which the PBX was away during the call."""
    ended = call.ended or call.began + LONGEST_CALL_S
    return next((one for one in faults if one.fault in PBX_AWAY and call.began < one.ended and one.began < ended), None)


def _at_once(calls: Sequence[Played]) -> int:
    changes = sorted(moment for call in calls if call.ended for moment in ((call.began, 1), (call.ended, -1)))
    return max(accumulate(change for _, change in changes), default=0)


def _standstills(calls: Sequence[Played], zero: float) -> Iterator[str]:
    """Spans in which several called and nobody heard anything: a PBX that stands still rather than one call in need."""
    heard = [zero, *sorted(call.heard for call in calls if call.heard), float("inf")]
    listening = [call for call in calls if call.began and (call.heard or call.trouble)]
    for last, first in pairwise(heard):
        waiting = [call.began for call in listening if last < call.began < first - STANDSTILL_S]
        if len(waiting) >= SEVERAL:
            until = "for good" if first == float("inf") else f"until {first - zero:.1f} s"
            yield f"{len(waiting)} who called from {min(waiting) - zero:.1f} s on heard nothing of the PBX {until}"


def _met(began: float, ended: float, faults: Sequence[Happened], lines: Sequence[Line]) -> Line | None:
    """The first fault that was there during the call."""
    for fault, line in zip(faults, lines, strict=True):
        if began < fault.ended and fault.began < ended:
            return line
    return None


def slack_s(call: Played, stalls: Sequence[Stall]) -> float:
    """How far phones and PBX may be apart about this call. Who had no time for phones had none for the PBX either."""
    met = (one.lasted for one in stalls if one.began < call.ended + SLACK_S and call.began < one.began + one.lasted)
    return SLACK_S + 2 * sum(met)


def _of_call(call: Played, rows: list[Row], line: Line, slack: float) -> list[str]:
    line.calls += 1
    told = [call.trouble] if call.trouble else []
    if call.heard:
        ring = call.heard - call.began
        line.slowest_ring_s = max(line.slowest_ring_s, round(ring, 2))
        if ring > LONGEST_RING_S + slack:
            told.append(f"{call.plan.outcome} of {call.customer} rang after {ring:.1f} s")
    if not rows:
        line.missing += 1
        return [*told, f"{call.plan.outcome} of {call.customer}: no appeal"]
    if len(rows) > 1:
        line.extra += len(rows) - 1
        told.append(f"{call.plan.outcome} of {call.customer}: {len(rows)} appeals")
    wrong = [f"{call.plan.outcome} of {call.customer}: {text}" for text in _wrong(call, rows[0], slack)]
    if wrong:
        line.wrong += 1
    else:
        line.right += 1
        line.late += rows[0]["late"]
    return told + wrong


def _of_cut_call(call: Played, rows: Sequence[Row], line: Line) -> list[str]:
    """Nobody knows how far it got; whose it was is known. That it is there is told by the PBX's own record."""
    line.calls += 1
    wanted = {"attribution_pending": False} | ({"session": call.session} if call.plan.outcome != "outbound" else {})
    told = [
        f"{call.plan.outcome} of {call.customer}: {name} is {row[name]!r}, in truth {value!r}"
        for row in rows for name, value in wanted.items() if row[name] != value
    ]  # fmt: skip
    if told:
        line.wrong += 1
    elif rows:
        line.right += 1
        line.late += any(row["late"] for row in rows)
    return told


def _wrong(call: Played, row: Row, slack: float) -> list[str]:
    """What the appeal tells otherwise than the phones know it."""
    wanted: dict[str, object] = {"complete": True, "attribution_pending": False}
    if call.plan.outcome != "outbound":
        wanted |= {"called": call.plan.did, "session": call.session, "source": call.source, "is_unique": True}
    truth = call.truth
    if truth is not None:
        wanted |= {
            "direction": truth.direction, "caller": truth.caller, "status": truth.status,
            "lost_reason": truth.lost_reason, "final_group": truth.group,
        }  # fmt: skip
    told = [f"{name} is {row[name]!r}, in truth {value!r}" for name, value in wanted.items() if row[name] != value]
    if truth is not None and row["employee"] not in _names(truth.employee):
        told.append(f"employee is {row['employee']!r}, in truth {truth.employee!r}")
    if truth is not None:
        apart = {name: row[name].timestamp() - getattr(truth, name).timestamp() for name in TIMES}
        apart |= {name: row[name] - getattr(truth, name) for name in ("talk_s", "wait_s")}
        told += [f"{name} is off by {by:.2f} s" for name, by in apart.items() if abs(by) > slack]
    return told


def _names(employee: str | None) -> tuple[str | None, ...]:
    """A queue may know its member by a name; the PBX's own record does not."""
    return employee, company.AGENT_NAMES.get(employee or "", employee)


def _differences(pbx: set[str], appeals: set[str]) -> list[str]:
    told = [f"the PBX recorded {linkedid}, which has no appeal" for linkedid in sorted(pbx - appeals)]
    return told + [f"the PBX did not record {linkedid}, which has an appeal" for linkedid in sorted(appeals - pbx)]


def calls_in_cel(lines: Iterable[str], context: str) -> dict[str, str]:
    """Linked id → caller of calls that came by this context. Not by our own reader, which is judged too."""
    return {
        row[LINKEDID]: row[CALLER]
        for row in csv.reader(lines)
        if len(row) > LINKEDID and row[0] == "CHAN_START" and row[CONTEXT] == context and row[UNIQUEID] == row[LINKEDID]
    }
