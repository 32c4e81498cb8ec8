"""/settings/numbers/{number}: what happened to a number: who had it, who called on it, and whether it leaked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from litestar import Response, get
from litestar.params import FromPath

from callrouter.clock import Clock
from callrouter.numbers import NotANumber, Number, parse_number
from callrouter.pool.holders import Store, look_up
from callrouter.pool.holding import Holding, merge
from callrouter.pool.inventory import Unknown
from callrouter.pool.leak_search import WINDOW, evidence_of, kept_leaks
from callrouter.pool.timeline import PAGE, Asked, CallItem, Timeline, read_timeline
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.appeal_words import METHODS, STATUSES
from callrouter.web.pages.ground import Ground, Page, View
from callrouter.web.pages.words import N_

HERE = "/settings/numbers"
SPAN = timedelta(days=7)
LONGEST = 64
STATES = {
    "leased": N_("shown to a visitor"), "static": N_("bound to a channel"), "free": N_("free"),
    "pinned": N_("kept for a caller"), "resting": N_("resting"), "disabled": N_("set aside"),
}  # fmt: skip
ENDS = {
    "expired": N_("the hold was over"), "released": N_("given back"), "taken": N_("taken for another visitor"),
    "disabled": N_("the number was set aside"), "moved": N_("the number moved to another pool"),
}  # fmt: skip


def number_page(ground: Ground, store: Store, clock: Clock) -> Page:
    @get(HERE)
    async def find(request: AnyRequest) -> Response[bytes]:
        """As somebody typed it, in any spelling."""
        view = await ground.open(request, "leases:read")
        text = request.query_params.get("number", "")[:LONGEST]
        try:
            return view.go(f"{HERE}/{parse_number(text, 'RU')}")
        except NotANumber:
            return view.render("number_unknown.html", status=404, text=text)

    @get(f"{HERE}/{{number:str}}")
    async def one(request: AnyRequest, number: FromPath[str]) -> Response[bytes]:
        view = await ground.open(request, "leases:read")
        if not (number.isascii() and number.isdigit() and len(number) <= 15):  # noqa: PLR2004 - E.164
            raise Unknown(number)
        until = _until(request.query_params.get("until", ""), clock.now())
        told = await _look(ground, view, store, Number(number), until)
        if told is None:
            return view.render("number_unknown.html", status=404, text=number)
        return view.render(
            "number.html", **told, states=STATES, ends=ENDS, methods=METHODS, statuses=STATUSES, now=clock.now(),
            earlier=int((until - SPAN).timestamp()), latest="until" not in request.query_params,
        )  # fmt: skip

    return Page([find, one])


async def _look(ground: Ground, view: View, store: Store, number: Number, until: datetime) -> dict[str, Any] | None:
    """None: it concerns nobody who asks."""
    account, since = view.account, until - SPAN
    async with ground.reading.as_account(account) as conn:
        found = await look_up(conn, store, number, until, account)
        if not (found.archive and (found.archive.inventory or found.archive.leases or found.archive.binding)):
            return None
        asked = Asked(number=number, since=since, until=until, account=account, limit=PAGE)
        timeline = await read_timeline(conn, asked, inventory=found.inventory, sight=found.sight, missing=found.missing)
        leak = (await kept_leaks(conn, [number])).get(number)
        evidence = await evidence_of(conn, number, until - WINDOW, until) if leak else ()
        sites = {row["id"]: row["name"] for row in await conn.fetch(NAMES, list(_sites(timeline)))}
    holding: Holding = merge(
        number, until, archive=found.archive, sight=found.sight, account=account, missing=found.missing
    )
    if not view.may("appeals:read"):
        timeline, evidence = _without_callers(timeline), ()
    return {
        "number": number, "holding": holding, "timeline": timeline, "items": timeline.items[::-1], "leak": leak,
        "evidence": evidence, "sites": sites, "pool": found.inventory.pool if found.inventory else None,
    }  # fmt: skip


def _without_callers(told: Timeline) -> Timeline:
    items = [msgspec.structs.replace(item, caller=None) if isinstance(item, CallItem) else item for item in told.items]
    return msgspec.structs.replace(told, items=tuple(items))


def _sites(timeline: Timeline) -> set[int]:
    return {site for item in timeline.items if (site := getattr(item, "site", None))}


def _until(text: str, now: datetime) -> datetime:
    """Seconds since 1970; now for what is no such time."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10):  # noqa: PLR2004
        return now
    return min(now, datetime.fromtimestamp(int(text), UTC))


NAMES = "SELECT id, name FROM sites WHERE id = ANY ($1::bigint[])"
