"""What each page stands on: who looks, what he may see, the form he sent, and the answer. Knows no page."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple
from urllib.parse import quote, urlencode

from litestar import Response
from litestar.datastructures import Cookie
from litestar.handlers import HTTPRouteHandler

from callrouter.people import accounts, browser_sessions
from callrouter.people.accounts import Account
from callrouter.people.model import Caller, Locale, Person
from callrouter.people.roles import Scope
from callrouter.pool.inventory import OPERATOR, Unknown
from callrouter.sessions.device import recognise
from callrouter.web import cookies
from callrouter.web.api.access import Access
from callrouter.web.api.reading import Reading
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages.formats import Formats
from callrouter.web.pages.templating import templates
from callrouter.web.pages.words import accepted, known, refusal_in, words
from callrouter.web.problem import Refusal
from callrouter.wording import Templated

WORTH_COMPRESSING = 1000
SIGN_IN, CHANGE_PASSWORD = "/sign-in", "/own/password"
FORM_LIMIT = 256 * 1024
"""Bytes of a form: for `request_max_body_size` of a handler that takes one."""
SEE_OTHER = 303
PERSON = "callrouter.person"
"""Of a request's scope: who looks."""
ACCOUNT = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
Place = Literal["work", "settings"]
Form = Mapping[str, str]


class Entry(NamedTuple):
    """A line of the navigation, for those who have the scope (None: for all)."""

    path: str
    title: str
    scope: Scope | None
    place: Place = "work"
    operator: bool = False
    """For the operator's people only."""


class Page(NamedTuple):
    handlers: Sequence[HTTPRouteHandler]
    entry: Entry | None = None


