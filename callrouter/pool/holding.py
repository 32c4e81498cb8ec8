"""Who held a number at a moment, and how it stands now: what the lease store and the history know, made one. Pure.

The store knows the running lease to the second and the last few that ended; the history knows all that ended, and of a
running one only that it began. `merge` takes either or both, and says what each answer rests on and what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from callrouter.numbers import Number
from callrouter.pool.directory import OPERATOR
from callrouter.pool.model import Lease
from callrouter.sessions.model import Visit

KnownFrom = Literal["live", "history"]
State = Literal["static", "leased", "free", "unknown"]
SET_ASIDE = "set aside: no visitor gets it until it is enabled"
Standing = Literal["leased", "free", "pinned", "resting", "disabled", "not_loaded", "not_leased", "unknown"]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A lease with what brought its visitor, as far as the account that asks may know it."""

    lease: str
    session: str
    visitor: str
    account: int
    site: int
    pool: int
    started_at: datetime
    seen_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    end_reason: str | None = None
    closed: bool = False
    signs: tuple[int, ...] = ()
    """Signs of life, in ms after the start."""
    channel: str = ""
    source: str = ""
    medium: str = ""
    campaign: str = ""
    keyword: str = ""
    landing_page: str = ""
    known_from: KnownFrom = "history"
    lost: bool = False
    """It goes on in the history, and the lease store, which lost its data, does not know it."""


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    account: int
    site: int
    channel: str
    source: str
    medium: str
    campaign: str
    valid_from: datetime
    valid_to: datetime | None = None


class CallInProgress(msgspec.Struct, frozen=True):
    call: str
    started_at: datetime


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """The number as it stands in the inventory now."""

    account: int
    pool: int | None = None
    pool_name: str = ""
    active: bool = True
    disabled_at: datetime | None = None


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a number in the lease store; changes nothing there."""

    at: datetime
    pool: int
    known: bool
    leases: tuple[Lease, ...] = ()
    visit: Visit | None = None
    disabled: bool = False
    calls: tuple[CallInProgress, ...] = ()
    pinned_until: datetime | None = None
    free_from: datetime | None = None


class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """What the history has on one moment: the latest leases that began before it, newest first."""

    leases: tuple[Told, ...] = ()
    binding: Bound | None = None
    inventory: Inventory | None = None
    held_by_another: bool = False
    """By an account whose leases this reader may not see."""


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """How the number stands at `at`, which is now by the store's clock if it answered."""

    state: Standing
    at: datetime
    account: int | None = None
    """Whose number it is."""
    pool: int | None = None
    pool_name: str = ""
    disabled_at: datetime | None = None
    calls: tuple[CallInProgress, ...] = ()
    pinned_until: datetime | None = None
    next: str = ""
    next_at: datetime | None = None


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """`holder` is the lease that covered `at`, `static` the binding; `last_holder` the lease that ended before.

    `certain` is false where a lease is open in the history and the store, which alone knows of its renewals, is away or
    has lost it.
    """

    number: Number
    at: datetime
    state: State
    why: str
    holder: Told | None = None
    another_account: bool = False
    static: Bound | None = None
    last_holder: Told | None = None
    certain: bool = True
    seen_before: datetime | None = None
    """The holder's last sign of life that is known at or before `at`."""
    now: Now | None = None
    sources: tuple[KnownFrom, ...] = ()
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def merge(
    number: Number,
    at: datetime,
    *,
    archive: Archive | None,
    sight: Sight | None,
    account: int = OPERATOR,
    missing: Iterable[str] = (),
    past: bool = False,
) -> Holding:
    """One answer for `account` out of what was found; None: that server could not be asked. `past`: `at` is over."""
    told = [each for each in merged_leases(archive, sight) if each.started_at <= at]
    holder = told[0] if told and covers(told[0], at, sight) else None
    earlier = [each for each in told if each is not holder]
    binding = archive.binding if archive else None
    another = archive is not None and archive.held_by_another
    if holder is not None and not _may_see(holder.account, account):
        holder, another = None, True
    last = next((each for each in earlier if _may_see(each.account, account)), None)
    newest = told[0] if told else None
    known_end = sight is not None or holder is None or holder.ended_at is not None
    certain = known_end and not (newest and newest.lost)
    known = bool(told) or (archive is not None and archive.inventory is not None) or bool(sight and sight.known)
    state: State = "static" if binding else "leased" if holder or another else "free" if known else "unknown"
    return Holding(
        number=number,
        at=at,
        state=state,
        why=_why(state, holder, binding, last, _Telling(past, certain, archive is not None)),
        holder=holder,
        another_account=another,
        static=binding,
        last_holder=last,
        certain=certain,
        seen_before=seen_before(holder, at) if holder else None,
        now=_standing(at, archive, sight, account),
        sources=_sources(archive, sight),
        missing=tuple(missing),
        notes=tuple(_notes(holder, last, archive)),
    )


