"""/settings/static: numbers bound to a channel rather than leased: an advertisement's own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import TypeVar

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from callrouter.clock import Clock
from callrouter.db.connect import Connection
from callrouter.numbers import Number
from callrouter.people import audit
from callrouter.people.model import Caller
from callrouter.pool import inventory_rows, number_inventory
from callrouter.pool.inventory import Refused, spelled_number
from callrouter.pool.static_rows import bound_numbers
from callrouter.web.api.changes import Id, require_operator
from callrouter.web.api.inventory_changes import end_binding
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.appeal_words import CHANNELS
from callrouter.web.pages.ground import FORM_LIMIT, Entry, Form, Ground, Page, View
from callrouter.web.pages.sites import shows_all
from callrouter.web.pages.words import N_

T = TypeVar("T")
HERE = "/settings/static"
ENTRY = Entry(HERE, N_("Static numbers"), "numbers:read", "settings")
MOST, MOST_SITES = 1000, 500
LONGEST = 120
FIRST_YEAR, LAST_YEAR = 2000, 2200


def static_page(ground: Ground, clock: Clock) -> Page:
    @get(HERE)
    async def listed(request: AnyRequest) -> Response[bytes]:
        return await _list(ground, await ground.open(request, "numbers:read"), clock, {})

    @post(HERE, request_max_body_size=FORM_LIMIT)
    async def bind(request: AnyRequest) -> Response[bytes]:
        view, form = await ground.write(request, "operate")
        require_operator(view.caller)
        try:
            async with ground.reading.changing(view.account) as conn:
                faults = await _bind(conn, view, form)
        except Refused as error:
            faults = {"": error}
        if faults:
            return await _list(ground, view, clock, form, faults=faults, status=422)
        return view.go(HERE, note="added")

    return Page([listed, bind, *_ends(ground, clock)], ENTRY)


def _ends(ground: Ground, clock: Clock) -> list[HTTPRouteHandler]:
    async def ended(request: AnyRequest, binding: int, until: Callable[[], datetime | None]) -> Response[bytes]:
        view, _ = await ground.write(request, "operate")
        require_operator(view.caller)
        try:
            async with ground.reading.changing(view.account) as conn:
                await end_binding(conn, binding, until(), by=view.caller)
        except Refused as error:
            return await _list(ground, view, clock, {}, faults={"": error}, status=422)
        return view.go(HERE, note="saved")

    @post(f"{HERE}/{{binding:int}}/end", request_max_body_size=FORM_LIMIT)
    async def end(request: AnyRequest, binding: Id) -> Response[bytes]:
        return await ended(request, binding, clock.now)

    @post(f"{HERE}/{{binding:int}}/reopen", request_max_body_size=FORM_LIMIT)
    async def reopen(request: AnyRequest, binding: Id) -> Response[bytes]:
        return await ended(request, binding, lambda: None)

    return [end, reopen]


async def _list(
    ground: Ground, view: View, clock: Clock, form: Form, *, faults: dict[str, Refused] | None = None,
    status: int = 200,
) -> Response[bytes]:  # fmt: skip
    now, whose = clock.now(), None if shows_all(view) else view.whose
    async with ground.reading.as_account(view.account) as conn:
        found = await bound_numbers(conn, whose, now, MOST)
        sites = await inventory_rows.sites(conn, whose, 0, MOST_SITES)
    told = {name: view.refusal(fault) for name, fault in (faults or {}).items()}
    return view.render(
        "static.html", status=status, form=form, faults=told, channels=CHANNELS, sites=sites, most=MOST,
        current=[each for each in found if each.valid_to is None or each.valid_to > now],
        ended=[each for each in found if each.valid_to is not None and each.valid_to <= now], now=now,
        may_change=view.is_operator and view.may("operate"),
    )  # fmt: skip


async def _bind(conn: Connection, view: View, form: Form) -> dict[str, Refused]:
    """All that is wrong with the form, by its field: then nothing is done. Raises Refused."""
    faults: dict[str, Refused] = {}
    site = await _site(conn, form, faults)
    number = _read(faults, "number", lambda: spelled_number(form.get("number", ""), site[2] if site else "RU"))
    words = {name: _read(faults, name, lambda name=name: _word(form, name)) for name in WORDS}  # type: ignore[misc]
    if words["channel"] == "":
        faults["channel"] = Refused("say what it is bound to")
    since, until = (_read(faults, name, lambda name=name: _day(view, form, name)) for name in ("since", "until"))  # type: ignore[misc]
    if not faults and site is not None and number is not None:
        await _bound(conn, number, site, words, (since, until), by=view.caller)
    return faults


async def _bound(
    conn: Connection, number: Number, site: tuple[int, str, str], words: dict[str, str | None],
    days: tuple[datetime | None, datetime | None], *, by: Caller,
) -> None:  # fmt: skip
    account, name, _ = site
    owner = await conn.fetchval("SELECT name FROM accounts WHERE id = $1", account)
    channel = words["channel"] or ""
    await number_inventory.bind_static(
        conn, number, site=name, account=owner, channel=channel, source=words["source"] or "",
        medium=words["medium"] or "", campaign=words["campaign"] or "", since=days[0], until=days[1],
    )  # fmt: skip
    await audit.record(conn, account, by, "static.bind", number, channel=channel)


async def _site(conn: Connection, form: Form, faults: dict[str, Refused]) -> tuple[int, str, str] | None:
    """Account, name and country of the chosen one."""
    text = form.get("site", "")
    row = None
    if text.isascii() and text.isdigit() and len(text) < 19:  # noqa: PLR2004 - digits of a bigint
        row = await conn.fetchrow("SELECT account_id, name, country FROM sites WHERE id = $1", int(text))
    if row is None:
        faults["site"] = Refused("choose a site")
        return None
    return row["account_id"], row["name"], row["country"]


def _read(faults: dict[str, Refused], name: str, read: Callable[[], T]) -> T | None:
    try:
        return read()
    except Refused as fault:
        faults[name] = fault
        return None


def _word(form: Form, name: str) -> str:
    text = form.get(name, "").strip()
    if len(text) > LONGEST or not text.isprintable():
        raise Refused("one line of at most {most} characters", most=LONGEST)
    return text


def _day(view: View, form: Form, name: str) -> datetime | None:
    """Its midnight by the account's clock; None: not given."""
    text = form.get(name, "").strip()
    if not text:
        return None
    try:
        day = datetime.fromisoformat(text).date()
    except ValueError:
        day = None
    if day is None or not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise Refused("{text!r} is no day; write 2026-01-31", text=text[:20])
    return datetime.combine(day, time(), view.formats.zone).astimezone(UTC)


WORDS = ("channel", "source", "medium", "campaign")