class SignInWanted(Exception):
    """Nobody is signed in: the browser is sent to sign in and then back to `path`."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class PasswordWanted(Exception):
    """He must choose a password of his own before anything else."""


class Ground:
    """One per web process. `entries` is filled in by the router, which knows all pages."""

    def __init__(self, access: Access, reading: Reading) -> None:
        self.access = access
        self.reading = reading
        self.entries: list[Entry] = []

    async def open(self, request: AnyRequest, scope: Scope | None = None, *, changing_password: bool = False) -> View:
        """Who looks, if he may. Raises SignInWanted, PasswordWanted, or Refusal 403 without the scope."""
        person = await self.access.person(request)
        if person is None:
            raise SignInWanted(_asked(request))
        request.scope[PERSON] = person  # type: ignore[literal-required] # our own key
        if person.must_change_password and not changing_password:
            raise PasswordWanted
        if scope is not None and scope not in person.caller.scopes:
            raise Refusal(403, "missing-scope", "That is not allowed to you", f"It needs the scope {scope}.")
        view = View(self, request, person, await self._looked_at(request, person))
        if cookies.shown(request, cookies.LANGUAGE) != person.locale:
            view.set_cookie(cookies.LANGUAGE, person.locale, seconds=cookies.YEAR)
        if request.method == "GET" and person.secret_is_old:
            await self._renew(request, view)
        return view

    async def write(
        self, request: AnyRequest, scope: Scope | None = None, *, changing_password: bool = False
    ) -> tuple[View, Form]:
        """The same for a form that was sent. Raises Refusal 403 too if it does not come from a page of ours."""
        view = await self.open(request, scope, changing_password=changing_password)
        form = await sent_form(request)
        cookies.require_own_page(request, form.get("form_key", ""), view.person.form_key)
        return view, form

    def stranger(self, request: AnyRequest) -> View:
        """For pages that nobody need be signed in for."""
        return View(self, request, None)

    def anybody(self, request: AnyRequest) -> View:
        """Who looks, if that was found out before: for errors, which ask nothing of Postgres any more."""
        return View(self, request, request.scope.get(PERSON))  # type: ignore[arg-type] # our own key

    async def _looked_at(self, request: AnyRequest, person: Person) -> Account | None:
        """The account that one of the operator's people chose; None: his own, as everybody else's."""
        chosen = cookies.shown(request, cookies.LOOKED_AT)
        if person.account != OPERATOR or not ACCOUNT.fullmatch(chosen) or int(chosen) == OPERATOR:
            return None
        try:
            async with self.reading.as_account(person.account) as conn:
                return await accounts.account_numbered(conn, int(chosen))
        except Unknown:
            return None

    async def _renew(self, request: AnyRequest, view: View) -> None:
        async with self.reading.as_service() as conn:
            fresh = await browser_sessions.renew(conn, cookies.shown(request, cookies.SESSION))
        if fresh:
            view.set_cookie(cookies.SESSION, fresh, seconds=int(self.access.life.whole.total_seconds()))


class View:
    """One request, and its answer in the making. `person` only where somebody is signed in."""

    def __init__(
        self, ground: Ground, request: AnyRequest, person: Person | None, looked_at: Account | None = None
    ) -> None:
        self._ground = ground
        self._person = person
        self._cookies: list[Cookie] = []
        self.request = request
        self.locale: Locale = person.locale if person else _language(request)
        self.looked_at = looked_at
        self.formats = Formats(self.locale, _time_zone(person, looked_at))

    @property
    def person(self) -> Person:
        if self._person is None:
            raise SignInWanted(_asked(self.request))
        return self._person

    @property
    def caller(self) -> Caller:
        return self.person.caller

    @property
    def account(self) -> int:
        return self.person.account

    @property
    def whose(self) -> int:
        """The account whose data are shown."""
        return self.looked_at.id if self.looked_at else self.account

    @property
    def currency(self) -> str:
        """Of the account whose data are shown."""
        return self.looked_at.currency if self.looked_at else self.person.currency

    @property
    def known(self) -> bool:
        return self._person is not None

    @property
    def is_operator(self) -> bool:
        return self._person is not None and self._person.account == OPERATOR

    def may(self, scope: Scope) -> bool:
        return self._person is not None and scope in self._person.caller.scopes

    def translated(self, message: str) -> str:
        return words(self.locale).gettext(message)

    def refusal(self, error: Templated) -> str:
        return refusal_in(self.locale, error)

    def entries(self, place: Place) -> list[Entry]:
        """What of the navigation he may see."""
        return [
            entry
            for entry in self._ground.entries
            if entry.place == place and self.known and (entry.scope is None or self.may(entry.scope))
            if self.is_operator or not entry.operator
        ]

    def is_here(self, path: str) -> bool:
        """Whether the page is that of `path` or below it, and not below a longer one of the navigation."""
        here = self.request.url.path
        nearer = (entry.path for entry in self._ground.entries if len(entry.path) > len(path))
        return _below(here, path) and not any(_below(here, other) for other in nearer)

    def browser_name(self, agent: str) -> str:
        """Chrome, Windows"""
        told = recognise(agent)
        return ", ".join(part for part in (told.browser, told.os) if part) or self.translated("Unknown browser")

    def set_cookie(self, name: str, value: str, *, seconds: int | None = None) -> None:
        self._cookies.append(cookies.made(self.request, name, value, seconds=seconds))

    def render(self, template: str, *, status: int = 200, **values: object) -> Response[bytes]:
        """`template` with `view`, `f` (formats) and `values`."""
        html = templates(self.locale).get_template(template).render(view=self, f=self.formats, **values)
        body, headers = html.encode("utf-8", "replace"), {"Vary": "Accept-Encoding, Cookie"}
        if len(body) > WORTH_COMPRESSING and "gzip" in self.request.headers.get("accept-encoding", ""):
            body, headers["Content-Encoding"] = gzip.compress(body, 5, mtime=0), "gzip"
        return Response(
            body, status_code=status, media_type="text/html; charset=utf-8", headers=headers, cookies=self._cookies
        )

    def go(self, path: str, *, note: str = "", **query: object) -> Response[bytes]:
        """On to another page after something was done; `note` is one of `note.html`'s, said there."""
        asked = urlencode({**query, **({"note": note} if note else {})})
        target = f"{path}?{asked}" if asked else path
        return Response(b"", status_code=SEE_OTHER, headers={"Location": target}, cookies=self._cookies)


async def sent_form(request: AnyRequest) -> Form:
    """The fields of a form; of a name that was sent twice the last."""
    try:
        sent = await request.form()
    except (ValueError, LookupError) as error:  # neither a form's type nor its encoding
        raise Refusal(400, "malformed-body", "That is no form") from error
    return {name: value.replace("\x00", "") for name, value in sent.items() if isinstance(value, str)}


def sign_in_path(path: str) -> str:
    return SIGN_IN if path == "/" else f"{SIGN_IN}?next={quote(path, safe='/')}"


def _below(here: str, path: str) -> bool:
    return here == path or here.startswith(f"{path}/")


def _time_zone(person: Person | None, looked_at: Account | None) -> str:
    if looked_at:
        return looked_at.time_zone
    return person.time_zone if person else "UTC"


def _asked(request: AnyRequest) -> str:
    """Where to go after signing in: to the page that was asked for, not to a form that was sent."""
    if request.method != "GET":
        return "/"
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _language(request: AnyRequest) -> Locale:
    """A stranger's: as he chose, else as his browser is set."""
    chosen = known(request.query_params.get("language", "")) or known(cookies.shown(request, cookies.LANGUAGE))
    return chosen or accepted(request.headers.get("accept-language", ""))