def _sources(archive: Archive | None, sight: Sight | None) -> tuple[KnownFrom, ...]:
    asked: tuple[tuple[KnownFrom, object], ...] = (("live", sight), ("history", archive))
    return tuple(name for name, answer in asked if answer is not None)


def merged_leases(archive: Archive | None, sight: Sight | None) -> list[Told]:
    """Of both, newest first. Each lease once: the store's word counts while the history has it open."""
    found = {each.lease: each for each in archive.leases} if archive else {}
    for lease in sight.leases if sight else ():
        known = found.get(lease.id)
        if known is None:
            found[lease.id] = told_live(lease, sight.visit if sight else None)
        elif known.ended_at is None:
            found[lease.id] = _updated(known, lease)
    if sight is not None:
        for name, each in found.items():
            if each.ended_at is None and each.known_from == "history":
                found[name] = msgspec.structs.replace(each, lost=True)
    return sorted(found.values(), key=lambda each: (each.started_at, each.ended_at is None), reverse=True)


def told_live(lease: Lease, visit: Visit | None) -> Told:
    traffic = visit.traffic if visit and visit.session == lease.session else None
    return Told(
        lease=lease.id, session=lease.session, visitor=lease.visitor, account=lease.account, site=lease.site,
        pool=lease.pool, started_at=lease.started_at, seen_at=lease.seen_at, expires_at=lease.expires_at,
        ended_at=lease.ended_at, end_reason=lease.end, closed=lease.closed, signs=tuple(getattr(lease, "signs", ())),
        channel=traffic.channel if traffic else "", source=traffic.source if traffic else "",
        medium=traffic.medium if traffic else "", campaign=traffic.campaign if traffic else "",
        keyword=traffic.keyword if traffic else "", landing_page=visit.landing_page if visit and traffic else "",
        known_from="live",
    )  # fmt: skip


def _updated(known: Told, lease: Lease) -> Told:
    """The facts of the visit stay as the history has them."""
    return msgspec.structs.replace(
        known, seen_at=lease.seen_at, expires_at=lease.expires_at, ended_at=lease.ended_at, end_reason=lease.end,
        closed=lease.closed, signs=tuple(getattr(lease, "signs", ())) or known.signs, known_from="live",
    )  # fmt: skip


def covers(told: Told, at: datetime, sight: Sight | None) -> bool:
    """From its start, included, to its end, excluded.

    Open in the history and the store away: the sweeper would have ended it, so it goes on. Open, and the store does not
    know it: the store has lost its data, and the lease lasted to its written expiry at most.
    """
    if told.ended_at is not None:
        return told.started_at <= at < told.ended_at
    if sight is None:
        return told.started_at <= at
    return told.started_at <= at < told.expires_at


def seen_before(told: Told, at: datetime) -> datetime:
    """The last sign of life at or before `at`, as far as signs are known."""
    if told.seen_at <= at:
        return told.seen_at
    start = told.started_at.timestamp()
    known = [start + sign / 1000 for sign in told.signs if start + sign / 1000 <= at.timestamp()]
    return datetime.fromtimestamp(max(known), told.started_at.tzinfo) if known else told.started_at


def _may_see(owner: int, account: int) -> bool:
    return account in (OPERATOR, owner)


class _Telling(NamedTuple):
    past: bool
    certain: bool
    history: bool

    def then(self, what: str) -> str:
        """In the tense of the moment asked about."""
        return f"was {what}" if self.past else what


