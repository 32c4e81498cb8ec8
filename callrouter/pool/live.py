"""What the scripts take and answer, as types. Pure: bytes in, structs out."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import msgspec

from callrouter.numbers import Number
from callrouter.pool.model import CallerMemory, Lease, LeaseEnd
from callrouter.pool.regular import Regular, read_regular
from callrouter.pool.scripts.layout import (
    ALLOCATION_HEAD,
    CALL_TAIL,
    FOUND_HEAD,
    NUMBER_HEAD,
    RENEWAL_HEAD,
    VISIT_HEAD,
)
from callrouter.sessions.model import Analytics, TrafficSource, Visit

Outcome = Literal["kept", "leased", "overflow", "none", "empty", "foreign"]
RenewOutcome = Literal["live", "bare", "lost", "over"]
KEPT_LEASES = 8
"""Ended leases of a number that stay in live state."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ALLOCATED: tuple[Outcome, ...] = get_args(Outcome)
_RENEWED: tuple[RenewOutcome, ...] = get_args(RenewOutcome)
_ENDS: dict[int, LeaseEnd | None] = dict(enumerate((None, *get_args(LeaseEnd))))


class Allocation(msgspec.Struct, frozen=True, kw_only=True):
    """How a hit was answered: the visit it belongs to, and the number the visitor sees, if any."""

    outcome: Outcome
    session: str
    new: bool
    """The hit began a visit."""
    number: Number | None
    expires_at: datetime | None
    started_at: datetime
    """Of the visit."""
    pages: int
    at: datetime
    """By the store's clock."""
    rested: float | None = None
    """Seconds for which the number leased now had been free; None: for ever, or none is leased now."""


class Renewal(msgspec.Struct, frozen=True, kw_only=True):
    """live: the lease goes on. bare: a visit without a number. lost: the number has gone. over: the visit has ended."""

    outcome: RenewOutcome
    number: Number | None
    expires_at: datetime | None
    pages: int
    at: datetime


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a number stands in its pool. Gone to another pool, it is `disabled` until that is forgotten."""

    state: Literal["leased", "free", "disabled"]
    calls: dict[str, datetime]
    """Calls whose end has not been told, and when they began."""
    pinned_until: datetime | None = None
    free_from: datetime | None = None
    """From when on anybody may have it, if it is free."""


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """All that a pool knows about one call, read at one instant."""

    at: datetime
    known: bool
    """The number is, or was, one of this pool."""
    leases: tuple[Lease, ...] = ()
    """The running lease if there is one, then the ended ones, newest first."""
    visit: Visit | None = None
    """Of the newest lease."""
    since: datetime | None = None
    """Of a number never leased: since when the pool has it."""
    same_number: CallerMemory | None = None
    newest: CallerMemory | None = None
    newest_visit: Visit | None = None
    """The latest visit of the visitor whom `newest` names."""
    clients: dict[int, str] = {}
    """Accounts that this caller has called, with the client's id or ''."""
    managers: dict[int, str] = {}
    """Accounts whose employee has talked with this caller, with the last of them."""


class _Facts(msgspec.Struct, frozen=True, array_like=True):
    """A visit's first hit, as kept in Redis: an array, for half of the space is names otherwise."""

    channel: str
    source: str
    medium: str
    campaign: str
    keyword: str
    content: str
    click_id: str
    landing_page: str
    referrer: str
    user_agent: str
    device: str
    os: str
    browser: str
    location: str
    ga_client_id: str
    ym_client_id: str
    ga_session_id: str = ""
    ym_counter: str = ""


class VisitRecord(NamedTuple):
    """A visit as the scripts keep it (scripts/prelude.lua)."""

    closed: int
    overflow: int
    pages: int
    leases: int
    gap: int
    begun: float
    seen: float
    shut: int
    """The rest of the numbers is about the lease: whether its page is closed, how many signs of life, the latest."""
    signed: int
    latest: int
    lease_begun: float
    lease_seen: float
    expires: float
    """0: no lease runs."""
    number: str
    visitor: str
    site: str
    account: str
    campaign: str
    request: str
    page: str
    facts: str
    signs: bytes


class NumberRecord(NamedTuple):
    """A number as the scripts keep it (scripts/prelude.lua): its running or latest lease."""

    state: bytes
    closed: int
    why: int
    which: int
    rest: int
    visit_begun: float
    begun: float
    seen: float
    expires: float
    ended: float
    pinned: float
    pasts: int
    account: str
    site: str
    session: str
    visitor: str
    signs: bytes
    calls: bytes

    @property
    def lease(self) -> str:
        """The lease's id."""
        return f"{self.session}-{self.which}"

    @property
    def end(self) -> LeaseEnd | None:
        return _ENDS[self.why]


