"""GET /w/{site}.js: the script of a site, cacheable anywhere, without cookies. What is in it is decided by `script`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litestar import Request, Router, get
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from callrouter.pool.directory import Directory, Site
from callrouter.web import metrics
from callrouter.web.problem import Refusal
from callrouter.web.seen import Traces
from callrouter.web.widget.script import script_of

SUFFIX = ".js"
LONGEST_ID = 18
"""Digits of a bigint."""
CACHING = "public, max-age=300, stale-while-revalidate=86400, stale-if-error=604800"
"""A change of settings reaches pages within minutes; a page whose server is away still has its script."""
NOT_MODIFIED = 304


def widget_router(directory: Callable[[], Directory], traces: Traces) -> Router:
    @get("/{name:str}")
    async def script(request: Request[Any, Any, Any], name: FromPath[str]) -> ASGIResponse:
        site = _site(directory(), name)
        traces.note(site.id, "script", request.headers.get("referer", ""))
        found = script_of(site)
        packed = "gzip" in request.headers.get("accept-encoding", "")
        headers = {
            "cache-control": CACHING, "etag": found.etag, "vary": "Accept-Encoding",
            "access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin",
            "timing-allow-origin": "*", "x-content-type-options": "nosniff",
        }  # fmt: skip
        if found.etag in request.headers.get("if-none-match", ""):
            metrics.SCRIPTS.labels(outcome="not_modified").inc()
            return ASGIResponse(status_code=NOT_MODIFIED, headers=headers)
        metrics.SCRIPTS.labels(outcome="sent").inc()
        if packed:
            headers["content-encoding"] = "gzip"
        return ASGIResponse(
            body=found.compressed if packed else found.body, media_type="text/javascript",
            headers=headers,
        )  # fmt: skip

    return Router("/w", route_handlers=[script])


def _site(directory: Directory, name: str) -> Site:
    number = name.removesuffix(SUFFIX)
    digits = number != name and number.isascii() and number.isdigit() and len(number) <= LONGEST_ID
    found = directory.site(int(number)) if digits else None
    if found is None or not found.enabled:
        if not directory.known:
            raise Refusal(503, "starting", "The sites are not known yet", "Postgres does not answer; try again")
        raise Refusal(404, "unknown-site", "No such site")
    return found
