"""What the scripts take and answer, as types. Pure: bytes in, structs out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal

import msgspec

from callrouter.numbers import Number
from callrouter.pool.model import CallerMemory, Lease, LeaseEnd
from callrouter.sessions.model import TrafficSource, Visit

Outcome = Literal["kept", "leased", "overflow", "none", "foreign"]
RenewOutcome = Literal["live", "bare", "lost", "over"]
SEPARATOR = "\x1f"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENDS: dict[str, LeaseEnd] = {"expired": "expired", "released": "released", "taken": "taken", "disabled": "disabled"}


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


class Renewal(msgspec.Struct, frozen=True, kw_only=True):
    """live: the lease goes on. bare: a visit without a number. lost: the number has gone. over: the visit has ended."""

    outcome: RenewOutcome
    number: Number | None
    expires_at: datetime | None
    pages: int
    at: datetime


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """All that a pool knows about one call, read at one instant."""

    at: datetime
    known: bool
    """The number is, or was, one of this pool."""
    leases: tuple[Lease, ...] = ()
    """The running lease if there is one, then the ended ones, newest first."""
    visit: Visit | None = None
    """Of the newest lease."""
    same_number: CallerMemory | None = None
    newest: CallerMemory | None = None
    newest_visit: Visit | None = None
    """The latest visit of the visitor whom `newest` names."""
    clients: dict[int, str] = {}
    """Accounts that this caller has called, with the client's id or ''."""


class _Facts(msgspec.Struct, frozen=True, array_like=True):
    """A visit's first hit, as kept in Redis: an array, for half of the space is names otherwise."""

    session: str
    visitor: str
    account: int
    site: int
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


_facts_of = msgspec.json.Decoder(_Facts).decode
_memory_of = msgspec.json.Decoder(CallerMemory).decode
_encode = msgspec.json.Encoder().encode


def milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)


@lru_cache(maxsize=4096)
def moment(ms: bytes | str | int) -> datetime:
    """Kept: the same come again and again, as a visit's begin is its lease's and the time is a whole batch's."""
    return datetime.fromtimestamp(int(ms) / 1000, UTC)


def pack_facts(visit: Visit) -> bytes:
    traffic = visit.traffic
    facts = _Facts(
            visit.session, visit.visitor, visit.account, visit.site, traffic.channel, traffic.source, traffic.medium,
            traffic.campaign, traffic.keyword, traffic.content, traffic.click_id, visit.landing_page, visit.referrer,
            visit.user_agent, visit.device, visit.os, visit.browser, visit.location, visit.ga_client_id,
            visit.ym_client_id,
    )  # fmt: skip
    return _without_nul(_encode(facts))


def unpack_visit(
    facts: bytes, *, started_at: datetime, seen_at: datetime, pages: int, page: str, title: str, overflow: bool
) -> Visit:
    f = _facts_of(facts)
    traffic = TrafficSource(
        channel=f.channel, source=f.source, medium=f.medium, campaign=f.campaign, keyword=f.keyword, content=f.content,
        click_id=f.click_id,
    )  # fmt: skip
    return Visit(
        session=f.session, visitor=f.visitor, account=f.account, site=f.site, traffic=traffic,
        landing_page=f.landing_page, referrer=f.referrer, started_at=started_at, seen_at=seen_at, pages=pages,
        page=page, title=title, user_agent=f.user_agent, device=f.device, os=f.os, browser=f.browser,
        location=f.location, ga_client_id=f.ga_client_id, ym_client_id=f.ym_client_id, overflow=overflow,
    )  # fmt: skip


def pack_memory(memory: CallerMemory) -> bytes:
    return _without_nul(_encode(memory))


def _without_nul(text: bytes) -> bytes:
    """Postgres holds no NUL, so a hostile page's become U+FFFD before they are stored anywhere."""
    return text.replace(b"\\u0000", b"\\ufffd")


def read_allocation(reply: list[bytes], asked: str) -> Allocation:
    if reply[0] == b"foreign":
        epoch = _EPOCH
        return Allocation(
            outcome="foreign", session=asked, new=False, number=None, expires_at=None, started_at=epoch, pages=0,
            at=epoch,
        )  # fmt: skip
    outcome, session, new, number, _lease, expires, started, pages, now = reply
    return Allocation(
        outcome=outcome.decode(),  # type: ignore[arg-type] # the script answers only these words
        session=session.decode(),
        new=int(new) == 1,
        number=Number(number.decode()) if number else None,
        expires_at=moment(expires) if number else None,
        started_at=moment(started),
        pages=int(pages),
        at=moment(now),
    )


def read_renewal(reply: list[bytes]) -> Renewal:
    outcome, number, expires, pages, now = reply
    return Renewal(
        outcome=outcome.decode(),  # type: ignore[arg-type] # the script answers only these words
        number=Number(number.decode()) if number else None,
        expires_at=moment(expires) if number else None,
        pages=int(pages),
        at=moment(now),
    )


def read_live(now: bytes, found: list[list[bytes | None]], *, pool: int, number: Number) -> Live:
    """One call's part of the resolve script's reply."""
    fields, ended, visit, memory, latest = found
    if fields[0] is None and not memory:
        return Live(at=moment(now), known=False)
    leases = tuple([_ended_lease(entry.decode(), pool, number) for entry in ended if entry])
    if fields[0] == b"L":
        leases = (_running_lease(fields, pool, number), *leases)
    same, newest, clients = _read_memory(memory, number) if memory else (None, None, {})
    return Live(
        at=moment(now),
        known=fields[0] is not None,
        leases=leases,
        visit=_visit(visit),
        same_number=same,
        newest=newest,
        newest_visit=_visit(latest),
        clients=clients,
    )


def _visit(fields: Sequence[bytes | None]) -> Visit | None:
    if not fields or fields[0] is None:
        return None
    facts, started, seen, pages, page, title, overflow = [part or b"" for part in fields[:7]]
    return unpack_visit(
        facts, started_at=moment(started), seen_at=moment(seen), pages=int(pages), page=page.decode(),
        title=title.decode(), overflow=overflow == b"1",
    )  # fmt: skip


def _running_lease(fields: Sequence[bytes | None], pool: int, number: Number) -> Lease:
    _, lease, session, visitor, account, site, begun, seen, expires, closed, _ = [part or b"" for part in fields]
    return Lease(
        id=lease.decode(), pool=pool, number=number, account=int(account), site=int(site), session=session.decode(),
        visitor=visitor.decode(), started_at=moment(begun), seen_at=moment(seen), expires_at=moment(expires),
        closed=closed == b"1",
    )  # fmt: skip


def _ended_lease(entry: str, pool: int, number: Number) -> Lease:
    lease, session, visitor, account, site, begun, seen, expires, ended, reason, closed = entry.split(SEPARATOR)
    return Lease(
        id=lease, pool=pool, number=number, account=int(account), site=int(site), session=session, visitor=visitor,
        started_at=moment(begun), seen_at=moment(seen), expires_at=moment(expires), ended_at=moment(ended),
        end=_ENDS[reason], closed=closed == "1",
    )  # fmt: skip


def _read_memory(
    flat: Sequence[bytes | None], number: Number
) -> tuple[CallerMemory | None, CallerMemory | None, dict[int, str]]:
    fields = {
        name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True) if name and value is not None
    }
    same, last = fields.get(f"n:{number}"), fields.get("last")
    clients = {int(name[2:]): value.decode() for name, value in fields.items() if name.startswith("a:")}
    return (_memory_of(same) if same else None, _memory_of(last) if last else None, clients)
