"""Who placed this call: weighs the evidence and credits the likeliest visit (rules §2). Pure: no store, no clock.

The same evidence gives the same answer, live or from history, which late attribution and `callrouter replay` rely on.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from callrouter.numbers import Number
from callrouter.pool.delay import DEFAULT_MODEL, DelayModel
from callrouter.pool.model import Attribution, CallerMemory, Candidate, Lease, Method, StaticBinding
from callrouter.sessions.model import Visit


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a call on `number` by `caller` (None: withheld) at `at`."""

    number: Number
    caller: Number | None
    at: datetime
    binding: StaticBinding | None = None
    leases: tuple[Lease, ...] = ()
    """Of this number, newest first; those that began after `at` are no evidence and are passed over."""
    same_number: CallerMemory | None = None
    """What this caller's earlier calls on the same number were credited to, latest."""
    newest: CallerMemory | None = None
    """The same on any number."""
    newest_visit: Visit | None = None
    """The latest visit of the visitor whom `newest` names, which may be later than that call."""


class _Rated(msgspec.Struct):
    method: Method
    account: int
    site: int
    session: str
    visitor: str
    rate: float


def credit(evidence: Evidence, model: DelayModel = DEFAULT_MODEL) -> Attribution:
    """Weigh who may have placed the call and credit the heaviest.

    Weights are the rates of the explanations over their sum, a stranger's included: they sum to less than 1, and the
    credited one's weight is the confidence. Without any candidate the call is unattributed and belongs to the site
    that last held the number, if it is known.
    """
    if evidence.binding:
        return _static(evidence.binding)
    rated = _lease_candidates(evidence, model)
    recalled = _recalled_visit(evidence, model)
    known = recalled is not None
    if recalled:
        _add_recalled(rated, recalled)
    if not rated:
        return _unattributed(evidence)
    return _weigh(rated, model.stranger * (model.same_phone if known else 1.0))


def covering(leases: tuple[Lease, ...], at: datetime) -> Lease | None:
    """The lease that held at `at`: from its start, included, to its end or what would be its end, excluded."""
    for lease in leases:
        if lease.started_at <= at < _end(lease):
            return lease
    return None


def _static(binding: StaticBinding) -> Attribution:
    candidate = Candidate(method="static", account=binding.account, site=binding.site, session=None, weight=1.0)
    return Attribution(
        method="static", confidence=1.0, account=binding.account, site=binding.site, session=None,
        candidates=(candidate,),
    )  # fmt: skip


def _lease_candidates(evidence: Evidence, model: DelayModel) -> list[_Rated]:
    """Holder and earlier holders. One session counts once, by its latest lease."""
    memory = _memory_in_force(evidence, model)
    rated: dict[str, _Rated] = {}
    at = evidence.at
    holder = covering(evidence.leases, at)
    for lease in evidence.leases:
        if lease.session in rated or lease.started_at > at:
            continue
        if lease is not holder and at - min(_end(lease), at) > model.window:
            continue
        method: Method = "holder" if lease is holder else "last_holder"
        rate = model.visit_rate(at - min(lease.seen_at, at))
        if memory and (lease.visitor, lease.site) != (memory.visit.visitor, memory.visit.site):
            rate *= model.same_phone
        rated[lease.session] = _Rated(method, lease.account, lease.site, lease.session, lease.visitor, rate)
    return list(rated.values())


def _memory_in_force(evidence: Evidence, model: DelayModel) -> CallerMemory | None:
    """Memory of the same number always counts; of another one only while nobody holds this, within the window."""
    if evidence.caller is None:
        return None
    if evidence.same_number:
        return evidence.same_number
    if evidence.newest is None or covering(evidence.leases, evidence.at):
        return None
    seen = evidence.newest_visit.seen_at if evidence.newest_visit else evidence.newest.visit.seen_at
    return evidence.newest if evidence.at - max(seen, evidence.newest.called_at) <= model.window else None


def _recalled_visit(evidence: Evidence, model: DelayModel) -> _Rated | None:
    memory = _memory_in_force(evidence, model)
    if memory is None:
        return None
    rate = model.return_rate(evidence.at - memory.called_at)
    visit = memory.visit
    if memory is not evidence.same_number:
        rate *= model.other_number
        if evidence.newest_visit and evidence.newest_visit.started_at <= evidence.at:
            visit = evidence.newest_visit
    return _Rated("caller_memory", visit.account, visit.site, visit.session, visit.visitor, rate)


def _add_recalled(rated: list[_Rated], recalled: _Rated) -> None:
    """A (last) holder who is the remembered visitor is the same explanation: the call is his latest visit's."""
    for candidate in rated:
        if candidate.visitor == recalled.visitor and candidate.site == recalled.site:
            if candidate.method == "last_holder" and recalled.rate > candidate.rate:
                candidate.method = "caller_memory"
            candidate.rate += recalled.rate
            return
    rated.append(recalled)


def _weigh(rated: list[_Rated], stranger: float) -> Attribution:
    total = 0.0
    for candidate in rated:
        total += candidate.rate
    total += stranger
    if len(rated) > 1:
        rated.sort(key=lambda candidate: (-candidate.rate, candidate.session))
    candidates = tuple(
        [
            Candidate(
                method=c.method, account=c.account, site=c.site, session=c.session, weight=round(c.rate / total, 6)
            )
            for c in rated
        ]
    )
    first = candidates[0]
    return Attribution(
        method=first.method, confidence=first.weight, account=first.account, site=first.site, session=first.session,
        candidates=candidates,
    )  # fmt: skip


def _unattributed(evidence: Evidence) -> Attribution:
    last = next((lease for lease in evidence.leases if lease.started_at <= evidence.at), None)
    account, site = (last.account, last.site) if last else (None, None)
    return Attribution(method="unattributed", confidence=0.0, account=account, site=site, session=None)


def _end(lease: Lease) -> datetime:
    return lease.ended_at or lease.expires_at
