"""Sites in Postgres: what an operator sets for them, and which pools serve them. Knows no visitors or leases."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Literal

import msgspec

from callrouter.callbacks.settings import CallbackSettings, is_route
from callrouter.db.connect import Connection
from callrouter.numbers import Number
from callrouter.pool.inventory import Refused, account_named, pool_named, site_named
from callrouter.pool.model import DEFAULT_HOLD, MINIMUM_HOLD
from callrouter.pool.routing import RouteRule

LIMITS = frozenset(["unique_days", "retention_days", "leases_per_address", "leases_per_site", "requests_per_second"])
DAY = timedelta(days=1)
NARROWING = re.compile(r":(regions?|sources?|priority)=([^:]*)$")


class WantedPool(msgspec.Struct, frozen=True):
    """A pool for a site's visitors; empty regions and sources mean all of them."""

    name: str
    priority: int = 0
    regions: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


Limit = int | Literal["default"]
"""A limit of a site's own, or that which holds without one."""


class SiteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be set; what is None stays as it is (a new site: the table's default)."""

    name: str | None = None
    hold: timedelta | None = None
    rest: timedelta | None = None
    visit_gap: timedelta | None = None
    overflow: str | None = None
    fallback_number: Number | None = None
    route: str | None = None
    display_pattern: str | None = None
    country: str | None = None
    quality_s: float | None = None
    bounce_s: float | None = None
    unique_scope: str | None = None
    unique_days: Limit | None = None
    domains: tuple[str, ...] | None = None
    excluded_referrers: tuple[str, ...] | None = None
    enabled: bool | None = None
    consent: str | None = None
    own_numbers: tuple[Number, ...] | None = None
    select: str | None = None
    shadow: str | None = None
    retention_days: Limit | None = None
    leases_per_address: Limit | None = None
    leases_per_site: Limit | None = None
    requests_per_second: Limit | None = None
    without_fallback: bool = False
    pools: tuple[WantedPool, ...] | None = None
    callback: dict[str, object] | None = None
    """Fields of CallbackSettings."""
    routing: tuple[RouteRule, ...] | None = None

    def columns(self) -> dict[str, object]:
        aside = ("pools", "without_fallback", "select", "shadow", "callback", "routing")
        given = {name: getattr(self, name) for name in self.__struct_fields__ if name not in aside}
        columns: dict[str, object] = {
            name: None if value == "default" and name in LIMITS else value
            for name, value in given.items() if value is not None
        }  # fmt: skip
        if self.without_fallback:
            columns["fallback_number"] = None
        return columns

    def script(self) -> dict[str, str]:
        """What is to be set in the column `widget`."""
        return {name: value for name in ("select", "shadow") if (value := getattr(self, name)) is not None}


def wanted_pool(text: str, place: int) -> WantedPool:
    """`NAME[:regions=A,B][:sources=C,D][:priority=N]`; without a priority it is tried in its `place` of the list."""
    name, told = text.strip(), dict[str, str]()
    while match := NARROWING.search(name):
        key = match[1].removesuffix("s")
        if key in told:
            raise Refused("{text!r} says {key} twice", text=text, key=key)
        told[key] = match[2]
        name = name[: match.start()]
    if not name:
        raise Refused("{text!r} names no pool; write NAME:regions=A,B:sources=C,D:priority=N", text=text)
    priority = told.get("priority", str(place))
    if not re.fullmatch(r"-?\d{1,6}", priority):
        raise Refused("{text!r}: a priority is a whole number, the lowest is tried first", text=text)
    return WantedPool(name, int(priority), _words(told.get("region", "")), _words(told.get("source", "")))


async def add_site(conn: Connection, domain: str, *, account: str, settings: SiteSettings | None = None) -> int:
    """A site of `account`, whose visitors get numbers of its pools (none: static numbers only)."""
    async with conn.transaction():
        return await add_site_of(conn, await account_named(conn, account), domain, settings or SiteSettings())


async def add_site_of(conn: Connection, owner: int, domain: str, settings: SiteSettings) -> int:
    """The same of an account by its id, within a transaction."""
    _require_sound(settings)
    await _require_free_name(conn, owner, domain)
    own = [settings.fallback_number] if settings.fallback_number else []
    site = await conn.fetchval(
        "INSERT INTO sites (account_id, name, domains, own_numbers) VALUES ($1, $2, ARRAY[$2], $3) RETURNING id",
        owner, domain, own,
    )  # fmt: skip
    await _set(conn, owner, site, settings)
    return int(site)


async def change_site(conn: Connection, domain: str, settings: SiteSettings, *, account: str | None = None) -> int:
    """Set what `settings` names, all of it or nothing. Pools given replace the site's pools."""
    _require_sound(settings)
    if settings == SiteSettings():
        raise Refused("nothing to change was given; see callrouter site change --help")
    async with conn.transaction():
        owner, site = await site_named(conn, domain, account=account)
        await _set(conn, owner, site, settings)
    return site


async def change_site_of(conn: Connection, owner: int, site: int, settings: SiteSettings) -> None:
    """The same by id, within a transaction."""
    _require_sound(settings)
    if settings.name is not None:
        await _require_free_name(conn, owner, settings.name, but=site)
    await _set(conn, owner, site, settings)


async def known_routes(conn: Connection, account: int) -> list[str]:
    """Where calls of the account are sent as it is: what the operator once set for it."""
    rows = await conn.fetch(ROUTES, account)
    return [row["route"] for row in rows]


async def pools_without_numbers(conn: Connection, site: int) -> list[str]:
    """Pools of a site that can lease nothing: its visitors see the fallback number."""
    rows = await conn.fetch(
        """SELECT p.name FROM site_pools sp JOIN pools p ON p.id = sp.pool_id WHERE sp.site_id = $1
           AND NOT EXISTS (SELECT 1 FROM numbers n WHERE n.pool_id = p.id AND n.state = 'active') ORDER BY p.name""",
        site,
    )
    return [row["name"] for row in rows]


async def short_retentions(
    conn: Connection, site: int | None = None, window: timedelta = timedelta(0)
) -> list[str]:  # fmt: skip
    """What is lost where a site keeps its leases shorter than calls are credited to them. `window`: the router's."""
    rows = await conn.fetch(
        """SELECT s.name, s.retention_days AS days, greatest(a.attribution_window, $2) AS credited
           FROM sites s JOIN accounts a ON a.id = s.account_id WHERE s.id = coalesce($1, s.id)
           AND make_interval(days => s.retention_days) < greatest(a.attribution_window, $2) ORDER BY s.id""",
        site, window,
    )  # fmt: skip
    return [
        f"{row['name']} forgets visits and leases after {row['days']} days, but a call is credited to them for "
        f"{row['credited'] / DAY:g} days: later callers will be nobody's. Set --retention-days "
        f"{-(-row['credited'] // DAY)} or more, unless the law wants it so."
        for row in rows
    ]


async def _set(conn: Connection, owner: int, site: int, settings: SiteSettings) -> None:
    await _require_own(conn, owner, [*filter(None, [settings.fallback_number]), *(settings.own_numbers or ())])
    columns = settings.columns()
    if columns:
        sets = ", ".join(f"{name} = ${index}" for index, name in enumerate(columns, 3))
        await conn.execute(
            f"UPDATE sites SET {sets} WHERE account_id = $1 AND id = $2",  # noqa: S608 - names of SiteSettings' fields
            owner, site, *columns.values(),
        )  # fmt: skip
    if script := settings.script():
        await conn.execute(
            "UPDATE sites SET widget = widget || $3::text::jsonb WHERE account_id = $1 AND id = $2",
            owner, site, msgspec.json.encode(script).decode(),
        )  # fmt: skip
    if settings.routing is not None:
        await conn.execute(
            "UPDATE sites SET routing = $3::text::jsonb WHERE account_id = $1 AND id = $2",
            owner, site, msgspec.json.encode(settings.routing).decode(),
        )  # fmt: skip
    if settings.callback is not None:
        await _set_callback(conn, owner, site, settings.callback)
    if settings.fallback_number:
        await conn.execute(
            """UPDATE sites SET own_numbers = own_numbers || $3::text
               WHERE account_id = $1 AND id = $2 AND NOT $3::text = ANY(own_numbers)""",
            owner, site, settings.fallback_number,
        )  # fmt: skip
    if settings.pools is not None:
        await _set_pools(conn, owner, site, settings.pools)


async def _set_callback(conn: Connection, owner: int, site: int, given: dict[str, object]) -> None:
    stored = await conn.fetchval("SELECT callback::text FROM sites WHERE account_id = $1 AND id = $2", owner, site)
    route = await conn.fetchval("SELECT route FROM sites WHERE account_id = $1 AND id = $2", owner, site)
    try:
        settings = msgspec.convert({**msgspec.json.decode(stored), **given}, CallbackSettings)
    except msgspec.ValidationError as error:
        raise Refused("callback: {why}", why=str(error)) from None
    if settings.enabled and not is_route(settings.route or route):
        raise Refused("callback orders ring a route first, an extension of your PBX: name it for them or for the site")
    text = msgspec.json.encode(settings).decode()
    await conn.execute(
        "UPDATE sites SET callback = $3::text::jsonb WHERE account_id = $1 AND id = $2", owner, site, text
    )


async def _set_pools(conn: Connection, owner: int, site: int, pools: tuple[WantedPool, ...]) -> None:
    ids = [await pool_named(conn, pool.name, account=owner) for pool in pools]
    if len(set(ids)) < len(ids):
        raise Refused("a pool is named twice; give one pool several regions by regions=A,B")
    await conn.execute("DELETE FROM site_pools WHERE account_id = $1 AND site_id = $2", owner, site)
    await conn.executemany(
        """INSERT INTO site_pools (account_id, site_id, pool_id, priority, regions, sources)
           VALUES ($1, $2, $3, $4, $5, $6)""",
        [
            (owner, site, pool_id, pool.priority, pool.regions, pool.sources)
            for pool_id, pool in zip(ids, pools, strict=True)
        ],
    )


async def _require_own(conn: Connection, owner: int, numbers: list[Number]) -> None:
    """No number that is leased to visitors; nor, where an account says so itself, one of another account."""
    rows = await conn.fetch(
        "SELECT * FROM numbers_not_for($1, $2) WHERE why = 'pool' OR scoped_account() IS NOT NULL", owner, numbers
    )
    for row in rows:
        if row["why"] == "pool":
            raise Refused(
                "{number} is in pool {pool} and leased to visitors; name the site's own number",
                number=row["number"], pool=row["pool"],
            )  # fmt: skip
        raise Refused("{number} is another account's number; ask your operator", number=row["number"])


async def _require_free_name(conn: Connection, owner: int, name: str, *, but: int = 0) -> None:
    if await conn.fetchval(
        "SELECT 1 FROM sites WHERE account_id = $1 AND name = $2 AND id <> $3", owner, name, but
    ):  # fmt: skip
        raise Refused("the account has a site {name!r} already", name=name)


def _require_sound(settings: SiteSettings) -> None:
    hold = settings.hold if settings.hold is not None else DEFAULT_HOLD
    if hold < MINIMUM_HOLD:
        raise Refused("hold is {hold}; visitors who call late need at least {least}, 30 minutes are usual",
                      hold=hold, least=MINIMUM_HOLD)  # fmt: skip
    if settings.route and not settings.route.isprintable():
        raise Refused("a route is a name that the dialplan maps, on one line")
    if settings.domains is not None and not settings.domains:
        raise Refused("a site has at least one domain")


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


ROUTES = """
SELECT route FROM (
    SELECT route FROM sites WHERE account_id = $1
    UNION SELECT callback ->> 'route' FROM sites WHERE account_id = $1
    UNION SELECT rule ->> 'route' FROM sites, jsonb_array_elements(routing) AS rule WHERE account_id = $1
    UNION SELECT default_route FROM accounts WHERE id = $1) known
WHERE route <> '' ORDER BY route"""
