"""All pages together: their navigation, their headers, their files, and what is shown when something is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import MediaType, Response, Router, get
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from callrouter.pool.inventory import Refused, Unknown
from callrouter.web import metrics, problem
from callrouter.web.api.routes import BASE
from callrouter.web.cookies import AnyRequest
from callrouter.web.pages import files
from callrouter.web.pages.ground import (
    CHANGE_PASSWORD,
    SEE_OTHER,
    Ground,
    Page,
    PasswordWanted,
    SignInWanted,
    sign_in_path,
)
from callrouter.web.pages.policy import pages_policy
from callrouter.web.problem import Refusal

POLICY = pages_policy()
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
}
FOR_EVER = "public, max-age=31536000, immutable"
PROGRAMS = (f"{BASE}/", "/v/", "/w/", "/metrics", "/health", "/ready")
"""Paths that are asked by programs: what is wrong there is told as a problem document."""


def pages_router(ground: Ground, pages: Sequence[Page]) -> Router:
    """`pages` in the order of the navigation."""
    ground.entries = [page.entry for page in pages if page.entry]
    handlers: list[HTTPRouteHandler] = [handler for page in pages for handler in page.handlers]
    return Router(
        "/",
        route_handlers=[*handlers, _start(ground), _file],
        response_headers=HEADERS,
        exception_handlers={SignInWanted: _to_sign_in, PasswordWanted: _to_password},
        include_in_schema=False,
    )  # fmt: skip


def for_a_person(request: AnyRequest) -> bool:
    """Whether an error is to be shown as a page."""
    return not request.url.path.startswith(PROGRAMS) and "text/html" in request.headers.get("accept", "")


class Errors:
    """What is wrong, as a page that helps; programs are told by a problem document."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def refused(self, request: AnyRequest, refusal: Refusal) -> Response[bytes]:
        if not for_a_person(request):
            return problem.refused(request, refusal)
        metrics.REFUSED.labels(reason=refusal.kind).inc()
        return self._page(request, refusal.problem.status, refusal.kind, retry_s=refusal.retry_s)

    def cannot_be_done(self, request: AnyRequest, error: Refused) -> Response[bytes]:
        """Of the API; a page says it beside its form."""
        return self.refused(request, Refusal(422, "refused", str(error)))

    def unknown(self, request: AnyRequest, _error: Unknown) -> Response[bytes]:
        return self.refused(request, Refusal(404, "unknown", "There is none", "Or it is another account's."))

    def refused_by_framework(self, request: AnyRequest, error: HTTPException) -> Response[bytes]:
        if not for_a_person(request):
            return problem.refused_by_framework(request, error)
        metrics.REFUSED.labels(reason=f"http_{error.status_code}").inc()
        return self._page(request, error.status_code)

    def failed(self, request: AnyRequest, error: Exception) -> Response[bytes]:
        told = problem.failed(request, error)
        return self._page(request, 500) if for_a_person(request) else told

    def _page(self, request: AnyRequest, status: int, kind: str = "", *, retry_s: int = 0) -> Response[bytes]:
        answer = self._ground.anybody(request).render("error.html", status=status, what=status, kind=kind)
        answer.headers.update(HEADERS | ({"Retry-After": str(retry_s)} if retry_s else {}))
        return answer


def _to_sign_in(_request: AnyRequest, wanted: SignInWanted) -> Response[bytes]:
    return _see(sign_in_path(wanted.path))


def _to_password(_request: AnyRequest, _wanted: PasswordWanted) -> Response[bytes]:
    return _see(CHANGE_PASSWORD)


def _see(path: str) -> Response[bytes]:
    return Response(b"", status_code=SEE_OTHER, headers=HEADERS | {"Location": path})


def _start(ground: Ground) -> HTTPRouteHandler:
    @get("/", media_type=MediaType.HTML)
    async def start(request: AnyRequest) -> Response[bytes]:
        """To the first page of work that he may see."""
        view = await ground.open(request)
        entries = view.entries("work") or view.entries("settings")
        return view.go(entries[0].path if entries else "/own")

    return start


@get(f"{files.BASE}{{name:str}}", response_headers={"Cache-Control": FOR_EVER}, sync_to_thread=False)
def _file(request: AnyRequest, name: FromPath[str]) -> ASGIResponse:
    found = files.sent_files().get(files.BASE + name)
    if found is None:
        raise Refusal(404, "no-page", "No such page")
    headers: dict[str, Any] = {
        "vary": "Accept-Encoding",
        "cache-control": FOR_EVER,
        "x-content-type-options": "nosniff",
    }
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return ASGIResponse(body=found.body, media_type=found.media_type, headers=headers)
    headers["content-encoding"] = "gzip"
    return ASGIResponse(body=found.compressed, media_type=found.media_type, headers=headers)
