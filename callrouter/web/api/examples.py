"""Examples and refusals for the OpenAPI description. The tests hold each example to its type."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

from callrouter.web.problem import MEDIA_TYPE, Problem

REFUSALS = {
    400: ("A parameter does not fit", "bad-time", "That is no time with an offset"),
    401: ("No valid token", "invalid-token", "The token is not valid"),
    403: ("The token lacks a scope", "missing-scope", "The token may not do this"),
    404: ("Nothing that concerns this account", "unknown-number", "No such number"),
    412: ("Changed since it was read (If-Match)", "changed-meanwhile", "Somebody changed it meanwhile"),
    422: ("It cannot be done, and why", "refused", "A name is wanted"),
    429: ("Too many wrong tokens from this address", "too-many-wrong-tokens", "Too many wrong tokens"),
    503: ("A server that is needed is away", "database-away", "The database does not answer"),
}

LEASE = {
    "lease": "kq3v-1", "session": "kq3v", "visitor": "Zk8xQ2", "account": 2, "site": 1, "pool": 1,
    "started_at": "2026-03-02T12:00:00Z", "seen_at": "2026-03-02T12:03:00Z", "expires_at": "2026-03-02T12:33:00Z",
    "ended_at": "2026-03-02T12:33:00Z", "end_reason": "expired", "closed": True, "signs": [0, 60000, 180000],
    "channel": "paid_search", "source": "yandex", "medium": "cpc", "campaign": "windows", "keyword": "",
    "landing_page": "https://shop.example/", "known_from": "history", "lost": False,
}  # fmt: skip
HOLDING = {
    "number": "74952232725", "at": "2026-03-02T12:10:00Z", "state": "leased",
    "why": "was leased to visit kq3v at 2026-03-02 12:00:00 UTC; ended at 12:33:00 (expired)", "holder": LEASE,
    "another_account": False, "static": None, "last_holder": None, "certain": True,
    "seen_before": "2026-03-02T12:03:00Z",
    "now": {
        "state": "free", "at": "2026-03-03T09:00:00Z", "account": 1, "pool": 1, "pool_name": "Moscow",
        "disabled_at": None, "calls": [], "pinned_until": None, "next": "may be leased to anybody", "next_at": None,
    },
    "sources": ["live", "history"], "missing": [], "notes": [],
}  # fmt: skip
CALL = {
    "kind": "call", "started_at": "2026-03-02T12:05:00Z", "ended_at": "2026-03-02T12:08:00Z",
    "appeal": "5b0f3a3e-8c1d-5a55-9f0e-0d4a7f0c7c11", "account": 2, "site": 1, "caller": "79161234567",
    "status": "answered", "method": "holder", "confidence": 0.93, "session": "kq3v", "late": False,
    "pinned_until": "2026-03-02T12:38:00Z",
}  # fmt: skip
TIMELINE = {
    "number": "74952232725", "since": "2026-03-02T00:00:00Z", "until": "2026-03-03T00:00:00Z", "pool": 1,
    "items": [
        {"kind": "lease", **LEASE},
        CALL,
        {"kind": "another_account", "started_at": "2026-03-02T15:00:00Z", "ended_at": "2026-03-02T17:00:00Z"},
    ],
    "sources": ["live", "history"], "missing": [], "next": None,
}  # fmt: skip
LEAKS = {
    "since": "2026-02-16T00:00:00Z", "until": "2026-03-02T00:00:00Z",
    "items": [{
        "number": "74952232725", "account": 1, "pool": 1, "callers": 9, "calls": 11, "days": 6, "expected": 0.4,
        "p_value": 1.3e-9, "last_lease_ended_at": "2026-02-02T12:33:00Z", "evidence": [{
            "started_at": "2026-02-17T10:02:00Z", "caller": "79161234567", "status": "answered",
            "method": "unattributed", "confidence": 0.0, "lease_ended_before_s": 1287000.0,
        }],
    }],
    "next": None,
}  # fmt: skip


ACCOUNT = {
    "id": 2, "name": "Windows", "time_zone": "Europe/Moscow", "currency": "RUB", "multichannel": True,
    "multichannel_touches": 2, "multichannel_days": 90, "created_at": "2026-03-02T12:00:00Z",
}  # fmt: skip
ACCOUNTS = {"items": [ACCOUNT], "next": None}
USER = {
    "id": 7, "account": 2, "email": "anna@windows.example", "name": "Anna", "role": "manager", "locale": "ru",
    "password": True, "openid": False,
    "disabled_at": None, "created_at": "2026-03-02T12:00:00Z", "signed_in_at": "2026-03-02T12:30:00Z",
}  # fmt: skip
USERS = {"items": [USER]}
ADDED_USER = {"user": USER, "password": "kx7mq-4hw2n-zt8pf"}
TOKEN = {
    "id": 3, "account": 2, "account_name": "Windows", "name": "CRM", "scopes": ["appeals:read"],
    "created_at": "2026-03-02T12:00:00Z", "expires_at": None, "last_used_at": None, "revoked_at": None,
    "maker": "Boris", "stopped": False,
}  # fmt: skip
TOKENS = {"items": [TOKEN]}
MADE_TOKEN = {
    "id": 3, "account": 2, "name": "CRM", "scopes": ["appeals:read"], "expires_at": None, "secret": "crt_…",
}  # fmt: skip
AUDIT = {
    "items": [{
        "id": 41, "at": "2026-03-02T12:00:00Z", "account": 2, "action": "user.add", "subject": "anna@windows.example",
        "user": 5, "user_name": "Boris", "token": None, "token_name": None, "details": {"role": "manager"},
    }],
    "next": "2026-03-02T12:00:00+00:00~41",
}  # fmt: skip
SITES = {
    "items": [{
        "id": 1, "account": 2, "name": "shop.example", "domains": ["shop.example"], "pools": ["Moscow"],
        "route": "sales", "fallback": "74952222222", "own_numbers": ["74952222222"], "hold_minutes": 30.0,
        "rest_minutes": 0.0, "overflow": "fallback", "consent": "full", "country": "RU", "quality_s": 60.0,
        "enabled": True,
    }],
    "next": None,
}  # fmt: skip
POOLS = {"items": [{"id": 1, "account": 1, "name": "Moscow", "active": 200, "disabled": 1}], "next": None}
NUMBERS = {
    "items": [{
        "number": "74952232725", "pool": "Moscow", "state": "active", "route": "", "note": "", "static_channel": None,
    }],
    "next": None,
}  # fmt: skip
STATIC_BINDINGS = {
    "items": [{
        "id": 1, "account": 2, "number": "74952220300", "site": "shop.example", "channel": "newspaper",
        "source": "izvestia", "medium": "print", "campaign": "", "valid_from": "2026-03-02T12:00:00Z", "valid_to": None,
    }],
    "next": None,
}  # fmt: skip
ADDED_POOL = {"id": 1, "name": "Moscow"}
ADDED_STATIC = {"id": 1, "number": "74952220300"}
CHANGED = {"changed": 3, "unchanged": 0}
TAKEN = {"appeal": "5b0f3a3e-8c1d-5a55-9f0e-0d4a7f0c7c11", "visit": True}

PROOFS = {
    "items": [{
        "id": 41, "pbx": "pbx1", "ran_at": "2026-03-03T00:40:02Z", "since": "2026-03-01T22:40:00Z",
        "until": "2026-03-03T00:39:55Z", "failure": "", "agree": True, "pbx_calls": 1843, "appeals": 1842,
        "missing": 1, "incomplete": 0, "extra": 0, "repaired": 1, "missing_calls": ["pbx1-1772452800.17"],
        "extra_calls": [], "refused_lines": 0, "complaint": "",
    }],
    "next": None,
}  # fmt: skip
STEPS = {
    "appeal": "5b0f3a3e-8c1d-5a55-9f0e-0d4a7f0c7c11", "started_at": "2026-03-02T12:05:00Z",
    "ended_at": "2026-03-02T12:08:00Z", "status": "answered", "lost_reason": None, "complete": True,
    "steps": [
        {"kind": "started", "at": "2026-03-02T12:05:00Z", "seconds": 0.0},
        {"kind": "group_entered", "at": "2026-03-02T12:05:01Z", "seconds": 1.0, "group": "sales"},
        {"kind": "rang", "at": "2026-03-02T12:05:01.5Z", "seconds": 1.5, "who": "201"},
        {"kind": "answered", "at": "2026-03-02T12:05:06Z", "seconds": 6.0, "who": "201"},
        {"kind": "ended", "at": "2026-03-02T12:08:00Z", "seconds": 180.0},
    ],
}  # fmt: skip


def picture(kind: str) -> dict[int, ResponseSpec]:
    """The responses of a handler that draws."""
    drawn = ResponseSpec(str, generate_examples=False, description="Drawn", media_type=kind)
    return {200: drawn, **{status: _refusal(status, *told) for status, told in REFUSALS.items()}}


MORE_REFUSALS = {
    409: ("Something else must be done first", "merged-again", "The survivor was merged again"),
    410: ("It became another by a merge", "merged-client", "This client became another"),
    412: ("It was changed meanwhile", "changed-meanwhile", "The note is another by now"),
    428: ("The version that was seen is not named", "no-version", "Say which version you saw"),
}
"""Of some handlers only."""


def of(
    answer: type, example: dict[str, Any], *, status: int = 200, also: Collection[int] = ()
) -> dict[int, ResponseSpec]:
    """The responses of a handler: its answer with an example, and each way to refuse; `also` those of MORE_REFUSALS."""
    told = "Found" if status == 200 else "Taken"  # noqa: PLR2004
    found = ResponseSpec(answer, generate_examples=False, description=told, examples=[Example(value=example)])
    return {status: found, **refusals(also=also)}


def refusals(*, also: Collection[int] = ()) -> dict[int, ResponseSpec]:
    """Of a handler that answers nothing: each way to refuse."""
    known = REFUSALS | {status: MORE_REFUSALS[status] for status in also}
    return {status: _refusal(status, *told) for status, told in known.items()}


def _refusal(status: int, description: str, kind: str, title: str) -> ResponseSpec:
    example = Example(value={"type": f"/problems/{kind}", "title": title, "status": status, "detail": ""})
    return ResponseSpec(
        Problem, generate_examples=False, description=description, media_type=MEDIA_TYPE, examples=[example]
    )