_facts_of = msgspec.json.Decoder(_Facts).decode
_page_of = msgspec.json.Decoder(list[str]).decode
_encode = msgspec.json.Encoder().encode


def milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)


@lru_cache(maxsize=4096)
def moment(ms: str | float) -> datetime:
    """Kept: the same come again and again, as a visit's begin is its lease's and the time is a whole batch's."""
    return datetime.fromtimestamp(int(ms) / 1000, UTC)


def visit_record(packed: bytes) -> VisitRecord:
    *texts, signs = packed[VISIT_HEAD.size :].split(b"\x00", 8)
    return VisitRecord._make((*VISIT_HEAD.unpack_from(packed), *[text.decode() for text in texts], signs))


def number_record(packed: bytes) -> NumberRecord:
    *names, rest = packed[NUMBER_HEAD.size :].split(b"\x00", 4)
    calls = 2 + int.from_bytes(rest[:2], "little")
    texts = [name.decode() for name in names]
    return NumberRecord._make((*NUMBER_HEAD.unpack_from(packed), *texts, rest[2:calls], rest[calls:]))


def signs_of(record: NumberRecord) -> tuple[int, ...]:
    """Signs of life in ms after the lease's beginning."""
    return struct.unpack(f"<{len(record.signs) // 4}I", record.signs)


def _past(packed: bytes) -> Iterator[NumberRecord]:
    """Ended leases, the oldest first."""
    at = 0
    while at < len(packed):
        end = at + 2 + int.from_bytes(packed[at : at + 2], "little")
        yield number_record(packed[at + 2 : end])
        at = end


def _calls(packed: bytes, pinned: float) -> tuple[dict[str, datetime], float]:
    """Calls that have not ended and when they began; until when the number is pinned. As scripts/numbers.lua has it."""
    calls: dict[str, float] = {}
    at = 0
    while at < len(packed):
        end = at + 1 + packed[at]
        began, held = CALL_TAIL.unpack_from(packed, end)
        if held:
            pinned = began + held
            calls = {call: since for call, since in calls.items() if since >= began - held}
        name = packed[at + 1 : end].decode()
        calls.pop(name, None)
        calls[name] = began
        at = end + CALL_TAIL.size
    return {call: moment(began) for call, began in calls.items()}, pinned


def pack_facts(visit: Visit) -> bytes:
    traffic = visit.traffic
    facts = _Facts(
            traffic.channel, traffic.source, traffic.medium, traffic.campaign, traffic.keyword, traffic.content,
            traffic.click_id, visit.landing_page, visit.referrer, visit.user_agent, visit.device, visit.os,
            visit.browser, visit.location, visit.ga_client_id, visit.ym_client_id, visit.ga_session_id,
            visit.ym_counter,
    )  # fmt: skip
    return _without_nul(_encode(facts))


def pack_analytics(told: Analytics | Visit) -> bytes:
    """As these ids stand at the end of the facts (scripts/visits.lua); empty if none is told."""
    ids = told.ga_client_id, told.ym_client_id, told.ga_session_id, told.ym_counter
    return _encode(ids)[1:] if any(ids) else b""


def pack_page(url: str, title: str, *, landing_page: str = "") -> bytes:
    """The page that is open; its address is left out if it is the visit's first."""
    return _without_nul(_encode((title,) if url == landing_page else (title, url)))


def unpack_visit(session: str, packed: bytes) -> Visit:
    """A visit from its record."""
    record = visit_record(packed)
    f = _facts_of(record.facts)
    title, *url = _page_of(record.page)
    traffic = TrafficSource(
        channel=f.channel, source=f.source, medium=f.medium, campaign=f.campaign, keyword=f.keyword, content=f.content,
        click_id=f.click_id,
    )  # fmt: skip
    return Visit(
        session=session, visitor=record.visitor, account=int(record.account), site=int(record.site), traffic=traffic,
        landing_page=f.landing_page, referrer=f.referrer, started_at=moment(record.begun), seen_at=moment(record.seen),
        pages=record.pages, page=url[0] if url else f.landing_page, title=title, user_agent=f.user_agent,
        device=f.device, os=f.os, browser=f.browser, location=f.location, ga_client_id=f.ga_client_id,
        ym_client_id=f.ym_client_id, ga_session_id=f.ga_session_id, ym_counter=f.ym_counter,
        overflow=record.overflow == 1,
    )  # fmt: skip


