"""Demand from what a pool's sites saw in the last weeks: visits, leases and calls in Postgres. Decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import asyncpg
import msgspec

from callrouter.db.connect import Connection
from callrouter.pool.delay import DelayModel
from callrouter.pool.inventory import OPERATOR, Refused, hint, site_named
from callrouter.pool.planning.demand import Impossible, with_callers
from callrouter.pool.planning.reuse import visit_seconds
from callrouter.pool.simulation.world import Browsing, Rhythm, Site, World

FEWEST_VISITS = 300
"""Fewer tell nothing of how a day goes."""
FEWEST_CALLS = 30
PRIOR_CALLS = 20
SLOWEST, FASTEST = 0.2, 5.0
"""How far visits may be longer or shorter than the simulation's own."""


class PoolOfSite(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    name: str
    account: int
    hold: timedelta
    """The longest of the sites that it serves."""
    active: int
    """Numbers in use."""
    sites: tuple[str, ...]


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """Visits that wanted a number."""

    days: float
    visits: int
    by_site: Mapping[tuple[int, int], int]
    by_hour: Mapping[tuple[int, int], Sequence[int]]
    """Of a site: 24 hours, then 7 days from Monday."""
    visitors: int
    seconds: float
    """Mean length of a visit."""
    callers: int
    """Visits that somebody's call was credited to."""


async def pool_of_site(
    conn: Connection, domain: str, *, account: str | None = None, pool: str | None = None
) -> PoolOfSite:
    """The pool that serves a site first, or the one named. Raises Refused if there is none."""
    owner, site = await site_named(conn, domain, account=account)
    rows = await conn.fetch(
        """SELECT p.id, p.name, p.account_id FROM site_pools sp JOIN pools p ON p.id = sp.pool_id
           WHERE sp.account_id = $1 AND sp.site_id = $2 ORDER BY sp.priority, p.id""",
        owner, site,
    )  # fmt: skip
    chosen = [row for row in rows if pool in (None, row["name"])]
    if not rows:
        raise Refused(
            "site {domain} leases no numbers: it has no pool (callrouter site change {domain} --pool …)", domain=domain
        )
    if not chosen:
        known = hint(str(pool), (row["name"] for row in rows))
        raise Refused("pool {pool!r} does not serve {domain}; {hint}", pool=pool, domain=domain, hint=known)
    sharing = await conn.fetch(
        """SELECT s.name, s.hold FROM site_pools sp JOIN sites s ON s.account_id = sp.account_id AND s.id = sp.site_id
           WHERE sp.pool_id = $1 ORDER BY s.name""",
        chosen[0]["id"],
    )  # fmt: skip
    active = await conn.fetchval(
        "SELECT count(*) FROM numbers WHERE pool_id = $1 AND state = 'active'", chosen[0]["id"]
    )
    return PoolOfSite(
        id=chosen[0]["id"], name=chosen[0]["name"], account=chosen[0]["account_id"],
        hold=max(row["hold"] for row in sharing), active=active, sites=tuple(row["name"] for row in sharing),
    )  # fmt: skip


async def traffic_of_pool(conn: Connection, pool: int, *, until: datetime, days: float) -> Traffic:
    """What the pool's sites saw in the `days` before `until`, by the local time of their accounts."""
    since = until - timedelta(days=days)
    wanting = """SELECT v.account_id, v.site_id, v.session, v.visitor, v.started_at, v.seen_at, a.time_zone
                 FROM visits v JOIN accounts a ON a.id = v.account_id
                 JOIN site_pools sp ON sp.account_id = v.account_id AND sp.site_id = v.site_id AND sp.pool_id = $1
                 LEFT JOIN numbers n ON n.number = v.number
                 WHERE v.started_at >= $2 AND v.started_at < $3
                 AND (n.pool_id = $1 OR (v.number IS NULL AND v.overflow))"""
    cells = await conn.fetch(
        f"""WITH wanting AS ({wanting})
            SELECT account_id, site_id, extract(hour FROM started_at AT TIME ZONE time_zone)::int AS hour,
                   extract(isodow FROM started_at AT TIME ZONE time_zone)::int - 1 AS weekday, count(*) AS visits
            FROM wanting GROUP BY 1, 2, 3, 4""",  # noqa: S608 - our own text
        pool, since, until,
    )  # fmt: skip
    whole = await conn.fetchrow(
        f"""WITH wanting AS ({wanting})
            SELECT count(*) AS visits, count(DISTINCT (account_id, site_id, visitor)) AS visitors,
                   coalesce(avg(extract(epoch FROM seen_at - started_at)), 0)::float8 AS seconds,
                   min(started_at) AS first,
                   (SELECT count(DISTINCT ap.session) FROM appeals ap WHERE ap.kind = 'call'
                    AND ap.direction = 'inbound' AND ap.started_at >= $2 AND ap.session IN (SELECT session FROM wanting)
                   ) AS callers
            FROM wanting""",  # noqa: S608 - our own text
        pool, since, until,
    )  # fmt: skip
    return _traffic(cells, whole, until)


async def fitted_model(conn: Connection, traffic: Traffic) -> DelayModel | None:
    """How soon people call, as fitted from the calls of the account with most visits, else the operator's fit."""
    visits: Counter[int] = Counter()
    for (account, _site), count in traffic.by_site.items():
        visits[account] += count
    told = await conn.fetchval(
        """SELECT model::text FROM delay_models WHERE account_id = ANY($1)
           ORDER BY account_id = $2 DESC, fitted_at DESC LIMIT 1""",
        [visits.most_common(1)[0][0], OPERATOR], visits.most_common(1)[0][0],
    )  # fmt: skip
    return msgspec.json.decode(told, type=DelayModel) if told else None


def _traffic(cells: list[asyncpg.Record], whole: asyncpg.Record | None, until: datetime) -> Traffic:
    if whole is None or whole["visits"] < FEWEST_VISITS:
        told = whole["visits"] if whole is not None else 0
        raise Impossible(
            f"the pool's sites had {told} visits that wanted a number in that time; at least {FEWEST_VISITS} are "
            "needed to plan by. Give the traffic: --visits-per-hour"
        )
    by_site: Counter[tuple[int, int]] = Counter()
    by_hour: dict[tuple[int, int], list[int]] = {}
    for cell in cells:
        site = (cell["account_id"], cell["site_id"])
        by_site[site] += cell["visits"]
        counts = by_hour.setdefault(site, [0] * 31)
        counts[cell["hour"]] += cell["visits"]
        counts[24 + cell["weekday"]] += cell["visits"]
    days = max((until - whole["first"]) / timedelta(days=1), 1 / 24)
    return Traffic(
        days=days, visits=whole["visits"], by_site=by_site, by_hour=by_hour, visitors=whole["visitors"],
        seconds=whole["seconds"], callers=whole["callers"],
    )  # fmt: skip


def world_of(traffic: Traffic, model: DelayModel | None = None, *, name: str = "measured") -> World:
    """A world of the same traffic. Callers are `model`'s if one was fitted, else the default world's kinds."""
    sites = tuple(
        Site(
            account=account, site=site, share=count / traffic.visits, rhythm=_rhythm(traffic, (account, site)),
        )
        for (account, site), count in sorted(traffic.by_site.items())
    )  # fmt: skip
    world = World(name=name, sites=sites, visits_per_hour=traffic.visits / traffic.days / 24)
    pace = min(max(traffic.seconds / visit_seconds(world), SLOWEST), FASTEST)
    page_time = world.browsing.page_time
    browsing: Browsing = msgspec.structs.replace(
        world.browsing,
        human=1.0,
        bots=0.0,
        page_time=msgspec.structs.replace(page_time, median=page_time.median * pace),
    )
    again = min(0.8, 1 - traffic.visitors / traffic.visits)
    world = msgspec.structs.replace(
        world, browsing=browsing, returning=msgspec.structs.replace(world.returning, again=again)
    )
    if model is not None:
        world = with_callers(world, model)
    return _with_call_share(world, traffic)


def _with_call_share(world: World, traffic: Traffic) -> World:
    """Measured where there are enough calls; a few are no measurement."""
    if traffic.callers < FEWEST_CALLS:
        return world
    prior = world.calling.share * PRIOR_CALLS
    share = (traffic.callers + prior) / (traffic.visits + PRIOR_CALLS)
    calling = msgspec.structs.replace(world.calling, share=min(1.0, share))
    return msgspec.structs.replace(world, calling=calling)


def _rhythm(traffic: Traffic, site: tuple[int, int]) -> Rhythm:
    counts = traffic.by_hour[site]
    weekdays = [float(count) for count in counts[24:]]
    if traffic.days < 7:  # noqa: PLR2004 - a week
        weekdays = [1.0] * 7
    return Rhythm(hours=tuple(float(count) for count in counts[:24]), weekdays=tuple(weekdays))
