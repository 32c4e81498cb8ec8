"""/settings/sites/{id}: what is set for a site, the tag to paste, whether it is seen, and what it would replace."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from babel import Locale
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from callrouter.numbers import Number
from callrouter.pool import inventory_rows
from callrouter.pool.directory import Site, Widget
from callrouter.pool.inventory import Refused
from callrouter.pool.site_change import WrongSettings
from callrouter.pool.site_details import SiteDetails, site_numbered
from callrouter.pool.site_inventory import known_routes, pools_without_numbers
from callrouter.pool.store import StoreUnavailable
from callrouter.web import cookies
from callrouter.web.api.changes import Id, require_unchanged, tag
from callrouter.web.api.reading import Reading
from callrouter.web.api.site_routes import whose_sites
from callrouter.web.api.site_writes import change_site
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.appeal_words import CHANNELS
from callrouter.web.pages.ground import FORM_LIMIT, Form, Ground, Page, View
from callrouter.web.pages.site_form import change_in, refilled, rows, shown
from callrouter.web.pages.sites import HERE
from callrouter.web.problem import Refusal
from callrouter.web.seen import Traces
from callrouter.web.widget.trial import Piece, tried

MOST_POOLS = 500
EXAMPLE_DIGITS = 7
NO_NUMBER = Number("74950000000")


def site_page(ground: Ground, traces: Traces) -> Page:
    looks = _Looks(ground, traces)

    @get(f"{HERE}/{{site:int}}")
    async def one(request: AnyRequest, site: Id) -> Response[bytes]:
        view = await ground.open(request, "settings:read")
        async with ground.reading.as_account(view.account) as conn:
            found = await site_numbered(conn, whose_sites(view.caller), site)
        return await looks.page(view, found, shown(found))

    return Page([one, _change(ground, looks), _seen(ground, traces)])


def _change(ground: Ground, looks: _Looks) -> HTTPRouteHandler:
    @post(f"{HERE}/{{site:int}}", request_max_body_size=FORM_LIMIT)
    async def change(request: AnyRequest, site: Id) -> Response[bytes]:
        view, form = await ground.write(request, "settings:write")
        try:
            async with ground.reading.changing(view.account) as conn:
                before = await site_numbered(conn, whose_sites(view.caller), site, lock=True)
                require_unchanged(form.get("read"), before.settable())
                wanted, faults = change_in(form, before)
                if faults:
                    raise WrongSettings(faults)
                await change_site(conn, before, wanted, by=view.caller)
        except Refused as error:
            return await looks.page(view, before, refilled(form, before), error=error, status=422)
        except Refusal as refusal:
            if refusal.kind != "changed-meanwhile":
                raise
            return await looks.page(view, before, refilled(form, before), meanwhile=True, status=412)
        return view.go(f"{HERE}/{site}", note="saved")

    return change


def _seen(ground: Ground, traces: Traces) -> HTTPRouteHandler:
    @get(f"{HERE}/{{site:int}}/seen")
    async def seen(request: AnyRequest, site: Id) -> Response[bytes]:
        """The part of the page that its script keeps current."""
        view = await ground.open(request, "settings:read")
        async with ground.reading.as_account(view.account) as conn:
            found = await site_numbered(conn, whose_sites(view.caller), site)
        return view.render("site_seen.html", **await told_seen(view, found, traces))

    return seen


async def told_seen(view: View, site: SiteDetails, traces: Traces) -> dict[str, Any]:
    try:
        seen = await traces.of(site.id)
    except StoreUnavailable:
        seen = None
    return {"site": site, "seen": seen, "host": our_address(view.request)}


def our_address(request: AnyRequest) -> str:
    """Where browsers find this server: by TLS, unless they are on this machine."""
    host = request.headers.get("host", "") or "localhost"
    return f"{'http' if cookies.is_loopback(request) else 'https'}://{host}"


class _Looks:
    """The page in all its states."""

    def __init__(self, ground: Ground, traces: Traces) -> None:
        self._reading: Reading = ground.reading
        self._traces = traces

    async def page(
        self, view: View, site: SiteDetails, fields: Form, *, error: Refused | None = None, meanwhile: bool = False,
        status: int = 200,
    ) -> Response[bytes]:  # fmt: skip
        """`fields`: as stored, or as they were sent, for nothing that somebody typed is lost."""
        faults, trouble = _told(view, error)
        async with self._reading.as_account(view.account) as conn:
            routes = await known_routes(conn, site.account)
            pools = await inventory_rows.pools(conn, None, 0, MOST_POOLS) if view.is_operator else []
            empty = await pools_without_numbers(conn, site.id)
        stored, text = shown(site), view.request.query_params.get("try", "")
        return view.render(
            "site.html", status=status, fields=fields, stored=stored if meanwhile else {}, faults=faults,
            trouble=trouble, meanwhile=meanwhile, read=tag(site.settable()), routes=routes, pools=pools, empty=empty,
            rules=rows(fields, "rule"), pool_rows=rows(fields, "pool"), text=text, pieces=_tried(site, text),
            may_change=view.may("settings:write"), channels=CHANNELS, countries=_countries(view.locale),
            zones=[(zone, zone) for zone in sorted(available_timezones()) if "/" in zone and zone[:4] != "Etc/"],
            **await told_seen(view, site, self._traces),
        )  # fmt: skip


def _tried(site: SiteDetails, text: str) -> list[Piece] | None:
    """As the site is set by now, also if no web process has heard of it yet."""
    if not text:
        return None
    known = Site(
        id=site.id, account=site.account, country=site.country, own_numbers=tuple(map(Number, site.own_numbers)),
        display_pattern=site.display, widget=Widget(select=site.select, shadow=site.shadow),
    )  # fmt: skip
    own = site.own_numbers[0] if site.own_numbers else NO_NUMBER
    return tried(known, text, Number(own[:-EXAMPLE_DIGITS] + "0" * EXAMPLE_DIGITS))


def _told(view: View, error: Refused | None) -> tuple[dict[str, str], str]:
    """Beside each field what is wrong with it; and what is wrong with none of them."""
    if isinstance(error, WrongSettings):
        return {name: view.refusal(fault) for name, fault in error.faults.items()}, ""
    return {}, view.refusal(error) if error else ""


def _countries(locale: str) -> list[tuple[str, str]]:
    names = Locale.parse(locale).territories
    known = [(code, name) for code, name in names.items() if len(code) == 2 and code.isalpha()]  # noqa: PLR2004
    return sorted(known, key=lambda each: each[1])
