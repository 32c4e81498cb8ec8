"""What the descriptions of sites, pools and static numbers show as answers."""

from __future__ import annotations

SITE = {
    "id": 1, "account": 2, "name": "shop.example", "domains": ["shop.example"], "excluded_referrers": [],
    "country": "RU", "own_numbers": ["74952222222"], "fallback": "74952222222", "display": "8 (###) ###-##-##",
    "select": "", "shadow": "", "route": "sales",
    "routing": [{"route": "manager", "caller": "managed"}, {"route": "leads", "channels": ["paid_search"]}],
    "hold_minutes": 30.0, "rest_minutes": 0.0, "gap_minutes": 30.0, "overflow": "fallback", "consent": "full",
    "quality_s": 60.0, "bounce_s": 15.0, "unique_scope": "account", "unique_days": None, "retention_days": None,
    "leases_per_address": None, "leases_per_site": None, "requests_per_second": None,
    "pools": [{"name": "Moscow", "priority": 0, "regions": [], "sources": []}], "shared_pools": 0,
    "callback": {
        "enabled": False, "pbx": "", "route": "", "shown": "", "countries": [], "hours": "mo-fr 09:00-18:00",
        "time_zone": "", "latest_minutes": 60, "attempts": 3, "pause_s": 60, "ring_s": 30, "per_visitor": 3,
        "per_site": 30,
    },
    "enabled": True, "created_at": "2026-03-02T12:00:00Z",
}  # fmt: skip
SEEN = {
    "script": {"at": "2026-03-02T12:00:00Z", "page": "shop.example"},
    "visit": {"at": "2026-03-02T12:00:01Z", "page": "shop.example/windows"}, "refused": None,
}  # fmt: skip
POOL = {
    "id": 1, "account": 1, "name": "Moscow", "active": 200, "disabled": 1,
    "now": {
        "numbers": 201, "leased": 88, "resting": 4, "pinned": 2, "free": 106, "disabled": 1,
        "longest_free": "2026-03-02T06:11:40Z", "visits": 97, "backlog": 0,
    },
    "standing": {
        "plan": None, "visits": 120, "overflowed": 0, "drift": [],
        "reckoned": {"load": 84.1, "leases_in_peak_hour": 118, "enough": 101, "points": [[28, 0.33], [101, 0.99]]},
    },
}  # fmt: skip
