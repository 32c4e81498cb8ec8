"""Compares what stands in Postgres with what the lab's phones and visitors really did. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median, quantiles
from typing import Any

import msgspec

from callrouter.lab.plan import Truth

TALK_TOLERANCE_S = 1.5
"""On a busy machine the phones notice late what the PBX did; the tests of shapes are stricter."""


class Placed(msgspec.Struct, frozen=True):
    """One call of the lab: who placed it and what it was. `session` None: to a static number, whose source it is."""

    truth: Truth
    session: str | None
    source: str

    @property
    def customer(self) -> str:
        return self.truth.did if self.truth.direction == "outbound" else self.truth.caller


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The demo's last line (contract), and what is behind it."""

    calls: int
    appeals: int
    attributed: int
    attributed_right: int
    missing: int
    extra: int
    resolve_ms_p50: float | None
    resolve_ms_p99: float | None
    complaints: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        return self.missing == self.extra == 0 and self.attributed_right == self.calls and not self.complaints


def judged(placed: Sequence[Placed], rows: Sequence[Mapping[str, Any]]) -> Verdict:
    """Each lab call has a caller of its own, by which its appeal is found."""
    by_customer: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_customer.setdefault(row["customer"] or "", []).append(row)
    missing = right = 0
    complaints: list[str] = []
    for call in placed:
        found = by_customer.get(call.customer, [])
        if not found:
            missing += 1
            complaints.append(f"{call.truth.outcome}: no appeal of {call.customer}")
            continue
        row = found.pop(0)
        right += is_credited_rightly(call, row)
        complaints += differences(call, row)
    waits = [row["agi_ms"] for row in rows if row["agi_ms"] is not None]
    return Verdict(
        calls=len(placed), appeals=len(rows), attributed=sum(row["method"] != "unattributed" for row in rows),
        attributed_right=right, missing=missing, extra=sum(map(len, by_customer.values())),
        resolve_ms_p50=round(median(waits), 2) if waits else None,
        resolve_ms_p99=round(percentile_99(waits), 2) if waits else None, complaints=tuple(complaints),
    )  # fmt: skip


def percentile_99(values: Sequence[float]) -> float:
    return quantiles(values, n=100, method="inclusive")[98] if len(values) > 1 else values[0]


def is_credited_rightly(call: Placed, row: Mapping[str, Any]) -> bool:
    credited = (row["method"], row["source"]) == ("static", call.source) if call.session is None else None
    return bool(row["session"] == call.session) if credited is None else credited


def differences(call: Placed, row: Mapping[str, Any]) -> list[str]:
    """What the appeal says otherwise than the phones."""
    truth = call.truth
    wanted: dict[str, object] = {
        "direction": truth.direction, "status": truth.status, "lost_reason": truth.lost_reason,
        "final_group": truth.group, "employee": truth.employee, "complete": True,
    }  # fmt: skip
    if is_credited_rightly(call, row):
        wanted["source"] = call.source
    told = [
        f"{truth.outcome} of {call.customer}: {field} is {row[field]!r}, in truth {value!r}"
        for field, value in wanted.items()
        if row[field] != value
    ]
    if abs(row["talk_s"] - truth.talk_s) > TALK_TOLERANCE_S:
        told.append(f"{truth.outcome} of {call.customer}: talk is {row['talk_s']} s, in truth {truth.talk_s} s")
    return told
