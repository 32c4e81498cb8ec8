"""Calls, visits and resolutions as tests need them: everything has a sensible value, tests name what matters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from callrouter.appeals.model import CallAppeal
from callrouter.calls.record import CallRecord, Step
from callrouter.numbers import Number
from callrouter.pool.model import Attribution, Candidate, Method, Resolution
from callrouter.sessions.model import TrafficSource, Visit

NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


def a_call(linkedid: str = "1.1", at: datetime = NOON, **changed: Any) -> CallRecord:
    talk = timedelta(seconds=75)
    call = CallRecord(
        pbx="pbx1",
        linkedid=linkedid,
        direction="inbound",
        caller="79161234567",
        called="74952232725",
        caller_raw="+79161234567",
        called_raw="4952232725",
        customer="79161234567",
        started_at=at,
        answered_at=at + timedelta(seconds=5),
        ended_at=at + timedelta(seconds=5) + talk,
        status="answered",
        lost_reason=None,
        wait_s=5.0,
        talk_s=75.0,
        group="sales",
        employee="101",
        steps=(
            Step(at, "started"),
            Step(at + timedelta(seconds=1), "group_entered", group="sales"),
            Step(at + timedelta(seconds=5), "answered", who="101"),
            Step(at + timedelta(seconds=80), "ended"),
        ),
        hangup_cause=16,
        hangup_by="caller",
        recording=None,
        agi_ms=3.5,
        complete=True,
    )
    if "caller" in changed and "customer" not in changed:
        changed["customer"] = changed["caller"]
    return msgspec.structs.replace(call, **changed)


def a_visit(account: int, site: int, at: datetime = NOON, session: str = "s-1") -> Visit:
    return Visit(
        session=session,
        visitor="v-1",
        account=account,
        site=site,
        traffic=TrafficSource(
            channel="paid search", source="yandex", medium="cpc", campaign="окна", keyword="окна пвх"
        ),
        landing_page="https://shop.example/?utm_source=yandex",
        referrer="https://yandex.ru/",
        started_at=at - timedelta(minutes=3),
        seen_at=at - timedelta(seconds=10),
        pages=4,
        page="https://shop.example/price",
    )


def a_resolution(
    account: int | None, site: int | None, at: datetime = NOON, *, method: Method = "holder", late: bool = False
) -> Resolution:
    visit = a_visit(account, site, at) if account is not None and site is not None else None
    confidence = 0.9 if visit else 0.0
    session = visit.session if visit else None
    candidates = (
        (Candidate(method=method, account=account, site=site, session=session, weight=confidence),)
        if account is not None and site is not None
        else ()
    )
    return Resolution(
        number=Number("74952232725"),
        caller=Number("79161234567"),
        at=at,
        attribution=Attribution(
            method=method if visit else "unattributed",
            confidence=confidence,
            account=account,
            site=site,
            session=session,
            candidates=candidates,
        ),
        visit=visit,
        late=late,
        took_ms=1.25,
    )


def an_appeal(call: CallRecord | None = None, resolution: Resolution | None = None, revision: int = 0) -> CallAppeal:
    return CallAppeal(call=call or a_call(), resolution=resolution, revision=revision)
