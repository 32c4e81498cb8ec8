"""POST /v/{site}/visit, /alive, /form and /callback, without a framework: nearly all that the web ever gets.

Knows HTTP and how it is spoken here: paths, bodies, origins, refusals as problem documents. What is answered is decided
by the `desk`, `forms` and `callbacks`, who may ask how often by the `guard`. Any other request goes on to the
application behind.

Bodies are JSON sent as text/plain, so that a page of another origin needs no pre-flight request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from time import perf_counter
from typing import Any, TypeVar

import msgspec
import structlog

from callrouter.appeals.journal import JournalError
from callrouter.callbacks.dialable import NotDialable
from callrouter.callbacks.due import BadTime
from callrouter.pool.directory import Site
from callrouter.web import metrics
from callrouter.web.problem import INTERNAL, MEDIA_TYPE, Refusal
from callrouter.web.seen import Traces
from callrouter.web.visitor.addresses import Addresses
from callrouter.web.visitor.callbacks import Callbacks, NoCallbacks, TooManyOrders
from callrouter.web.visitor.desk import Browser, Desk
from callrouter.web.visitor.forms import EmptyForm, Forms, NoJournal
from callrouter.web.visitor.guard import FORGERY, Guard
from callrouter.web.visitor.messages import AliveRequest, CallbackRequest, FormRequest, VisitRequest
from callrouter.web.visitor.tokens import ExpiredToken, ForgedToken
from callrouter.web.watch import Watch

log = structlog.get_logger()

T = TypeVar("T")
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]
Headers = dict[bytes, bytes]

PREFIX = "/v/"
BODY_LIMIT = 16 * 1024
BODY_SECONDS = 5.0
IN_HAND = 512
"""Requests answered at a time. More would only wait for each other: the page is told to come again."""
LONGEST_ID = 18
"""Digits of a site's id."""
_visit_decoder = msgspec.json.Decoder(VisitRequest)
_alive_decoder = msgspec.json.Decoder(AliveRequest)
_form_decoder = msgspec.json.Decoder(FormRequest)
_callback_decoder = msgspec.json.Decoder(CallbackRequest)
_encode = msgspec.json.Encoder().encode
_JSON = (b"content-type", b"application/json")
_PROBLEM = (b"content-type", MEDIA_TYPE.encode())
_NOT_STORED = (b"cache-control", b"no-store")
_BY_ORIGIN = (b"vary", b"Origin")


