"""/settings/users: who may sign in, and as what."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from callrouter.people import accounts, users
from callrouter.people.openid import Newcomers, require_not_anothers
from callrouter.people.passwords import Passwords, generated
from callrouter.people.roles import ROLES, SCOPES_OF, Role, may_give
from callrouter.people.users import Change, User, settable
from callrouter.pool.inventory import OPERATOR, Refused
from callrouter.web.api.changes import Id, asked_account, meant_account, require_unchanged, tag
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.entering import Entering
from callrouter.web.pages.ground import FORM_LIMIT, Entry, Form, Ground, Page, View
from callrouter.web.pages.words import N_, known
from callrouter.web.problem import Refusal

HERE = "/settings/users"
ENTRY = Entry(HERE, N_("Users"), "users:read", "settings")
ROLE_NAMES: dict[Role, str] = {
    "operator": N_("Operator"),
    "admin": N_("Admin"),
    "manager": N_("Manager"),
    "viewer": N_("Viewer"),
}
ROLE_TEXTS: dict[Role, str] = {
    "operator": N_("all accounts, pools and numbers"),
    "admin": N_("everything in the account, its users and tokens too"),
    "manager": N_("works with appeals, clients, deals and costs"),
    "viewer": N_("sees, and changes nothing"),
}


def users_page(ground: Ground, entering: Entering, newcomers: Newcomers | None) -> Page:
    @get(HERE)
    async def listed(request: AnyRequest) -> Response[bytes]:
        return await _list(ground, await ground.open(request, "users:read"), {})

    @post(HERE, request_max_body_size=FORM_LIMIT)
    async def add(request: AnyRequest) -> Response[bytes]:
        view, form = await ground.write(request, "users:write")
        password = generated()
        hashed = await entering.passwords.hash(password)
        try:
            async with ground.reading.changing(view.account) as conn:
                if not view.is_operator:
                    await require_not_anothers(conn, view.account, form.get("email", ""), newcomers)
                added = await users.add_user(
                    conn, _whose(view, form), form.get("email", ""), role=_role(form), name=form.get("name", ""),
                    locale=known(form.get("locale", "")) or view.locale, password_hash=hashed, must_change=True,
                    by=view.caller,
                )  # fmt: skip
        except Refused as error:
            return await _list(ground, view, form, trouble=view.refusal(error), status=422)
        return view.render("user_password.html", user=added, password=password, added=True)

    return Page([listed, add, *_one(ground), _new_password(ground, entering.passwords), _unbind(ground)], ENTRY)


async def _list(ground: Ground, view: View, form: Form, *, trouble: str = "", status: int = 200) -> Response[bytes]:
    async with ground.reading.as_account(view.account) as conn:
        found = await users.list_users(conn, asked_account(view.caller, None))
        whose = {each.id: each.name for each in await accounts.read_accounts(conn)} if view.is_operator else {}
    return view.render(
        "users.html", status=status, users=found, accounts=whose, form=form, trouble=trouble, roles=_roles(view),
        role_names=ROLE_NAMES, role_texts=ROLE_TEXTS,
    )  # fmt: skip


def _one(ground: Ground) -> list[HTTPRouteHandler]:
    @get(f"{HERE}/{{user:int}}")
    async def one(request: AnyRequest, user: Id) -> Response[bytes]:
        view = await ground.open(request, "users:read")
        async with ground.reading.as_account(view.account) as conn:
            found = await users.user_numbered(conn, user, asked_account(view.caller, None))
        return _form(view, found)

    @post(f"{HERE}/{{user:int}}", request_max_body_size=FORM_LIMIT)
    async def change(request: AnyRequest, user: Id) -> Response[bytes]:
        view, form = await ground.write(request, "users:write")
        async with ground.reading.as_account(view.account) as conn:
            found = await users.user_numbered(conn, user, asked_account(view.caller, None))
        given = Change(
            name=form.get("name"), role=_role(form) if "role" in form else None, locale=known(form.get("locale", "")),
            disabled={"disable": True, "enable": False}.get(form.get("do", "")),
        )  # fmt: skip
        try:
            async with ground.reading.changing(view.account) as conn:
                now = await users.user_numbered(conn, user, found.account, lock=True)
                require_unchanged(form.get("read"), settable(now))
                await users.change_user(conn, found.account, user, given, by=view.caller)
        except Refused as error:
            return _form(view, found, trouble=view.refusal(error), status=422)
        except Refusal as refusal:
            if refusal.kind != "changed-meanwhile":
                raise
            return _form(view, now, meanwhile=True, status=412)
        return view.go(HERE, note={True: "disabled", False: "enabled"}.get(given.disabled, "saved"))  # type: ignore[arg-type]

    return [one, change]


def _form(
    view: View, user: User, *, trouble: str = "", meanwhile: bool = False, status: int = 200
) -> Response[bytes]:  # fmt: skip
    return view.render(
        "user.html", status=status, user=user, trouble=trouble, meanwhile=meanwhile, read=tag(settable(user)),
        roles=_roles(view, user.account), role_names=ROLE_NAMES, role_texts=ROLE_TEXTS,
        may_change=view.may("users:write") and may_give(view.caller.scopes, frozenset(SCOPES_OF[user.role])),
    )  # fmt: skip


def _new_password(ground: Ground, passwords: Passwords) -> HTTPRouteHandler:
    @post(f"{HERE}/{{user:int}}/password", request_max_body_size=FORM_LIMIT)
    async def give(request: AnyRequest, user: Id) -> Response[bytes]:
        view, _ = await ground.write(request, "users:write")
        password = generated()
        hashed = await passwords.hash(password)
        async with ground.reading.changing(view.account) as conn:
            found = await users.user_numbered(conn, user, asked_account(view.caller, None))
            if user == view.person.user:
                raise Refusal(403, "own-password", "Change your own password in your settings")
            await users.set_password(conn, found.account, user, hashed, must_change=True, by=view.caller)
        return view.render("user_password.html", user=found, password=password, added=False)

    return give


def _unbind(ground: Ground) -> HTTPRouteHandler:
    @post(f"{HERE}/{{user:int}}/unbind", request_max_body_size=FORM_LIMIT)
    async def unbind(request: AnyRequest, user: Id) -> Response[bytes]:
        view, _ = await ground.write(request, "users:write")
        async with ground.reading.as_account(view.account) as conn:
            found = await users.user_numbered(conn, user, asked_account(view.caller, None))
        try:
            async with ground.reading.changing(view.account) as conn:
                await users.unbind(conn, found.account, user, by=view.caller)
        except Refused as error:
            return _form(view, found, trouble=view.refusal(error), status=422)
        return view.go(f"{HERE}/{user}", note="unbound")

    return unbind


def _roles(view: View, account: int | None = None) -> list[Role]:
    """Those that he may give, the humblest first; in another account than the operator's there are no operators."""
    mine = view.caller.scopes
    here = view.account if account is None else account
    return [
        role for role in reversed(ROLES)
        if may_give(mine, frozenset(SCOPES_OF[role])) and (role != "operator" or here == OPERATOR)
    ]  # fmt: skip


def _role(form: Form) -> Role:
    role = next((role for role in ROLES if role == form.get("role")), None)
    if role is None:
        raise Refused("choose a role")
    return role


def _whose(view: View, form: Form) -> int:
    asked = form.get("account", "")
    return meant_account(view.caller, int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 19 else None)  # noqa: PLR2004
