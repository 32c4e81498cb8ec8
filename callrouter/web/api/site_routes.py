"""/api/v1/sites: one site with all that is set for it, changed and added; and where its script was last seen."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from callrouter.people.model import Caller
from callrouter.pool.inventory import OPERATOR
from callrouter.pool.site_change import SiteChange
from callrouter.pool.site_details import SiteDetails, site_numbered
from callrouter.pool.store import StoreUnavailable
from callrouter.web.api import examples, site_examples
from callrouter.web.api.access import Access, ApiRequest
from callrouter.web.api.changes import (
    AccountAsked,
    Id,
    IfMatch,
    Key,
    meant_account,
    require_account,
    require_unchanged,
    tagged,
    told_once,
)
from callrouter.web.api.reading import Reading
from callrouter.web.api.site_writes import add_site, change_site
from callrouter.web.problem import Refusal
from callrouter.web.seen import Seen, Traces


def site_handlers(access: Access, reading: Reading, traces: Traces) -> list[HTTPRouteHandler]:
    @post("/sites", responses=examples.of(SiteDetails, site_examples.SITE, status=201), summary="Add a site")
    async def add(
        request: ApiRequest, data: JSONBody[SiteChange], key: Key = None, account: AccountAsked = None
    ) -> SiteDetails:
        """`domains` are wanted; the first is its name if no other is given."""
        caller = await access.caller(request, "settings:write")
        owner = meant_account(caller, account)

        async def work(conn: Any) -> SiteDetails:
            await require_account(conn, owner)
            return await add_site(conn, owner, data, by=caller)

        answer: SiteDetails = await told_once(reading, caller, key, ["site", owner, data], work=work)
        return answer

    return [add, *_one(access, reading), _seen(access, reading, traces)]


def _one(access: Access, reading: Reading) -> list[HTTPRouteHandler]:
    @get("/sites/{site:int}", responses=examples.of(SiteDetails, site_examples.SITE), summary="A site")
    async def one(request: ApiRequest, site: Id) -> Response[SiteDetails]:
        """With all that is set for it."""
        caller = await access.caller(request, "settings:read")
        async with reading.as_account(caller.account) as conn:
            found = await site_numbered(conn, whose_sites(caller), site)
        return tagged(found, found.settable())

    @patch("/sites/{site:int}", responses=examples.of(SiteDetails, site_examples.SITE), summary="Change a site")
    async def change(
        request: ApiRequest, site: Id, data: JSONBody[SiteChange], if_match: IfMatch = None
    ) -> Response[SiteDetails]:
        """What is left out stays; null is the default again. With `If-Match` only if nobody changed it since it was
        read. Pools, limits and whom callback orders may call are set by the operator; a route by him, or one of those
        that he has set for the account before.
        """
        caller = await access.caller(request, "settings:write")
        async with reading.changing(caller.account) as conn:
            before = await site_numbered(conn, whose_sites(caller), site, lock=True)
            require_unchanged(if_match, before.settable())
            after = await change_site(conn, before, data, by=caller)
        return tagged(after, after.settable())

    return [one, change]


def _seen(access: Access, reading: Reading, traces: Traces) -> HTTPRouteHandler:
    @get("/sites/{site:int}/seen", responses=examples.of(Seen, site_examples.SEEN), summary="Where it was last seen")
    async def seen(request: ApiRequest, site: Id) -> Seen:
        """When the site's script was last asked for, a visit taken, or a page refused, and from where; to some
        seconds."""
        caller = await access.caller(request, "settings:read")
        async with reading.as_account(caller.account) as conn:
            await site_numbered(conn, whose_sites(caller), site)
        try:
            return await traces.of(site)
        except StoreUnavailable:
            raise Refusal(503, "store-away", "The lease store does not answer", "Try again in a while.") from None

    return seen


def whose_sites(caller: Caller) -> int | None:
    """The operator's people see everybody's."""
    return None if caller.account == OPERATOR else caller.account
