"""Examples of reports, deals and costs for the OpenAPI description; the tests hold each to its type."""

from __future__ import annotations

FIGURES = {
    "visits": 812, "visitors": 690, "shown": 640, "overflow": 3, "appeals": 61, "calls": 48, "outgoing": 4, "forms": 7,
    "callbacks": 2, "chats": 0, "emails": 0, "visit_calls": 44, "answered": 41, "lost": 7, "unique_calls": 33,
    "quality": 29, "unique_quality": 22, "multichannel": 9, "spam": 1, "mean_wait_s": 11.2, "mean_talk_s": 143.5,
    "conversion": {"value": 0.0542, "low": 0.0406, "high": 0.072},
    "lost_share": {"value": 0.1458, "low": 0.0725, "high": 0.2717},
    "quality_share": {"value": 0.6042, "low": 0.4631, "high": 0.7298}, "clicks": 870, "impressions": 21000,
    "money": [{
        "currency": "RUB", "cost": "48000", "revenue": "310500.5", "deals": 5, "won": 4, "cost_per_call": "1000",
        "cost_per_unique_quality": "2181.8182", "roi": 5.46876,
    }],
}  # fmt: skip
REPORT = {
    "name": "channels", "account": 2, "since": "2026-02-28T21:00:00Z", "until": "2026-03-31T21:00:00Z",
    "time_zone": "Europe/Moscow", "currency": "RUB", "by": ["channel"], "model": "last_click",
    "rows": [{
        "key": {"channel": "paid_search"}, "figures": FIGURES, "previous": None,
        "filter": "since=2026-02-28T21%3A00%3A00Z&until=2026-03-31T21%3A00%3A00Z&channel=paid_search&spam=false",
    }],
    "total": FIGURES, "left_off": 0, "previous": None,
    "filter": "since=2026-02-28T21%3A00%3A00Z&until=2026-03-31T21%3A00%3A00Z&spam=false",
    "figures": {"lost": "kind=call&direction=inbound&status=lost"},
}  # fmt: skip
NUMBERS = {
    "since": "2026-02-28T21:00:00Z", "until": "2026-03-31T21:00:00Z", "items": [{
        "number": "74952232725", "kind": "static", "channel": "newspaper", "source": "Metro", "site": 1, "calls": 12,
        "unique_calls": 9, "quality": 7, "lost": 1, "lost_share": {"value": 0.0833, "low": 0.0149, "high": 0.3539},
        "last_call_at": "2026-03-30T09:12:00Z",
    }],
}  # fmt: skip
POOLS = {
    "since": "2026-02-28T21:00:00Z", "until": "2026-03-31T21:00:00Z",
    "items": [{"pool": 1, "leases": 5210, "numbers": 60, "mean_leased": 14.2, "taken": 0}],
    "sites": [{
        "site": 1, "visits": 6100, "shown": 5210, "overflow": 12,
        "overflow_share": {"value": 0.002, "low": 0.0011, "high": 0.0034},
    }],
}  # fmt: skip
PATHS = {
    "since": "2026-02-28T21:00:00Z", "until": "2026-03-31T21:00:00Z",
    "items": [{"path": ["paid_search yandex", "direct (direct)"], "appeals": 17, "quality": 9}],
    "assists": [{"channel": "paid_search", "source": "yandex", "last": 31, "assisted": 44}],
}  # fmt: skip
DEAL = {
    "account": 2, "id": 71, "client": 40, "linked_by": "phone", "appeal": "5b0f3a3e-8c1d-5a55-9f0e-0d4a7f0c7c11",
    "crm": "bitrix24", "crm_id": "D-118", "title": "Windows, 3", "stage": "won", "funnel": "retail",
    "url": "https://crm.example/deal/118", "employee": "Anna", "revenue": "82500.5",
    "currency": "RUB", "opened_at": "2026-03-02T12:10:00Z",
    "closed_at": "2026-03-12T12:10:00Z", "won": True, "cycle_days": 10.0, "ga_client_id": "1.2", "ym_client_id": "",
    "changed_at": "2026-03-12T12:10:05Z", "version": 2,
    "history": [{"at": "2026-03-12T12:10:05Z", "by": "token 4", "changes": {"won": [None, True]}}],
}  # fmt: skip
DEALS = {"items": [DEAL], "next": None}
COST = {
    "id": 5, "day": "2026-03-01", "site": None, "channel": "paid_search", "source": "yandex", "medium": "cpc",
    "campaign": "windows", "keyword": "", "content": "", "amount": "1540.25", "currency": "RUB", "clicks": 31,
    "impressions": 900, "origin": "direct",
}  # fmt: skip
COSTS = {"items": [COST], "next": None}
REPLACED = {"origin": "direct", "day": "2026-03-01", "costs": 1}
RATES = {"items": [{"currency": "USD", "day": "2026-03-01", "rate": "91.5"}]}
SCHEDULE = {
    "account": 2, "id": 4, "name": "Monday's calls", "report": "sources", "period": "last_week", "format": "xlsx",
    "every": "week", "day": 1, "at": "09:00", "site": None, "model": "last_click", "locale": "ru",
    "recipients": ["anna@windows.example"], "to_folder": False, "enabled": True,
    "next_due_at": "2026-03-16T06:00:00Z",
    "sendings": [
        {"account": 2, "report": 4, "due_at": "2026-03-09T06:00:00Z", "recipient": "anna@windows.example",
         "state": "sent", "attempts": 1, "next_at": "2026-03-09T06:00:00Z", "ended_at": "2026-03-09T06:00:04Z",
         "note": ""},
    ],
}  # fmt: skip
SCHEDULES = {"items": [SCHEDULE]}
ASKED = {"due_at": "2026-03-10T14:03:00Z"}
