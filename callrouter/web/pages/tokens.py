"""/settings/tokens: bearer tokens of programs."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from callrouter.people.repeats import Done, OtherWrite, once
from callrouter.people.roles import SCOPES, Scope
from callrouter.pool.inventory import Refused, Unknown
from callrouter.web.api import tokens
from callrouter.web.api.changes import Id, asked_account
from callrouter.web.api.tokens import Made
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.ground import FORM_LIMIT, Entry, Form, Ground, Page, View
from callrouter.web.pages.words import N_

HERE = "/settings/tokens"
ENTRY = Entry(HERE, N_("Tokens"), "users:read", "settings")
SCOPE_TEXTS: dict[Scope, str] = {
    "leases:read": N_("who held a number when"),
    "numbers:read": N_("numbers, and which of them leaked"),
    "appeals:read": N_("appeals, and who called"),
    "appeals:write": N_("tell of appeals, tag and comment them"),
    "clients:read": N_("client cards"),
    "clients:write": N_("merge, split and erase clients"),
    "visits:read": N_("visits of the sites"),
    "deals:read": N_("deals and their revenue"),
    "deals:write": N_("tell of deals"),
    "costs:read": N_("advertising costs"),
    "costs:write": N_("tell of advertising costs"),
    "reports:read": N_("reports"),
    "reports:write": N_("set reports that are sent at their time"),
    "settings:read": N_("settings of the account and its sites"),
    "settings:write": N_("change these settings"),
    "users:read": N_("users and tokens"),
    "users:write": N_("add and change users and tokens"),
    "audit:read": N_("who saw or changed what"),
    "operate": N_("accounts, pools and numbers of the operator"),
}
EXPIRIES = {"30": N_("in 30 days"), "365": N_("in a year"), "": N_("never")}


def tokens_page(ground: Ground) -> Page:
    @get(HERE)
    async def listed(request: AnyRequest) -> Response[bytes]:
        return await _list(ground, await ground.open(request, "users:read"), {})

    @post(HERE, request_max_body_size=FORM_LIMIT)
    async def make(request: AnyRequest) -> Response[bytes]:
        view, form = await ground.write(request, "users:write")
        try:
            made = await _make(ground, view, form)
        except Refused as error:
            return await _list(ground, view, form, trouble=view.refusal(error), status=422)
        return view.render("token_made.html", made=made)

    return Page([listed, make, _revoke(ground)], ENTRY)


def _revoke(ground: Ground) -> HTTPRouteHandler:
    @post(f"{HERE}/{{token:int}}/revoke", request_max_body_size=FORM_LIMIT)
    async def revoke(request: AnyRequest, token: Id) -> Response[bytes]:
        view, _ = await ground.write(request, "users:write")
        async with ground.reading.changing(view.account) as conn:
            if not await tokens.revoke_token(conn, token, account=asked_account(view.caller, None), by=view.caller):
                raise Unknown(token)
        return view.go(HERE, note="revoked")

    return revoke


async def _list(ground: Ground, view: View, form: Form, *, trouble: str = "", status: int = 200) -> Response[bytes]:
    async with ground.reading.as_account(view.account) as conn:
        found = await tokens.list_tokens(conn, asked_account(view.caller, None))
    return view.render(
        "tokens.html", status=status, tokens=found, form=form, trouble=trouble, now=datetime.now(UTC),
        scopes=[scope for scope in SCOPES if view.may(scope)], scope_texts=SCOPE_TEXTS, expiries=EXPIRIES,
        once=secrets.token_urlsafe(16),
    )  # fmt: skip


async def _make(ground: Ground, view: View, form: Form) -> Made:
    """The token; without its secret if the same form was sent before. Raises Refused."""
    scopes = tuple(scope for scope in SCOPES if view.may(scope) and form.get(f"scope {scope}"))
    if not scopes:
        raise Refused("choose what the token may do")
    name, days = tokens.name_of(form.get("name", "")), form.get("expires", "")
    expires = datetime.now(UTC) + timedelta(days=int(days)) if days in EXPIRIES and days else None
    key = f"form {form.get('once', '')[:60]}" if form.get("once") else None
    try:
        async with ground.reading.changing(view.account) as conn:
            made = await once(
                conn, view.account, key, ["token", name, scopes, days],
                lambda: tokens.add_token(conn, view.account, name, scopes, expires, by=view.caller),
                keep=lambda new: msgspec.structs.replace(new, secret=""),
            )  # fmt: skip
    except OtherWrite:
        raise Refused("this form was sent before, with something else in it") from None
    return msgspec.convert(made.answer, Made) if isinstance(made, Done) else made
