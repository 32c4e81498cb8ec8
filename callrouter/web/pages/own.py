"""/own: what a user sets for himself: his name, language and password, and the browsers he is signed in with."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from callrouter.people import browser_sessions, users
from callrouter.people.passwords import require_strong
from callrouter.pool.inventory import Refused
from callrouter.web.api.changes import Id
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.entering import Entering
from callrouter.web.pages.ground import CHANGE_PASSWORD, FORM_LIMIT, Ground, Page, View
from callrouter.web.pages.words import known
from callrouter.web.problem import Refusal

OWN = "/own"


def own_page(ground: Ground, entering: Entering) -> Page:
    @get(OWN)
    async def own(request: AnyRequest) -> Response[bytes]:
        return await _shown(ground, await ground.open(request))

    @post(OWN, request_max_body_size=FORM_LIMIT)
    async def change(request: AnyRequest) -> Response[bytes]:
        view, form = await ground.write(request)
        person = view.person
        locale = known(form.get("locale", "")) or person.locale
        try:
            async with ground.reading.changing(view.account) as conn:
                await users.set_own(conn, person.account, person.user, name=form.get("name", ""), locale=locale)
        except Refused as error:
            return await _shown(ground, view, trouble=view.refusal(error), status=422)
        return view.go(OWN, note="saved")

    return Page([own, change, *_password(ground, entering), *_browsers(ground)])


async def _shown(ground: Ground, view: View, *, trouble: str = "", status: int = 200) -> Response[bytes]:
    person = view.person
    async with ground.reading.as_account(view.account) as conn:
        you = await users.user_numbered(conn, person.user, person.account)
        browsers = await browser_sessions.of_user(conn, person.account, person.user, ground.access.life)
    return view.render("own.html", status=status, you=you, browsers=browsers, trouble=trouble)


def _password(ground: Ground, entering: Entering) -> list[HTTPRouteHandler]:
    @get(CHANGE_PASSWORD)
    async def form(request: AnyRequest) -> Response[bytes]:
        view = await ground.open(request, changing_password=True)
        return view.render("password.html", trouble="")

    @post(CHANGE_PASSWORD, request_max_body_size=FORM_LIMIT)
    async def change(request: AnyRequest) -> Response[bytes]:
        view, form = await ground.write(request, changing_password=True)
        try:
            hashed = await _chosen(view, entering, form.get("old", ""), form.get("new", ""), form.get("again", ""))
        except Refused as error:
            return view.render("password.html", status=422, trouble=view.refusal(error))
        person = view.person
        async with ground.reading.changing(view.account) as conn:
            await users.set_password(
                conn, person.account, person.user, hashed, by=view.caller, keep_session=person.session
            )
        return view.go(OWN, note="password")

    return [form, change]


async def _chosen(view: View, entering: Entering, old: str, new: str, again: str) -> str:
    """The new password's hash. Raises Refused."""
    person = view.person
    if new != again:
        raise Refused("the two new passwords differ")
    require_strong(new, email=person.email, name=person.name)
    if not await entering.is_his(person.email, old, session=person.session):
        raise Refused("the present password is not right")
    if new == old:
        raise Refused("the new password is the present one")
    return await entering.passwords.hash(new)


def _browsers(ground: Ground) -> list[HTTPRouteHandler]:
    @post(f"{OWN}/browsers/{{session:int}}/end", request_max_body_size=FORM_LIMIT)
    async def end(request: AnyRequest, session: Id) -> Response[bytes]:
        view, _ = await ground.write(request)
        async with ground.reading.changing(view.account) as conn:
            ended = await browser_sessions.end_one(conn, view.person, session)
        if not ended:
            raise Refusal(404, "no-page", "No such browser")
        return view.go(OWN, note="ended")

    @post(f"{OWN}/browsers/end", request_max_body_size=FORM_LIMIT)
    async def end_others(request: AnyRequest) -> Response[bytes]:
        view, _ = await ground.write(request)
        async with ground.reading.changing(view.account) as conn:
            await browser_sessions.end_others(conn, view.person)
        return view.go(OWN, note="ended")

    return [end, end_others]