def pack_memory(memory: CallerMemory) -> bytes:
    return _without_nul(_encode(memory))


def _without_nul(text: bytes) -> bytes:
    """Postgres holds no NUL, so a hostile page's become U+FFFD before they are stored anywhere."""
    return text.replace(b"\\u0000", b"\\ufffd")


def read_allocation(reply: bytes, asked: str) -> Allocation:
    code, new, pages, expires, started, now, idle = ALLOCATION_HEAD.unpack_from(reply)
    session, number = reply[ALLOCATION_HEAD.size :].split(b"\x00")
    return Allocation(
        outcome=_ALLOCATED[code],
        session=session.decode() or asked,
        new=new == 1,
        number=Number(number.decode()) if number else None,
        expires_at=moment(expires) if number else None,
        started_at=moment(started or now),
        pages=pages,
        at=moment(now),
        rested=idle / 1000 if idle >= 0 else None,
    )


def read_renewal(reply: bytes) -> Renewal:
    code, pages, expires, now = RENEWAL_HEAD.unpack_from(reply)
    number = reply[RENEWAL_HEAD.size :]
    return Renewal(
        outcome=_RENEWED[code],
        number=Number(number.decode()) if number else None,
        expires_at=moment(expires) if number else None,
        pages=pages,
        at=moment(now),
    )


def read_live(found: bytes, *, pool: int, number: Number) -> Live:
    """What the resolve script answers about one call."""
    now, *sizes = FOUND_HEAD.unpack_from(found)
    packed, past, visit, memory, latest_session, latest = _parts(found, sizes)
    if not packed and not memory:
        return Live(at=moment(now), known=False)
    leases: tuple[Lease, ...] = ()
    held_by, since = "", None
    if packed:
        record = number_record(packed)
        since = None if record.session else moment(record.visit_begun)
        if record.state == b"L" and visit:
            record = _running(record, visit_record(visit), number)
        leases, held_by = _leases(record, past, pool, number), record.session
    regular = read_regular(memory, number) if memory else Regular(None, None, {}, {})
    return Live(
        at=moment(now), known=bool(packed), leases=leases, visit=unpack_visit(held_by, visit) if visit else None,
        since=since, same_number=regular.same_number, newest=regular.newest, clients=regular.clients,
        managers=regular.managers,
        newest_visit=unpack_visit(latest_session.decode(), latest) if latest else None,
    )  # fmt: skip


def _parts(found: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    at = FOUND_HEAD.size
    for size in sizes:
        yield found[at : at + size]
        at += size
    yield found[at:]


def read_standing(packed: bytes, rest: int) -> Standing:
    """How a number stands, from its record; `rest` is the installation's minimum, in ms."""
    record = number_record(packed)
    calls, pinned = _calls(record.calls, record.pinned)
    rested = record.ended + max(record.rest, rest) if record.ended else 0.0
    states: dict[bytes, Literal["leased", "disabled"]] = {b"L": "leased", b"D": "disabled"}
    return Standing(
        state=states.get(record.state, "free"),
        calls=calls,
        pinned_until=moment(pinned) if pinned else None,
        free_from=moment(max(pinned, rested)) if record.state == b"F" else None,
    )


def _leases(record: NumberRecord, past: bytes, pool: int, number: Number) -> tuple[Lease, ...]:
    """Newest first. Of a lease that has ended the number's record tells no more than the past does."""
    ended = [_lease(each, pool, number) for each in _past(past)][-KEPT_LEASES:]
    ended.reverse()
    return (_lease(record, pool, number), *ended) if record.state == b"L" else tuple(ended)


def _running(record: NumberRecord, visit: VisitRecord, number: Number) -> NumberRecord:
    """A lease as it stands now: what changes while it runs is in its visit's record."""
    if visit.number != number or visit.leases != record.which:
        return record
    return record._replace(closed=visit.shut, seen=visit.lease_seen, expires=visit.expires, signs=visit.signs)


def _lease(record: NumberRecord, pool: int, number: Number) -> Lease:
    ended = record.end
    return Lease(
        id=record.lease, pool=pool, number=number, account=int(record.account), site=int(record.site),
        session=record.session, visitor=record.visitor, started_at=moment(record.begun), seen_at=moment(record.seen),
        expires_at=moment(record.expires), ended_at=moment(record.ended) if ended else None, end=ended,
        closed=record.closed == 1, signs=signs_of(record) if record.signs else (),
    )  # fmt: skip
