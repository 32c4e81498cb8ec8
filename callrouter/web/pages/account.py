"""/settings/account: how an account's figures are told. /settings/accounts: all of them, for the operator."""

from __future__ import annotations

from zoneinfo import available_timezones

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from callrouter.people import accounts, audit
from callrouter.people.accounts import Account, AccountChange
from callrouter.pool import inventory
from callrouter.pool.inventory import Refused
from callrouter.web import cookies
from callrouter.web.api.accounts import account_name
from callrouter.web.api.changes import Id, meant_account, require_operator, require_unchanged, tag
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.ground import FORM_LIMIT, Entry, Form, Ground, Page, View
from callrouter.web.pages.words import N_
from callrouter.web.problem import Refusal

ONE, ALL, LOOK_AT = "/settings/account", "/settings/accounts", "/looking-at"
CURRENCIES = ("RUB", "USD", "EUR", "KZT", "BYN", "UZS", "AMD", "GEL", "KGS", "AZN", "GBP", "CNY", "TRY", "AED", "PLN")
LONGEST_NUMBER = 6


def account_page(ground: Ground) -> Page:
    @get(ONE)
    async def own(request: AnyRequest) -> Response[bytes]:
        view = await ground.open(request, "settings:read")
        return await _shown(ground, view, view.account)

    @post(ONE, request_max_body_size=FORM_LIMIT)
    async def change(request: AnyRequest) -> Response[bytes]:
        view, form = await ground.write(request, "settings:write")
        return await _change(ground, view, view.account, form)

    return Page([own, change], Entry(ONE, N_("Account"), "settings:read", "settings"))


def accounts_page(ground: Ground) -> Page:
    @get(ALL)
    async def listed(request: AnyRequest) -> Response[bytes]:
        view = await ground.open(request, "operate")
        require_operator(view.caller)
        return await _list(ground, view, {})

    @post(ALL, request_max_body_size=FORM_LIMIT)
    async def add(request: AnyRequest) -> Response[bytes]:
        view, form = await ground.write(request, "operate")
        require_operator(view.caller)
        try:
            async with ground.reading.changing(view.account) as conn:
                name = account_name(form.get("name", ""))
                added = await inventory.add_account(conn, name)
                await audit.record(conn, added, view.caller, "account.add", name)
        except Refused as error:
            return await _list(ground, view, form, trouble=view.refusal(error), status=422)
        return view.go(f"{ALL}/{added}", note="added")

    return Page(
        [listed, add, *_one(ground), _look_at(ground)], Entry(ALL, N_("Accounts"), "operate", "settings", operator=True)
    )


def _look_at(ground: Ground) -> HTTPRouteHandler:
    @post(LOOK_AT, request_max_body_size=FORM_LIMIT)
    async def look_at(request: AnyRequest) -> Response[bytes]:
        """Whose journal, clients and reports the operator's pages show from now on."""
        view, form = await ground.write(request)
        require_operator(view.caller)
        chosen = _number(form.get("account", "")) or view.account
        async with ground.reading.as_account(view.account) as conn:
            await accounts.account_numbered(conn, chosen)
        view.set_cookie(cookies.LOOKED_AT, str(chosen))
        return view.go("/")

    return look_at


def _one(ground: Ground) -> list[HTTPRouteHandler]:
    @get(f"{ALL}/{{account:int}}")
    async def one(request: AnyRequest, account: Id) -> Response[bytes]:
        view = await ground.open(request, "operate")
        return await _shown(ground, view, meant_account(view.caller, account))

    @post(f"{ALL}/{{account:int}}", request_max_body_size=FORM_LIMIT)
    async def change(request: AnyRequest, account: Id) -> Response[bytes]:
        view, form = await ground.write(request, "operate")
        return await _change(ground, view, meant_account(view.caller, account), form)

    return [one, change]


async def _list(ground: Ground, view: View, form: Form, *, trouble: str = "", status: int = 200) -> Response[bytes]:
    async with ground.reading.as_account(view.account) as conn:
        found = await accounts.read_accounts(conn)
    return view.render("accounts.html", status=status, accounts=found, form=form, trouble=trouble)


async def _shown(ground: Ground, view: View, account: int) -> Response[bytes]:
    async with ground.reading.as_account(view.account) as conn:
        return _form(view, await accounts.account_numbered(conn, account))


async def _change(ground: Ground, view: View, account: int, form: Form) -> Response[bytes]:
    try:
        async with ground.reading.changing(view.account) as conn:
            now = await accounts.lock_account(conn, account)
            require_unchanged(form.get("read"), now)
            await accounts.change_account(conn, account, _given(form), by=view.caller)
    except Refused as error:
        return _form(view, now, trouble=view.refusal(error), status=422)
    except Refusal as refusal:
        if refusal.kind != "changed-meanwhile":
            raise
        return _form(view, now, meanwhile=True, status=412)
    return view.go(view.request.url.path, note="saved")


def _form(
    view: View, account: Account, *, trouble: str = "", meanwhile: bool = False, status: int = 200
) -> Response[bytes]:  # fmt: skip
    currencies = CURRENCIES if account.currency in CURRENCIES else (account.currency, *CURRENCIES)
    return view.render(
        "account.html", status=status, account=account, trouble=trouble, meanwhile=meanwhile, read=tag(account),
        zones=sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/")),
        currencies=currencies, may_change=view.may("settings:write"),
    )  # fmt: skip


def _given(form: Form) -> AccountChange:
    return AccountChange(
        time_zone=form.get("time_zone"), currency=form.get("currency"), multichannel=bool(form.get("multichannel")),
        multichannel_touches=_number(form.get("multichannel_touches", "")),
        multichannel_days=_number(form.get("multichannel_days", "")),
    )  # fmt: skip


def _number(text: str) -> int | None:
    """None: not given. What is no number is one that will be refused."""
    if not text.strip():
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER else -1