class Entrance:
    """An ASGI application before another one."""

    def __init__(
        self, desk: Desk, guard: Guard, addresses: Addresses, behind: Application, *, forms: Forms,
        callbacks: Callbacks, traces: Traces, in_hand: int = IN_HAND, body_seconds: float = BODY_SECONDS,
    ) -> None:  # fmt: skip
        self._desk = desk
        self._traces = traces
        self._forms = forms
        self._callbacks = callbacks
        self._guard = guard
        self._addresses = addresses
        self._behind = behind
        self._bodies = Watch(body_seconds)
        self._most = in_hand
        self._in_hand = 0
        self._of_site: dict[int, int] = {}
        self._calls = {
            "visit": (self._visit, metrics.SECONDS.labels(call="visit")),
            "alive": (self._alive, metrics.SECONDS.labels(call="alive")),
            "form": (self._form, metrics.SECONDS.labels(call="form")),
            "callback": (self._callback, metrics.SECONDS.labels(call="callback")),
        }

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            name, _, call = scope["path"][len(PREFIX) :].partition("/")
            found = self._calls.get(call)
            if found is not None:
                began = perf_counter()
                await self._answer(scope, receive, send, name, found[0])
                found[1].observe(perf_counter() - began)
                return
        await self._behind(scope, receive, send)

    async def _answer(self, scope: Any, receive: Receive, send: Send, name: str, call: Callable[..., Any]) -> None:
        status, kind, retry_s = 200, _JSON, 0
        headers: Headers = dict(scope["headers"])
        try:
            body = await call(scope, receive, headers, name)
        except Refusal as refusal:
            metrics.REFUSED.labels(reason=refusal.kind).inc()
            status, kind, body, retry_s = refusal.problem.status, _PROBLEM, _encode(refusal.problem), refusal.retry_s
        except Exception as error:  # a page is answered whatever we did wrong
            metrics.FAILED.inc()
            log.exception("WEB-FAILED", path=scope["path"], reason=str(error))
            status, kind, body = 500, _PROBLEM, _encode(INTERNAL)
        answered = [kind, (b"content-length", b"%d" % len(body)), _NOT_STORED]
        origin = headers.get(b"origin")
        if origin:
            answered += [(b"access-control-allow-origin", origin), _BY_ORIGIN]
        if retry_s:
            answered.append((b"retry-after", b"%d" % retry_s))
        await send({"type": "http.response.start", "status": status, "headers": answered})
        await send({"type": "http.response.body", "body": body})

    async def _visit(self, scope: Any, receive: Receive, headers: Headers, name: str) -> bytes:
        site, address = self._admitted(scope, headers, name)
        said = await self._said(receive, _visit_decoder)
        if not _is_of(site.domains, _host(said.url)):
            self._traces.note(site.id, "refused", said.url)
            raise Refusal(403, "foreign-page", "The page is not one of this site's domains")
        self._traces.note(site.id, "visit", said.url)
        if b"prerender" in headers.get(b"sec-purpose", b""):
            said.human = False
        self._take_in_hand(site)
        try:
            return _encode(await self._desk.visit(site, said, _browser(headers, address)))
        finally:
            self._done_with(site)

    async def _alive(self, scope: Any, receive: Receive, headers: Headers, name: str) -> bytes:
        site, address = self._admitted(scope, headers, name)
        said = await self._said(receive, _alive_decoder)
        self._take_in_hand(site)
        try:
            return _encode(await self._desk.alive(site, said, address))
        except ForgedToken:
            self._guard.request(site, address, FORGERY)
            raise Refusal(403, "forged-token", "The visit token is not one of ours") from None
        except ExpiredToken:
            raise Refusal(410, "expired-token", "The visit token is too old", "Make a visit call.") from None
        finally:
            self._done_with(site)

    async def _form(self, scope: Any, receive: Receive, headers: Headers, name: str) -> bytes:
        site, address = self._admitted(scope, headers, name)
        said = await self._said(receive, _form_decoder)
        if not _is_of(site.domains, _host(said.url)):
            raise Refusal(403, "foreign-page", "The page is not one of this site's domains")
        self._take_in_hand(site)
        try:
            return _encode(await self._forms.form(site, said, address))
        except EmptyForm:
            raise Refusal(422, "empty-form", "The form has nothing that may be kept") from None
        except (NoJournal, JournalError):
            raise Refusal(503, "no-journal", "Forms cannot be kept safely just now", retry_s=30) from None
        finally:
            self._done_with(site)

    async def _callback(self, scope: Any, receive: Receive, headers: Headers, name: str) -> bytes:
        site, address = self._admitted(scope, headers, name)
        said = await self._said(receive, _callback_decoder)
        if not _is_of(site.domains, _host(said.url)):
            raise Refusal(403, "foreign-page", "The page is not one of this site's domains")
        self._take_in_hand(site)
        try:
            return _encode(await self._callbacks.order(site, said, address))
        except NoCallbacks:
            raise Refusal(403, "no-callbacks", "This site takes no callback orders") from None
        except NotDialable as error:
            raise Refusal(422, error.reason, "This number is not called") from None
        except BadTime as error:
            raise Refusal(422, "bad-time", "That is no time to call at", str(error)) from None
        except TooManyOrders:
            raise Refusal(429, "callback-limit", "Too many callback orders", retry_s=600) from None
        except (NoJournal, JournalError):
            raise Refusal(503, "no-journal", "Orders cannot be kept safely just now", retry_s=30) from None
        finally:
            self._done_with(site)

    def _admitted(self, scope: Any, headers: Headers, name: str) -> tuple[Site, str]:
        """The site and the visitor's address, if method, site and origin are right and neither has asked too much."""
        if scope["method"] != "POST":
            raise Refusal(405, "http_405", "Method not allowed", "Only POST.")
        site = self._desk.site(int(name)) if name.isascii() and name.isdigit() and len(name) <= LONGEST_ID else None
        if site is None:
            if not self._desk.knows_sites:
                raise Refusal(503, "starting", "The sites are not known yet", "Postgres does not answer; try again")
            raise Refusal(404, "unknown-site", "No such site")
        origin = headers.get(b"origin")
        if origin and not _origin_is_of(site.domains, origin):
            self._traces.note(site.id, "refused", origin.decode("latin-1"))
            raise Refusal(403, "foreign-origin", "The origin is not one of this site's domains")
        address = self._addresses.of(scope["client"][0] if scope.get("client") else "", _forwarded(scope, headers))
        self._guard.request(site, address)
        return site, address

    async def _said(self, receive: Receive, decoder: msgspec.json.Decoder[T]) -> T:
        try:
            with self._bodies.span():
                message = await receive()
                body = message.get("body", b"")
                while message.get("more_body"):
                    if len(body) > BODY_LIMIT:
                        break
                    message = await receive()
                    body += message.get("body", b"")
        except TimeoutError:
            raise Refusal(408, "slow-body", "The body did not arrive in time") from None
        if message["type"] == "http.disconnect":
            raise Refusal(400, "gone", "The connection was closed before the body had come")
        if len(body) > BODY_LIMIT:
            raise Refusal(413, "large-body", "The body is too large")
        try:
            return decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise Refusal(400, "malformed-body", "The body is not what this call expects", str(error)[:200]) from None

    def _take_in_hand(self, site: Site) -> None:
        """Shed what we cannot do in time; no site takes more than half of what we can."""
        of_site = self._of_site.get(site.id, 0)
        if self._in_hand >= self._most or of_site >= self._most // 2:
            raise Refusal(503, "busy", "Too many requests wait already", retry_s=2)
        self._in_hand += 1
        self._of_site[site.id] = of_site + 1

    def _done_with(self, site: Site) -> None:
        self._in_hand -= 1
        left = self._of_site[site.id] - 1
        if left:
            self._of_site[site.id] = left
        else:
            del self._of_site[site.id]


