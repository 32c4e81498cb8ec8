"""Numbers, leases and attribution, as data. Pure: knows no store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from callrouter.numbers import Number
from callrouter.sessions.model import TrafficSource, Visit

MINIMUM_HOLD = timedelta(minutes=5)
DEFAULT_HOLD = timedelta(minutes=30)
DEFAULT_WINDOW = timedelta(hours=72)
"""Attribution window: callers of the next two days still find the visit that made them call."""

Method = Literal["static", "holder", "caller_memory", "last_holder", "page", "unattributed"]
"""`page`: the visitor's own page sent it, so nothing was weighed (forms and callback orders)."""
LeaseEnd = Literal["expired", "released", "taken", "disabled", "moved", "lost"]
"""`lost`: the lease store lost its data, and the lease with it; it ended when the history last heard that it would."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """`number` is `session`'s from `started_at` to `ended_at`; while that is None, up to `expires_at` at most."""

    id: str
    pool: int
    number: Number
    account: int
    site: int
    session: str
    visitor: str
    started_at: datetime
    seen_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    end: LeaseEnd | None = None
    closed: bool = False
    """The visitor's page was closed: a sign of life with a flag."""
    signs: tuple[int, ...] = ()
    """Signs of life, ms from the start, ascending: one in 15 s at most, the latest 64."""


class CallerMemory(msgspec.Struct, frozen=True, kw_only=True):
    """The visit that an earlier call of this caller was credited to, and the number he dialled then."""

    visit: Visit
    called_at: datetime
    number: Number
    confidence: float = 1.0
    """How sure that was."""
    rivals: float = 0.0
    """The weights of the other visits that it may have been; what is missing to 1 was no visit that we knew of."""


class StaticBinding(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`number` belongs to a channel of a site during [valid_from, valid_to)."""

    number: Number
    account: int
    site: int
    channel: str
    source: str
    medium: str
    campaign: str
    valid_from: datetime
    valid_to: datetime | None = None


class Candidate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A visit (or a static channel) that may have placed the call, with its weight in 0…1."""

    method: Method
    account: int
    site: int
    session: str | None
    weight: float
    since: float | None = None
    """Seconds from the visitor's last sign of life, or the caller's last call, to the call: whichever weighs more."""


class Attribution(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who is credited with a call, how sure that is, and who else it may have been (rules §2).

    `confidence` is the weight of the credited candidate; with method `unattributed` it is 0 and `session` is None,
    while `account` and `site` still say whose call it is (None: nobody's, the operator's own).
    """

    method: Method
    confidence: float
    account: int | None
    site: int | None
    session: str | None
    candidates: tuple[Candidate, ...] = ()

    @property
    def rivals(self) -> float:
        """What is kept for the caller's next call: the weight of all other visits that this one may have been."""
        return other_visits(self.method, self.confidence, [candidate.weight for candidate in self.candidates])


def other_visits(method: str, confidence: float, weights: Sequence[float]) -> float:
    """The weight of all visits but the credited one, of a call's method and its candidates' weights, heaviest first.

    Who has called before is no stranger, as a rule: what his memory leaves open is other visits, candidates or not.
    """
    return 1.0 - confidence if method == "caller_memory" else sum(weights[1:])


class Resolution(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The answer to "who calls?": what the dialplan gets and what the appeal keeps.

    `visit` is the credited visit as it was known at `at`. `late` marks an answer found after the dialplan had gone on.
    """

    number: Number
    caller: Number | None
    at: datetime
    attribution: Attribution
    visit: Visit | None = None
    binding: StaticBinding | None = None
    overflow: bool = False
    client: str | None = None
    unique: bool | None = None
    route: str = ""
    manager: str = ""
    """The employee who talked with this caller last, if it was at hand."""
    late: bool = False
    provisional: bool = False
    """The store remembers nobody on this number and may have lost them: the history has the last word."""
    took_ms: float = 0.0

    @property
    def traffic(self) -> TrafficSource | None:
        return traffic_of(self.visit, self.binding)


def traffic_of(visit: Visit | None, binding: StaticBinding | None) -> TrafficSource | None:
    """What is known of where the caller came from: the credited visit's traffic, else the static number's channel."""
    if visit is not None:
        return visit.traffic
    if binding is None:
        return None
    return TrafficSource(
        channel=binding.channel, source=binding.source, medium=binding.medium, campaign=binding.campaign
    )
