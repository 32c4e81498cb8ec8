"""One site with all that is set for it, as Postgres has it. Changes nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from callrouter.callbacks.settings import CallbackSettings
from callrouter.db.connect import Connection
from callrouter.pool.inventory import Unknown
from callrouter.pool.routing import RouteRule
from callrouter.pool.site_inventory import WantedPool


class CallbackSet(CallbackSettings, frozen=True, kw_only=True, omit_defaults=False):
    """What is set for callback orders, defaults told too."""

    def __post_init__(self) -> None:
        """What is stored is told as it is, right or wrong."""


class SiteDetails(msgspec.Struct, frozen=True, kw_only=True):
    """`pools`: those that the asker may see; `shared_pools`: how many of the operator's besides."""

    id: int
    account: int
    name: str
    domains: tuple[str, ...]
    excluded_referrers: tuple[str, ...]
    country: str
    own_numbers: tuple[str, ...]
    fallback: str | None
    display: str
    select: str
    shadow: str
    route: str
    routing: tuple[RouteRule, ...]
    hold_minutes: float
    rest_minutes: float
    gap_minutes: float
    overflow: str
    consent: str
    quality_s: float
    bounce_s: float
    unique_scope: str
    unique_days: int | None
    retention_days: int | None
    leases_per_address: int | None
    leases_per_site: int | None
    requests_per_second: int | None
    pools: tuple[WantedPool, ...]
    shared_pools: int
    callback: CallbackSet
    enabled: bool
    created_at: datetime

    def settable(self) -> list[object]:
        """What another may have changed since it was read: all of it."""
        return [getattr(self, name) for name in self.__struct_fields__]


async def site_numbered(conn: Connection, account: int | None, site: int, *, lock: bool = False) -> SiteDetails:
    """`account`: whose it must be, None: anybody's. `lock`: nobody else changes it meanwhile. Raises Unknown."""
    row = await conn.fetchrow(SITE + (" FOR UPDATE OF s" if lock else ""), account, site)
    if row is None:
        raise Unknown(site)
    pools = await conn.fetch(POOLS, row["account"], site)
    widget = msgspec.json.decode(row["widget"])
    facts: dict[str, Any] = {name: value for name, value in row.items() if name != "widget"}
    facts |= {
        "select": str(widget.get("select", "")), "shadow": str(widget.get("shadow", "")),
        "domains": tuple(row["domains"]), "excluded_referrers": tuple(row["excluded_referrers"]),
        "own_numbers": tuple(row["own_numbers"]),
        "routing": msgspec.json.decode(row["routing"], type=tuple[RouteRule, ...]),
        "callback": msgspec.json.decode(row["callback"], type=CallbackSet),
        "pools": tuple(
            WantedPool(each["name"], each["priority"], tuple(each["regions"]), tuple(each["sources"]))
            for each in pools if each["name"] is not None
        ),
        "shared_pools": sum(each["name"] is None for each in pools),
    }  # fmt: skip
    return SiteDetails(**facts)


SITE = """
SELECT s.id, s.account_id AS account, s.name, s.domains, s.excluded_referrers, s.country, s.own_numbers,
       s.fallback_number AS fallback, s.display_pattern AS display, s.widget::text AS widget, s.route,
       s.routing::text AS routing, extract(epoch FROM s.hold)::float8 / 60 AS hold_minutes,
       extract(epoch FROM s.rest)::float8 / 60 AS rest_minutes,
       extract(epoch FROM s.visit_gap)::float8 / 60 AS gap_minutes, s.overflow, s.consent, s.quality_s, s.bounce_s,
       s.unique_scope, s.unique_days, s.retention_days, s.leases_per_address, s.leases_per_site,
       s.requests_per_second, s.callback::text AS callback, s.enabled, s.created_at
FROM sites s WHERE ($1::bigint IS NULL OR s.account_id = $1) AND s.id = $2"""
POOLS = """
SELECT p.name, sp.priority, sp.regions, sp.sources FROM site_pools sp LEFT JOIN pools p ON p.id = sp.pool_id
WHERE sp.account_id = $1 AND sp.site_id = $2 ORDER BY sp.priority, sp.pool_id"""