def _forwarded(scope: Any, headers: Headers) -> str:
    """All lines of X-Forwarded-For: some proxies add to the last, others add one."""
    if b"x-forwarded-for" not in headers:
        return ""
    return b",".join([value for name, value in scope["headers"] if name == b"x-forwarded-for"]).decode("latin-1")


def _browser(headers: Headers, address: str) -> Browser:
    agent = headers.get(b"user-agent", b"").decode("latin-1")
    if b"sec-ch-ua" not in headers:
        return Browser(agent, address=address)
    brands, mobile, platform = (
        headers.get(name, b"").decode("latin-1") for name in (b"sec-ch-ua", b"sec-ch-ua-mobile", b"sec-ch-ua-platform")
    )
    return Browser(agent, brands, mobile, platform, address)


@lru_cache(maxsize=16384)
def _origin_is_of(domains: tuple[str, ...], origin: bytes) -> bool:
    return _is_of(domains, _host(origin.decode("latin-1")))


@lru_cache(maxsize=16384)
def _is_of(domains: tuple[str, ...], host: str) -> bool:
    """Whether `host` is one of the domains or under one. A site that lists none is on any."""
    return not domains or any(host == domain or host.endswith("." + domain) for domain in domains)


def _host(address: str) -> str:
    authority = address.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]
    return authority.rpartition("@")[2].partition(":")[0].rstrip(".").lower()
