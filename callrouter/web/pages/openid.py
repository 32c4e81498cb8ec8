"""/sign-in/openid: to the provider, and back from it. What goes wrong is told on the page to sign in.

The code that a browser brings back stands in no page's address: it is always sent on.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple
from urllib.parse import quote, unquote

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from callrouter.log import OncePerKind
from callrouter.people import browser_sessions
from callrouter.people.browser_sessions import Begun
from callrouter.people.openid import Identity, user_of
from callrouter.people.tries import Tries
from callrouter.pool.inventory import Refused
from callrouter.web import cookies, metrics
from callrouter.web.cookies import AnyRequest
from callrouter.web.openid.attempts import LASTS_SECONDS, Attempt, Attempts
from callrouter.web.openid.provider import Arrival, Away, Provider
from callrouter.web.openid.token import Untrusted
from callrouter.web.pages.entering import Entering
from callrouter.web.pages.ground import SIGN_IN, Ground, Page, View
from callrouter.web.pages.sign_in import after, leave
from callrouter.web.problem import Refusal
from callrouter.web.visitor.addresses import cut, household

BEGIN = f"{SIGN_IN}/openid"
BACK = f"{BEGIN}/callback"
"""What is registered at the provider."""
HOST = re.compile(r"[A-Za-z0-9.-]{1,255}(?::\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?")
LONGEST_CODE = 4096
ERROR = re.compile(r"[a-z_]{1,40}")
HIS_CHOICE = frozenset(["access_denied", "login_required", "interaction_required", "consent_required"])
Trouble = Literal[
    "away", "untrusted", "cancelled", "cookie", "unknown", "unverified", "disabled", "other",
    "elsewhere", "slowed",
]  # fmt: skip


class Came(NamedTuple):
    """What came of it; `begun` and `device` if nothing was wrong."""

    trouble: Trouble | None = None
    begun: Begun | None = None
    device: str = ""


class OpenIdEntering:
    """One per web process."""

    def __init__(self, provider: Provider, attempts: Attempts, ground: Ground, entering: Entering) -> None:
        self.provider = provider
        self.attempts = attempts
        self.clock = clock = provider.clock
        self._ground = ground
        self._entering = entering
        self._tries = Tries()
        self._rarely = OncePerKind(clock.monotonic)

    async def entrance(self, view: View, secret: str) -> str:
        """The provider's page for this browser. Raises Away."""
        attempt = self.attempts.begin(secret, self.clock.now().timestamp())
        try:
            return await self.provider.entrance(attempt, self._redirect_uri(view.request), view.locale)
        except Away as error:
            self._rarely.warning("OPENID-AWAY", reason=str(error))
            raise

    async def enter(self, view: View, secret: str, attempt: Attempt) -> Came:
        """Whoever came back from the provider."""
        request = view.request
        address = self._ground.access.address(request)
        line, now = household(address), self.clock.monotonic()
        if self._tries.wait(line, secret, now) > 0:
            return Came("slowed")
        self._tries.begin(line, secret, now)
        try:
            identity = await self._identity(request, attempt)
        except Away as error:
            self._rarely.warning("OPENID-AWAY", reason=str(error))
            self._tries.was_right(line, secret)
            return Came("away")
        except Untrusted as error:
            self._rarely.warning("OPENID-UNTRUSTED", reason=str(error))
            return Came("untrusted")
        came = await self._begin(view, identity, address)
        if came.begun:
            self._tries.was_right(line, secret)
        return came

    def denied(self, error: str) -> Trouble:
        """What the provider said instead of a code; what else it sent may be anybody's words."""
        if error in HIS_CHOICE:
            return "cancelled"
        told = error if ERROR.fullmatch(error) else "an odd error"
        self._rarely.warning("OPENID-AWAY", reason=f"the authorization endpoint answers {told}")
        return "away"

    async def _identity(self, request: AnyRequest, attempt: Attempt) -> Identity:
        given = request.query_params
        code = given.get("code", "")
        if not 0 < len(code) <= LONGEST_CODE:
            raise Untrusted("there is no code")
        arrival = Arrival(code=code, redirect_uri=self._redirect_uri(request), issuer=given.get("iss", ""))
        return await self.provider.identity(arrival, attempt)

    async def _begin(self, view: View, identity: Identity, address: str) -> Came:
        ground, entering = self._ground, self._entering
        async with ground.reading.as_service() as conn:
            try:
                found = await user_of(conn, identity, self.provider.settings.newcomers, view.locale)
            except Refused as error:  # what is configured of newcomers does not fit
                self._rarely.warning("OPENID-NEWCOMER-REFUSED", reason=str(error))
                return Came("unknown")
        if found.outcome != "right":
            if found.outcome == "elsewhere":
                self._rarely.warning("OPENID-ELSEWHERE", account=found.account, user=found.user)
            if found.user:
                await entering.note_refused(found.account, found.user, address, way="openid", why=found.outcome)
            return Came(found.outcome)
        agent = view.request.headers.get("user-agent", "")
        async with ground.reading.as_service() as conn:
            begun = await browser_sessions.begin(
                conn, found.account, found.user, ground.access.life, browser=agent, address=cut(address), openid=True
            )
        return Came(begun=begun, device=entering.device_for(found.email))

    def _redirect_uri(self, request: AnyRequest) -> str:
        """The same in the question and in the exchange, as the provider wants it."""
        if self.provider.settings.address:
            return f"{self.provider.settings.address}{BACK}"
        host = request.headers.get("host", "")
        if not HOST.fullmatch(host):
            raise Refusal(400, "odd-host", "That is no host of ours")
        return f"{'http' if cookies.is_loopback(request) else 'https'}://{host}{BACK}"


