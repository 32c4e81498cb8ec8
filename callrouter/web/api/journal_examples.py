"""Examples of the journal, its clients and visits for the OpenAPI description. The tests hold each to its type."""

from __future__ import annotations

_APPEAL = "5b0f3a3e-8c1d-5a55-9f0e-0d4a7f0c7c11"
_ROW = {
    "id": _APPEAL, "started_at": "2026-03-02T12:05:00Z", "kind": "call", "direction": "inbound", "status": "answered",
    "site": 1, "client": 17, "client_name": "Анна", "customer": "79161234567", "called": "74952232725",
    "group": "Продажи", "employee": "101", "wait_s": 8.2, "talk_s": 94.0, "method": "holder", "confidence": 0.93,
    "channel": "paid_search", "source": "yandex", "medium": "cpc", "campaign": "windows", "keyword": "окна цена",
    "landing_page": "https://shop.example/", "device": "mobile", "location": "Москва", "unique": True, "quality": True,
    "multichannel": True, "spam": False, "tags": ["важно"], "comment": "",
}  # fmt: skip
APPEALS = {"items": [_ROW], "next": "WyItc3RhcnRlZF9hdCJd", "total": None, "more": False}
TAGS = {"items": ["важно", "перезвонить"], "next": None}
VALUES = {"items": [{"value": "Продажи", "appeals": 812}, {"value": "Сервис", "appeals": 90}], "next": None}
VIEW = {
    "id": 3, "name": "Пропущенные из Директа", "shared": True, "query": "period=7d&status=lost&source=yandex",
    "columns": ["when", "who", "campaign"], "sort": "-started_at", "mine": True, "changed_at": "2026-03-02T12:05:00Z",
}  # fmt: skip
VIEWS = {"items": [VIEW], "next": None}
NOTE = {
    "version": "1772453100000000", "spam": False, "tags": ["важно"], "comment": "Просил счёт",
    "changed_at": "2026-03-02T12:05:00Z",
}  # fmt: skip
APPEAL = {
    "appeal": {
        **_ROW,
        "steps": [
            {"at": "2026-03-02T12:05:00Z", "kind": "started"},
            {"at": "2026-03-02T12:05:01Z", "kind": "group_entered", "group": "Продажи"},
            {"at": "2026-03-02T12:05:08Z", "kind": "answered", "who": "101"},
            {"at": "2026-03-02T12:06:42Z", "kind": "ended"},
        ],
        "candidates": [
            {"method": "holder", "weight": 0.93, "site": 1, "session": "kq3v", "since": 12.0},
            {"method": "last_holder", "weight": 0.04, "another_account": True},
        ],
    },
    "why": "The visitor's page showed the number dialled when the call came. That is right in 93% of such cases.",
    "note": NOTE, "previous": None, "next": None,
}  # fmt: skip
CLIENTS = {
    "items": [{
        "id": 17, "name": "Анна", "phone": "79161234567", "email": None, "first_touch_at": "2026-03-01T09:00:00Z",
        "last_seen_at": "2026-03-02T12:05:00Z",
    }],
    "next": None,
}  # fmt: skip
CLIENT_NOTE = {"note": "Звонить после обеда"}
CARD = {
    "id": 17, "number": "79161234567", "number_known": True, "name": "неизвестно", "name_known": False,
    "location": "Москва", "first_touch_at": "2026-03-01T09:00:00Z",
    "revenue": [{"amount": "125000.00", "currency": "RUB"}],
    "identities": [{
        "kind": "phone", "value": "79161234567", "first_seen_at": "2026-03-02T12:05:00Z",
        "last_seen_at": "2026-03-02T12:05:00Z",
    }],
    "note": "", "appeals": 3, "calls": 2, "lost": 1, "unique": 1, "quality": 1, "multichannel": 1, "talk_s": 94.0,
    "visits": 7, "time_on_site_s": 1260.0, "first_channel": "organic_search", "first_source": "google", "deals": 1,
    "first_appeal_at": "2026-03-02T12:05:00Z", "last_appeal_at": "2026-03-09T10:00:00Z",
    "first_visit_at": "2026-03-01T09:00:00Z", "last_visit_at": "2026-03-09T09:55:00Z", "merges": [],
    "created_at": "2026-03-02T12:06:42Z",
}  # fmt: skip
_VISIT = {
    "session": "kq3v", "visitor": "Zk8xQ2", "site": 1, "started_at": "2026-03-02T12:00:00Z",
    "seen_at": "2026-03-02T12:04:00Z", "ended_at": "2026-03-02T12:34:00Z", "time_on_site_s": 240.0, "bounce": False,
    "channel": "paid_search", "source": "yandex", "medium": "cpc", "campaign": "windows", "keyword": "окна цена",
    "content": "banner-2", "click_id": "17203398145", "landing_page": "https://shop.example/",
    "referrer": "https://yandex.ru/", "page": "https://shop.example/price", "title": "Цены", "pages": 3,
    "device": "mobile", "os": "Android 14", "browser": "Chrome 130", "location": "Москва", "ga_client_id": "123.456",
    "ga_session_id": "", "ym_client_id": "789", "ym_counter": "555", "overflow": False, "number": "74952232725",
}  # fmt: skip
HISTORY = {
    "total": 2, "next": None,
    "items": [
        {
            "what": "appeal", "at": "2026-03-02T12:05:00Z", "n": 2, "n_of_kind": 1, "since_previous_s": 300.0,
            "appeal": _ROW, "visit": None, "deal": None,
        },
        {
            "what": "visit", "at": "2026-03-02T12:00:00Z", "n": 1, "n_of_kind": 1, "since_previous_s": None,
            "appeal": None, "visit": _VISIT, "deal": None,
        },
    ],
}  # fmt: skip
VISITS = {"items": [_VISIT], "next": None}
VISIT = {
    "visit": _VISIT, "client": 17, "appeals": [_APPEAL], "cut": False,
    "pages": [{"at": "2026-03-02T12:00:00Z", "url": "https://shop.example/", "title": "Окна", "seconds": 40.0}],
}  # fmt: skip