def _why(state: State, holder: Told | None, binding: Bound | None, last: Told | None, telling: _Telling) -> str:
    if binding:
        return telling.then(f"a static number of channel {binding.channel}")
    if holder:
        begun = f"leased to visit {holder.session} at {holder.started_at:%Y-%m-%d %H:%M:%S} UTC"
        return f"{telling.then(begun)}; {_until(holder, telling)}"
    if state == "leased":
        return telling.then("leased to a visitor of another account")
    if last and last.lost:
        lost = f"the lease store has lost the last lease, which was to run out at {last.expires_at:%H:%M:%S}"
        return f"{telling.then('free')} as far as is known: {lost}"
    if last:
        ended = "had ended before" if telling.past else "ended before"
        return f"{telling.then('free')}; the last lease {ended} ({last.end_reason or 'ran out'})"
    known = "as far as the history goes" if telling.history else "as far as the lease store remembers"
    never = f"not bound then, and never leased before, {known}"
    return never if state == "free" else "not a number of ours, as far as we know"


def _until(holder: Told, telling: _Telling) -> str:
    if holder.lost:
        return "how it ended is not known: the lease store has lost it"
    if holder.ended_at:
        return f"ended at {holder.ended_at:%H:%M:%S} ({holder.end_reason})"
    if telling.certain and telling.past:
        return f"it still goes on, and runs out at {holder.expires_at:%H:%M:%S} unless renewed"
    if telling.certain:
        return f"runs out at {holder.expires_at:%H:%M:%S} unless renewed"
    return "not ended as far as the history goes, which does not hear of renewals"


def _notes(holder: Told | None, last: Told | None, archive: Archive | None) -> Iterable[str]:
    inventory = archive.inventory if archive else None
    told = holder or last
    if inventory is None or told is None:
        return
    if inventory.pool is None:
        yield f"then in pool {told.pool}; now in none"
    elif inventory.pool != told.pool:
        yield f"then in pool {told.pool}; now in pool {inventory.pool} ({inventory.pool_name})"


def _standing(at: datetime, archive: Archive | None, sight: Sight | None, account: int) -> Now:
    inventory = archive.inventory if archive else None
    common = {
        "at": sight.at if sight else at,
        "account": inventory.account if inventory else None,
        "pool": inventory.pool if inventory else sight.pool if sight and sight.known else None,
        "pool_name": inventory.pool_name if inventory else "",
        "disabled_at": inventory.disabled_at if inventory else None,
    }
    if inventory is not None and not inventory.active:
        return _now("disabled", common, SET_ASIDE)
    if inventory is not None and inventory.pool is None:
        return _now("not_leased", common, "in no pool: it is not leased to visitors")
    if sight is None:
        return _now("unknown", common, "the lease store was not asked")
    if not sight.known:
        return _now("not_loaded", common, "not in the lease store: a worker loads it from the inventory")
    return _live_standing(sight, common, account)


def _live_standing(sight: Sight, common: Mapping[str, object], account: int) -> Now:
    running = next((each for each in sight.leases if each.ended_at is None and each.expires_at > sight.at), None)
    if running is not None and not _may_see(running.account, account):
        return _now("leased", common, "leased to a visitor of another account")
    if running is None and account != OPERATOR and not _latest_is_of(sight, account):
        return _now("free", common, "free")
    common = {**common, "calls": sight.calls, "pinned_until": sight.pinned_until}
    if running is not None:
        return _now("leased", common, "free again unless the visitor shows another sign of life", running.expires_at)
    return _now("disabled", common, SET_ASIDE) if sight.disabled else _unleased(sight, common)


def _unleased(sight: Sight, common: Mapping[str, object]) -> Now:
    if sight.pinned_until:
        what = "a call goes on: it stays his who was called" if sight.calls else "pinned by a call: people call back"
        return _now("pinned", common, what, sight.pinned_until)
    if sight.free_from and sight.free_from > sight.at:
        return _now(
            "resting", common, "rests after its last lease; its last visitor may have it at once", sight.free_from
        )
    return _now("free", common, "may be leased to anybody")


def _latest_is_of(sight: Sight, account: int) -> bool:
    return bool(sight.leases) and sight.leases[0].account == account


def _now(state: Standing, common: Mapping[str, object], then: str, then_at: datetime | None = None) -> Now:
    return msgspec.convert({**common, "state": state, "next": then, "next_at": then_at}, Now)
