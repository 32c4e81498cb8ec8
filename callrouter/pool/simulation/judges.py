"""Ways to say who called, the engine's and others for comparison: each is told the same evidence. Pure."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from callrouter.pool.attribution import Evidence, covering, credit
from callrouter.pool.delay import DEFAULT_MODEL, DelayModel
from callrouter.pool.model import Attribution, Candidate, Lease

Judge = Callable[[Evidence], Attribution]
ENGINE = "engine"


def engine(model: DelayModel = DEFAULT_MODEL) -> Judge:
    """What callrouter does."""
    return lambda evidence: credit(evidence, model)


def without_memory(model: DelayModel = DEFAULT_MODEL) -> Judge:
    """The engine that has never heard of any caller."""

    def judge(evidence: Evidence) -> Attribution:
        unknown = msgspec.structs.replace(evidence, same_number=None, newest=None, newest_visit=None)
        return credit(unknown, model)

    return judge


def holder(model: DelayModel = DEFAULT_MODEL) -> Judge:
    """Whoever has the number at the moment, else whoever had it last within the attribution window; never in doubt."""

    def judge(evidence: Evidence) -> Attribution:
        begun = [lease for lease in evidence.leases if lease.started_at <= evidence.at]
        lease = covering(evidence.leases, evidence.at)
        if lease is not None:
            return _certain(lease, "holder")
        if begun and evidence.at - (begun[0].ended_at or begun[0].expires_at) <= model.window:
            return _certain(begun[0], "last_holder")
        account, site = (begun[0].account, begun[0].site) if begun else (None, None)
        return Attribution(method="unattributed", confidence=0.0, account=account, site=site, session=None)

    return judge


def _certain(lease: Lease, method: str) -> Attribution:
    candidate = Candidate(
        method="holder" if method == "holder" else "last_holder", account=lease.account, site=lease.site,
        session=lease.session, weight=1.0,
    )  # fmt: skip
    return Attribution(
        method=candidate.method, confidence=1.0, account=lease.account, site=lease.site, session=lease.session,
        candidates=(candidate,),
    )  # fmt: skip
