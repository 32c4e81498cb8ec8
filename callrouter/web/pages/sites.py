"""/settings/sites: the tracked sites, and a new one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from litestar import Response, get, post

from callrouter.people import accounts
from callrouter.pool import inventory_rows
from callrouter.pool.inventory import OPERATOR, Refused
from callrouter.pool.site_change import SiteChange, WrongSettings
from callrouter.pool.store import StoreUnavailable
from callrouter.web.api.changes import meant_account
from callrouter.web.api.site_writes import add_site
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.ground import FORM_LIMIT, Entry, Form, Ground, Page, View
from callrouter.web.pages.words import N_
from callrouter.web.seen import Seen, Traces

HERE = "/settings/sites"
ENTRY = Entry(HERE, N_("Sites"), "settings:read", "settings")
MOST = 500


def sites_page(ground: Ground, traces: Traces) -> Page:
    @get(HERE)
    async def listed(request: AnyRequest) -> Response[bytes]:
        return await _list(ground, await ground.open(request, "settings:read"), traces, {})

    @post(HERE, request_max_body_size=FORM_LIMIT)
    async def add(request: AnyRequest) -> Response[bytes]:
        view, form = await ground.write(request, "settings:write")
        given: dict[str, tuple[str, ...] | str] = {"domains": (form.get("domain", ""),)}
        if number := form.get("number", "").strip():
            given |= {"own_numbers": (number,), "fallback": number}
        try:
            async with ground.reading.changing(view.account) as conn:
                change = SiteChange(**given)  # type: ignore[arg-type] # names of its fields
                added = await add_site(conn, _whose(view, form), change, by=view.caller)
        except Refused as error:
            faults = error.faults if isinstance(error, WrongSettings) else {"": error}
            told = {_field(name): view.refusal(fault) for name, fault in faults.items()}
            return await _list(ground, view, traces, form, faults=told, status=422)
        return view.go(f"{HERE}/{added.id}", note="added")

    return Page([listed, add], ENTRY)


async def _list(
    ground: Ground, view: View, traces: Traces, form: Form, *, faults: dict[str, str] | None = None, status: int = 200
) -> Response[bytes]:  # fmt: skip
    everybody = shows_all(view)
    async with ground.reading.as_account(view.account) as conn:
        found = await inventory_rows.sites(conn, None if everybody else view.whose, 0, MOST)
        names = {each.id: each.name for each in await accounts.read_accounts(conn)} if everybody else {}
    seen = await _seen(traces, [site.id for site in found])
    return view.render(
        "sites.html", status=status, sites=found, accounts=names, form=form, faults=faults or {}, seen=seen, most=MOST
    )


def shows_all(view: View) -> bool:
    """The operator's people who look at no account in particular see everybody's."""
    return view.is_operator and view.looked_at is None


async def _seen(traces: Traces, sites: Iterable[int]) -> dict[int, Seen] | None:
    """None: nobody can tell just now."""
    numbers = list(sites)
    try:
        return dict(zip(numbers, await asyncio.gather(*map(traces.of, numbers)), strict=True))
    except StoreUnavailable:
        return None


def _whose(view: View, form: Form) -> int:
    asked = form.get("account", "")
    chosen = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 19 else view.whose  # noqa: PLR2004
    return meant_account(view.caller, chosen) if view.account == OPERATOR else view.account


def _field(name: str) -> str:
    return {"domains": "domain", "own_numbers": "number", "fallback": "number"}.get(name, name)
