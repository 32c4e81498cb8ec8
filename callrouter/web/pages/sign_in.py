"""/sign-in and /sign-out."""

from __future__ import annotations

import re
import secrets

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from callrouter.people import browser_sessions
from callrouter.web import cookies
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.entering import Entering
from callrouter.web.pages.ground import FORM_LIMIT, SIGN_IN, Form, Ground, Page, View, sent_form
from callrouter.web.pages.words import known
from callrouter.web.problem import Refusal

HERE = re.compile(r"/(?![/\\])[^\x00-\x20\x7f\\]{0,1000}")
"""A path of ours: `//elsewhere` and `/\\elsewhere` are other hosts to a browser."""
STATUS = {"wrong": 422, "slowed": 429, "cookie": 403}


def sign_in_page(ground: Ground, entering: Entering, *, openid: str = "") -> Page:
    """`openid`: how the other way in is called, if there is one."""

    @get(SIGN_IN)
    async def form(request: AnyRequest) -> Response[bytes]:
        view, wanted = ground.stranger(request), request.query_params.get("next", "")
        if await ground.access.person(request):
            return view.go(after(wanted))
        if chosen := known(request.query_params.get("language", "")):
            view.set_cookie(cookies.LANGUAGE, chosen, seconds=cookies.YEAR)
        return _form(view, {"next": wanted}, openid=openid)

    @post(SIGN_IN, request_max_body_size=FORM_LIMIT)
    async def sign_in(request: AnyRequest) -> Response[bytes]:
        view, given = ground.stranger(request), await sent_form(request)
        try:
            cookies.require_own_page(request, given.get("form_key", ""), cookies.shown(request, cookies.FORM))
        except Refusal:
            return _form(view, given, trouble="cookie", openid=openid)
        entered = await entering.enter(
            given.get("email", ""), given.get("password", ""), address=ground.access.address(request),
            browser=request.headers.get("user-agent", ""), device=cookies.shown(request, cookies.DEVICE),
        )  # fmt: skip
        if entered.begun is None:
            return _form(view, given, trouble=entered.outcome, wait_s=entered.wait_s, openid=openid)
        await leave(ground, request)
        view.set_cookie(cookies.SESSION, entered.begun.secret, seconds=int(ground.access.life.whole.total_seconds()))
        view.set_cookie(cookies.DEVICE, entered.device, seconds=cookies.YEAR)
        view.set_cookie(cookies.FORM, "", seconds=0)
        return view.go(after(given.get("next", "")))

    return Page([form, sign_in, _sign_out(ground)])


def _sign_out(ground: Ground) -> HTTPRouteHandler:
    @post("/sign-out", request_max_body_size=FORM_LIMIT)
    async def sign_out(request: AnyRequest) -> Response[bytes]:
        view, _ = await ground.write(request, changing_password=True)
        await leave(ground, request)
        view.set_cookie(cookies.SESSION, "", seconds=0)
        return view.go(SIGN_IN, note="signed-out")

    return sign_out


async def leave(ground: Ground, request: AnyRequest) -> None:
    """Whoever is signed in with this browser is not any longer."""
    earlier = await ground.access.person(request)
    if earlier:
        async with ground.reading.as_service() as conn:
            await browser_sessions.end(conn, earlier)


def _form(view: View, given: Form, *, openid: str, trouble: str = "", wait_s: int = 0) -> Response[bytes]:
    key = cookies.shown(view.request, cookies.FORM)
    if not browser_sessions.SECRET.fullmatch(key):
        key = secrets.token_urlsafe(32)
        view.set_cookie(cookies.FORM, key)
    return view.render(
        "sign_in.html", status=STATUS.get(trouble, 200), key=key, email=given.get("email", ""),
        wanted=given.get("next", ""), trouble=trouble, wait_s=wait_s, loopback=cookies.is_loopback(view.request),
        openid=openid, openid_trouble="" if trouble else view.request.query_params.get("openid", ""),
    )  # fmt: skip


def after(wanted: str) -> str:
    """Where to go when he is signed in: a page of ours."""
    return wanted if HERE.fullmatch(wanted) and not wanted.startswith(SIGN_IN) else "/"
