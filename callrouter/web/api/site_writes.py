"""What changing a site asks of whoever does it, by the page or the API. How it is set is `pool.site_inventory`'s."""

from __future__ import annotations

from typing import Any

import msgspec

from callrouter.db.connect import Connection
from callrouter.people import audit
from callrouter.people.bounds import require_room
from callrouter.people.model import Caller
from callrouter.pool.inventory import OPERATOR, Refused
from callrouter.pool.site_change import SiteChange, WrongSettings, settings_in
from callrouter.pool.site_details import SiteDetails, site_numbered
from callrouter.pool.site_inventory import SiteSettings, add_site_of, change_site_of, known_routes

CALLED = """
SELECT DISTINCT coalesce(c.country, s.country) AS country FROM sites s
LEFT JOIN LATERAL jsonb_array_elements_text(s.callback -> 'countries') AS c (country) ON true
WHERE s.account_id = $1"""


async def change_site(conn: Connection, before: SiteDetails, change: SiteChange, *, by: Caller) -> SiteDetails:
    """Within the transaction that read and locked `before`. Raises Refused, WrongSettings where it knows of what."""
    await _require_allowed(conn, before.account, change, by)
    settings = settings_in(change, before.country)
    if settings == SiteSettings():
        return before
    if by.account != OPERATOR and settings.country not in (None, before.country) and not before.callback.countries:
        settings = _calling_only(settings, (before.country,))
    await change_site_of(conn, before.account, before.id, settings)
    after = await site_numbered(conn, before.account, before.id)
    if told := _changed(before, after):
        await audit.record(conn, before.account, by, "site.change", after.name, **told)
    return after


async def add_site(conn: Connection, owner: int, change: SiteChange, *, by: Caller) -> SiteDetails:
    """`change` names at least its first domain. Raises Refused."""
    await _require_allowed(conn, owner, change, by)
    await require_room(conn, owner, "sites", by)
    domains = change.given().get("domains", ())
    if not domains:
        raise WrongSettings({"domains": Refused("a site has at least one domain")})
    settings = settings_in(change, "RU")
    name = settings.name or (settings.domains or ("",))[0]
    if by.account != OPERATOR:
        called = tuple(row["country"] for row in await conn.fetch(CALLED, owner)) or ("RU",)
        if (settings.country or "RU") not in called:
            settings = _calling_only(settings, called)
    added = await add_site_of(conn, owner, name, msgspec.structs.replace(settings, name=None))
    await audit.record(conn, owner, by, "site.add", name)
    return await site_numbered(conn, owner, added)


def _calling_only(settings: SiteSettings, countries: tuple[str, ...]) -> SiteSettings:
    """Whom callback orders may call stays as it was: an account does not widen it by another country of its site."""
    return msgspec.structs.replace(settings, callback={**(settings.callback or {}), "countries": countries})


async def _require_allowed(conn: Connection, owner: int, change: SiteChange, by: Caller) -> None:
    """What costs others is the operator's to set, and a route is a name that he gave out: it may be another's."""
    if by.account == OPERATOR:
        return
    faults = {name: Refused("that is set by the operator") for name in change.of_the_operator()}
    unknown = change.routes() - set(await known_routes(conn, owner))
    for name in ("route", "routing", "callback_route"):
        if unknown & _routes_of(change, name):
            faults[name] = Refused("a route that your operator has not given you yet: {routes}",
                                   routes=", ".join(sorted(unknown))[:200])  # fmt: skip
    if faults:
        raise WrongSettings(faults)


def _routes_of(change: SiteChange, name: str) -> set[str]:
    given = change.given()
    told: dict[str, list[Any]] = {
        "route": [given.get("route")], "routing": [rule.route for rule in given.get("routing", ())],
        "callback_route": [change.callback_given().get("route")],
    }  # fmt: skip
    return set(filter(None, told[name]))


def _changed(before: SiteDetails, after: SiteDetails) -> dict[str, object]:
    """What the record tells: before and after of each setting."""
    was, now = msgspec.to_builtins(before), msgspec.to_builtins(after)
    return {name: [was[name], now[name]] for name in now if was[name] != now[name]}