def openid_page(ground: Ground, openid: OpenIdEntering | None) -> Page:
    return Page([_begin(ground, openid), _back(ground, openid)] if openid else [])


def _begin(ground: Ground, openid: OpenIdEntering) -> HTTPRouteHandler:
    @get(BEGIN)
    async def begin(request: AnyRequest) -> Response[bytes]:
        view, wanted = ground.stranger(request), after(request.query_params.get("next", ""))
        if await ground.access.person(request):
            return view.go(wanted)
        secret = _shown(request)[0] or openid.attempts.new_secret()
        try:
            entrance = await openid.entrance(view, secret)
        except Away:
            return _refused(view, "away", wanted)
        view.set_cookie(cookies.OPENID, f"{secret}.{quote(wanted, safe='/')}", seconds=LASTS_SECONDS)
        return view.go(entrance)

    return begin


def _back(ground: Ground, openid: OpenIdEntering) -> HTTPRouteHandler:
    @get(BACK)
    async def back(request: AnyRequest) -> Response[bytes]:
        view, given = ground.stranger(request), request.query_params
        secret, wanted = _shown(request)
        attempt = openid.attempts.find(secret, given.get("state", ""), openid.clock.now().timestamp())
        if attempt is None:
            if await ground.access.person(request):
                return view.go("/")  # in another tab, or somebody else's link
            return _refused(view, "cookie", wanted)
        view.set_cookie(cookies.OPENID, "", seconds=0)
        if "error" in given:
            return _refused(view, openid.denied(given["error"]), wanted)
        came = await openid.enter(view, secret, attempt)
        if came.begun is None:
            return _refused(view, came.trouble or "untrusted", wanted)
        metrics.OPENID_SIGN_INS.labels(outcome="right").inc()
        await leave(ground, request)
        view.set_cookie(cookies.SESSION, came.begun.secret, seconds=int(ground.access.life.whole.total_seconds()))
        view.set_cookie(cookies.DEVICE, came.device, seconds=cookies.YEAR)
        return view.go(wanted)

    return back


def _refused(view: View, trouble: Trouble, wanted: str) -> Response[bytes]:
    metrics.OPENID_SIGN_INS.labels(outcome=trouble).inc()
    return view.go(SIGN_IN, openid=trouble, **({"next": wanted} if wanted != "/" else {}))


def _shown(request: AnyRequest) -> tuple[str, str]:
    """The secret of the browser's attempts, and where it wanted to go."""
    secret, _, wanted = cookies.shown(request, cookies.OPENID).partition(".")
    return secret if browser_sessions.SECRET.fullmatch(secret) else "", after(unquote(wanted))
