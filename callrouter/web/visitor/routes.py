"""POST /v/{site}/visit and /v/{site}/alive: bodies, origins, refusals. What is answered is decided by the `desk`.

Bodies are JSON sent as text/plain, so that a page of another origin needs no pre-flight request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from litestar import Request, Router, post
from litestar.exceptions import HTTPException
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from callrouter.pool.directory import Site
from callrouter.web import metrics
from callrouter.web.problem import Refusal
from callrouter.web.visitor.desk import Desk
from callrouter.web.visitor.messages import AliveRequest, VisitRequest
from callrouter.web.visitor.tokens import ExpiredToken, ForgedToken

T = TypeVar("T")

BODY_LIMIT = 16 * 1024
BODY_SECONDS = 5.0
PageRequest = Request[Any, Any, Any]
_visit_decoder = msgspec.json.Decoder(VisitRequest)
_alive_decoder = msgspec.json.Decoder(AliveRequest)
_encode = msgspec.json.Encoder().encode


def visitor_router(desk: Desk) -> Router:
    timed_visit, timed_alive = (metrics.SECONDS.labels(call=call) for call in ("visit", "alive"))

    @post("/{site:str}/visit", status_code=200)
    async def visit(request: PageRequest, site: FromPath[str]) -> ASGIResponse:
        with timed_visit.time():
            found, origin = _site(desk, request, site)
            said = await _said(request, _visit_decoder)
            if not _is_of(found.domains, _host(said.url)):
                raise Refusal(403, "foreign-page", "The page is not one of this site's domains")
            if "prerender" in request.headers.get("sec-purpose", ""):
                said.human = False
            answer = await desk.visit(found, said, request.headers.get("user-agent", ""))
            return _answer(answer, origin)

    @post("/{site:str}/alive", status_code=200)
    async def alive(request: PageRequest, site: FromPath[str]) -> ASGIResponse:
        with timed_alive.time():
            found, origin = _site(desk, request, site)
            said = await _said(request, _alive_decoder)
            try:
                answer = await desk.alive(found, said)
            except ForgedToken:
                raise Refusal(403, "forged-token", "The visit token is not one of ours") from None
            except ExpiredToken:
                raise Refusal(410, "expired-token", "The visit token is too old", "Make a visit call.") from None
            return _answer(answer, origin)

    return Router("/v", route_handlers=[visit, alive], request_max_body_size=BODY_LIMIT)


def _site(desk: Desk, request: PageRequest, name: str) -> tuple[Site, str]:
    """The site and the request's origin, if both are right. No site names its domains: any origin may call it."""
    found = desk.site(int(name)) if name.isascii() and name.isdigit() and len(name) < 19 else None  # noqa: PLR2004 # digits of a bigint
    if found is None:
        if not desk.knows_sites:
            raise Refusal(503, "starting", "The sites are not known yet", "Postgres does not answer; try again")
        raise Refusal(404, "unknown-site", "No such site")
    origin: str = request.headers.get("origin", "")
    if origin and not _is_of(found.domains, _host(origin)):
        raise Refusal(403, "foreign-origin", "The origin is not one of this site's domains")
    return found, origin


def _is_of(domains: Iterable[str], host: str) -> bool:
    """Whether `host` is one of the domains or under one. A site that lists none is on any."""
    domains = tuple(domains)
    return not domains or any(host == domain or host.endswith("." + domain) for domain in domains)


def _host(address: str) -> str:
    authority = address.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]
    return authority.rpartition("@")[2].partition(":")[0].rstrip(".").lower()


async def _said(request: PageRequest, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await request.body()
    except TimeoutError:
        raise Refusal(408, "slow-body", "The body did not arrive in time") from None
    except HTTPException as error:
        raise Refusal(error.status_code, "large-body", "The body is too large") from None
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Refusal(400, "malformed-body", "The body is not what this call expects", str(error)[:200]) from None


def _answer(answer: msgspec.Struct, origin: str) -> ASGIResponse:
    headers = {"cache-control": "no-store"}
    if origin:
        headers |= {"access-control-allow-origin": origin, "vary": "Origin"}
    return ASGIResponse(body=_encode(answer), media_type="application/json", headers=headers)
